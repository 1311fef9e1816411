"""Follows the route: pure pursuit for the wheel, the intelligent driver model for the pedals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.idm import front_overhang
from planners.obstacles import Obstacles, rectangle_points
from planners.route_geometry import Path, pure_pursuit

Observation = Mapping[str, NDArray]

# Points along both sides of a box, as shares of its half length and half width.
_SIDES = np.array([(along, across) for across in (-1.0, 1.0) for along in np.linspace(-1.0, 1.0, 5)])

_ALONG = 0.7  # cosine between a velocity and the route from which it leads along the route


@dataclass(frozen=True)
class LaneFollowerConfig:
    """How the follower drives."""

    cruise_speed: float = 11.0  # [m/s]
    lateral_acceleration: float = 1.8  # [m/s^2], accepted in bends
    max_acceleration: float = 1.8  # [m/s^2]
    comfortable_braking: float = 2.2  # [m/s^2]
    max_braking: float = 7.0  # [m/s^2]
    headway: float = 1.4  # [s]
    standstill_gap: float = 3.0  # [m]
    look_ahead: float = 0.9  # [s]
    shortest_look_ahead: float = 4.0  # [m]
    clearance: float = 0.5  # [m] to both sides of the body
    horizon: float = 1.5  # [s], others are watched where they will be until then


@dataclass(frozen=True)
class Leader:
    """The nearest obstacle on the route: gap [m] from the front bumper, its speed [m/s] along the route."""

    gap: float
    speed: float


class LaneFollower:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad])."""

    action = "physical"
    observation = ("boxes",)

    def __init__(self, **settings: float) -> None:
        self.config = LaneFollowerConfig(**settings)

    def reset(self, info: Mapping[str, Any]) -> None:
        """Nothing to remember between drives."""

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [2] for the present observation."""
        ego, route = observation["ego"].astype(float), observation["route"].astype(float)
        speed, wheelbase = float(ego[0]), float(ego[6])
        desired = self._desired_speed(route)
        leader = self._leader(Obstacles.of(observation["boxes"]), route, ego)
        reach = max(self.config.shortest_look_ahead, self.config.look_ahead * speed)
        return np.array([self._acceleration(speed, desired, leader), pure_pursuit(route, reach, wheelbase)], np.float32)

    def _desired_speed(self, route: NDArray) -> float:
        """Cruise speed, less where bends ahead ask for it, given that braking takes its distance."""
        step = np.diff(route, axis=0)
        length = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)
        heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        curvature = np.abs(heading[2:] - heading[:-2]) / (0.5 * length[:-2] + length[1:-1] + 0.5 * length[2:])
        in_bend = np.sqrt(self.config.lateral_acceleration / np.maximum(curvature, 1e-4))
        before = np.sqrt(in_bend**2 + 2.0 * 0.6 * self.config.comfortable_braking * np.cumsum(length)[:-2])
        return float(min(self.config.cruise_speed, before.min()))

    def _leader(self, others: Obstacles, route: NDArray, ego: NDArray) -> Leader | None:
        """The nearest box whose outline, over the next moments, touches the strip that the body will sweep. Who comes
        from behind keeps its own distance."""
        path = Path(np.concatenate([np.zeros((1, 2)), route]))
        outline = rectangle_points(others.position, others.heading, others.half_size, _SIDES)  # [N, P, 2]
        front = front_overhang(ego)
        along, _, direction = path.project(outline)
        speed = (direction * others.velocity[:, None]).sum(-1)  # [N, P]
        follows = (along < front).all(1) & (speed > _ALONG * np.hypot(*others.velocity.T)[:, None]).all(1)
        outline, others = outline[~follows], others.take(~follows)
        leaders = []
        for later in np.linspace(0.0, self.config.horizon, 4):
            along, offset, direction = path.project(outline + later * others.velocity[:, None])
            blocks = (np.abs(offset) < 0.5 * ego[5] + self.config.clearance) & (along > front) & (along < path.length)
            gap = np.where(blocks, along - front, np.inf)
            speed = (direction * others.velocity[:, None]).sum(-1)
            leaders += [Leader(gap[row], speed[row]) for row in zip(*np.nonzero(blocks))]
        return min(leaders, key=lambda leader: leader.gap, default=None)

    def _acceleration(self, speed: float, desired: float, leader: Leader | None) -> float:
        """Intelligent driver model (Treiber et al. 2000, equations 3 and 4)."""
        config = self.config
        free = config.max_acceleration * (1.0 - (speed / max(desired, 0.1)) ** 4)
        if leader is None:
            return float(np.clip(free, -config.comfortable_braking, config.max_acceleration))
        closing = speed * (speed - leader.speed) / (2.0 * np.sqrt(config.max_acceleration * config.comfortable_braking))
        wished = config.standstill_gap + max(0.0, config.headway * speed + closing)
        return float(
            np.clip(free - config.max_acceleration * (wished / max(leader.gap, 0.01)) ** 2, -config.max_braking, free)
        )
