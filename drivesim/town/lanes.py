"""Lanes of a piece of town, and how those of many pieces become one lane graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import LaneGraph
from drivesim.town.curves import Curve
from drivesim.traffic.centre_lines import CentreLines, of_curves
from drivesim.traffic.conflicts import Conflicts, find_conflicts


@dataclass(frozen=True)
class Lane:
    """One lane in driving direction; links are ids, -1 where there is no neighbour."""

    id: int
    curve: Curve
    width: float
    speed_limit: float
    successors: tuple[int, ...]
    left: int = -1
    right: int = -1
    in_junction: bool = False
    priority: int = 0


class LaneTable(NamedTuple):
    """L lanes as arrays."""

    numbers: NDArray[np.float64]  # [L, 2] width, speed limit
    links: NDArray[np.int64]  # [L, 7] id, left, right, in_junction, priority, number of points, number of successors
    points: NDArray[np.float64]  # [P, 3] of all curves
    successors: NDArray[np.int64]  # [E] ids


def lane_table(lanes: Sequence[Lane]) -> LaneTable:
    """The lanes as arrays."""
    return LaneTable(
        np.array([(lane.width, lane.speed_limit) for lane in lanes], np.float64).reshape(-1, 2),
        np.array(
            [
                (lane.id, lane.left, lane.right, lane.in_junction, lane.priority, len(lane.curve),
                 len(lane.successors)) for lane in lanes
            ],
            np.int64,
        ).reshape(-1, 7),
        np.concatenate([np.zeros((0, 3)), *(lane.curve for lane in lanes)]),
        np.array([link for lane in lanes for link in lane.successors], np.int64),
    )  # fmt: skip


def lines_of(table: LaneTable) -> CentreLines:
    """Centre lines of the lanes."""
    return of_curves(table.points, table.links[:, 5])


def conflicts_of(table: LaneTable) -> Conflicts:
    """Conflicts among those lanes of a piece of town that are in a junction or join another."""
    ids, _, _, in_junction, _, _, link_count = table.links.T
    source, targets = np.repeat(np.arange(len(ids)), link_count), table.successors.tolist()
    meets = in_junction.astype(bool)
    if len(set(targets)) < len(targets):
        meets[[row for row, target in zip(source.tolist(), targets) if targets.count(target) > 1]] = True
    link, target = np.nonzero(table.successors[:, None] == ids)
    return find_conflicts(lines_of(table), np.flatnonzero(meets), (source[link], target))


def lane_graph(parts: Sequence[LaneTable]) -> LaneGraph:
    """Lane graph of several tables, lanes by ascending id; links to lanes that are not among them are dropped."""
    numbers, links = (np.concatenate(rows) for rows in zip(*((part.numbers, part.links) for part in parts)))
    order = links[:, 0].argsort()
    numbers, links = numbers[order], links[order]
    ids = links[:, 0].copy()
    _, left, right, in_junction, priority, point_count, link_count = links.T
    points = _reordered(np.concatenate([part.points for part in parts]), order, point_count)
    following = _reordered(np.concatenate([part.successors for part in parts]), order, link_count)
    successors = _rows(ids, following)
    source = np.repeat(np.arange(len(ids)), link_count)[successors >= 0]
    return LaneGraph(
        ids=ids,
        points=points,
        offsets=_offsets(point_count),
        width=numbers[:, 0].copy(),
        speed_limit=numbers[:, 1].copy(),
        successors=successors[successors >= 0],
        successor_offsets=_offsets(np.bincount(source, minlength=len(ids))),
        left=_rows(ids, left),
        right=_rows(ids, right),
        in_junction=in_junction.astype(bool),
        priority=priority.copy(),
    )


def _reordered(values: NDArray, order: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray:
    """Runs of rows in another order; `counts` [L] are their lengths in the new one."""
    starts = np.empty_like(counts)
    starts[order] = counts
    starts = (starts.cumsum() - starts)[order]
    return values.take(np.repeat(starts - (counts.cumsum() - counts), counts) + np.arange(counts.sum()), 0)


def _rows(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of `ids` (ascending) that hold the wanted ones, -1 where none does."""
    row = np.minimum(ids.searchsorted(wanted), len(ids) - 1)
    return np.where(ids.take(row) == wanted, row, -1)


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], counts.cumsum()]).astype(np.int64)
