"""One drive of one policy, and what came of it as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivesim.env import DriveWorldEnv
from drivesim.metrics.aggregates import Reference
from drivesim.metrics.recorder import DriveRecorder
from drivesim.metrics.score import score
from drivesim.policy import Policy, load_policy, sees_pictures
from drivesim.rollout import Trace, make_env, run
from drivesim.scenarios.criteria import FAILED
from drivesim.suites.plan import Job

Row = dict[str, Any]


def drive_once(job: Job) -> tuple[Row, Trace]:
    """What came of one drive, as plain data, and all of it."""
    policy, drive = load_policy(job.entrant.policy, **job.entrant.options), job.drive
    env = make_env(job.env, policy, drive.seconds)
    size = env.image_size
    if not sees_pictures(policy):
        env = _without_pictures(env, policy)
    recorder = DriveRecorder()
    trace = run(env, policy, seed=drive.seed, options=drive.options, on_step=recorder)
    criteria = env.get_state().criteria
    env.close()
    log = recorder.log()
    summary = trace.summary()
    last = trace.steps[-1].events
    reference = Reference(drive.expert, False, drive.route_length, drive.impact_speed)
    fair = summary["ending"] not in ("collision", "off_road")
    passed = last["scenario"] == "success" if "scenario" in last else fair
    events = [
        {"step": index + 1, "time": step.time, "what": words}
        for index, step in enumerate(trace.steps)
        if (words := _event_words(step.events))
    ]
    row = summary | {
        "passed": passed, "failed": [name for name, state in criteria.states if state == FAILED] if criteria else [],
        "scores": score(log, reference), "events": events, "title": drive.title,
        "speed": [round(float(v), 3) for v in log.speed], "action": policy.action, "image_size": list(size),
        "policy_sees_world": trace.settings["policy_sees_world"],
        "reference": {"expert": drive.expert, "route_length": drive.route_length, "impact_speed": drive.impact_speed},
    }  # fmt: skip
    return row, trace


def _without_pictures(env: DriveWorldEnv, policy: Policy) -> DriveWorldEnv:
    """The same world with nothing drawn, for a policy that would not look: pictures never change what happens."""
    keys = dict.fromkeys(("ego", "route", *policy.observation))
    blind = env.imagination(policy.action, tuple(keys))
    blind.seconds = env.seconds
    return blind


def _event_words(events: Mapping[str, Any]) -> list[str]:
    words = [f"hit {collision['class_name']}" for collision in events["collisions"]]
    return words + ["left the road"] * bool(events["off_road"])
