"""Drives a manoeuvre that is known beforehand: a speed, an offset from the route by stretches, and a pause.

The experts of the scenarios are such manoeuvres; `python -m planners.prove_scenarios` finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.lane_follower import LaneFollower, Observation
from planners.obstacles import CLASS

_RAMP = 12.0  # [m] that a change of offset takes
_BRAKING = 2.5  # [m/s^2] before a pause
_SPACING = 2.0  # [m] between the points of the observed route


@dataclass(frozen=True)
class Manoeuvre:
    """What to do where. Distances are along the scenario's reference line [m]."""

    cruise: float = 9.0  # [m/s]
    offset: float = 0.0  # [m] to the left of the route, from `begin` to `end`
    begin: float = 0.0
    end: float = 0.0
    pause_at: float | None = None  # where to wait
    pause_until: float = 0.0  # [s]
    clearance: float = 0.5  # [m] to both sides when watching others
    blind: bool = False  # do not watch others at all


class ManoeuvrePolicy:
    """The lane follower on a shifted route; it still keeps its distance from others unless the manoeuvre is blind."""

    action = "physical"
    observation = ("boxes",)

    def __init__(self, **settings: Any) -> None:
        self.manoeuvre = Manoeuvre(**settings)
        self.follower = LaneFollower(clearance=self.manoeuvre.clearance)

    def reset(self, info: Mapping[str, Any]) -> None:
        """Nothing to remember between drives."""

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [1, 2]; `info` must come from a scenario."""
        progress, time = float(info["scenario"]["progress"]), float(info["metrics"]["time"])
        seen = dict(observation) | {"route": self._shifted(observation["route"], progress)}
        if self.manoeuvre.blind:
            seen["boxes"] = np.where(np.arange(10) == CLASS, -1.0, 0.0 * observation["boxes"])
        self.follower.config = replace(self.follower.config, cruise_speed=self._speed(progress, time))
        return self.follower.act(seen, info)

    def _speed(self, progress: float, time: float) -> float:
        manoeuvre = self.manoeuvre
        if manoeuvre.pause_at is None or time >= manoeuvre.pause_until:
            return manoeuvre.cruise
        return min(manoeuvre.cruise, float(np.sqrt(2.0 * _BRAKING * max(manoeuvre.pause_at - progress, 0.0))))

    def _shifted(self, route: NDArray, progress: float) -> NDArray:
        """Route points [R, 2] moved to the left by the offset where they are."""
        manoeuvre = self.manoeuvre
        if not manoeuvre.offset:
            return route
        at = progress + _SPACING * np.arange(1, len(route) + 1)
        into, out = (np.clip((at - edge) / _RAMP + 0.5, 0.0, 1.0) for edge in (manoeuvre.begin, manoeuvre.end))
        share = into * into * (3.0 - 2.0 * into) - out * out * (3.0 - 2.0 * out)
        along = np.gradient(route, axis=0)
        along /= np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-6)
        left = np.stack([-along[:, 1], along[:, 0]], axis=-1)
        return route + manoeuvre.offset * share[:, None] * left
