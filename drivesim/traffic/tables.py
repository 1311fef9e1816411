"""What traffic needs to know of a map, computed once per map object: lanes, conflicts, obstacles, places to appear."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import HdMap, LaneGraph, Tracks
from drivesim.traffic.centre_lines import CentreLines, of_graph
from drivesim.traffic.conflicts import Conflicts, find_conflicts
from drivesim.traffic.obstacles import first_obstacles
from drivesim.traffic.walking import WalkingGraph, walking_graph

DEFAULT_LIMIT = 10.0  # [m/s] where the map has no speed limit
_RIM = 45.0  # [m] of the map in which lanes are not checked for conflicts
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


@dataclass(frozen=True, eq=False)
class LaneMarks:
    """What is measured along the lanes of a map, as shares of their lengths."""

    conflicts: Conflicts
    blocked: NDArray[np.float64]  # [L] share before the first standing obstacle, inf without


_TABLES: weakref.WeakKeyDictionary[HdMap, LaneTables] = weakref.WeakKeyDictionary()
_MAKERS: weakref.WeakKeyDictionary[HdMap, Callable[[NDArray[np.bool_]], LaneMarks]] = weakref.WeakKeyDictionary()


def lane_tables(hd_map: HdMap, standing: Tracks | None = None) -> LaneTables:
    """Tables of a map with the objects that stand on it; computed once per map object."""
    tables = _TABLES.get(hd_map)
    if tables is None:
        tables = _TABLES[hd_map] = _build(hd_map, Tracks.empty() if standing is None else standing)
    return tables


def mark_by(hd_map: HdMap, make: Callable[[NDArray[np.bool_]], LaneMarks]) -> None:
    """Lets the lanes of a map be marked by whoever made it of parts, knows what stands there and has marked the parts.

    `make` is told which lanes [L] are ranked: it may leave out the conflicts of others. It must not hold the map.
    """
    _MAKERS[hd_map] = make


def _build(hd_map: HdMap, standing: Tracks) -> LaneTables:
    graph, lines = hd_map.lane_graph, of_graph(hd_map.lane_graph)
    bounds = graph.successor_offsets.tolist()
    links = graph.successors.tolist()
    successors = tuple(tuple(links[begin:end]) for begin, end in zip(bounds, bounds[1:]))
    arrivals = np.bincount(graph.successors, minlength=len(graph))
    source = np.repeat(np.arange(len(graph)), np.diff(graph.successor_offsets))
    controlled = graph.in_junction.copy()
    controlled[source[arrivals[graph.successors] > 1]] = True
    ranked = controlled & _is_inner(hd_map, lines.starts)
    rank = np.where(ranked, np.cumsum(ranked) - 1, -1)
    make = _MAKERS.pop(hd_map, None)
    if make is None:
        conflicts = find_conflicts(lines, np.flatnonzero(ranked), (source, graph.successors))
        marks = LaneMarks(conflicts, first_obstacles(lines, standing))
    else:
        marks = make(ranked)
    conflict_in, conflict_out = _conflict_tables(marks.conflicts, rank, graph.length)
    blocked = marks.blocked * graph.length
    places = _places(lines, controlled, blocked)
    return LaneTables(
        graph=graph,
        points=lines.points,
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


def _conflict_tables(
    conflicts: Conflicts, rank: NDArray[np.int64], length: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances [C, C] [m] along the ranked lanes from which and to which they conflict."""
    count = int(rank.max(initial=-1)) + 1
    enter, leave = np.full((count, count), np.inf), np.full((count, count), -np.inf)
    first, second = rank.take(conflicts.first), rank.take(conflicts.second)
    known = np.flatnonzero((first >= 0) & (second >= 0))
    key, along = first.take(known) * count + second.take(known), length.take(conflicts.first.take(known))
    enter.reshape(-1)[key] = conflicts.enter.take(known) * along
    leave.reshape(-1)[key] = conflicts.leave.take(known) * along
    return enter, leave


def _places(
    lines: CentreLines, controlled: NDArray[np.bool_], blocked: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.complex128], NDArray[np.complex128]]:
    free = ~controlled & (lines.length > 2.0 * _PLACE_MARGIN)
    lane, share, place = lines.sampled(np.flatnonzero(free), _PLACE_SPACING)
    length = lines.length[lane]
    s = share * length
    inside = (s > _PLACE_MARGIN) & (s < length - _PLACE_MARGIN) & (s < blocked[lane] - 25.0)
    lane, s = lane[inside], s[inside]
    ahead = lines.at(lane, s + 1.0) - lines.at(lane, s - 1.0)
    return lane, s, place[inside], ahead / np.maximum(np.abs(ahead), 1e-9)
