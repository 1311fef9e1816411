"""Maps with predicted pieces in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.predictor.beyond.piece import Piece
from drivesim.scene import MAP_CLASSES, HdMap, LaneGraph


@dataclass(frozen=True)
class _Links:
    """What lanes say of each other, by ids."""

    successors: list[tuple[int, int]]
    left: dict[int, int]
    right: dict[int, int]


def joined_map(window: HdMap, pieces: Sequence[Piece], blind: frozenset[int] = frozenset()) -> HdMap:
    """A window of a map with the pieces that touch it, lanes linked across the seam; nobody turns off into lanes (ids)
    that are `blind`."""
    area = shapely.box(*window.bounds)
    near = [piece for piece in pieces if piece.region.intersects(area)]
    if not near and not np.isin(window.lane_graph.ids, list(blind)).any():
        return window
    layers = {name: (*window.layers[name], *(part for piece in near for part in piece.layers[name]))
              for name in MAP_CLASSES}  # fmt: skip
    return HdMap(layers, _joined_lanes(window.lane_graph, near, blind), window.bounds)


def _joined_lanes(graph: LaneGraph, pieces: Sequence[Piece], blind: frozenset[int]) -> LaneGraph:
    new = [lane for piece in pieces for lane in piece.lanes]
    ids = np.concatenate([graph.ids, np.array([lane.tip.lane for lane in new], np.int64)])
    order = np.argsort(ids, kind="stable")
    rows = [graph.centre_line(lane) for lane in range(len(graph))] + [lane.points for lane in new]
    rows = [rows[lane] for lane in order]
    sorted_ids = ids[order]
    links = _links(graph, pieces)
    row_of = {lane: row for row, lane in enumerate(sorted_ids.tolist())}
    following: list[list[int]] = [[] for _ in rows]
    for one, other in links.successors:
        if one in row_of and other in row_of and (other not in blind or one in blind):
            following[row_of[one]].append(row_of[other])
    blank = np.zeros(len(new))

    def column(values: NDArray, added: NDArray) -> NDArray:
        """One number per lane, of recorded and of predicted ones, in the order of ids."""
        return np.concatenate([values, added.astype(values.dtype)])[order]

    return LaneGraph(
        ids=sorted_ids,
        points=np.concatenate(rows),
        offsets=_offsets([len(row) for row in rows]),
        width=column(graph.width, np.array([lane.tip.width for lane in new])),
        speed_limit=column(graph.speed_limit, np.array([lane.tip.limit for lane in new])),
        successors=np.array([lane for lanes in following for lane in lanes], np.int64),
        successor_offsets=_offsets([len(lanes) for lanes in following]),
        left=np.array([row_of.get(links.left.get(lane, -1), -1) for lane in sorted_ids.tolist()], np.int64),
        right=np.array([row_of.get(links.right.get(lane, -1), -1) for lane in sorted_ids.tolist()], np.int64),
        in_junction=column(graph.in_junction, blank),
        priority=column(graph.priority, blank),
    )


def _links(graph: LaneGraph, pieces: Sequence[Piece]) -> _Links:
    source = np.repeat(np.arange(len(graph)), np.diff(graph.successor_offsets))
    successors = list(zip(graph.ids[source].tolist(), graph.ids[graph.successors].tolist()))
    sides = []
    for beside in (graph.left, graph.right):
        rows = np.flatnonzero(beside >= 0)
        sides.append(dict(zip(graph.ids[rows].tolist(), graph.ids[beside[rows]].tolist())))
    for piece in pieces:
        for lane in piece.lanes:
            if lane.after is not None:
                successors.append((lane.after, lane.tip.lane))
            if lane.before is not None:
                successors.append((lane.tip.lane, lane.before))
            sides[0][lane.tip.lane], sides[1][lane.tip.lane] = lane.left, lane.right
    return _Links(successors, *sides)


def _offsets(counts: list[int]) -> NDArray[np.int64]:
    return np.append(0, np.cumsum(np.array(counts, np.int64))).astype(np.int64)
