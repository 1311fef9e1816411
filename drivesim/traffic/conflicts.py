"""Where lanes come too close to each other for two vehicles to pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from drivesim.traffic.centre_lines import CentreLines

CONFLICT_DISTANCE = 2.4  # [m] between centre lines below which two vehicles touch
_SPACING = 1.0  # [m] of the samples that conflicts are found with
_SAME_START = 0.5  # [m]


@dataclass(frozen=True, eq=False)
class Conflicts:
    """K ordered pairs of lanes that conflict: from which to which share of the first one the second is too close."""

    first: NDArray[np.int64]  # [K] lane index
    second: NDArray[np.int64]  # [K] lane index
    enter: NDArray[np.float64]  # [K] of the first lane's length, 0 to 1
    leave: NDArray[np.float64]  # [K]

    def of_lanes(self, lanes: NDArray[np.int64]) -> Conflicts:
        """The same of other lanes: index i becomes `lanes[i]`."""
        return Conflicts(lanes.take(self.first), lanes.take(self.second), self.enter, self.leave)


def joined(parts: Sequence[Conflicts]) -> Conflicts:
    """All conflicts of several groups of lanes."""
    nobody = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    columns = zip(nobody, *((part.first, part.second, part.enter, part.leave) for part in parts))
    return Conflicts(*map(np.concatenate, columns))


def find_conflicts(
    lines: CentreLines, lanes: NDArray[np.int64], links: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Conflicts:
    """Conflicts between some lanes [C] (ascending indices); `links`: lanes and their successors, [E] each.

    Lanes that begin at one point or follow each other do not conflict: there one drives behind the other.
    """
    count = len(lanes)
    enter, leave = np.full((count, count), np.inf), np.full((count, count), -np.inf)
    if count:
        _measure(lines, lanes, enter, leave)
        starts = lines.starts[lanes]
        enter[np.abs(starts[:, None] - starts) < _SAME_START] = np.inf
        row = np.full(len(lines), -1)
        row[lanes] = np.arange(count)
        before, after = (row[ends] for ends in links)
        among = (before >= 0) & (after >= 0)
        enter[before[among], after[among]] = enter[after[among], before[among]] = np.inf
    a, b = np.nonzero(enter < np.inf)
    return Conflicts(lanes[a], lanes[b], enter[a, b], leave[a, b])


def _measure(
    lines: CentreLines, lanes: NDArray[np.int64], enter: NDArray[np.float64], leave: NDArray[np.float64]
) -> None:
    """Fills in [C, C] the first and the last share of lane a at which lane b is too close."""
    lane, share, place = lines.sampled(lanes, _SPACING)
    row = np.searchsorted(lanes, lane)
    tree = cKDTree(np.column_stack([place.real, place.imag]), balanced_tree=False, compact_nodes=False)
    first, second = tree.query_pairs(CONFLICT_DISTANCE, output_type="ndarray").T.copy()
    apart = np.flatnonzero(row.take(first) != row.take(second))
    first, second = first.take(apart), second.take(apart)
    for here, there in ((first, second), (second, first)):
        key, along = row.take(here) * len(lanes) + row.take(there), share.take(here)
        np.minimum.at(enter.reshape(-1), key, along)
        np.maximum.at(leave.reshape(-1), key, along)
