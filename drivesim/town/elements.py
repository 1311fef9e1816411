"""Pieces of town (a road, a junction, a block) and how they are assembled into one map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import RESOLUTION, MapRaster, Outline, draw_by, empty_raster
from drivesim.scene import MAP_CLASSES, HdMap, Statics, Tracks
from drivesim.town.lanes import Lane, LaneTable, conflicts_of, lane_graph, lane_table, lines_of
from drivesim.town.layers import LaterLayers, Patch, draw_patch, put_together
from drivesim.town.parked import PARKED_COLUMNS
from drivesim.traffic.conflicts import Conflicts, joined
from drivesim.traffic.obstacles import first_obstacles
from drivesim.traffic.tables import LaneMarks, mark_by

# Columns of the tables in which elements keep what stands on them; those of parked objects are in `parked`.
BUILDING_COLUMNS = 13  # 4 corners x, y; height; red, green, blue; style
TREE_COLUMNS = 8  # x, y; trunk height, crown radius, crown height; red, green, blue
POLE_COLUMNS = 5  # x, y; height; yaw; kind


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
    closed: bool = False  # whether something stands on its lanes
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
        return lane_table(self.lanes)

    @cached_property
    def conflicts(self) -> Conflicts:
        """Where the lanes are too close to each other; those of other elements never are."""
        return conflicts_of(self.lane_table)

    @cached_property
    def blocked(self) -> NDArray[np.float64]:
        """Share [L] of the lanes before the first obstacle, inf without. Nothing of another element reaches them."""
        if not self.closed:
            return np.full(len(self.lanes), np.inf)
        return first_obstacles(lines_of(self.lane_table), parked_tracks([self]))

    @cached_property
    def patch(self) -> Patch | None:
        """The part of a map's raster that the element fills; None where it has no layers."""
        return draw_patch(self.layers)

    def finish(self) -> None:
        """Makes what maps are put together from, so that who makes one need not wait for it."""
        _ = self.lane_table, self.blocked, self.patch


def hd_map(elements: Sequence[Element], bounds: tuple[float, float, float, float]) -> HdMap:
    """Map of all elements. Its raster and what its lanes are marked with are put together from theirs, which serve
    neighbouring windows, too."""
    outlines = {name: [shape for element in elements for shape in element.layers[name]] for name in MAP_CLASSES}
    graph = lane_graph([element.lane_table for element in elements])
    made = HdMap(LaterLayers(outlines), graph, bounds)
    draw_by(made, lambda: _raster(elements, bounds))
    mark_by(made, lambda ranked: _lane_marks(elements, graph.ids, ranked))
    return made


def _lane_marks(elements: Sequence[Element], lane_ids: NDArray[np.int64], ranked: NDArray[np.bool_]) -> LaneMarks:
    """Marks of all lanes [L] in the order of their ids; conflicts of those elements that have ranked lanes [L]."""
    blocked, found = np.empty(len(lane_ids)), []
    for element in elements:
        if element.lanes:
            rows = lane_ids.searchsorted(element.lane_table.links[:, 0])
            blocked[rows] = element.blocked
            if ranked[rows].any():
                found.append(element.conflicts.of_lanes(rows))
    return LaneMarks(joined(found), blocked)


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
