"""Centre lines of lanes as one curve each, to be evaluated and sampled by distance along them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import LaneGraph


@dataclass(frozen=True, eq=False)
class CentreLines:
    """L lanes of P points in all; every lane has at least two."""

    points: NDArray[np.complex128]  # [P] x + iy [m]
    offsets: NDArray[np.int64]  # [L + 1] into points
    arc_length: NDArray[np.float64]  # [P] of every point from the start of its lane [m]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def length(self) -> NDArray[np.float64]:
        """Length [L] of every lane [m]."""
        return self.arc_length.take(self.offsets[1:] - 1)

    @cached_property
    def starts(self) -> NDArray[np.complex128]:
        """First point [L] of every lane."""
        return self.points.take(self.offsets[:-1])

    def at(self, lane: NDArray[np.int64], s: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Places [K] at distances s [K] [m] along lanes [K] (indices)."""
        stride, axis = self._axis
        return np.interp(lane * stride + s, axis, self.points)

    @cached_property
    def _axis(self) -> tuple[float, NDArray[np.float64]]:
        """All lanes on one axis, so that one interpolation serves them all: lane l begins at l * stride."""
        stride = float(self.length.max()) + 1.0
        return stride, self.arc_length + stride * np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def sampled(
        self, lanes: NDArray[np.int64], spacing: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.complex128]]:
        """Even samples of some lanes about `spacing` [m] apart, both ends included: index of their lane [R], share of
        its length before them [R], and place [R]."""
        length = self.length[lanes]
        count = np.ceil(length / spacing).astype(np.int64) + 1
        first = np.cumsum(count) - count
        lane = np.repeat(lanes, count)
        share = (np.arange(len(lane)) - np.repeat(first, count)) / np.repeat(np.maximum(count - 1, 1), count)
        return lane, share, self.at(lane, share * self.length[lane])


def of_graph(graph: LaneGraph) -> CentreLines:
    """Centre lines of a lane graph."""
    return CentreLines(graph.points[:, 0] + 1j * graph.points[:, 1], graph.offsets, graph.arc_length)


def of_curves(curves: NDArray[np.float64], counts: NDArray[np.int64]) -> CentreLines:
    """Centre lines of lanes whose points [P, 2 or more] follow each other, `counts` [L] of each."""
    points, offsets = curves[:, 0] + 1j * curves[:, 1], np.concatenate([[0], np.cumsum(counts)])
    total = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(points)))])
    return CentreLines(points, offsets, total - np.repeat(total.take(offsets[:-1]), counts))
