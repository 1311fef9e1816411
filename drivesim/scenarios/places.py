"""Finds places of a kind in a town: deterministic, the same for everybody."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.line import AHEAD, BEFORE, ReferenceLine, lane_offsets, reference_line
from drivesim.scenarios.schema import Place
from drivesim.scene import Tracks
from drivesim.town.network import SPACING
from drivesim.town.town import Town
from drivesim.traffic.paths import follow_lanes
from drivesim.traffic.tables import LaneTables, lane_tables

ORIGIN = np.array([1.0, 1.0])
_ROUTES = 4  # route seeds that are tried at each lane
_STRAIGHT = math.radians(10.0)
_TURN = math.radians(50.0)
_START = 8.0  # [m] from the start of a lane where drives along straight stretches begin
_BESIDE = 6.0  # [m] from the ego's way within which things are parked
_CENTRAL = 1.1  # lattice cells from the middle of the origin cell


@dataclass(frozen=True, eq=False)
class Found:
    """A place: the lane (index) and distance along it [m] where the ego starts, and the seed of its route."""

    lane: int
    s: float
    route_seed: int
    line: ReferenceLine
    junction: tuple[float, float] | None  # [m] along the line where the first junction begins and ends
    offsets: dict[str, float]  # [m] of the lanes beside the ego's


_FOUND: weakref.WeakKeyDictionary[Town, dict[Place, Found | None]] = weakref.WeakKeyDictionary()


def find_place(town: Town, place: Place) -> Found | None:
    """The place's `pick`-th fit in the middle of a town, None if there are not that many; searched once per town."""
    known = _FOUND.setdefault(town, {})
    if place not in known:
        known[place] = _search(town, place)
    return known[place]


def _search(town: Town, place: Place) -> Found | None:
    window = town.window(ORIGIN)
    tables = lane_tables(window.map, window.parked)
    left = place.pick
    for lane in _central_lanes(tables):
        s = _start(place, float(tables.length[lane]))
        if s is None or not _lanes_fit(tables, lane, place):
            continue
        found = _on_lane(tables, int(lane), s, place)
        if found is None or (place.parked is not None and _has_parked(window.parked, found, place) != place.parked):
            continue
        if left == 0:
            return found
        left -= 1
    return None


def _on_lane(tables: LaneTables, lane: int, s: float, place: Place) -> Found | None:
    """The place that begins on a lane, with the first route that fits."""
    tried: set[tuple[int, ...]] = set()
    for seed in range(_ROUTES):
        lanes = tuple(follow_lanes(tables, lane, s + AHEAD, (seed, 11), evade=True))
        near = lanes[: int(np.searchsorted(np.cumsum(tables.length[list(lanes)]) - s, 130.0)) + 1]
        if near not in tried:
            tried.add(near)
            found = _at(tables, lane, s, seed, place)
            if found is not None:
                return found
    return None


def _has_parked(standing: Tracks, found: Found, place: Place) -> bool:
    """Whether something stands beside the stretch on which the ego starts."""
    reach = place.length if place.kind == "straight" else place.at
    stretch = found.line.places(np.arange(0.0, reach))
    centre = standing.position[:, 0] + 1j * standing.position[:, 1]
    near = centre[np.abs(centre - stretch[0]) < reach + _BESIDE]
    return bool(near.size) and bool((np.abs(near[:, None] - stretch) < _BESIDE).any())


def _central_lanes(tables: LaneTables) -> NDArray[np.int64]:
    graph = tables.graph
    middle = graph.points[(graph.offsets[:-1] + graph.offsets[1:]) // 2, :2]
    central = np.abs(middle / SPACING - 0.5).max(axis=1) < _CENTRAL
    free = ~graph.in_junction & (graph.length > 25.0) & ~np.isfinite(tables.blocked)
    return np.flatnonzero(central & free)


def _start(place: Place, length: float) -> float | None:
    """Distance along the first lane [m]."""
    s = _START if place.kind == "straight" else length - place.at
    return s if 0.0 <= s < length - 5.0 else None


def _lanes_fit(tables: LaneTables, lane: int, place: Place) -> bool:
    left, right = int(tables.graph.left[lane]), int(tables.graph.right[lane])
    if place.lanes is not None and 1 + (left >= 0) + (right >= 0) != place.lanes:
        return False
    if place.lane is not None:
        return (left if place.lane == "left" else right) < 0 <= (right if place.lane == "left" else left)
    return True


def _at(tables: LaneTables, lane: int, s: float, seed: int, place: Place) -> Found | None:
    line = reference_line(tables, lane, s, seed)
    if line is None:
        return None
    junction = first_junction(tables, line)
    offsets = lane_offsets(tables, line)
    if place.oncoming is not None and ("oncoming" in offsets) != place.oncoming:
        return None
    found = Found(lane, s, seed, line, junction, offsets)
    if place.kind == "straight":
        fits = _is_straight(line, place.length) and (place.junctions or junction is None or junction[0] > place.length)
    elif place.kind == "bend":
        turned = _turn(line, place.at - 5.0, place.at + place.length)
        fits = (junction is None or junction[0] > place.at + place.length) and abs(turned) > _TURN
        fits = fits and (place.turn is None or place.turn == ("left" if turned > 0.0 else "right"))
    else:
        fits = junction is not None and _junction_fits(tables, found, place)
    return found if fits else None


def _is_straight(line: ReferenceLine, length: float) -> bool:
    part = line.heading[int(BEFORE) : int(BEFORE + length)]
    return bool(np.abs(np.angle(part * np.conj(part[0]))).max() < _STRAIGHT)


def _turn(line: ReferenceLine, start: float, end: float) -> float:
    """Change of heading between two places [rad], positive to the left."""
    part = line.heading[int(BEFORE + start) : int(BEFORE + end) + 1]
    return float(np.angle(part[1:] * np.conj(part[:-1])).sum())


def first_junction(tables: LaneTables, line: ReferenceLine) -> tuple[float, float] | None:
    """Where the first junction ahead begins and ends [m] along the line."""
    inside = np.flatnonzero(tables.graph.in_junction[list(line.lanes)])
    if inside.size == 0:
        return None
    last = int(inside[0])
    while last + 1 < len(line.lanes) and tables.graph.in_junction[line.lanes[last + 1]]:
        last += 1
    return float(line.edges[inside[0]]), float(line.edges[last + 1])


def _junction_fits(tables: LaneTables, found: Found, place: Place) -> bool:
    assert found.junction is not None
    start, end = found.junction
    if abs(start - place.at) > 3.0 or end > 200.0:
        return False
    lanes = [lane for lane, edge in zip(found.line.lanes, found.line.edges[1:]) if start < edge <= end + 0.1]
    if (len(lanes) > 1) != (place.kind == "roundabout"):
        return False
    turn = _turn(found.line, start - 1.0, end + 1.0)
    name = "left" if turn > _TURN else "right" if turn < -_TURN else "straight" if abs(turn) < 0.5 else None
    if place.turn is not None and name != place.turn:
        return False
    return place.priority is None or place.priority == _priority(tables, lanes[0])


def _priority(tables: LaneTables, lane: int) -> str:
    """Whether a lane through a junction gives way to some lane that it meets."""
    rank = int(tables.rank[lane])
    if rank < 0:
        return "has_priority"
    others = np.flatnonzero(tables.rank >= 0)
    meets = np.isfinite(tables.conflict_in[rank, tables.rank[others]])
    gives_way = bool((tables.graph.priority[others[meets]] > tables.graph.priority[lane]).any())
    return "gives_way" if gives_way else "has_priority"
