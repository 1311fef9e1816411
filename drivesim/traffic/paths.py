"""Paths along lanes: which lanes, sampled at every metre, with the speed that bends and limits allow."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.town.hashing import unit
from drivesim.traffic.state import PATH_JUNCTIONS, PATH_LANES, PATH_POINTS, Complex, Float, Paths, lengths
from drivesim.traffic.tables import LaneTables

BEHIND = 10.0  # [m] of path kept behind a vehicle when it gets a new one
GENTLE_BRAKING = 1.6  # [m/s^2] before bends and lower limits
LATERAL_ACCELERATION = 2.2  # [m/s^2] in bends
STOP_BEFORE = 1.0  # [m] from the stop line to a stopped bumper
_CLEARANCE = 4.0  # [m] to an obstacle that stands on the lane
_METRES = np.arange(PATH_POINTS, dtype=np.float64)
_BRAKING_HEADROOM = 2.0 * GENTLE_BRAKING * np.arange(PATH_POINTS)


def follow_lanes(
    tables: LaneTables, lane: int, length: float, key: tuple[int, ...], count: int = 0, evade: bool = False
) -> list[int]:
    """Lane indices from `lane` on that together are at least `length` [m] long; shorter only where the map ends.

    Choices are hashes of `key` and of the number of lanes so far, `count` before these. Lanes with an obstacle are
    avoided where there is a choice; to `evade` means to take the lane beside them otherwise.
    """
    lanes, total = [lane], tables.plain_length[lane]
    while total < length and len(lanes) < PATH_LANES:
        choices = tables.ways[lanes[-1]]
        if not choices:
            break
        chosen = choices[0]
        if len(choices) > 1:
            chosen = choices[int(unit(*key, tables.plain_ids[lanes[-1]], count + len(lanes)) * len(choices))]
        lanes.append(open_lane(tables, chosen) if evade else chosen)
        total += tables.plain_length[chosen]
    return lanes


def open_lane(tables: LaneTables, lane: int) -> int:
    """The lane, or if an obstacle stands on it the first neighbour without."""
    beside = (int(tables.graph.left[lane]), int(tables.graph.right[lane]))
    free = (other for other in (lane, *beside) if other >= 0 and tables.blocked[other] == np.inf)
    return next(free, lane)


def make_path(
    tables: LaneTables, lanes: list[int], start: float, shift: complex | None = None, over: float = 0.0
) -> Paths:
    """Path of one vehicle (one row) from `start` [m] on the first lane along the given lanes.

    With `shift` the path begins that far beside the lane and joins it smoothly within `over` [m].
    """
    bounds = [slice(*tables.bounds[lane : lane + 2]) for lane in lanes]
    pieces = [tables.points[part] for part in bounds]
    lengths = [tables.plain_length[lane] for lane in lanes]
    ends = [end - start for end in accumulate(lengths)]
    axis = np.concatenate([tables.graph.arc_length[part] for part in bounds])
    axis += np.repeat([end - length for end, length in zip(ends, lengths)], [part.stop - part.start for part in bounds])
    metres = _METRES
    points = _continued(np.interp(metres, axis, np.concatenate(pieces)), axis, pieces, metres)
    if shift is not None:
        share = np.minimum(metres / over, 1.0)
        points = points + shift * (1.0 - share**3 * (10.0 - 15.0 * share + 6.0 * share * share))
    heading, speed = profile(points, [tables.plain_limit[lane] for lane in lanes], ends)
    columns = lane_columns(
        [-start, *ends[:-1]],
        ends,
        [tables.plain_ids[lane] for lane in lanes],
        [tables.plain_controlled[lane] for lane in lanes],
        [tables.plain_blocked[lane] for lane in lanes],
    )
    return Paths(points[None], heading, speed, *columns)


def _continued(points: Complex, axis: Float, pieces: list[Complex], metres: Float) -> Complex:
    """The points with those beyond the last lane's end moved straight on."""
    beyond = metres - axis[-1]
    if beyond[-1] <= 0.0:
        return points
    ahead = pieces[-1][-1] - pieces[-1][-2]
    return points + np.maximum(beyond, 0.0) * (ahead / abs(ahead))


@compiled
def profile(points: Complex, limits: list[float], ends: list[float]) -> tuple[Complex, Float]:
    """Heading [1, K] and allowed speed [1, K] [m/s] at points [K] along lanes with limits [m/s] up to ends [m]."""
    heading = np.empty_like(points)
    np.subtract(points[1:], points[:-1], out=heading[:-1])
    heading[-1] = heading[-2]
    parts = heading.view(np.float64).reshape(-1, 2)
    parts /= lengths(heading)[:, None]
    limit, begin = np.full(len(points), limits[-1]), 0
    for value, end in zip(limits, ends):
        limit[begin : max(math.ceil(end), 0)] = value
        begin = max(math.ceil(end), 0)
    return heading[None], allowed_speed(heading, limit)[None]


def allowed_speed(heading: Complex, limit: Float) -> Float:
    """Speed [K] [m/s] at points 1 m apart that keeps limits [K] and bends here and, by gentle braking, further on."""
    x, y = heading.real, heading.imag
    turn = np.abs(y[2:] * x[:-2] - x[2:] * y[:-2]) * 0.5  # the sine of a small angle
    square = limit * limit
    square[1:-1] = np.minimum(square[1:-1], LATERAL_ACCELERATION / np.maximum(turn, 1e-4))
    reachable = square + _BRAKING_HEADROOM[: len(square)]
    return np.sqrt(np.minimum.accumulate(reachable[::-1])[::-1] - _BRAKING_HEADROOM[: len(square)])


@compiled
def lane_columns(
    begins: list[float], ends: list[float], ids: list[int], controlled: list[bool], blocked: list[float]
) -> tuple[Float, Float, NDArray[np.int64], Float, Float, NDArray[np.bool_], Float, Float]:
    """Columns of one row of `Paths` from `end` on, of lanes that begin and end somewhere [m] along the path and have an
    obstacle so far [m] behind their beginning."""
    count = len(ids)
    lane_start, lane_end = np.full((1, PATH_LANES), np.inf), np.full((1, PATH_LANES), np.inf)
    lanes, are_controlled = np.full((1, PATH_LANES), -1, np.int64), np.zeros((1, PATH_LANES), bool)
    lane_start[0, :count], lane_end[0, :count], lanes[0, :count] = begins, ends, ids
    are_controlled[0, :count] = controlled
    obstacles = (begin + distance for begin, distance in zip(begins, blocked))
    obstacle = min((place for place in obstacles if place > _CLEARANCE), default=np.inf)
    end = np.array([min(ends[-1], PATH_POINTS - 2.0)])
    entry, clear = _junctions(begins, ends, controlled)
    return end, np.array([obstacle - _CLEARANCE]), lanes, lane_start, lane_end, are_controlled, entry, clear


def _junctions(begins: list[float], ends: list[float], controlled: list[bool]) -> tuple[Float, Float]:
    """Stop line before and end [1, PATH_JUNCTIONS] of every run of controlled lanes."""
    entry, clear = np.full((1, PATH_JUNCTIONS), np.inf), np.full((1, PATH_JUNCTIONS), np.inf)
    count = 0
    for lane, here in enumerate(controlled):
        if not here:
            continue
        if lane == 0 or not controlled[lane - 1]:
            if count == PATH_JUNCTIONS:
                break
            entry[0, count] = begins[lane] - STOP_BEFORE
            count += 1
        clear[0, count - 1] = ends[lane]
    return entry, clear
