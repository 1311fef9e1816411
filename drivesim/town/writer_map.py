"""Map sheets in the nuScenes map-expansion format, with the mask and the base map that belong to them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

from drivesim.scene import LINE_CLASSES, MAP_CLASSES
from drivesim.town.writer_arclines import arcline_path
from drivesim.town.writer_sheets import GAP, SHEETS, CroppedMap, Place, SeenLane

MASK_RESOLUTION = 0.1  # [m/px], fixed by the devkit
EXPANSION_LAYERS = (
    "polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing", "walkway",
    "stop_line", "carpark_area", "road_divider", "lane_divider", "traffic_light", "lane_connector",
)  # fmt: skip
# Grey levels of the base map, painted in this order.
BASEMAP_LEVELS = {"walkway": 90, "drivable_area": 45, "carpark_area": 60, "ped_crossing": 170, "stop_line": 210}


def token(*parts: object) -> str:
    """Reproducible 32-digit token of a thing."""
    return hashlib.md5("/".join(str(part) for part in parts).encode()).hexdigest()


class Sheet:
    """One map sheet while it is filled: the layers of the expansion and what its masks show."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.layers: dict[str, list[dict]] = {name: [] for name in EXPANSION_LAYERS}
        self.arclines: dict[str, list[dict]] = {}
        self.connectivity: dict[str, dict[str, list[str]]] = {}
        self.shapes: dict[str, list[shapely.Geometry]] = {name: [] for name in MAP_CLASSES}
        self._tokens = 0

    def _token(self, layer: str) -> str:
        self._tokens += 1
        return token(self.location, layer, self._tokens)

    def _nodes(self, xy: NDArray[np.float64]) -> list[str]:
        tokens = [self._token("node") for _ in xy]
        self.layers["node"] += [
            {"token": name, "x": float(x), "y": float(y)} for name, (x, y) in zip(tokens, xy[:, :2])
        ]
        return tokens

    def _line(self, xy: NDArray[np.float64]) -> str:
        name = self._token("line")
        self.layers["line"].append({"token": name, "node_tokens": self._nodes(xy)})
        return name

    def _polygon(self, polygon: shapely.Polygon) -> str:
        holes = [{"node_tokens": self._nodes(shapely.get_coordinates(ring)[:-1])} for ring in polygon.interiors]
        exterior = self._nodes(shapely.get_coordinates(polygon.exterior)[:-1])
        name = self._token("polygon")
        self.layers["polygon"].append({"token": name, "exterior_node_tokens": exterior, "holes": holes})
        return name

    def add(self, town: CroppedMap, offset: tuple[float, float]) -> None:
        """Put the map of a drive on the sheet."""
        for name in MAP_CLASSES:
            for shape in town.layers[name]:
                moved = affinity.translate(shape, *offset)
                self.shapes[name].append(moved)
                self.layers[name].append(self._element(name, moved))
        names = {number: token(self.location, town.name, "lane", number) for number in town.lanes}
        self.connectivity |= {name: {"incoming": [], "outgoing": []} for name in names.values()}
        for number, lane in town.lanes.items():
            self._add_lane(names[number], lane, lane.line + (*offset, 0.0))
            for link in sorted(lane.successors):
                self.connectivity[names[number]]["outgoing"].append(names[link])
                self.connectivity[names[link]]["incoming"].append(names[number])

    def _element(self, name: str, shape: shapely.Geometry) -> dict:
        """Record of one element of the eight classes, with the fields of the official schema."""
        record: dict = {"token": self._token(name)}
        if name in LINE_CLASSES:
            record["line_token"] = self._line(shapely.get_coordinates(shape))
            if name == "road_divider":
                return record | {"road_segment_token": None}
            return record | {"lane_divider_segments": []}
        polygon = self._polygon(shape)
        if name == "drivable_area":
            return record | {"polygon_tokens": [polygon]}
        record["polygon_token"] = polygon
        if name == "ped_crossing":
            record["road_segment_token"] = ""
        if name == "road_block":
            record |= {"from_edge_line_token": None, "to_edge_line_token": None, "road_segment_token": ""}
        if name == "stop_line":
            record |= {"stop_line_type": "YIELD", "ped_crossing_tokens": [], "traffic_light_tokens": [],
                       "road_block_token": ""}  # fmt: skip
        return record

    def _add_lane(self, name: str, lane: SeenLane, line: NDArray[np.float64]) -> None:
        """One lane or connector; width, speed limit and priority are fields beyond the official schema."""
        self.arclines[name] = arcline_path(line)
        record = {"token": name, "polygon_token": self._polygon(lane_area(line, lane.width)), "width": lane.width,
                  "speed_limit": None if math.isnan(lane.speed_limit) else lane.speed_limit,
                  "priority": lane.priority}  # fmt: skip
        if lane.connector:
            self.layers["lane_connector"].append(record)
            return
        edges = [self._line(lane_edge(line[end], lane.width)) for end in (0, -1)]
        record |= {"lane_type": "CAR", "from_edge_line_token": edges[0], "to_edge_line_token": edges[1],
                   "left_lane_divider_segments": [], "right_lane_divider_segments": []}  # fmt: skip
        self.layers["lane"].append(record)

    @property
    def canvas(self) -> tuple[float, float]:
        """Used part (width, height) [m] of the sheet, from its lower left corner."""
        shapes = [shape for shapes in self.shapes.values() for shape in shapes]
        if not shapes:
            return SHEETS[self.location][0]
        _, _, x, y = shapely.total_bounds(shapes)
        return math.ceil(x + 0.5 * GAP), math.ceil(y + 0.5 * GAP)

    def write(self, root: Path) -> None:
        """Write the expansion JSON, and mask and base map if there is anything on the sheet."""
        content = self.layers | {"arcline_path_3": self.arclines, "connectivity": self.connectivity,
                                 "canvas_edge": list(self.canvas), "version": "1.3"}  # fmt: skip
        folder = root / "maps" / "expansion"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.location}.json").write_text(json.dumps(content))
        if any(self.shapes.values()):
            self._write_pictures(root / "maps")

    def _write_pictures(self, folder: Path) -> None:
        (folder / "basemap").mkdir(exist_ok=True)
        mask = self._painted({"drivable_area": 255, "walkway": 255})
        cv2.imwrite(str(folder / f"{SHEETS[self.location][1]}.png"), mask)
        base = self._painted(BASEMAP_LEVELS)
        width, height = self.canvas
        for name in LINE_CLASSES:
            lines = [_pixels(line, height) for line in self.shapes[name]]
            cv2.polylines(base, lines, False, (255,), 2, cv2.LINE_8, 4)
        cv2.imwrite(str(folder / "basemap" / f"{self.location}.png"), base)

    def _painted(self, levels: dict[str, int]) -> NDArray[np.uint8]:
        """Picture of polygon classes in grey levels, north up."""
        width, height = self.canvas
        image = np.zeros((round(height / MASK_RESOLUTION), round(width / MASK_RESOLUTION)), np.uint8)
        for name, level in levels.items():
            for polygon in self.shapes[name]:
                rings = [_pixels(ring, height) for ring in (polygon.exterior, *polygon.interiors)]
                cv2.fillPoly(image, rings, (level,), cv2.LINE_8, 4)
        return image


def _pixels(shape: shapely.Geometry, height: float) -> NDArray[np.int32]:
    """Vertices in sixteenths of a mask pixel."""
    xy = shapely.get_coordinates(shape)
    pixels = np.stack([xy[:, 0], height - xy[:, 1]], axis=-1) / MASK_RESOLUTION
    return np.round(16.0 * pixels).astype(np.int32)


def lane_edge(point: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Ends [2, 2] of the line across a lane at a pose [3], left first."""
    normal = 0.5 * width * np.array([-np.sin(point[2]), np.cos(point[2])])
    return np.stack([point[:2] + normal, point[:2] - normal])


def lane_area(line: NDArray[np.float64], width: float) -> shapely.Polygon:
    """Strip of a width [m] along a centre line [K, 3]."""
    normal = 0.5 * width * np.stack([-np.sin(line[:, 2]), np.cos(line[:, 2])], axis=-1)
    return shapely.Polygon(np.concatenate([line[:, :2] + normal, (line[:, :2] - normal)[::-1]]))


def write_sheets(root: Path, maps: Iterable[CroppedMap], places: Iterable[Place]) -> list[str]:
    """Write all sheets, empty ones as well (the devkit's prediction tools open all four); names of those in use."""
    sheets = {location: Sheet(location) for location in SHEETS}
    used: dict[str, None] = {}
    for drive, place in zip(maps, places):
        sheets[place.location].add(drive, place.offset)
        used[place.location] = None
    for sheet in sheets.values():
        sheet.write(root)
    return list(used)
