"""Where the ego is relative to its route, and the route as the ego sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import EgoState


@dataclass(frozen=True)
class RoutePosition:
    """Foot of the ego's rear axle on the route."""

    distance: float  # [m] from the route's first point
    offset: float  # [m], positive to the left of the route
    heading_error: float  # [rad], positive where the ego points left of the route
    direction: tuple[float, float]  # unit vector of the route


def locate(route: NDArray[np.float64], ego: EgoState) -> RoutePosition:
    """Projects the ego onto the nearest segment of route points [R, >=2], R > 1."""
    delta = route[1:, :2] - route[:-1, :2]
    squared = np.maximum((delta * delta).sum(-1), 1e-12)
    relative = ego.pose[:2, 3] - route[:-1, :2]
    share = np.minimum(np.maximum((relative * delta).sum(-1) / squared, 0.0), 1.0)
    gap = relative - share[:, None] * delta
    row = int((gap * gap).sum(-1).argmin())
    length = np.sqrt(squared)
    dx, dy = (delta[row] / length[row]).tolist()
    rx, ry = relative[row].tolist()
    c, s = ego.pose[:2, 0].tolist()
    return RoutePosition(
        float(length[:row].sum() + share[row] * length[row]),
        dx * ry - dy * rx,
        float(np.arctan2(dx * s - dy * c, dx * c + dy * s)),
        (dx, dy),
    )


def points_ahead(
    route: NDArray[np.float64], position: RoutePosition, ego: EgoState, count: int, spacing: float
) -> NDArray[np.float64]:
    """Points [count, 2] of the route every `spacing` [m] from the ego's foot, ego frame; held at the route's end."""
    step = route[1:, :2] - route[:-1, :2]
    along = np.concatenate([[0.0], np.cumsum(np.sqrt((step * step).sum(-1)))])
    wanted = position.distance + spacing * np.arange(1, count + 1)
    points = np.stack([np.interp(wanted, along, route[:, 0]), np.interp(wanted, along, route[:, 1])], axis=-1)
    return (points - ego.pose[:2, 3]) @ ego.pose[:2, :2]
