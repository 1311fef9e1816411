"""The baseline that every planner must beat: straight on at the speed that the drive began with, blind to everything.

The constant velocity agent of NAVSIM and the simple planner of nuPlan. With `follow_route` it steers along the route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.route_geometry import pure_pursuit

_GAIN = 2.0  # [1/s] from speed error to acceleration
_SHORTEST_LOOK_AHEAD, _LOOK_AHEAD = 4.0, 0.9  # [m], [s]


class ConstantSpeed:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad]) that keeps its first speed."""

    action = "physical"
    observation: tuple[str, ...] = ()

    def __init__(self, follow_route: bool = False) -> None:
        self.follow_route = follow_route
        self._speed: float | None = None

    def reset(self, info: Mapping[str, Any]) -> None:
        """The speed to keep is that of the first step."""
        self._speed = None

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [2] for the present observation."""
        speed, wheelbase = float(observation["ego"][0]), float(observation["ego"][6])
        if self._speed is None:
            self._speed = speed
        steering = 0.0
        if self.follow_route:
            reach = max(_SHORTEST_LOOK_AHEAD, _LOOK_AHEAD * speed)
            steering = pure_pursuit(observation["route"].astype(float), reach, wheelbase)
        return np.array([_GAIN * (self._speed - speed), steering], np.float32)
