"""Success criteria: what is met, what has failed, and what the drive comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from drivesim.events import Events
from drivesim.scenarios.script import Script
from drivesim.scene import EgoState, Tracks

OPEN, MET, FAILED = "open", "met", "failed"


@dataclass(frozen=True)
class Criteria:
    """State of every criterion by name, and the hardest impact so far [m/s]."""

    states: tuple[tuple[str, str], ...]
    impact: float = 0.0

    @property
    def outcome(self) -> str:
        """ "failure" as soon as one has failed, "success" when all are met, else "running"."""
        states = [state for _, state in self.states]
        if FAILED in states:
            return "failure"
        return "success" if all(state == MET for state in states) else "running"


def assess(script: Script, before: Criteria | None, events: Events, ego: EgoState, tracks: Tracks) -> Criteria:
    """The criteria after a step that led to `events`, with the ego and the tracks as they are then.

    What has failed stays failed; what must hold all the time is met once the goal is reached.
    """
    wanted, scenario = script.scenario.success, script.scenario
    past = dict(before.states) if before else {}
    impact = max(before.impact if before else 0.0, impact_speed(events, ego, tracks))
    if wanted.reach is None:
        reached = script.finished or script.time > wanted.within - 1e-9
    else:
        reached = script.progress >= wanted.reach and script.time <= wanted.within + 1e-9
    goal = "last" if wanted.reach is None else "reach"
    reached = reached or past.get(goal) == MET
    passed = {name: script.progress < _actor_at(script, name) for name in wanted.passed_by}
    over = reached and all(passed.values())
    late = (script.finished or script.time > min(wanted.within, scenario.duration) - 1e-9) and not over
    broken = {
        "stay_on_road": events.off_road,
        "max_impact_speed" if wanted.max_impact_speed else "no_collision":
            bool(events.collisions) and impact > wanted.max_impact_speed,
        "max_offset": abs(script.offset) > wanted.max_offset,
        "max_speed": ego.speed > wanted.max_speed,
        "clearance": bool((script.distance < script.part.watched).any()),
    }  # fmt: skip
    asked = {"max_offset": np.isfinite(wanted.max_offset), "max_speed": np.isfinite(wanted.max_speed),
             "clearance": bool(wanted.clearance)}  # fmt: skip
    states = {goal: MET if reached else FAILED if late else OPEN}
    if passed:
        states["passed_by"] = MET if all(passed.values()) else FAILED if late else OPEN
    for name, is_broken in broken.items():
        if asked.get(name, True):
            failed = is_broken or past.get(name) == FAILED
            states[name] = FAILED if failed else MET if over else OPEN
    return Criteria(tuple(states.items()), impact)


def _actor_at(script: Script, name: str) -> float:
    """How far along the reference line an actor is [m]."""
    row = script.part.cast.names.index(name)
    position = complex(script.actors.position[row])
    return script.part.line.project(position, script.progress)[0]


def impact_speed(events: Events, ego: EgoState, tracks: Tracks) -> float:
    """Relative speed [m/s] of the hardest collision."""
    velocity = ego.speed * ego.pose[:2, 0]
    rows = [int(np.flatnonzero(tracks.ids == collision.track_id)[0]) for collision in events.collisions]
    return max((float(np.hypot(*(velocity - tracks.velocity[row]))) for row in rows), default=0.0)


def report(script: Script, criteria: Criteria) -> dict[str, Any]:
    """What `info["scenario"]` holds."""
    scenario = script.scenario
    fired = {event.name: float(time) for event, time in zip(scenario.events, script.fired) if np.isfinite(time)}
    return {
        "name": scenario.name, "variant": scenario.variant, "outcome": criteria.outcome,
        "criteria": dict(criteria.states), "events": fired, "progress": script.progress,
        "impact_speed": criteria.impact, "camera_faults": [fault.kind for fault, begun in script.faults
                                                           if script.time < begun + fault.seconds],
    }  # fmt: skip
