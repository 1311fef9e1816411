"""Where the ego is relative to its route, and the route as the ego sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import wrap_angle
from drivesim.kernels import compiled
from drivesim.scene import EgoState


@dataclass(frozen=True)
class RoutePosition:
    """The route point nearest to the ego's rear axle, and where the ego is relative to the route there."""

    row: int
    along: float  # [m] from that point forward
    offset: float  # [m], positive to the left of the route
    heading_error: float  # [rad], positive where the ego points left of the route
    direction: tuple[float, float]  # unit vector of the route


def locate(route: NDArray[np.float64], ego: EgoState) -> RoutePosition:
    """Position on route points [R, 3] (x, y, heading)."""
    return RoutePosition(*foot(np.ascontiguousarray(route, np.float64), np.ascontiguousarray(ego.pose)))


@compiled
def foot(route: NDArray[np.float64], pose: NDArray[np.float64]) -> tuple[int, float, float, float, tuple[float, float]]:
    """Fields of the `RoutePosition` of a pose [4, 4] on route points [R, 3]."""
    (ex, _, _, x), (ey, _, _, y) = pose[:2].tolist()
    row = nearest_row(route, x, y, 0, len(route))
    px, py, heading = route[row].tolist()
    c, s = math.cos(heading), math.sin(heading)
    along, offset = c * (x - px) + s * (y - py), c * (y - py) - s * (x - px)
    return row, along, offset, math.atan2(c * ey - s * ex, c * ex + s * ey), (c, s)


@compiled
def nearest_row(route: NDArray[np.float64], x: float, y: float, begin: int, end: int) -> int:
    """Row of the point of [R, 3] nearest to a place among rows from `begin` to before `end`; those that there are."""
    begin = max(begin, 0)
    near = route[begin:end]
    dx, dy = near[:, 0] - x, near[:, 1] - y
    return begin + int((dx * dx + dy * dy).argmin())


def points_ahead(
    route: NDArray[np.float64], position: RoutePosition, ego: EgoState, count: int, spacing: float
) -> NDArray[np.float64]:
    """Points [count, 2] of the route about every `spacing` [m] from the ego's foot on, in the ego frame.

    They are held at the route's end. Each is moved along its own heading by what the ego is past its nearest point, so
    that the points flow towards the ego instead of jumping from one route point to the next.
    """
    stride, row, last = _stride(route, position, spacing), position.row, len(route) - 1
    end = row + stride * count
    if end <= last:
        chosen = route[row + stride : end + 1 : stride]
    else:
        chosen = route.take(np.minimum(np.arange(row + stride, end + 1, stride), last), axis=0)
    return _in_ego_frame(chosen, position, ego)


def poses_ahead(
    route: NDArray[np.float64], position: RoutePosition, ego: EgoState, count: int, spacing: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Poses [count, 3] (x, y [m], heading [rad]) of the route in the ego frame as in `points_ahead`, but from the foot
    itself on, and the rows [count] of the route that they come from."""
    stride = _stride(route, position, spacing)
    rows = np.minimum(position.row + stride * np.arange(count), len(route) - 1)
    chosen = route.take(rows, axis=0)
    heading = wrap_angle(chosen[:, 2] - ego.yaw)
    return np.column_stack([_in_ego_frame(chosen, position, ego), heading]), rows


def _stride(route: NDArray[np.float64], position: RoutePosition, spacing: float) -> int:
    """Route points per `spacing` [m]."""
    row = min(position.row, len(route) - 2)
    near, after = route[row].tolist(), route[row + 1].tolist()
    return max(1, round(spacing / max(math.hypot(after[0] - near[0], after[1] - near[1]), 1e-6)))


def _in_ego_frame(chosen: NDArray[np.float64], position: RoutePosition, ego: EgoState) -> NDArray[np.float64]:
    chosen, pose = np.ascontiguousarray(chosen, np.float64), np.ascontiguousarray(ego.pose)
    return moved_along(chosen, np.cos(chosen[:, 2]), np.sin(chosen[:, 2]), position.along, pose)


@compiled
def moved_along(
    chosen: NDArray[np.float64], cosine: NDArray[np.float64], sine: NDArray[np.float64], along: float,
    pose: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Points [K, 2] of a route [K, 3], each moved along its own heading [m], in the frame of a pose [4, 4]."""
    (c, _, _, x), (s, _, _, y) = pose[:2].tolist()
    dx = chosen[:, 0] + along * cosine - x
    dy = chosen[:, 1] + along * sine - y
    points = np.empty((len(chosen), 2))
    points[:, 0] = c * dx + s * dy
    points[:, 1] = c * dy - s * dx
    return points
