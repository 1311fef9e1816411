"""Map classes as one raster of bits: cheap answers to "what is the ground here?"."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.scene import LINE_CLASSES, MAP_CLASSES, HdMap

RESOLUTION = 0.25  # [m]
LINE_WIDTH = 0.3  # [m] of dividers
ROAD_CLASSES = ("drivable_area", "carpark_area")
_SHIFT = 8  # fractional bits of cv2's coordinates


def class_bits(*names: str) -> int:
    """Mask in which the bits of the named map classes are set."""
    return sum(1 << MAP_CLASSES.index(name) for name in names)


ROAD_BITS = class_bits(*ROAD_CLASSES)


@dataclass(frozen=True, eq=False)
class MapRaster:
    """Bit k of `bits` [H, W] is class k of MAP_CLASSES; cell (row, column) covers `resolution` [m] from
    origin + (column, row) * resolution on."""

    bits: NDArray[np.uint8]
    origin: NDArray[np.float64]  # [2] lower corner (x, y) [m]
    resolution: float  # [m]

    def bits_at(self, points: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Bits [...] under global points [..., 2]; 0 outside the map."""
        cell = np.floor((points - self.origin) * (1.0 / self.resolution)).astype(np.int64)
        column, row = cell[..., 0], cell[..., 1]
        height, width = self.bits.shape
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        return self.bits.reshape(-1).take(np.where(inside, row * width + column, 0)) * inside

    def are_on_road(self, places: Sequence[tuple[float, float]]) -> list[bool]:
        """`on_road` for a few places (x, y) [m], in plain numbers, which are quicker then."""
        (x0, y0), per_metre, (height, width) = self.origin.tolist(), 1.0 / self.resolution, self.bits.shape
        cells = [(math.floor((y - y0) * per_metre), math.floor((x - x0) * per_metre)) for x, y in places]
        return [
            0 <= row < height and 0 <= column < width and self.bits.item(row, column) & ROAD_BITS != 0
            for row, column in cells
        ]

    def on_road(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether global points [..., 2] lie on drivable or parking area."""
        return (self.bits_at(points) & ROAD_BITS) != 0


_RASTERS: weakref.WeakKeyDictionary[HdMap, MapRaster] = weakref.WeakKeyDictionary()


def map_raster(hd_map: HdMap) -> MapRaster:
    """Raster of a map's bounds; drawn once per map object."""
    raster = _RASTERS.get(hd_map)
    if raster is None:
        raster = _RASTERS[hd_map] = _draw(hd_map)
    return raster


def _draw(hd_map: HdMap) -> MapRaster:
    origin = np.array(hd_map.bounds[:2], np.float64)
    width, height = np.ceil((np.array(hd_map.bounds[2:]) - origin) / RESOLUTION).astype(int).tolist()
    bits = np.zeros((height, width), np.uint8)
    layer = np.zeros((height, width), np.uint8)
    thickness = max(1, round(LINE_WIDTH / RESOLUTION))
    for index, name in enumerate(MAP_CLASSES):
        if not hd_map.layers[name]:
            continue
        layer.fill(0)
        bit = (1 << index,)
        if name in LINE_CLASSES:
            lines, _ = _rings(shapely.get_parts(list(hd_map.layers[name])), origin)
            cv2.polylines(layer, lines, False, bit, thickness, cv2.LINE_8, _SHIFT)
        else:
            for rings in _polygons(hd_map.layers[name], origin):
                cv2.fillPoly(layer, rings, bit, cv2.LINE_8, _SHIFT)
        cv2.bitwise_or(bits, layer, dst=bits)
    return MapRaster(bits, origin, RESOLUTION)


def _polygons(layer: Sequence[shapely.Geometry], origin: NDArray[np.float64]) -> list[list[NDArray[np.int32]]]:
    """Pixel positions of the rings of every polygon, holes after the outline."""
    rings, owner = shapely.get_rings(shapely.get_parts(list(layer)), return_index=True)
    pixels, ring_of = _rings(rings, origin)
    first = np.flatnonzero(np.diff(owner[ring_of], prepend=-1)).tolist()
    return [pixels[begin:end] for begin, end in zip(first, [*first[1:], len(pixels)])]


def _rings(curves: NDArray, origin: NDArray[np.float64]) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
    """Fixed-point pixel positions [K, 2] of the curves that are not empty (integers are cell centres to cv2), and which
    curves they are."""
    xy, owner = shapely.get_coordinates(curves, return_index=True)
    scaled = np.rint((xy - origin) * ((1 << _SHIFT) / RESOLUTION) - (1 << (_SHIFT - 1))).astype(np.int32)
    kept, first = np.unique(owner, return_index=True)
    bounds = [*first.tolist(), len(scaled)]
    return [scaled[begin:end] for begin, end in zip(bounds, bounds[1:])], kept
