"""A recorded map that goes on beyond what was recorded: piece by piece, ahead of whoever comes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from drivesim.predictor.beyond.ends import MappedArea, RoadEnd, loose_tips, mapped_area, road_ends
from drivesim.predictor.beyond.grid import AHEAD, CLASSES, ROAD, cell_centres, cells_inside, grid_of
from drivesim.predictor.beyond.joined import joined_map
from drivesim.predictor.beyond.network import MapNetwork
from drivesim.predictor.beyond.objective import probabilities
from drivesim.predictor.beyond.piece import Piece, make_piece
from drivesim.scene import HdMap, LaneGraph

_REACH = 150.0  # [m] from the ego at which a road end is led on
_AROUND = 1.3 * AHEAD  # [m] of map that is looked at around one
_KEPT = 230.0  # [m] from the ego within which pieces are kept,
_MOST = 64  # and how many: a road may turn in circles


class Sheet(Protocol):
    """A whole recorded map."""

    @property
    def graph(self) -> LaneGraph:
        """All of its lanes."""
        ...

    def layer(self, name: str) -> NDArray:
        """All elements of a map class, as shapely geometries."""
        ...

    def cut(self, bounds: tuple[float, float, float, float]) -> HdMap:
        """Map inside a rectangle (xmin, ymin, xmax, ymax) [m]."""
        ...


@dataclass(frozen=True, eq=False)
class Beyond:
    """What was predicted of the map so far, near the ego. A value: nothing in it is ever written to."""

    map: HdMap  # the window with the pieces
    window: HdMap  # of what is mapped
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, eq=False)
class _Recorded:
    """What is computed once of a whole map."""

    ends: tuple[RoadEnd, ...]
    places: NDArray[np.float64]  # [E, 2] of the ends
    area: MappedArea
    blind: frozenset[int]  # ids of lanes from which every way ends inside the map


_RECORDED: WeakKeyDictionary[Sheet, _Recorded] = WeakKeyDictionary()


@dataclass(frozen=True)
class MapGrower:
    """Leads the roads of a recorded map on where they end. Keeps weights only."""

    network: MapNetwork

    def begin(self, sheet: Sheet, window: HdMap, xy: NDArray[np.float64]) -> Beyond:
        """The map at the start of a drive, with all roads led on that end within reach of a place [2]."""
        beyond = Beyond(joined_map(window, (), _recorded(sheet).blind), window)
        while (longer := self.step(sheet, beyond, window, xy)) is not beyond:
            beyond = longer
        return beyond

    def step(self, sheet: Sheet, beyond: Beyond, window: HdMap, xy: NDArray[np.float64]) -> Beyond:
        """The map with the ego at a place [2]: at most one piece more, without those far behind."""
        pieces = tuple(piece for piece in beyond.pieces if _distance(piece.end, xy) < _KEPT)
        end = _nearest_end(_recorded(sheet), pieces, xy)
        if end is not None and len(pieces) < _MOST:
            pieces = (*pieces, self._piece(sheet, pieces, end))
        elif window is beyond.window and len(pieces) == len(beyond.pieces):
            return beyond
        return Beyond(joined_map(window, pieces, _recorded(sheet).blind), window, pieces)

    def _piece(self, sheet: Sheet, pieces: Sequence[Piece], end: RoadEnd) -> Piece:
        low, high = end.pose[:2] - _AROUND, end.pose[:2] + _AROUND
        around = joined_map(sheet.cut((*low.tolist(), *high.tolist())), pieces)
        cells = grid_of(around).patch(end.pose)
        known = known_cells(_recorded(sheet).area, pieces, end.pose)
        given = (torch.from_numpy(np.stack([values]).astype(np.float32)) for values in (cells, known))
        return make_piece(probabilities(self.network, *given)[0].numpy(), end)


def known_cells(area: MappedArea, pieces: Sequence[Piece], pose: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the drivable area and where everything else is known [2, SIDE, SIDE] around the pose of a road end.

    What is mapped, up to the line across the road's end; and what was predicted before.
    """
    mapped = cells_inside(area.lanes, pose)
    mapped |= cells_inside(area.margin, pose) & (cell_centres()[..., 0] < 0.0)
    for piece in pieces:
        mapped |= cells_inside(piece.region, pose)
    road = mapped if area.road is None else mapped | cells_inside(area.road, pose)
    return np.stack([road, mapped])


def _recorded(sheet: Sheet) -> _Recorded:
    found = _RECORDED.get(sheet)
    if found is None:
        area = mapped_area(sheet.graph, sheet.layer(CLASSES[ROAD]))
        ends = tuple(road_ends(loose_tips(sheet.graph), area))
        places = np.array([end.pose[:2] for end in ends]).reshape(-1, 2)
        found = _RECORDED[sheet] = _Recorded(ends, places, area, blind_lanes(sheet.graph, ends))
    return found


def blind_lanes(graph: LaneGraph, ends: Sequence[RoadEnd]) -> frozenset[int]:
    """Ids of the lanes from which every way ends at none of some road ends: drives to buildings, and what leads there
    only."""
    led_on = [tip.lane for end in ends for tip in end.tips if tip.leads_out]
    goes_on = np.isin(graph.ids, led_on)
    source = np.repeat(np.arange(len(graph)), np.diff(graph.successor_offsets))
    alive = np.ones(len(graph), bool)
    while True:  # whoever can go on forever is left
        further = goes_on | (np.bincount(source, alive[graph.successors], len(graph)) > 0)
        if (further & alive == alive).all():
            return frozenset(graph.ids[~alive].tolist())
        alive &= further


def _nearest_end(recorded: _Recorded, pieces: Sequence[Piece], xy: NDArray[np.float64]) -> RoadEnd | None:
    """The nearest road end in reach that has not been led on."""
    done = {piece.key for piece in pieces}
    near = np.flatnonzero(np.hypot(*(recorded.places - xy).T) < _REACH)
    ends = [recorded.ends[row] for row in near] + [piece.end for piece in pieces]
    ends = [end for end in ends if end.key not in done and _distance(end, xy) < _REACH]
    return min(ends, key=lambda end: (_distance(end, xy), end.key), default=None)


def _distance(end: RoadEnd, xy: NDArray[np.float64]) -> float:
    return float(np.hypot(*(end.pose[:2] - xy)))
