"""Pieces of town (a road, a junction, a block) and how they are assembled into one map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import RESOLUTION, MapRaster, Outline, draw_by, empty_raster
from drivesim.scene import MAP_CLASSES, HdMap, LaneGraph, Statics, Tracks
from drivesim.town.curves import Curve
from drivesim.town.layers import LaterLayers, Patch, draw_patch, put_together

# Columns of the tables in which elements keep what stands on them.
BUILDING_COLUMNS = 13  # 4 corners x, y; height; red, green, blue; style
TREE_COLUMNS = 8  # x, y; trunk height, crown radius, crown height; red, green, blue
POLE_COLUMNS = 5  # x, y; height; yaw; kind
PARKED_COLUMNS = 11  # class; x, y, z; width, length, height; yaw; red, green, blue


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
    """Lanes [L] of one element as arrays."""

    numbers: NDArray[np.float64]  # [L, 2] width, speed limit
    links: NDArray[np.int64]  # [L, 7] id, left, right, in_junction, priority, number of points, number of successors
    points: NDArray[np.float64]  # [P, 3] of all curves
    successors: NDArray[np.int64]  # [E] ids


def _table(columns: int) -> NDArray[np.float64]:
    return np.zeros((0, columns))


@dataclass
class Element:
    """Everything one piece of town contributes. Filled once by its maker, then only read."""

    layers: dict[str, list[Outline]] = field(default_factory=lambda: {name: [] for name in MAP_CLASSES})
    lanes: list[Lane] = field(default_factory=list)
    buildings: NDArray[np.float64] = field(default_factory=lambda: _table(BUILDING_COLUMNS))
    trees: NDArray[np.float64] = field(default_factory=lambda: _table(TREE_COLUMNS))
    poles: NDArray[np.float64] = field(default_factory=lambda: _table(POLE_COLUMNS))
    parked: NDArray[np.float64] = field(default_factory=lambda: _table(PARKED_COLUMNS))
    parked_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    outline: Outline = ()  # ground that belongs to the element: roadway, bays and walkways
    grow: Callable[[], tuple[NDArray[np.float64], NDArray[np.float64]]] | None = None  # makes buildings and trees

    def scenery(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Buildings and trees; those of a block are made when they are first asked for: only ray casting sees them."""
        if self.grow is not None:
            self.buildings, self.trees = self.grow()
            self.grow = None
        return self.buildings, self.trees

    @cached_property
    def lane_table(self) -> LaneTable:
        """The lanes as arrays."""
        lanes = self.lanes
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

    @cached_property
    def patch(self) -> Patch | None:
        """The part of a map's raster that the element fills; None where it has no layers."""
        return draw_patch(self.layers)


def lane_graph(elements: Sequence[Element]) -> LaneGraph:
    """Lane graph of all elements, lanes by ascending id; links to lanes that are not among them are dropped."""
    parts = [element.lane_table for element in elements]
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


def hd_map(elements: Sequence[Element], bounds: tuple[float, float, float, float]) -> HdMap:
    """Map of all elements. Its raster is put together from theirs, which serve neighbouring windows, too."""
    outlines = {name: [shape for element in elements for shape in element.layers[name]] for name in MAP_CLASSES}
    made = HdMap(LaterLayers(outlines), lane_graph(elements), bounds)
    draw_by(made, lambda: _raster(elements, bounds))
    return made


def _raster(elements: Sequence[Element], bounds: tuple[float, float, float, float]) -> MapRaster:
    origin, shape = empty_raster(bounds)
    patches = [element.patch for element in elements if element.patch is not None]
    return MapRaster(put_together(patches, origin, shape), origin, RESOLUTION)


def statics(elements: Sequence[Element], seed: int) -> Statics:
    """Buildings, trees and poles of all elements."""
    buildings, trees = (np.concatenate(rows) for rows in zip(*(element.scenery() for element in elements)))
    poles = np.concatenate([element.poles for element in elements])
    return Statics(
        seed=seed,
        building_footprint=buildings[:, :8].reshape(-1, 4, 2),
        building_height=buildings[:, 8],
        building_color=buildings[:, 9:12].astype(np.float32),
        building_style=buildings[:, 12].astype(np.int64),
        tree_position=trees[:, :2],
        tree_size=trees[:, 2:5],
        tree_color=trees[:, 5:8].astype(np.float32),
        pole_position=poles[:, :2],
        pole_height=poles[:, 2],
        pole_yaw=poles[:, 3],
        pole_kind=poles[:, 4].astype(np.int64),
    )


class LaterStatics(Statics):
    """Statics that are made when one of their arrays is first read; most drives never read any."""

    def __init__(self, make: Callable[[], Statics]) -> None:
        object.__setattr__(self, "_make", make)

    def __getattr__(self, name: str) -> object:
        if name not in Statics.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        made = self.__dict__["_make"]()
        self.__dict__.update({column: getattr(made, column) for column in Statics.__dataclass_fields__})
        del self.__dict__["_make"]  # and with it the pieces that it was made from
        return self.__dict__[name]

    def __reduce__(self) -> tuple[type[Statics], tuple]:
        return Statics, tuple(getattr(self, column.name) for column in fields(Statics))


def parked_tracks(elements: Sequence[Element]) -> Tracks:
    """Standing objects of all elements."""
    rows = np.concatenate([element.parked for element in elements])
    return Tracks(
        ids=np.concatenate([element.parked_ids for element in elements]),
        class_ids=rows[:, 0].astype(np.int64),
        position=rows[:, 1:4],
        size=rows[:, 4:7],
        yaw=rows[:, 7],
        velocity=np.zeros((len(rows), 2)),
        color=rows[:, 8:11].astype(np.float32),
    )
