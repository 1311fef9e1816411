"""The ways that road users may be taking, from the lane graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.layout import FAR, STOPS, WAY_POINTS, WAY_SPACING
from drivesim.traffic.paths import make_path
from drivesim.traffic.state import Float, Paths
from drivesim.traffic.tables import LaneTables

_REACH = 3.5  # [m] from a lane's centre line on which somebody may be
_ALIGNED = 0.7  # least cosine between a heading and a lane
_BEHIND = 10.0  # [m] of way behind
_LENGTH = WAY_POINTS * WAY_SPACING  # [m]
_STRIDE = round(WAY_SPACING)
_MOST_LANES = 26  # of a way


def candidate_paths(tables: LaneTables, place: complex, yaw: float, most: int) -> list[Paths]:
    """Up to `most` paths of one row each along the lanes that somebody at a place, heading `yaw` [rad], may be on;
    those of the nearest lane first. None where there is no lane."""
    found: list[tuple[list[int], float]] = []
    near = lanes_near(tables, place, yaw)
    beside = [int(side[lane]) for lane, _ in near for side in (tables.graph.left, tables.graph.right)]
    starts = near + [(lane, _along(tables, lane, place)) for lane in dict.fromkeys(beside) if lane >= 0]
    taken = {lane for lane, _ in near}
    starts = near + [start for start in starts[len(near) :] if start[0] not in taken]
    for lane, s in starts:
        for lanes in branches(tables, lane, s + _LENGTH, most):
            if lanes not in [other for other, _ in found]:
                found.append((lanes, s))
        if len(found) >= most:
            break
    return [make_path(tables, lanes, max(s - _BEHIND, 0.0)) for lanes, s in found[:most]]


def lanes_near(tables: LaneTables, place: complex, yaw: float) -> list[tuple[int, float]]:
    """Lanes that lead the same way within reach, nearest first, and distances along them [m]."""
    offset = tables.points - place
    near = np.flatnonzero(offset.real**2 + offset.imag**2 < _REACH * _REACH)
    near = near[np.cos(tables.graph.points[near, 2] - yaw) > _ALIGNED]
    beside = np.abs((offset[near] * np.exp(-1j * tables.graph.points[near, 2])).imag)
    lanes = np.searchsorted(tables.graph.offsets, near, side="right") - 1
    order = np.lexsort((np.abs(offset[near]), np.round(beside, 1)))
    result: dict[int, float] = {}
    for index in order.tolist():
        lane = int(lanes[index])
        if lane not in result:
            result[lane] = _along(tables, lane, place)
    return list(result.items())


def _along(tables: LaneTables, lane: int, place: complex) -> float:
    part = slice(*tables.bounds[lane : lane + 2])
    index = int(np.abs(tables.points[part] - place).argmin())
    heading = np.exp(-1j * tables.graph.points[part][index, 2])
    along = float(tables.graph.arc_length[part][index] + ((place - tables.points[part][index]) * heading).real)
    return min(max(along, 0.0), tables.plain_length[lane])


def branches(tables: LaneTables, lane: int, length: float, most: int) -> list[list[int]]:
    """Up to `most` chains of lanes from `lane` on that are `length` [m] long, those which part soonest first."""
    chains = [([lane], tables.plain_length[lane])]
    while True:
        short = [
            index for index, (lanes, total) in enumerate(chains)
            if total < length and len(lanes) < _MOST_LANES and tables.ways[lanes[-1]]
        ]  # fmt: skip
        if not short:
            return [lanes for lanes, _ in chains]
        index = min(short, key=lambda row: chains[row][1])
        lanes, total = chains.pop(index)
        room = most - len(chains)
        for following in tables.ways[lanes[-1]][: max(room, 1)]:
            chains.insert(index, (lanes + [following], total + tables.plain_length[following]))


def way_rows(paths: Paths, s: Float) -> tuple[NDArray[np.complex128], Float, Float]:
    """Ways of vehicles at distances `s` [N] [m] along their paths: points [N, P], allowed speeds [N, P] [m/s] and stops
    [N, STOPS] along the way [m]."""
    begin = np.maximum(s - _BEHIND, 0.0).astype(np.int64)
    index = begin[:, None] + _STRIDE * np.arange(WAY_POINTS)
    last = paths.points.shape[1] - 1
    beyond = np.maximum(index - last, 0)
    index = np.minimum(index, last)
    points = np.take_along_axis(paths.points, index, 1) + beyond * paths.heading[:, -1:]
    allowed = np.take_along_axis(paths.speed, index, 1)
    rows = np.arange(len(s))
    junction = (paths.clear > s[:, None]).argmax(1)
    stops = np.empty((len(s), STOPS))
    stops[:, 0], stops[:, 1] = paths.entry[rows, junction], paths.clear[rows, junction]
    stops[:, 2] = np.minimum(paths.end, paths.blocked)
    return points, allowed, np.clip(stops - begin[:, None], -FAR, FAR)
