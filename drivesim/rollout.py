"""Letting a policy drive: the trace of a drive, and the environment that a policy asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from drivesim.env import DriveWorldEnv
from drivesim.policy import Policy, WorldPolicy, seen_by
from drivesim.policy import load_policy as load_policy  # where users have always found it
from drivesim.scene import CAMERAS

TRACE_FORMAT = "drivesim-trace/1"


@dataclass(frozen=True)
class Step:
    """One control step: the state it led to, what was done and what came of it."""

    time: float  # [s]
    x: float  # [m]
    y: float  # [m]
    yaw: float  # [rad]
    speed: float  # [m/s]
    acceleration: float  # [m/s^2]
    steering: float  # [rad]
    action: list[float]
    reward: float
    rewards: dict[str, float]
    metrics: dict[str, float]
    events: dict[str, Any]
    timings: dict[str, float]  # [s]
    terminated: bool
    truncated: bool


@dataclass
class Trace:
    """Everything that was recorded of one drive. `frames` [V, H, W, 3] per step where they were kept."""

    settings: dict[str, Any]
    seed: int | None
    options: dict[str, Any] | None
    steps: list[Step] = field(default_factory=list)
    frames: list[NDArray[np.uint8]] = field(default_factory=list)

    @property
    def total_reward(self) -> float:
        """Sum of all rewards."""
        return float(sum(step.reward for step in self.steps))

    @property
    def ending(self) -> str:
        """Why the drive ended: collision, off_road, goal (of a scenario), time or policy."""
        last = self.steps[-1] if self.steps else None
        if last is None or not (last.terminated or last.truncated):
            return "policy"
        if last.events["collisions"]:
            return "collision"
        if last.events["off_road"]:
            return "off_road"
        return "goal" if last.events.get("scenario") == "success" else "time"

    def summary(self) -> dict[str, Any]:
        """Figures of the whole drive."""
        last = self.steps[-1] if self.steps else None
        return {
            "steps": len(self.steps),
            "seconds": last.time if last else 0.0,
            "distance": last.metrics["distance"] if last else 0.0,
            "reward": self.total_reward,
            "ending": self.ending,
        }

    def summary_line(self) -> str:
        """The summary in one line."""
        s = self.summary()
        return (
            f"drove {s['distance']:.0f} m in {s['seconds']:.1f} s ({s['steps']} steps), "
            f"reward {s['reward']:.1f}, ended by {s['ending']}"
        )

    def save(self, path: str | Path) -> None:
        """Writes the trace without its frames as JSON; the file appears only when it is complete."""
        content = {
            "format": TRACE_FORMAT, "settings": self.settings, "seed": self.seed, "options": self.options,
            "summary": self.summary(), "steps": [asdict(step) for step in self.steps],
        }  # fmt: skip
        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps(content, indent=1))
        partial.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Reads a saved trace; ValueError if the file is not one."""
        try:
            content = json.loads(Path(path).read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: found corrupt JSON ({error}), accepted a trace written by Trace.save") from error
        found = content.get("format") if isinstance(content, dict) else None
        if found != TRACE_FORMAT:
            raise ValueError(f"{path}: found format {found!r}, accepted {TRACE_FORMAT!r}")
        steps = [Step(**step) for step in content["steps"]]
        return cls(content["settings"], content["seed"], content["options"], steps)


OnStep = Callable[[DriveWorldEnv, Trace], None]


def run(
    env: gym.Env,
    policy: Policy,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
    keep_frames: bool = False,
    on_step: OnStep | None = None,
) -> Trace:
    """One drive from `reset` until it ends. `on_step` is called after the reset and after every step."""
    world = env.unwrapped
    if not isinstance(world, DriveWorldEnv):
        raise ValueError(f"run: found environment {world!r}, accepted a DriveWorldEnv (wrapped or not)")
    sees_world = isinstance(policy, WorldPolicy)
    if isinstance(policy, WorldPolicy):
        policy.attach(world)
    observation, info = env.reset(seed=seed, options=dict(options) if options else None)
    policy.reset(info)
    trace = Trace(world.settings | {"policy_sees_world": sees_world}, seed, dict(options) if options else None)
    over = False
    _notice(world, trace, keep_frames, on_step)
    while not over:
        action = policy.act(seen_by(policy, observation), info)
        observation, reward, terminated, truncated, info = env.step(action)
        trace.steps.append(_record(world, action, float(reward), info, terminated, truncated))
        _notice(world, trace, keep_frames, on_step)
        over = terminated or truncated
    return trace


def _notice(world: DriveWorldEnv, trace: Trace, keep_frames: bool, on_step: OnStep | None) -> None:
    if keep_frames and world.frames is not None:
        trace.frames.append(world.frames)
    if on_step is not None:
        on_step(world, trace)


def _record(
    world: DriveWorldEnv, action: NDArray, reward: float, info: Mapping[str, Any], terminated: bool, truncated: bool
) -> Step:
    ego = world.scene.ego
    return Step(
        world.time, float(ego.xy[0]), float(ego.xy[1]), ego.yaw, ego.speed, ego.acceleration, ego.steering,
        np.asarray(action, float).reshape(-1).tolist(), reward, dict(info["rewards"]), dict(info["metrics"]),
        dict(info["events"]), asdict(info["timings"]), terminated, truncated,
    )  # fmt: skip


def make_env(settings: Mapping[str, Any], policy: Policy, seconds: float | None) -> DriveWorldEnv:
    """The environment that `settings` (arguments of DriveWorldEnv) describe, with what the policy declares.

    Raises ValueError if the settings ask for another action type than the policy speaks, or if nobody draws a camera
    that it needs.
    """
    if settings.get("action", policy.action) != policy.action:
        raise ValueError(
            f"env.action: found {settings['action']!r}, accepted {policy.action!r}, which the policy speaks"
        )
    implied = {"default", "ego", "route", *(CAMERAS if settings.get("generator", "stage") is not None else ())}
    wanted = (*settings.get("observation", ()), *policy.observation)
    keys = dict.fromkeys(("default", *(key for key in wanted if key not in implied)))
    asked: dict[str, Any] = {"action": policy.action, "observation": tuple(keys), "seconds": seconds}
    if getattr(policy, "image_size", None) is not None:
        asked["image_size"] = policy.image_size  # type: ignore[attr-defined]
    return DriveWorldEnv(**(dict(settings) | asked))
