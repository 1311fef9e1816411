"""The route as a curve: places along it, places beside it, how fast its bends may be taken, and pure pursuit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANE_WIDTH = 3.5  # [m], where the map does not tell
_SHORTEST_STEP = 1e-3  # [m] between points that count as two


class Path:
    """Polyline [K, 2] [m] with its distances, K >= 2; repeated points at its end (a route held there) are dropped.

    Beyond both ends it goes on straight.
    """

    def __init__(self, points: NDArray) -> None:
        step = np.linalg.norm(np.diff(points, axis=0), axis=1)
        kept = np.append(True, step > _SHORTEST_STEP)
        if kept.sum() < 2:
            raise ValueError(f"Path: found {len(points)} points at one place, accepted two or more different ones")
        self.points = points[kept]
        self.along = np.append(0.0, np.cumsum(step[kept[1:]]))
        ends = np.minimum(np.arange(len(self.points)) + 1, len(self.points) - 1)
        direction = self.points[ends] - self.points[np.maximum(ends - 2, 0)]
        self.direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        self.heading = np.unwrap(np.arctan2(self.direction[:, 1], self.direction[:, 0]))
        self.curvature = np.gradient(self.heading, self.along)  # [1/m]

    @property
    def length(self) -> float:
        """From the first point to the last [m]."""
        return float(self.along[-1])

    def at(self, s: NDArray, offset: NDArray | float = 0.0) -> NDArray:
        """Poses [..., 3] (x, y [m], heading [rad]) at distances `s` [...] [m], `offset` [m] to the left of the path."""
        x, y, heading = (np.interp(s, self.along, column) for column in (*self.points.T, self.heading))
        beyond = np.minimum(s, 0.0) + np.maximum(s - self.length, 0.0)
        c, s_ = np.cos(heading), np.sin(heading)
        return np.stack([x + beyond * c - offset * s_, y + beyond * s_ + offset * c, heading], axis=-1)

    def values_at(self, s: NDArray, values: NDArray) -> NDArray:
        """One value per point of the path, interpolated at distances `s` [...] [m]."""
        return np.interp(s, self.along, values)

    def project(self, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Distance along the path [...], offset to its left [...] [m] and its direction [..., 2] at points [..., 2]."""
        squared = (points[..., :1] - self.points[:, 0]) ** 2 + (points[..., 1:] - self.points[:, 1]) ** 2
        row = squared.argmin(-1)
        offset, direction = points - self.points[row], self.direction[row]
        left = direction[..., 0] * offset[..., 1] - direction[..., 1] * offset[..., 0]
        return self.along[row] + (direction * offset).sum(-1), left, direction


def speed_profile(path: Path, limit: NDArray, fallback: float, lateral_acceleration: float, braking: float) -> NDArray:
    """Speed [K] [m/s] at the path's points that keeps to speed limits [K] (0: unknown, then `fallback` holds), to a
    lateral acceleration in bends, and that can be braked down to with `braking` [m/s^2]."""
    allowed = np.where(limit > 0.0, limit, fallback)
    allowed = np.minimum(allowed, np.sqrt(lateral_acceleration / np.maximum(np.abs(path.curvature), 1e-4)))
    # v(s)^2 <= v(s')^2 + 2 b (s' - s) for every s' ahead: a running minimum from the far end.
    energy = allowed**2 + 2.0 * braking * path.along
    reachable = np.minimum.accumulate(energy[::-1])[::-1] - 2.0 * braking * path.along
    return np.sqrt(np.maximum(reachable, 0.0))


def pure_pursuit(points: NDArray, reach: float, wheelbase: float) -> float:
    """Front wheel angle [rad] of the circle through the rear axle, tangent to the x axis, that meets the points [K, 2]
    (ego frame) at the distance `reach` [m] (Coulter 1992)."""
    distance = np.hypot(points[:, 0], points[:, 1])
    index = int(np.argmax(distance >= reach)) if (distance >= reach).any() else len(points) - 1
    x, y = points[index].tolist()
    return float(np.arctan(2.0 * wheelbase * y / max(x * x + y * y, 1e-6)))


def route_path(centre_line: NDArray) -> tuple[Path, NDArray]:
    """Path of the `centre_line` observation [64, 5] and the speed limits [K] [m/s] of its points."""
    step = np.linalg.norm(np.diff(centre_line[:, :2], axis=0), axis=1)
    kept = np.append(True, step > _SHORTEST_STEP)
    return Path(centre_line[:, :2]), centre_line[kept, 4]
