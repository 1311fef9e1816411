"""The way that the ego is meant to go: endless, along lanes, chosen at random but from a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivesim.route_frame import nearest_row
from drivesim.scene import EgoState
from drivesim.traffic.intent import EgoIntent
from drivesim.traffic.paths import follow_lanes
from drivesim.traffic.tables import LaneTables

SPACING = 2.0  # [m] between route points
BEHIND, AHEAD = 20.0, 130.0  # [m] of route that are kept
_GROWTH = 30.0  # [m] that the route grows by at a time
_WINDOW = (8, 24)  # points before and after the last projection among which the next is sought
_CHANGE = 14.0  # [m] before and after the end of a lane that a change of lane takes there
_LOST = 4.5  # [m] from the route beyond which the ego gets a new one, if it is on some lane


@dataclass(frozen=True, eq=False)
class Route:
    """Points every SPACING metres from behind the ego to far ahead."""

    points: NDArray[np.float64]  # [R, 3] x, y [m], heading [rad], continuous
    lane_ids: NDArray[np.int64]  # [R]
    lane_s: NDArray[np.float64]  # [R] distance along that lane [m]
    width: NDArray[np.float64]  # [R] of that lane [m]
    seed: int
    hops: int = 0  # lanes before the first one
    begin: float = 0.0  # [m] distance along the whole route of the first point
    at: int = 0  # index of the point nearest to the ego

    @property
    def length(self) -> float:
        """From the first point to the last [m]."""
        return SPACING * (len(self.points) - 1)


def project(route: Route, xy: NDArray[np.float64], yaw: float | None = None) -> tuple[float, float, float]:
    """Distance along the whole route [m], lateral offset [m], positive to its left, and heading error [rad] (0 without
    `yaw`) of a place [2] near the one of the last `follow`."""
    row = _nearest(route, float(xy[0]), float(xy[1]))
    return _foot(route, row, float(xy[0]), float(xy[1]), yaw)


def _nearest(route: Route, x: float, y: float) -> int:
    return nearest_row(route.points, x, y, route.at - _WINDOW[0], route.at + _WINDOW[1])


def _foot(route: Route, row: int, x: float, y: float, yaw: float | None) -> tuple[float, float, float]:
    px, py, heading = route.points[row].tolist()
    c, s = math.cos(heading), math.sin(heading)
    along, lateral = c * (x - px) + s * (y - py), c * (y - py) - s * (x - px)
    error = 0.0 if yaw is None else (yaw - heading + math.pi) % (2.0 * math.pi) - math.pi
    return route.begin + SPACING * row + along, lateral, error


def start_route(tables: LaneTables, lane: int, s: float, seed: int, begin: float = 0.0) -> Route:
    """Route from BEHIND [m] before distance `s` [m] on a lane (index) on, or from the start of the lane."""
    lanes = follow_lanes(tables, lane, s + AHEAD + _GROWTH, (seed, 11), evade=True)
    back = min(BEHIND, SPACING * math.floor(s / SPACING))
    route = _along(tables, lanes, s - back)
    return replace(route, seed=seed, begin=begin - back, at=int(back / SPACING))


def _along(tables: LaneTables, lanes: list[int], start: float) -> Route:
    """Route along lanes from `start` [m] on the first one to the end of the last one."""
    graph = tables.graph
    lengths = tables.length[lanes]
    edges = np.append(0.0, np.cumsum(lengths))
    s = np.arange(start, min(edges[-1], start + BEHIND + AHEAD + _GROWTH), SPACING)
    slot = np.minimum(np.searchsorted(edges, s, side="right") - 1, len(lanes) - 1)
    rows = [slice(graph.offsets[lane], graph.offsets[lane + 1]) for lane in lanes]
    axis = np.concatenate([graph.arc_length[row] + edge for row, edge in zip(rows, edges.tolist())])
    curve = np.concatenate([graph.points[row] for row in rows])
    shift = _lane_changes(axis, edges, rows, curve)
    curve[:, :2] += shift
    columns = [curve[:, 0], curve[:, 1], np.unwrap(curve[:, 2]), np.hypot(*shift.T)]
    x, y, heading, shifted = (np.interp(s, axis, column) for column in columns)
    if shifted.any():
        there = shifted > 1e-3
        heading[there] = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))[there]
        heading = np.unwrap(heading)
    points = np.stack([x, y, heading], axis=-1)
    lane = np.asarray(lanes)[slot]
    return Route(points, graph.ids[lane], s - edges[slot], graph.width[lane], seed=0)


def _lane_changes(
    axis: NDArray[np.float64], edges: NDArray[np.float64], rows: list[slice], curve: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shift [K, 2] [m] of points at distances `axis` [K] that turns jumps between lanes into smooth changes."""
    shift = np.zeros((len(axis), 2))
    last = np.cumsum([row.stop - row.start for row in rows])[:-1] - 1
    for edge, row in zip(edges[1:-1].tolist(), last.tolist()):
        jump = curve[row + 1, :2] - curve[row, :2]
        if jump @ jump < 0.25:
            continue
        share = np.clip(0.5 + 0.5 * (axis - edge) / _CHANGE, 0.0, 1.0)
        share = share * share * (3.0 - 2.0 * share) - (np.arange(len(axis)) > row)
        shift += share[:, None] * jump
    return shift


def follow(route: Route, tables: LaneTables, ego: EgoState) -> Route:
    """The route with its mark moved on to the ego, and, when needed, cut behind and continued ahead.

    An ego that has left it for another lane gets a new one from there.
    """
    (c, _, _, x), (s, _, _, y) = ego.pose[:2].tolist()
    at = _nearest(route, x, y)
    px, py, heading = route.points[at].tolist()
    points_away = math.cos(heading) * c + math.sin(heading) * s < 0.3
    if (x - px) ** 2 + (y - py) ** 2 > _LOST**2 or points_away:
        found = tables.nearest(complex(x, y), ego.yaw, 2.2)
        if found is not None:
            here = route.begin + SPACING * at
            return start_route(tables, *found, seed=route.seed + 1, begin=here)
    if route.length - SPACING * at < AHEAD:
        route = _continue(replace(route, at=at), tables)
        return route
    if at == route.at:
        return route
    return Route(route.points, route.lane_ids, route.lane_s, route.width, route.seed, route.hops, route.begin, at)


def _continue(route: Route, tables: LaneTables) -> Route:
    """The route cut to BEHIND [m] behind its mark and led on; as it is where the map ends."""
    cut = max(route.at - int(BEHIND / SPACING), 0)
    while cut > 0 and route.lane_s[cut] < _CHANGE:
        cut -= 1  # the start of a lane may depend on the lane before
    ids = route.lane_ids[cut:]
    lanes = tables.index(_runs(ids)).tolist()
    if -1 in lanes:
        return route
    start = float(route.lane_s[cut])
    missing = start + BEHIND + AHEAD + _GROWTH - float(tables.length[lanes[:-1]].sum())
    hops = route.hops + len(_runs(route.lane_ids[: cut + 1])) - 1
    lanes = lanes[:-1] + follow_lanes(tables, lanes[-1], missing, (route.seed, 11), hops + len(lanes) - 1, evade=True)
    longer = _along(tables, lanes, start)
    return replace(longer, seed=route.seed, hops=hops, begin=route.begin + SPACING * cut, at=route.at - cut)


def _runs(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids without repetitions in a row."""
    return ids[np.append(True, ids[1:] != ids[:-1])]


def ego_intent(route: Route, tables: LaneTables, front: float) -> EgoIntent | None:
    """Lanes of the route around and ahead of the ego; `front` [m] is the way from the rear axle to the bumper."""
    ids = route.lane_ids
    first = np.concatenate(([0], (ids[1:] != ids[:-1]).nonzero()[0] + 1))
    lanes = tables.index(ids[first])
    start = SPACING * (first - route.at) - route.lane_s[first] - front
    known = lanes >= 0
    lanes, start = lanes[known], start[known]
    return EgoIntent(lanes, start, start + tables.length[lanes]) if lanes.size else None
