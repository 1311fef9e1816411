"""Map classes as one raster of bits: cheap answers to "what is the ground here?"."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.scene import LINE_CLASSES, MAP_CLASSES, HdMap

RESOLUTION = 0.25  # [m]
LINE_WIDTH = 0.3  # [m] of dividers
ROAD_CLASSES = ("drivable_area", "carpark_area")
_SHIFT = 8  # fractional bits of cv2's coordinates

Outline = Sequence[NDArray[np.float64]]  # rings [K, 2] [m] of a polygon, holes last, or the points of one line


def class_bits(*names: str) -> int:
    """Mask in which the bits of the named map classes are set."""
    return sum(1 << MAP_CLASSES.index(name) for name in names)


ROAD_BITS = class_bits(*ROAD_CLASSES)


@compiled
def any_bits(
    bits: NDArray[np.uint8], x0: float, y0: float, per_metre: float, mask: int, places: list[tuple[float, float]]
) -> list[bool]:
    """Whether some bit of a mask is set in the cells of a raster [H, W] under places (x, y) [m]."""
    height, width = bits.shape
    cells = [(math.floor((y - y0) * per_metre), math.floor((x - x0) * per_metre)) for x, y in places]
    return [0 <= row < height and 0 <= column < width and bits.item(row, column) & mask != 0 for row, column in cells]


@dataclass(frozen=True, eq=False)
class MapRaster:
    """Bit k of `bits` [H, W] is class k of MAP_CLASSES; cell (row, column) covers `resolution` [m] from
    origin + (column, row) * resolution on."""

    bits: NDArray[np.uint8]
    origin: NDArray[np.float64]  # [2] lower corner (x, y) [m]
    resolution: float  # [m]

    def bits_at(self, points: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Bits [...] under global points [..., 2]; 0 outside the map."""
        (height, width), per_metre = self.bits.shape, 1.0 / self.resolution
        column = np.floor((points[..., 0] - self.origin[0]) * per_metre).astype(np.int64)
        row = np.floor((points[..., 1] - self.origin[1]) * per_metre).astype(np.int64)
        # A negative number is a very large one without sign.
        inside = (column.view(np.uint64) < width) & (row.view(np.uint64) < height)
        row *= width
        row += column
        row *= inside
        return self.bits.reshape(-1).take(row) * inside

    def are_on_road(self, places: Sequence[tuple[float, float]]) -> list[bool]:
        """`on_road` for a few places (x, y) [m], in plain numbers, which are quicker then."""
        x0, y0 = self.origin.tolist()
        return any_bits(self.bits, x0, y0, 1.0 / self.resolution, ROAD_BITS, list(places))

    def on_road(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether global points [..., 2] lie on drivable or parking area."""
        return (self.bits_at(points) & ROAD_BITS) != 0


_RASTERS: weakref.WeakKeyDictionary[HdMap, MapRaster] = weakref.WeakKeyDictionary()
_MAKERS: weakref.WeakKeyDictionary[HdMap, Callable[[], MapRaster]] = weakref.WeakKeyDictionary()


def map_raster(hd_map: HdMap) -> MapRaster:
    """Raster of a map's bounds; drawn once per map object."""
    raster = _RASTERS.get(hd_map)
    if raster is None:
        make = _MAKERS.pop(hd_map, None) or (lambda: _draw(hd_map))
        raster = _RASTERS[hd_map] = make()
    return raster


def draw_by(hd_map: HdMap, make: Callable[[], MapRaster]) -> None:
    """Lets the raster of a map, when it is first asked for, be drawn by whoever made the map and knows a quicker way.

    `make` must not hold the map.
    """
    _MAKERS[hd_map] = make


def empty_raster(bounds: tuple[float, float, float, float]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Origin (x, y) [m] and number of rows and columns of the raster of a region."""
    origin = np.array(bounds[:2], np.float64)
    width, height = np.ceil((np.array(bounds[2:]) - origin) / RESOLUTION).astype(int).tolist()
    return origin, (height, width)


def _draw(hd_map: HdMap) -> MapRaster:
    origin, shape = empty_raster(hd_map.bounds)
    layers = {name: outlines_of(hd_map.layers[name], name in LINE_CLASSES) for name in MAP_CLASSES}
    return MapRaster(draw_bits(layers, origin, shape), origin, RESOLUTION)


def draw_bits(
    layers: Mapping[str, Sequence[Outline]], origin: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Bits [H, W] of outlines by map class in the cells from `origin` (x, y) [m] on."""
    bits, layer = np.zeros(shape, np.uint8), np.empty(shape, np.uint8)
    thickness = max(1, round(LINE_WIDTH / RESOLUTION))
    for index, name in enumerate(MAP_CLASSES):
        if not layers[name]:
            continue
        layer.fill(0)
        curves, bit = iter(_pixels(layers[name], origin)), (1 << index,)
        if name in LINE_CLASSES:
            cv2.polylines(layer, list(curves), False, bit, thickness, cv2.LINE_8, _SHIFT)
        else:
            for outline in layers[name]:
                cv2.fillPoly(layer, list(islice(curves, len(outline))), bit, cv2.LINE_8, _SHIFT)
        cv2.bitwise_or(bits, layer, dst=bits)
    return bits


def _pixels(outlines: Sequence[Outline], origin: NDArray[np.float64]) -> list[NDArray[np.int32]]:
    """Fixed-point pixel positions [K, 2] of all curves of some outlines; integers are cell centres to cv2."""
    curves = [curve for outline in outlines for curve in outline]
    xy = np.concatenate(curves)
    scaled = np.rint((xy - origin) * ((1 << _SHIFT) / RESOLUTION) - (1 << (_SHIFT - 1))).astype(np.int32)
    ends = list(accumulate(map(len, curves)))
    return [scaled[begin:end] for begin, end in zip([0, *ends], ends)]


def outlines_of(shapes: Sequence[shapely.Geometry], are_lines: bool = False) -> list[list[NDArray[np.float64]]]:
    """Rings of every polygon, holes after the outer one, or the points of every line; without what is empty."""
    curves: NDArray = shapely.get_parts(list(shapes))
    owner = np.arange(len(curves))
    if not are_lines:
        curves, owner = shapely.get_rings(curves, return_index=True)
    xy, curve_of = shapely.get_coordinates(curves, return_index=True)
    kept, first = np.unique(curve_of, return_index=True)
    outlines: list[list[NDArray[np.float64]]] = []
    last = -1
    for shape, points in zip(owner[kept].tolist(), np.split(xy, first[1:]) if len(kept) else ()):
        if shape != last:
            outlines.append([])
        outlines[-1].append(points)
        last = shape
    return outlines
