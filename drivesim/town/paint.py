"""Draws the map layers into a raster of paint classes, seen from above."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from drivesim.scene import HdMap, LaneGraph
from drivesim.town import semantics

GRASS, ROAD, WALKWAY, KERB, CARPARK, WHITE, YELLOW, BLOCK, CROSSING, ZEBRA = range(10)
# Colour (RGB, 0-255) and semantic class of every paint.
PALETTE = np.array(
    [[104, 138, 72], [98, 99, 103], [172, 167, 158], [202, 200, 195], [122, 121, 120], [232, 232, 228], [218, 172, 48],
     [206, 104, 58], [98, 99, 103], [232, 232, 228]], np.uint8
)  # fmt: skip
SEMANTIC_OF_PAINT = np.array(
    [semantics.GRASS, semantics.ROAD, semantics.WALKWAY, semantics.WALKWAY, semantics.CARPARK, semantics.MARKING,
     semantics.MARKING, semantics.MARKING, semantics.CROSSING, semantics.CROSSING], np.uint8
)  # fmt: skip
WET_OF_PAINT = np.array([0.0, 1.0, 0.5, 0.5, 1.0, 0.8, 0.8, 0.8, 1.0, 0.8], np.float32)  # how much rain darkens and mirrors

SHIFT = 4  # fractional bits of coordinates given to OpenCV
STRIPE = 0.55  # width of zebra stripes and of the gaps between them [m]
DASH, DASH_PERIOD = 3.0, 7.0  # lane dividers [m]
LINE_WIDTH = 0.2  # [m]
BAY_ALONG, BAY_ACROSS = 6.0, 2.7  # length of parking bays along the kerb, width of bays across it [m]
BAY_DEPTH = 5.0  # [m]


class Canvas:
    """Raster of paint classes over (xmin, ymin, xmax, ymax) [m]; row i, column j covers y0 + i*r .. , x0 + j*r .. ."""

    def __init__(self, bounds: tuple[float, float, float, float], resolution: float) -> None:
        self.origin = np.array(bounds[:2], np.float64)
        self.resolution = resolution
        width, height = np.ceil((np.array(bounds[2:]) - self.origin) / resolution).astype(int)
        self.pixels: NDArray[np.uint8] = np.zeros((height, width), np.uint8)

    def to_pixels(self, xy: NDArray[np.float64]) -> NDArray[np.int32]:
        """Points [..., 2] [m] as fixed-point pixel coordinates; pixel centres are integers for OpenCV."""
        scaled = (xy - self.origin) * ((1 << SHIFT) / self.resolution) - (1 << (SHIFT - 1))
        return np.rint(scaled).astype(np.int32)

    def fill(self, geometries: Iterable[shapely.Geometry], paint: int) -> None:
        """Fill polygons, holes left out."""
        for polygon in polygons_of(geometries):
            rings = [self.to_pixels(shapely.get_coordinates(ring)) for ring in (polygon.exterior, *polygon.interiors)]
            cv2.fillPoly(self.pixels, rings, paint, cv2.LINE_8, SHIFT)

    def outline(self, geometries: Iterable[shapely.Geometry], paint: int, width: float) -> None:
        """Draw the outer rings of polygons, width [m]."""
        rings = [self.to_pixels(shapely.get_coordinates(polygon.exterior)) for polygon in polygons_of(geometries)]
        self._lines(rings, paint, width)

    def lines(self, points: Iterable[NDArray[np.float64]], paint: int, width: float) -> None:
        """Draw open polylines, each [K, 2] [m], width [m]."""
        self._lines([self.to_pixels(line) for line in points], paint, width, closed=False)

    def quads(self, corners: NDArray[np.float64], paint: int) -> None:
        """Fill convex quadrilaterals [Q, 4, 2] [m]."""
        for quad in self.to_pixels(corners):
            cv2.fillConvexPoly(self.pixels, quad, paint, cv2.LINE_8, SHIFT)

    def _lines(self, points: list[NDArray[np.int32]], paint: int, width: float, closed: bool = True) -> None:
        thickness = max(1, round(width / self.resolution))
        cv2.polylines(self.pixels, points, closed, paint, thickness, cv2.LINE_8, SHIFT)


def paint_map(hd_map: HdMap, resolution: float) -> NDArray[np.uint8]:
    """Raster [H, W] of paint classes over the bounds of the map, resolution [m/px]."""
    canvas = Canvas(hd_map.bounds, resolution)
    layers = hd_map.layers
    canvas.fill(layers["walkway"], WALKWAY)
    canvas.outline(layers["walkway"], KERB, 0.4)
    canvas.fill(layers["drivable_area"], ROAD)
    canvas.fill(layers["carpark_area"], CARPARK)
    for polygon in polygons_of(layers["carpark_area"]):
        canvas.lines(parking_bays(polygon), WHITE, LINE_WIDTH)
    canvas.lines(dashes(layers["lane_divider"]), WHITE, LINE_WIDTH)
    solid = [shapely.get_coordinates(line) for line in shapely.get_parts(list(layers["road_divider"]))]
    canvas.lines(solid, YELLOW, 0.5)
    canvas.lines(solid, ROAD, 0.1)
    _paint_crossings(canvas, layers["ped_crossing"], hd_map.lane_graph)
    canvas.fill(layers["stop_line"], WHITE)
    for polygon in polygons_of(layers["road_block"]):
        canvas.fill([polygon], BLOCK)
        canvas.quads(stripes(polygon, None, 1.0), WHITE)
    return canvas.pixels


def polygons_of(geometries: Iterable[shapely.Geometry]) -> list[shapely.Polygon]:
    """The non-empty polygons of possibly multi-part geometries."""
    parts = shapely.get_parts(list(geometries))
    return [part for part in parts if isinstance(part, shapely.Polygon) and not part.is_empty]


def rectangle_axes(polygon: shapely.Polygon) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Corner [2] of the smallest rectangle around a polygon and its long and short side as vectors [2] [m]."""
    points = shapely.get_coordinates(polygon)
    corners = points[0] + cv2.boxPoints(cv2.minAreaRect((points - points[0]).astype(np.float32)))
    first, second = corners[1] - corners[0], corners[3] - corners[0]
    if np.hypot(*first) < np.hypot(*second):
        first, second = second, first
    return corners[0], first, second


def stripes(polygon: shapely.Polygon, heading: float | None, width: float) -> NDArray[np.float64]:
    """Stripes [Q, 4, 2] over the smallest rectangle around a polygon, parallel to `heading` [rad] as well as its sides
    allow (to the short side where it is None), gaps as wide as the stripes."""
    corner, along, across = rectangle_axes(polygon)
    if heading is not None:
        direction = np.array([np.cos(heading), np.sin(heading)])
        if abs(along @ direction) / np.hypot(*along) > abs(across @ direction) / max(np.hypot(*across), 1e-9):
            along, across = across, along
    count = max(1, int(np.hypot(*along) / (2.0 * width)))
    start = (np.arange(count) + 0.25) / count
    sides = start[:, None] + np.array([0.0, 0.5, 0.5, 0.0]) / count
    ends = np.array([0.0, 0.0, 1.0, 1.0])
    return corner + sides[..., None] * along + ends[None, :, None] * across


def dashes(lines: Iterable[shapely.Geometry]) -> NDArray[np.float64]:
    """Dashes [D, 3, 2] (start, middle, end) along lines."""
    parts = shapely.get_parts(list(lines))
    if len(parts) == 0:
        return np.zeros((0, 3, 2))
    counts = np.maximum(1, ((shapely.length(parts) + DASH_PERIOD - DASH) / DASH_PERIOD).astype(int))
    rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    distance = rank[:, None] * DASH_PERIOD + np.array([0.0, 0.5, 1.0]) * DASH
    points = shapely.line_interpolate_point(np.repeat(parts, counts)[:, None], distance)
    return shapely.get_coordinates(points).reshape(-1, 3, 2)


def parking_bays(polygon: shapely.Polygon) -> list[NDArray[np.float64]]:
    """Lines between parking bays: across a narrow strip, or rows of bays along both long sides of a wide one."""
    corner, along, across = rectangle_axes(polygon)
    length, depth = float(np.hypot(*along)), float(np.hypot(*across))
    pitch = BAY_ALONG if depth < 3.5 else BAY_ACROSS
    reach = 1.0 if depth < 2.0 * BAY_DEPTH else BAY_DEPTH / depth
    starts = [corner] if reach == 1.0 else [corner, corner + (1.0 - reach) * across]
    fractions = np.linspace(0.0, 1.0, max(1, int(length / pitch)) + 1)
    return [np.stack([start + f * along, start + f * along + reach * across]) for start in starts for f in fractions]


def _paint_crossings(canvas: Canvas, crossings: Iterable[shapely.Geometry], lanes: LaneGraph) -> None:
    """Zebra stripes in the direction of the nearest lane."""
    polygons = polygons_of(crossings)
    if not polygons:
        return
    headings: list[float | None] = [None] * len(polygons)
    if len(lanes.points):
        centres = shapely.get_coordinates(shapely.centroid(polygons))
        headings = list(lanes.points[cKDTree(lanes.points[:, :2]).query(centres)[1], 2])
    for polygon, heading in zip(polygons, headings, strict=True):
        canvas.fill([polygon], CROSSING)
        canvas.quads(stripes(polygon, heading, STRIPE), ZEBRA)
