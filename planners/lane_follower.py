"""Follows the route: pure pursuit for the wheel, the intelligent driver model for the pedals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Observation = Mapping[str, NDArray]

# Columns of the `boxes` observation.
X, Y, WIDTH, LENGTH, YAW, VX, VY, CLASS = 0, 1, 3, 4, 6, 7, 8, 9


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


class Path:
    """Polyline [K, 2] with its distances."""

    def __init__(self, points: NDArray) -> None:
        self.points = points
        step = np.diff(points, axis=0)
        self.along = np.concatenate([[0.0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])
        ends = np.minimum(np.arange(len(points)) + 1, len(points) - 1)
        direction = points[ends] - points[np.maximum(ends - 2, 0)]
        self.direction = direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-6)

    def project(self, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Distance along the path [...], distance from it [...] and its direction [..., 2] at points [..., 2]."""
        row = np.linalg.norm(points[..., None, :] - self.points, axis=-1).argmin(-1)
        offset, direction = points - self.points[row], self.direction[row]
        across = np.abs(direction[..., 0] * offset[..., 1] - direction[..., 1] * offset[..., 0])
        return self.along[row] + (direction * offset).sum(-1), across, direction


def outlines(boxes: NDArray) -> NDArray:
    """Points [N, 10, 2] along both sides of boxes [N, 10], corners included."""
    length, width = np.meshgrid(np.linspace(-0.5, 0.5, 5), (-0.5, 0.5))
    forward = length.reshape(-1) * boxes[:, LENGTH, None]
    left = width.reshape(-1) * boxes[:, WIDTH, None]
    c, s = np.cos(boxes[:, YAW, None]), np.sin(boxes[:, YAW, None])
    return np.stack([boxes[:, X, None] + c * forward - s * left, boxes[:, Y, None] + s * forward + c * left], axis=-1)


class LaneFollower:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad])."""

    action = "physical"
    observation = ("boxes",)

    def __init__(self, **settings: float) -> None:
        self.config = LaneFollowerConfig(**settings)

    def reset(self, info: Mapping[str, Any]) -> None:
        """Nothing to remember between drives."""

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [1, 2] for the present observation."""
        ego, route = observation["ego"].astype(float), observation["route"].astype(float)
        speed, wheelbase = ego[0], ego[6]
        desired = self._desired_speed(route)
        leader = self._leader(observation["boxes"].astype(float), route, ego)
        control = self._acceleration(speed, desired, leader), self._steering(route, speed, wheelbase)
        return np.array([control], np.float32)

    def _steering(self, route: NDArray, speed: float, wheelbase: float) -> float:
        """Pure pursuit: the circle through the rear axle that meets the route at the look-ahead distance."""
        reach = max(self.config.shortest_look_ahead, self.config.look_ahead * speed)
        distance = np.hypot(route[:, 0], route[:, 1])
        index = int(np.argmax(distance >= reach)) if (distance >= reach).any() else len(route) - 1
        x, y = route[index]
        return float(np.arctan(2.0 * wheelbase * y / max(x * x + y * y, 1e-6)))

    def _desired_speed(self, route: NDArray) -> float:
        """Cruise speed, less where bends ahead ask for it, given that braking takes its distance."""
        step = np.diff(route, axis=0)
        length = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)
        heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        curvature = np.abs(heading[2:] - heading[:-2]) / (0.5 * length[:-2] + length[1:-1] + 0.5 * length[2:])
        in_bend = np.sqrt(self.config.lateral_acceleration / np.maximum(curvature, 1e-4))
        before = np.sqrt(in_bend**2 + 2.0 * 0.6 * self.config.comfortable_braking * np.cumsum(length)[:-2])
        return float(min(self.config.cruise_speed, before.min()))

    def _leader(self, boxes: NDArray, route: NDArray, ego: NDArray) -> Leader | None:
        """The nearest box whose outline, over the next moments, touches the strip that the body will sweep."""
        boxes = boxes[boxes[:, CLASS] >= 0]
        path = Path(np.concatenate([np.zeros((1, 2)), route]))
        outline = outlines(boxes)  # [N, P, 2]
        front = 0.5 * (ego[4] + ego[6])  # from the rear axle to the bumper [m], overhangs taken as equal
        leaders = []
        for later in np.linspace(0.0, self.config.horizon, 4):
            along, across, direction = path.project(outline + later * boxes[:, None, [VX, VY]])
            blocks = (across < 0.5 * ego[5] + self.config.clearance) & (along > front) & (along < path.along[-1])
            gap = np.where(blocks, along - front, np.inf)
            speed = (direction * boxes[:, None, [VX, VY]]).sum(-1)
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
