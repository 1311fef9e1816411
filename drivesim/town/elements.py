"""Pieces of town (a road, a junction, a block) and how they are assembled into one map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.scene import MAP_CLASSES, HdMap, LaneGraph, Statics, Tracks
from drivesim.town.curves import Curve

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


def _table(columns: int) -> NDArray[np.float64]:
    return np.zeros((0, columns))


@dataclass
class Element:
    """Everything one piece of town contributes. Filled once by its maker, then only read."""

    layers: dict[str, list[shapely.Geometry]] = field(default_factory=lambda: {name: [] for name in MAP_CLASSES})
    lanes: list[Lane] = field(default_factory=list)
    buildings: NDArray[np.float64] = field(default_factory=lambda: _table(BUILDING_COLUMNS))
    trees: NDArray[np.float64] = field(default_factory=lambda: _table(TREE_COLUMNS))
    poles: NDArray[np.float64] = field(default_factory=lambda: _table(POLE_COLUMNS))
    parked: NDArray[np.float64] = field(default_factory=lambda: _table(PARKED_COLUMNS))
    parked_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    outline: shapely.Geometry | None = None  # ground that belongs to the element: roadway, bays and walkways
    grow: Callable[[], tuple[NDArray[np.float64], NDArray[np.float64]]] | None = None  # makes buildings and trees

    def scenery(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Buildings and trees; those of a block are made when they are first asked for: only ray casting sees them."""
        if self.grow is not None:
            self.buildings, self.trees = self.grow()
            self.grow = None
        return self.buildings, self.trees


def area(ring: NDArray[np.float64], hole: NDArray[np.float64] | None = None) -> shapely.Polygon:
    """Polygon of a ring [K, 2] and at most one hole, on a grid of 1 um.

    Corners that neighbours share are then equal to the bit, on which unions of coverages rely.
    """
    return shapely.polygons(np.round(ring, 6), None if hole is None else [shapely.linearrings(np.round(hole, 6))])


def strip(first: NDArray[np.float64], second: NDArray[np.float64]) -> shapely.Polygon:
    """Polygon between two lines [K, 2] that run the same way."""
    return area(np.concatenate([first, second[::-1]]))


def lane_graph(elements: Sequence[Element]) -> LaneGraph:
    """Lane graph of all elements, lanes by ascending id; links to lanes that are not among them are dropped."""
    lanes = sorted((lane for element in elements for lane in element.lanes), key=lambda lane: lane.id)
    index = {lane.id: row for row, lane in enumerate(lanes)}
    successors = [[index[link] for link in lane.successors if link in index] for lane in lanes]
    return LaneGraph(
        ids=np.array([lane.id for lane in lanes], np.int64),
        points=np.concatenate([lane.curve for lane in lanes]),
        offsets=_offsets([len(lane.curve) for lane in lanes]),
        width=np.array([lane.width for lane in lanes]),
        speed_limit=np.array([lane.speed_limit for lane in lanes]),
        successors=np.array([link for links in successors for link in links], np.int64),
        successor_offsets=_offsets([len(links) for links in successors]),
        left=np.array([index.get(lane.left, -1) for lane in lanes], np.int64),
        right=np.array([index.get(lane.right, -1) for lane in lanes], np.int64),
        in_junction=np.array([lane.in_junction for lane in lanes], bool),
        priority=np.array([lane.priority for lane in lanes], np.int64),
    )


def _offsets(counts: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def hd_map(elements: Sequence[Element], bounds: tuple[float, float, float, float]) -> HdMap:
    """Map of all elements."""
    layers = {name: tuple(shape for element in elements for shape in element.layers[name]) for name in MAP_CLASSES}
    return HdMap(layers, lane_graph(elements), bounds)


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
