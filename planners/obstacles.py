"""What is around the ego: rectangles that keep their velocity (`boxes`) and where the ground may be driven on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.observations import AREA_BEHIND, AREA_CELL
from drivesim.scene import OBJECT_CLASSES
from planners.route_geometry import Path

# Columns of the `boxes` observation.
X, Y, WIDTH, LENGTH, YAW, VX, VY, CLASS = 0, 1, 3, 4, 6, 7, 8, 9
AGENTS = np.array([name not in ("barrier", "traffic_cone") for name in OBJECT_CLASSES])
_AROUND = np.array([(1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0)], float)


@dataclass(frozen=True, eq=False)
class Obstacles:
    """N rectangles in the ego frame."""

    position: NDArray  # [N, 2] middle [m]
    heading: NDArray  # [N] [rad]
    half_size: NDArray  # [N, 2] half length, half width [m]
    velocity: NDArray  # [N, 2] over ground [m/s]
    agent: NDArray  # [N] whether it is a road user and no mere thing

    def __len__(self) -> int:
        return len(self.heading)

    @classmethod
    def of(cls, boxes: NDArray) -> Obstacles:
        """Those of the `boxes` observation [64, 10]."""
        rows = boxes[boxes[:, CLASS] >= 0].astype(float)
        return cls(
            rows[:, [X, Y]], rows[:, YAW], 0.5 * rows[:, [LENGTH, WIDTH]], rows[:, [VX, VY]],
            AGENTS[rows[:, CLASS].astype(int)],
        )  # fmt: skip

    def take(self, rows: NDArray) -> Obstacles:
        """Those of the given rows (indices or mask)."""
        return Obstacles(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def outline(self) -> NDArray:
        """Corners and middles of the sides [N, 8, 2], counter-clockwise from the front left corner."""
        return rectangle_points(self.position, self.heading, self.half_size, _AROUND)

    @property
    def moving(self) -> NDArray:
        """Whether each [N] moves at all."""
        return (self.velocity != 0.0).any(-1)

    def near(self, points: NDArray, reach: float, duration: float) -> NDArray:
        """Whether each [N] may come within `reach` [m] of any of the points [K, 2] during `duration` [s]."""
        distance = np.linalg.norm(self.position[:, None] - points, axis=-1).min(-1)
        own = np.hypot(*self.half_size.T) + duration * np.hypot(*self.velocity.T)
        return distance < reach + own


def rectangle_points(position: NDArray, heading: NDArray, half_size: NDArray, signs: NDArray) -> NDArray:
    """Points [..., P, 2] of rectangles: middle [..., 2], heading [...], half size [..., 2], `signs` [P, 2] of the
    half length and the half width."""
    local = half_size[..., None, :] * signs
    c, s = np.cos(heading)[..., None], np.sin(heading)[..., None]
    x, y = local[..., 0], local[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1) + position[..., None, :]


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Which stretch of a path obstacles take up at T instants, N obstacles."""

    begin: NDArray  # [T, N] along the path [m]
    end: NDArray  # [T, N] [m]
    right: NDArray  # [T, N] smallest offset to the left of the path [m]
    left: NDArray  # [T, N] largest
    speed: NDArray  # [T, N] along the path [m/s]

    def blocks(self, offset: float, half_width: float) -> NDArray:
        """Whether each [T, N] reaches into the strip of that half width, `offset` [m] left of the path."""
        return (self.right < offset + half_width) & (self.left > offset - half_width)


def occupancy(path: Path, obstacles: Obstacles, times: NDArray) -> Occupancy:
    """Stretches of the path that obstacles of constant velocity take up at `times` [T] [s]."""
    shape = (len(times), len(obstacles))
    begin, end, right, left, speed = (np.empty(shape) for _ in range(5))
    for rows, instants in ((~obstacles.moving, times[:1]), (obstacles.moving, times)):
        some = obstacles.take(rows)
        points = some.outline + instants[:, None, None, None] * some.velocity[:, None]
        along, offset, direction = path.project(points)
        begin[:, rows], end[:, rows] = along.min(-1), along.max(-1)
        right[:, rows], left[:, rows] = offset.min(-1), offset.max(-1)
        speed[:, rows] = (direction[..., 0, :] * some.velocity).sum(-1)
    return Occupancy(begin, end, right, left, speed)


def drivable(area: NDArray, points: NDArray) -> NDArray:
    """Whether points [..., 2] are on the `drivable_area` observation; True where the raster does not reach."""
    height, width = area.shape
    column = np.floor((points[..., 0] + AREA_BEHIND) / AREA_CELL).astype(int)
    row = np.floor(points[..., 1] / AREA_CELL + 0.5 * height).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return ~inside | (area[np.where(inside, row, 0), np.where(inside, column, 0)] > 0)
