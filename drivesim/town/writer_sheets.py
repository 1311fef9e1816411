"""What a drive saw of its town's map, and where on the nuScenes map sheets it is laid.

The official `NuScenesMap` knows four location names and the canvas sizes that go with them. Every drive gets a
rectangle on one of these canvases: the ground within `MARGIN` of its path.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.scene import LINE_CLASSES, MAP_CLASSES, HdMap, LaneGraph

# Largest canvas (width, height) [m] and name of the mask file per location, as the devkit has them.
SHEETS = {
    "singapore-onenorth": ((1585.6, 2025.0), "53992ee3023e5494b90c316c183be829"),
    "boston-seaport": ((2979.5, 2118.1), "36092f0b03a857c6a3403e25b4b7aab3"),
    "singapore-hollandvillage": ((2808.3, 2922.9), "37819e65e09e5547b8a3ceaefba56bb2"),
    "singapore-queenstown": ((3228.6, 3687.1), "93406b464a165eaba6d9de76ca09f5da"),
}
MARGIN = 150.0  # [m] of map around the path of a drive; windows of town maps and of the reader reach no further
GAP = 50.0  # [m] of empty ground between drives

Bounds = tuple[float, float, float, float]


@dataclass
class SeenLane:
    """One lane in the coordinates of its town."""

    line: NDArray[np.float64]  # [K, 3] x, y [m], heading [rad]
    width: float  # [m]
    speed_limit: float  # [m/s], NaN where unknown
    priority: int
    connector: bool
    successors: set[int]  # ids


@dataclass
class SeenMap:
    """All map elements that a drive came across, each once, in the coordinates of its town."""

    name: str
    layers: dict[str, dict[bytes, shapely.Geometry]] = field(default_factory=lambda: {name: {} for name in MAP_CLASSES})
    lanes: dict[int, SeenLane] = field(default_factory=dict)
    _windows: list[HdMap] = field(default_factory=list)

    def add(self, hd_map: HdMap) -> None:
        """Take in the elements of one map window."""
        if any(hd_map is window for window in self._windows):
            return
        self._windows.append(hd_map)
        for name in MAP_CLASSES:
            parts = shapely.get_parts(np.array(hd_map.layers[name], dtype=object))
            self.layers[name].update(zip(shapely.to_wkb(parts), parts))
        self._add_lanes(hd_map.lane_graph)

    def _add_lanes(self, graph: LaneGraph) -> None:
        for row, number in enumerate(graph.ids.tolist()):
            following = set(graph.ids[graph.successors_of(row)].tolist())
            if number in self.lanes:
                self.lanes[number].successors |= following
            else:
                self.lanes[number] = SeenLane(
                    line=graph.centre_line(row),
                    width=float(graph.width[row]),
                    speed_limit=float(graph.speed_limit[row]),
                    priority=int(graph.priority[row]),
                    connector=bool(graph.in_junction[row]),
                    successors=following,
                )

    def cropped(self, bounds: Bounds) -> CroppedMap:
        """The part inside a rectangle: shapes clipped, lanes cut off where they leave it."""
        area = shapely.box(*bounds)
        layers = {}
        for name, shapes in self.layers.items():
            clipped = shapely.intersection(np.array(list(shapes.values()), dtype=object), area)
            parts = shapely.get_parts(shapely.get_parts(clipped))
            wanted = 1 if name in LINE_CLASSES else 3
            layers[name] = list(parts[(shapely.get_type_id(parts) == wanted) & ~shapely.is_empty(parts)])
        lanes = {number: cut for number, lane in self.lanes.items() if (cut := _cut_lane(lane, bounds))}
        for lane in lanes.values():
            lane.successors &= lanes.keys()
        return CroppedMap(self.name, bounds, layers, lanes)


@dataclass(frozen=True)
class CroppedMap:
    """Map elements within a rectangle, in the coordinates of their town."""

    name: str
    bounds: Bounds
    layers: dict[str, list[shapely.Geometry]]
    lanes: dict[int, SeenLane]


def _cut_lane(lane: SeenLane, bounds: Bounds) -> SeenLane | None:
    """The first stretch of a lane inside a rectangle; None if it has none. A lane that leaves has no successors."""
    x0, y0, x1, y1 = bounds
    x, y = lane.line[:, 0], lane.line[:, 1]
    inside = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
    if len(inside) < 2:
        return None
    run = inside[: int(np.argmax(np.append(np.diff(inside) > 1, True))) + 1]
    if len(run) < 2:
        return None
    following = set(lane.successors) if run[-1] == len(lane.line) - 1 else set()
    return replace(lane, line=lane.line[run[0] : run[-1] + 1], successors=following)


def bounds_around(path: NDArray[np.float64]) -> Bounds:
    """Rectangle [m] that reaches `MARGIN` beyond all points [N, 2] of a path, on whole metres."""
    low, high = np.floor(path.min(axis=0) - MARGIN), np.ceil(path.max(axis=0) + MARGIN)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@dataclass(frozen=True)
class Place:
    """Where a drive lies: its sheet and what to add to its coordinates [m]; whole metres, so that little is rounded."""

    location: str
    offset: tuple[float, float]


def lay_out(rectangles: Sequence[Bounds]) -> list[Place]:
    """Places of rectangles, in rows on one sheet after the other; ValueError if they do not all fit."""
    places: list[Place] = []
    sheets = iter(SHEETS.items())
    location, ((width, height), _) = next(sheets)
    x = y = row = 0.0
    for x0, y0, x1, y1 in rectangles:
        across, up = x1 - x0 + GAP, y1 - y0 + GAP
        if x + across > width:
            x, y, row = 0.0, y + row, 0.0
        while across > width or y + up > height:
            location, ((width, height), _) = next(sheets, ("", ((math.inf, math.inf), "")))
            if not location:
                raise ValueError(f"drives: found {len(rectangles)}, of which {len(places)} fit on the four map sheets; "
                                 "accepted fewer or shorter drives, or several data sets")  # fmt: skip
            x = y = row = 0.0
        places.append(Place(location, (x + 0.5 * GAP - x0, y + 0.5 * GAP - y0)))
        x, row = x + across, max(row, up)
    return places
