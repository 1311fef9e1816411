"""Draws the map layers into a raster of paint classes, seen from above."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.scene import LINE_CLASSES, HdMap
from drivesim.stripes import Stripes, crossing_stripes, rectangle_axes
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
WET_OF_PAINT = np.array(
    [0.0, 1.0, 0.5, 0.5, 1.0, 0.8, 0.8, 0.8, 1.0, 0.8], np.float32
)  # how much rain darkens and mirrors

SHIFT = 4  # fractional bits of coordinates given to OpenCV
DASH, DASH_PERIOD = 3.0, 7.0  # lane dividers [m]
LINE_WIDTH = 0.2  # [m]
BAY_ALONG, BAY_ACROSS = 6.0, 2.7  # length of parking bays along the kerb, width of bays across it [m]
BAY_DEPTH = 5.0  # [m]


@dataclass(frozen=True)
class Rings:
    """Polygons as nested ragged arrays."""

    points: NDArray[np.float64]  # [P, 2] [m]
    rings: NDArray[np.int64]  # [R + 1] into points
    polygons: NDArray[np.int64]  # [K + 1] into rings; the first ring of each is the outer one

    @classmethod
    def of(cls, geometries: Iterable[shapely.Geometry]) -> Rings:
        """The polygons among possibly multi-part geometries."""
        parts = shapely.get_parts(list(geometries))
        parts = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)]
        if len(parts) == 0:
            return cls(np.zeros((0, 2)), np.zeros(1, np.int64), np.zeros(1, np.int64))
        _, points, offsets = shapely.to_ragged_array(parts)
        return cls(points[:, :2], *offsets[:2])

    def outer(self) -> list[NDArray[np.float64]]:
        """Outer rings, each [K, 2]."""
        first = self.polygons[:-1]
        return [
            self.points[start:end]
            for start, end in zip(self.rings[first].tolist(), self.rings[first + 1].tolist(), strict=True)
        ]


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

    def fill(self, polygons: Rings, paint: int) -> None:
        """Fill polygons, holes left out."""
        for rings in self._pixel_rings(polygons):
            cv2.fillPoly(self.pixels, rings, (paint,), cv2.LINE_8, SHIFT)

    def outline(self, polygons: Rings, paint: int, width: float) -> None:
        """Draw the rings of polygons, width [m]."""
        for rings in self._pixel_rings(polygons):
            cv2.polylines(self.pixels, rings, True, (paint,), self._thickness(width), cv2.LINE_8, SHIFT)

    def lines(self, lines: Sequence[NDArray[np.float64]] | NDArray[np.float64], paint: int, width: float) -> None:
        """Draw open polylines, each [K, 2] [m], width [m]."""
        if len(lines):
            split = np.cumsum([len(line) for line in lines])[:-1]
            pixels = np.split(self.to_pixels(np.concatenate(list(lines))), split)
            cv2.polylines(self.pixels, pixels, False, (paint,), self._thickness(width), cv2.LINE_8, SHIFT)

    def quads(self, corners: NDArray[np.float64], paint: int) -> None:
        """Fill convex quadrilaterals [Q, 4, 2] [m]."""
        for quad in self.to_pixels(corners):
            cv2.fillConvexPoly(self.pixels, quad, (paint,), cv2.LINE_8, SHIFT)

    def _pixel_rings(self, polygons: Rings) -> Iterator[list[NDArray[np.int32]]]:
        """The rings of every polygon in pixels."""
        pixels = self.to_pixels(polygons.points)
        for first, last in zip(polygons.polygons[:-1].tolist(), polygons.polygons[1:].tolist(), strict=True):
            bounds = polygons.rings[first : last + 1].tolist()
            yield [pixels[start:end] for start, end in zip(bounds[:-1], bounds[1:], strict=True)]

    def _thickness(self, width: float) -> int:
        return max(1, round(width / self.resolution))


def paint_map(hd_map: HdMap, resolution: float) -> NDArray[np.uint8]:
    """Raster [H, W] of paint classes over the bounds of the map, resolution [m/px]."""
    canvas = Canvas(hd_map.bounds, resolution)
    layers = hd_map.layers
    polygons = {name: Rings.of(layer) for name, layer in layers.items() if name not in LINE_CLASSES}
    canvas.fill(polygons["walkway"], WALKWAY)
    canvas.outline(polygons["walkway"], KERB, 0.4)
    canvas.fill(polygons["drivable_area"], ROAD)
    canvas.fill(polygons["carpark_area"], CARPARK)
    canvas.lines([line for ring in polygons["carpark_area"].outer() for line in parking_bays(ring)], WHITE, LINE_WIDTH)
    canvas.lines(dashes(layers["lane_divider"]), WHITE, LINE_WIDTH)
    solid = [shapely.get_coordinates(line) for line in shapely.get_parts(list(layers["road_divider"]))]
    canvas.lines(solid, YELLOW, 0.5)
    canvas.lines(solid, ROAD, 0.1)
    canvas.fill(polygons["ped_crossing"], CROSSING)
    canvas.quads(crossing_stripes(hd_map).quads(), ZEBRA)
    canvas.fill(polygons["stop_line"], WHITE)
    canvas.fill(polygons["road_block"], BLOCK)
    blocks = polygons["road_block"].outer()
    canvas.quads(Stripes.over(blocks, [None] * len(blocks), 1.0).quads(), WHITE)
    return canvas.pixels


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


def parking_bays(ring: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Lines between parking bays: across a narrow strip, or rows of bays along both long sides of a wide one."""
    corner, along, across = rectangle_axes(ring)
    length, depth = float(np.hypot(*along)), float(np.hypot(*across))
    pitch = BAY_ALONG if depth < 3.5 else BAY_ACROSS
    reach = 1.0 if depth < 2.0 * BAY_DEPTH else BAY_DEPTH / depth
    starts = [corner] if reach == 1.0 else [corner, corner + (1.0 - reach) * across]
    fractions = np.linspace(0.0, 1.0, max(1, int(length / pitch)) + 1)
    return [np.stack([start + f * along, start + f * along + reach * across]) for start in starts for f in fractions]
