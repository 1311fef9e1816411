"""The reference line: the ego's route as it is at the start, and the lanes beside it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivesim.traffic.paths import follow_lanes
from drivesim.traffic.tables import LaneTables

BEFORE, AHEAD = 60.0, 260.0  # [m] of line behind and ahead of the start
_SEARCH = 25  # [m] around the last projection among which the next is sought
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class ReferenceLine:
    """Points 1 m apart; the one of index BEFORE is where the ego's rear axle starts."""

    points: Complex  # [K]
    lanes: tuple[int, ...]  # indices of the lanes from the start's on
    edges: NDArray[np.float64]  # [lanes + 1] where they begin and end [m] along the line

    @cached_property
    def heading(self) -> Complex:
        """Unit vectors [K]."""
        ahead = np.diff(self.points)
        ahead = np.append(ahead, ahead[-1])
        return ahead / np.abs(ahead)

    @property
    def end(self) -> float:
        """Length from the start [m]."""
        return len(self.points) - 1 - BEFORE

    def place(self, at: float, offset: float = 0.0) -> complex:
        """Position at a distance along the line and an offset to its left [m]."""
        index = min(max(at + BEFORE, 0.0), len(self.points) - 1.001)
        whole = int(index)
        point = self.points[whole] + (index - whole) * (self.points[whole + 1] - self.points[whole])
        return complex(point + 1j * offset * self.heading[whole])

    def places(self, at: NDArray[np.float64]) -> Complex:
        """Positions at distances along the line [m]; straight on beyond its ends."""
        metres = np.arange(len(self.points)) - BEFORE
        inside = np.interp(at, metres, self.points)
        before, after = np.minimum(at - metres[0], 0.0), np.maximum(at - metres[-1], 0.0)
        return inside + before * self.heading[0] + after * self.heading[-1]

    def direction(self, at: float) -> complex:
        """Unit vector along the line."""
        return complex(self.heading[min(max(int(at + BEFORE), 0), len(self.points) - 1)])

    def project(self, place: complex, near: float) -> tuple[float, float]:
        """Distance along the line and offset to its left [m] of a place about `near` [m] along."""
        low = int(min(max(near + BEFORE - _SEARCH, 0), len(self.points) - 2))
        row = low + int(np.abs(self.points[low : low + 2 * _SEARCH] - place).argmin())
        local = (place - complex(self.points[row])) * complex(self.heading[row]).conjugate()
        return row - BEFORE + local.real, local.imag

    def project_all(self, places: Complex) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances [N] along the line and offsets [N] to its left [m] of places [N], each at the nearest point."""
        rows = np.abs(places[:, None] - self.points).argmin(axis=1)
        local = (places - self.points[rows]) * self.heading[rows].conj()
        return rows - BEFORE + local.real, local.imag


def reference_line(tables: LaneTables, lane: int, s: float, route_seed: int) -> ReferenceLine | None:
    """The line of the route that begins at `s` [m] on a lane (index); None where it would have to change lanes."""
    lanes = follow_lanes(tables, lane, s + AHEAD, (route_seed, 11), evade=True)
    if any(b not in tables.successors[a] for a, b in zip(lanes, lanes[1:])):
        return None
    before = lanes_before(tables, lane, BEFORE - s)
    every = [*before, *lanes]
    edges = np.append(0.0, np.cumsum(tables.length[every]))
    edges -= edges[len(before)] + s
    return ReferenceLine(sampled(tables, every, edges, -BEFORE, AHEAD), tuple(lanes), edges[len(before) :])


def lanes_before(tables: LaneTables, lane: int, length: float, avoid: Collection[int] = ()) -> list[int]:
    """Lanes that lead to a lane as straight as there are, at least `length` [m] of them where the map goes on; none of
    those to `avoid`."""
    found: list[int] = []
    graph = tables.graph
    sources = np.repeat(np.arange(len(graph)), np.diff(graph.successor_offsets))
    while length > 0.0:
        candidates = np.array([c for c in sources[graph.successors == lane].tolist() if c not in avoid], np.int64)
        if candidates.size == 0:
            break
        headings = graph.points[graph.offsets[candidates], 2]
        turn = np.cos(headings - graph.points[graph.offsets[lane + 1] - 1, 2])
        lane = int(candidates[int(turn.argmax())])
        found.insert(0, lane)
        length -= float(tables.length[lane])
    return found


def sampled(tables: LaneTables, lanes: list[int], edges: NDArray[np.float64], start: float, length: float) -> Complex:
    """Points every metre from `start` to `length` [m] on the axis in which the lanes begin at `edges`; straight on
    beyond both ends."""
    graph = tables.graph
    rows = [slice(graph.offsets[lane], graph.offsets[lane + 1]) for lane in lanes]
    axis = np.concatenate([graph.arc_length[row] + edge for row, edge in zip(rows, edges.tolist())])
    points = np.concatenate([tables.points[row] for row in rows])
    s = np.arange(start, length + 0.5)
    line = np.interp(s, axis, points)
    first, last = points[1] - points[0], points[-1] - points[-2]
    line += np.minimum(s - axis[0], 0.0) * first / abs(first)
    return line + np.maximum(s - axis[-1], 0.0) * last / abs(last)


def lane_offsets(tables: LaneTables, line: ReferenceLine) -> dict[str, float]:
    """Offset [m] from the line of the lanes beside the ego's, by name, those that there are."""
    graph, lane = tables.graph, line.lanes[0]
    offsets = {"ego": 0.0}
    for name, other in (("left", graph.left[lane]), ("right", graph.right[lane])):
        if other >= 0:
            rows = slice(graph.offsets[other], graph.offsets[other + 1])
            offsets[name] = _nearest_offset(tables.points[rows], line)
    here, direction = line.place(5.0), line.direction(5.0)
    against = np.flatnonzero((np.exp(1j * graph.points[:, 2]) * np.conj(direction)).real < -0.95)
    local = (tables.points[against] - here) * np.conj(direction)
    beside = local.imag[(np.abs(local.real) < 4.0) & (local.imag > 2.0) & (local.imag < 9.0)]
    if beside.size:
        offsets["oncoming"] = float(beside.min())
    return offsets


def _nearest_offset(points: Complex, line: ReferenceLine) -> float:
    local = (points - line.place(5.0)) * np.conj(line.direction(5.0))
    return float(local.imag[np.abs(local.real).argmin()])
