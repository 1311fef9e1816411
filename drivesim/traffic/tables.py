"""What traffic needs to know of a map, computed once per map object: lanes, conflicts, obstacles, places to appear."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import HdMap, LaneGraph, Tracks
from drivesim.traffic.walking import WalkingGraph, place_tree, walking_graph

DEFAULT_LIMIT = 10.0  # [m/s] where the map has no speed limit
CONFLICT_DISTANCE = 2.4  # [m] between centre lines below which two vehicles touch
_RIM = 45.0  # [m] of the map in which lanes are not checked for conflicts
_SPACING = 1.0  # [m] of the samples that conflicts are found with
_BLOCKING_REACH = 1.1  # [m] from the centre line that an obstacle must reach to block a lane
_BLOCKING_SPACING = 2.0  # [m] of the samples that obstacles are found with
_PLACE_SPACING = 6.0  # [m] between places where a vehicle may appear
_PLACE_MARGIN = 13.0  # [m] of them to the ends of their lane


@dataclass(frozen=True, eq=False)
class LaneTables:
    """Lanes of a map, L of them. Those which someone else's lane crosses or joins are controlled; C of them, all but
    those at the rim of the map, have a rank.

    `conflict_in` and `conflict_out` [C, C] [m]: distances along lane a between which lane b is too close; inf and -inf
    where it never is.
    """

    graph: LaneGraph
    points: NDArray[np.complex128]  # [P] x + iy of the centre lines
    successors: tuple[tuple[int, ...], ...]  # [L] lane indices
    length: NDArray[np.float64]  # [L] [m]
    limit: NDArray[np.float64]  # [L] [m/s]
    controlled: NDArray[np.bool_]  # [L]
    rank: NDArray[np.int64]  # [L] row of a lane in the conflict tables, -1 for others
    conflict_in: NDArray[np.float64]
    conflict_out: NDArray[np.float64]
    blocked: NDArray[np.float64]  # [L] distance along the lane of the first standing obstacle [m], inf without
    place_lane: NDArray[np.int64]  # [S] where vehicles may appear: lane index,
    place_s: NDArray[np.float64]  # distance along it [m]
    place: NDArray[np.complex128]  # position,
    place_heading: NDArray[np.complex128]  # and unit vector along the lane
    walking: WalkingGraph

    # Single lanes are looked up as plain numbers: to take one out of an array costs more.

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """Where every lane begins in `points` [L + 1]."""
        return tuple(self.graph.offsets.tolist())

    @cached_property
    def plain_ids(self) -> tuple[int, ...]:
        """Ids of the lanes [L]."""
        return tuple(self.graph.ids.tolist())

    @cached_property
    def plain_length(self) -> tuple[float, ...]:
        """`length` [L] [m]."""
        return tuple(self.length.tolist())

    @cached_property
    def plain_blocked(self) -> tuple[float, ...]:
        """`blocked` [L] [m]."""
        return tuple(self.blocked.tolist())

    @cached_property
    def plain_controlled(self) -> tuple[bool, ...]:
        """`controlled` [L]."""
        return tuple(self.controlled.tolist())

    @cached_property
    def plain_limit(self) -> tuple[float, ...]:
        """`limit` [L] [m/s]."""
        return tuple(self.limit.tolist())

    @cached_property
    def ways(self) -> tuple[tuple[int, ...], ...]:
        """Successors of every lane [L] that drivers choose from: those without an obstacle ahead, if there are some."""
        blocked = (self.blocked < np.inf).tolist()
        hindered = [
            here or (len(following) == 1 and blocked[following[0]]) for here, following in zip(blocked, self.successors)
        ]
        return tuple(tuple(lane for lane in lanes if not hindered[lane]) or lanes for lanes in self.successors)

    @cached_property
    def place_motion(self) -> NDArray[np.complex128]:
        """Velocity [S] [m/s] of vehicles that appear, averaged over the bends and stops to come."""
        return 0.7 * self.limit.take(self.place_lane) * self.place_heading

    def index(self, lane_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of lanes by id, -1 for those that are not on this map."""
        ids = self.graph.ids
        row = ids.searchsorted(lane_ids)
        np.minimum(row, len(ids) - 1, out=row)
        return np.where(ids.take(row) == lane_ids, row, -1)

    def nearest(self, place: complex, heading: float, reach: float = 4.0) -> tuple[int, float] | None:
        """Lane index and distance along it [m] of the lane nearest to a place that leads the same way, or None."""
        offset = self.points - place
        near = np.flatnonzero(offset.real**2 + offset.imag**2 < reach * reach)
        near = near[np.cos(self.graph.points[near, 2] - heading) > 0.7]
        if near.size == 0:
            return None
        point = int(near[np.argmin(np.abs(offset[near]))])
        lane = int(np.searchsorted(self.graph.offsets, point, side="right")) - 1
        return lane, float(self.graph.arc_length[point])


_TABLES: weakref.WeakKeyDictionary[HdMap, LaneTables] = weakref.WeakKeyDictionary()


def lane_tables(hd_map: HdMap, standing: Tracks | None = None) -> LaneTables:
    """Tables of a map with the objects that stand on it; computed once per map object."""
    tables = _TABLES.get(hd_map)
    if tables is None:
        tables = _TABLES[hd_map] = _build(hd_map, Tracks.empty() if standing is None else standing)
    return tables


def _build(hd_map: HdMap, standing: Tracks) -> LaneTables:
    graph = hd_map.lane_graph
    points = graph.points[:, 0] + 1j * graph.points[:, 1]
    bounds = graph.successor_offsets.tolist()
    links = graph.successors.tolist()
    successors = tuple(tuple(links[begin:end]) for begin, end in zip(bounds, bounds[1:]))
    arrivals = np.bincount(graph.successors, minlength=len(graph))
    source = np.repeat(np.arange(len(graph)), np.diff(graph.successor_offsets))
    controlled = graph.in_junction.copy()
    controlled[source[arrivals[graph.successors] > 1]] = True
    ranked = controlled & _is_inner(hd_map, points[graph.offsets[:-1]])
    rank = np.where(ranked, np.cumsum(ranked) - 1, -1)
    conflict_in, conflict_out = _conflicts(graph, points, np.flatnonzero(ranked), source)
    blocked = _blocked(graph, points, standing)
    places = _places(graph, points, controlled, blocked)
    return LaneTables(
        graph=graph,
        points=points,
        successors=successors,
        length=graph.length,
        limit=np.where(np.isfinite(graph.speed_limit), graph.speed_limit, DEFAULT_LIMIT),
        controlled=controlled,
        rank=rank,
        conflict_in=conflict_in,
        conflict_out=conflict_out,
        blocked=blocked,
        place_lane=places[0],
        place_s=places[1],
        place=places[2],
        place_heading=places[3],
        walking=walking_graph(hd_map),
    )


def _is_inner(hd_map: HdMap, places: NDArray[np.complex128]) -> NDArray[np.bool_]:
    """Which places lie so far inside the map that it knows everything around them."""
    x0, y0, x1, y1 = hd_map.bounds
    rim = min(_RIM, 0.25 * min(x1 - x0, y1 - y0))
    inside = (places.real > x0 + rim) & (places.real < x1 - rim)
    return inside & (places.imag > y0 + rim) & (places.imag < y1 - rim)


def _resample(
    graph: LaneGraph, points: NDArray[np.complex128], lanes: NDArray[np.int64], spacing: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.complex128]]:
    """Lane [R], distance along it [R] [m] and position [R] of even samples of some lanes, both ends included."""
    count = np.ceil(graph.length[lanes] / spacing).astype(np.int64) + 1
    first = np.cumsum(count) - count
    fraction = (np.arange(count.sum()) - np.repeat(first, count)) / np.repeat(np.maximum(count - 1, 1), count)
    lane = np.repeat(lanes, count)
    s = fraction * graph.length[lane]
    return lane, s, position_on(graph, points, lane, s)


def position_on(
    graph: LaneGraph, points: NDArray[np.complex128], lane: NDArray[np.int64], s: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Positions [K] at distances s [K] [m] along lanes [K] (indices)."""
    # All lanes on one axis: lane l begins at l * stride, so one interpolation serves them all.
    stride = float(graph.length.max()) + 1.0
    axis = graph.arc_length + stride * np.repeat(np.arange(len(graph)), np.diff(graph.offsets))
    return np.interp(lane * stride + s, axis, points)


def _conflicts(
    graph: LaneGraph, points: NDArray[np.complex128], lanes: NDArray[np.int64], source: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Conflict tables [C, C] of the given lanes [C]."""
    count = len(lanes)
    enter = np.full((count, count), np.inf)
    leave = np.full((count, count), -np.inf)
    if count == 0:
        return enter, leave
    lane, s, place = _resample(graph, points, lanes, _SPACING)
    row = np.searchsorted(lanes, lane)
    first, second = place_tree(place).query_pairs(CONFLICT_DISTANCE, output_type="ndarray").T.copy()
    row_first, row_second = row.take(first), row.take(second)
    apart = np.flatnonzero(row_first != row_second)
    first, second, row_first, row_second = (column.take(apart) for column in (first, second, row_first, row_second))
    for key, along in (
        (row_first * count + row_second, s.take(first)),
        (row_second * count + row_first, s.take(second)),
    ):
        np.minimum.at(enter.reshape(-1), key, along)
        np.maximum.at(leave.reshape(-1), key, along)
    for a, b in _follow_or_part(graph, points, lanes, source):
        enter[a, b], leave[a, b] = np.inf, -np.inf
    return enter, leave


def _follow_or_part(
    graph: LaneGraph, points: NDArray[np.complex128], lanes: NDArray[np.int64], source: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs (rows, columns) of controlled lanes that begin at one point or follow each other: there one drives behind
    the other."""
    rank = np.full(len(graph), -1)
    rank[lanes] = np.arange(len(lanes))
    starts = points[graph.offsets[lanes]]
    parting = np.nonzero(np.abs(starts[:, None] - starts[None]) < 0.5)
    linked = (rank[source] >= 0) & (rank[graph.successors] >= 0)
    first, second = rank[source[linked]], rank[graph.successors[linked]]
    return [parting, (first, second), (second, first)]


def _blocked(graph: LaneGraph, points: NDArray[np.complex128], standing: Tracks) -> NDArray[np.float64]:
    """First obstacle [L] along every lane [m]."""
    blocked = np.full(len(graph), np.inf)
    if len(standing) == 0:
        return blocked
    lane, s, place = _resample(graph, points, np.arange(len(graph)), _BLOCKING_SPACING)
    tree = place_tree(place)
    reach = 0.5 * np.hypot(standing.size[:, 0], standing.size[:, 1]) + _BLOCKING_REACH
    rows = np.flatnonzero(tree.query(standing.position[:, :2], distance_upper_bound=reach.max())[0] < reach)
    centre = standing.position[rows, 0] + 1j * standing.position[rows, 1]
    near = tree.query_ball_point(standing.position[rows, :2], reach[rows])
    counts = np.array([len(found) for found in near], np.int64)
    sample = np.array([index for found in near for index in found], np.int64)
    track = np.repeat(np.arange(len(rows)), counts)
    local = (place[sample] - centre[track]) * np.exp(-1j * standing.yaw[rows][track])
    half = 0.5 * standing.size[rows][track]
    outside = np.hypot(
        np.maximum(np.abs(local.real) - half[:, 1], 0.0), np.maximum(np.abs(local.imag) - half[:, 0], 0.0)
    )
    hit = outside < _BLOCKING_REACH
    np.minimum.at(blocked, lane[sample[hit]], s[sample[hit]])
    return blocked


def _places(
    graph: LaneGraph, points: NDArray[np.complex128], controlled: NDArray[np.bool_], blocked: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.complex128], NDArray[np.complex128]]:
    free = ~controlled & (graph.length > 2.0 * _PLACE_MARGIN)
    lane, s, place = _resample(graph, points, np.flatnonzero(free), _PLACE_SPACING)
    inside = (s > _PLACE_MARGIN) & (s < graph.length[lane] - _PLACE_MARGIN) & (s < blocked[lane] - 25.0)
    ahead = position_on(graph, points, lane, s + 1.0) - position_on(graph, points, lane, s - 1.0)
    heading = ahead / np.maximum(np.abs(ahead), 1e-9)
    return lane[inside], s[inside], place[inside], heading[inside]
