"""The way of the ego in a recorded drive: as the recording vehicle went, then straight on, or along the lanes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivesim.data.interpolation import PoseLog
from drivesim.geometry import yaw_of_pose
from drivesim.route import SPACING, Route, start_route
from drivesim.route_frame import nearest_row
from drivesim.scene import EgoState, HdMap
from drivesim.traffic.tables import lane_tables

ROUTE_STEP = 1.0  # [m] between route points
ROUTE_BEFORE, ROUTE_BEYOND = 20.0, 400.0  # [m] of straight road added to both ends of the recorded path
_NO_LANE = -1
_FADING = 16.0  # [m] over which the route comes from the recorded path to the middle of its lane


@dataclass(frozen=True, eq=False)
class RecordedRoute:
    """The path that the recording vehicle took, led on straight at both ends."""

    points: NDArray[np.float64]  # [R, 3] x, y [m], heading [rad]


def recorded_route(poses: PoseLog) -> RecordedRoute:
    """Route along recorded ego poses."""
    xy, heading = _path(poses, ROUTE_STEP)
    before, beyond = np.arange(-ROUTE_BEFORE, 0.0, ROUTE_STEP), np.arange(ROUTE_STEP, ROUTE_BEYOND, ROUTE_STEP)
    return RecordedRoute(np.concatenate([_straight(xy[0], heading[0], before), np.column_stack([xy, heading]),
                                         _straight(xy[-1], heading[-1], beyond)]))  # fmt: skip


def endless_route(poses: PoseLog, hd_map: HdMap, ego: EgoState, seed: int) -> RecordedRoute | Route:
    """Route along recorded ego poses, from their end along the lanes of the map around it, endless as in the town, and
    marked where the ego is; as `recorded_route` where there is no such lane."""
    xy, heading = _path(poses, ROUTE_STEP)
    if not len(hd_map.lane_graph) or len(xy) < 2:
        return recorded_route(poses)
    tables = lane_tables(hd_map)
    found = tables.nearest(complex(*xy[-1]), float(heading[-1]))
    if found is None:
        return recorded_route(poses)
    ahead = start_route(tables, *found, seed=seed)
    points, row = ahead.points[ahead.at :].copy(), slice(ahead.at, None)
    share = np.clip(1.0 - SPACING * np.arange(len(points)) / _FADING, 0.0, 1.0)
    points[:, :2] += (share * share * (3.0 - 2.0 * share))[:, None] * (xy[-1] - points[0, :2])
    way = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(xy, axis=0), axis=1)))
    s = np.arange(way[-1] - SPACING, -ROUTE_BEFORE, -SPACING)[::-1]
    path = np.column_stack([np.interp(s, way, column) for column in (*xy.T, heading)])
    path[:, :2] += np.minimum(s, 0.0)[:, None] * np.array([np.cos(heading[0]), np.sin(heading[0])])
    whole = np.concatenate([path, points])
    whole[:, 2] = np.unwrap(whole[:, 2])
    count = len(path)
    return replace(
        ahead,
        points=whole,
        lane_ids=np.append(np.full(count, _NO_LANE), ahead.lane_ids[row]),
        lane_s=np.append(np.full(count, np.inf), ahead.lane_s[row]),
        width=np.append(np.full(count, ahead.width[0]), ahead.width[row]),
        hops=-1,  # the recorded path is none
        begin=-SPACING * count,
        at=nearest_row(whole, float(ego.xy[0]), float(ego.xy[1]), 0, len(whole)),
    )


def _path(poses: PoseLog, step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places [R, 2] [m] and continuous headings [R] [rad] of recorded poses that are at least `step` [m] apart."""
    path = poses.at(poses.times)
    kept = [0]
    for row in range(1, len(path)):
        if np.hypot(*(path[row, :2, 3] - path[kept[-1], :2, 3])) >= step:
            kept.append(row)
    return path[kept, :2, 3], np.unwrap(yaw_of_pose(path[kept]))


def _straight(xy: NDArray[np.float64], heading: float, along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [N, 3] on the line through a pose, at distances `along` [N] [m]."""
    points = xy + along[:, None] * (np.cos(heading), np.sin(heading))
    return np.column_stack([points, np.full(len(along), heading)])
