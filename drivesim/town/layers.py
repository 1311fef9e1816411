"""Shapes on the ground of a piece of town, as coordinates. Shapely geometries are made of them when they are asked for.

An outline is the rings [K, 2] [m] of a polygon, holes after the outer one, or the points of a line as its only entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.map_raster import RESOLUTION, Outline, draw_bits
from drivesim.scene import LINE_CLASSES, MAP_CLASSES

_MARGIN = 2  # [cells] around what is drawn


def area(ring: NDArray[np.float64], hole: NDArray[np.float64] | None = None) -> Outline:
    """Polygon of a ring [K, 2] and at most one hole, on a grid of 1 um.

    Corners that neighbours share are then equal to the bit, on which unions of coverages rely.
    """
    return (ring.round(6),) if hole is None else (ring.round(6), hole.round(6))


def strip(first: NDArray[np.float64], second: NDArray[np.float64]) -> Outline:
    """Polygon between two lines [K, 2] that run the same way."""
    return area(np.concatenate([first, second[::-1]]))


def polygons(outlines: Sequence[Outline]) -> NDArray[np.object_]:
    """Shapely polygons [P] of outlines."""
    xy, ring = _flat(outlines)
    polygon = np.repeat(np.arange(len(outlines)), [len(outline) for outline in outlines])
    return shapely.polygons(shapely.linearrings(xy, indices=ring), indices=polygon)


def lines(outlines: Sequence[Outline]) -> NDArray[np.object_]:
    """Shapely lines [P] of outlines."""
    xy, line = _flat(outlines)
    return shapely.linestrings(xy, indices=line)


def _flat(outlines: Sequence[Outline]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points [K, 2] of all curves one after the other, and which curve each is of [K]."""
    curves = [curve for outline in outlines for curve in outline]
    return np.concatenate(curves), np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])


class LaterLayers(Mapping[str, tuple[shapely.Geometry, ...]]):
    """Shapely geometries by map class, made of outlines when a class is first asked for; most drives never ask."""

    def __init__(self, outlines: Mapping[str, Sequence[Outline]]) -> None:
        self._outlines = dict(outlines)
        self._made: dict[str, tuple[shapely.Geometry, ...]] = {}

    def __getitem__(self, name: str) -> tuple[shapely.Geometry, ...]:
        if name not in self._made:
            outlines = self._outlines[name]
            make = lines if name in LINE_CLASSES else polygons
            self._made[name] = tuple(make(outlines)) if outlines else ()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outlines)

    def __len__(self) -> int:
        return len(self._outlines)


Patch = tuple[int, int, NDArray[np.uint8]]  # first row and column, counted from the origin of the plane, and bits


def draw_patch(layers: Mapping[str, Sequence[Outline]]) -> Patch | None:
    """Bits of the map classes in the cells around some shapes; None without shapes. See `map_raster.MapRaster`."""
    curves = [curve for name in MAP_CLASSES for outline in layers[name] for curve in outline]
    if not curves:
        return None
    xy = np.concatenate(curves)
    low = np.floor(xy.min(axis=0) / RESOLUTION).astype(np.int64) - _MARGIN
    columns, rows = (np.ceil(xy.max(axis=0) / RESOLUTION).astype(np.int64) + _MARGIN - low).tolist()
    bits = draw_bits(layers, RESOLUTION * low, (rows, columns))
    return int(low[1]), int(low[0]), bits


def put_together(patches: Sequence[Patch], origin: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Bits of all patches in the cells [H, W] from `origin` (x, y) [m] on, which lies on a corner of a cell."""
    bits = np.zeros(shape, np.uint8)
    left, bottom = np.rint(origin / RESOLUTION).astype(np.int64).tolist()
    for row, column, patch in patches:
        row, column = row - bottom, column - left
        y0, x0 = max(row, 0), max(column, 0)
        y1, x1 = min(row + patch.shape[0], shape[0]), min(column + patch.shape[1], shape[1])
        if y0 < y1 and x0 < x1:
            bits[y0:y1, x0:x1] |= patch[y0 - row : y1 - row, x0 - column : x1 - column]
    return bits
