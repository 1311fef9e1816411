"""Where pedestrians walk: nodes along the middle of the walkways and at both ends of crossings, and their links."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from drivesim.map_raster import class_bits, map_raster
from drivesim.scene import HdMap

_LINK = 6.5  # [m] longest link between nodes
_THIN = 3.5  # [m] between nodes
_STRIP = 0.45  # [m] to both sides of a link that must be walkway, too
_GROUND = ("walkway", "drivable_area", "carpark_area")
_REACH, _RIM = (
    120.0,
    70.0,
)  # [m] least half side of the part of a map with walkers, and its largest distance to the edge
_BEYOND = 0.6  # [m] from the kerb to the end node of a crossing
_DEEP = 1.2  # [half cells] to the edge of the walkway
# By the bits of a cell: whether it is walkway and nothing to drive on.
_IS_WALKWAY = (np.arange(256) & class_bits("walkway", "drivable_area") == class_bits("walkway")).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class WalkingGraph:
    """Undirected graph of V nodes in CSR form. Links between the two ends of a crossing are marked."""

    nodes: NDArray[np.complex128]  # [V] x + iy
    neighbours: NDArray[np.int64]  # [E]
    offsets: NDArray[np.int64]  # [V + 1]
    crossing: NDArray[np.bool_]  # [E]

    @cached_property
    def linked(self) -> NDArray[np.bool_]:
        """Nodes [V] that have neighbours."""
        return self.offsets[1:] > self.offsets[:-1]

    def nearest(self, place: complex) -> int:
        """Index of the node nearest to a place."""
        offset = self.nodes - place
        return int((offset.real**2 + offset.imag**2).argmin())

    def links_of(self, node: int) -> tuple[list[complex], list[bool]]:
        """Places of the neighbours of a node and which of them lie across a road, in plain numbers: they are few."""
        rows = slice(*self.offsets[node : node + 2].tolist())
        return self.nodes.take(self.neighbours[rows]).tolist(), self.crossing[rows].tolist()


_GRAPHS: weakref.WeakKeyDictionary[HdMap, WalkingGraph] = weakref.WeakKeyDictionary()


def walking_graph(hd_map: HdMap) -> WalkingGraph:
    """Graph of the walkways and crossings of a map; computed once per object."""
    graph = _GRAPHS.get(hd_map)
    if graph is None:
        graph = _GRAPHS[hd_map] = _build(hd_map)
    return graph


def _build(hd_map: HdMap) -> WalkingGraph:
    walkway = _walkway_nodes(hd_map)
    ends = _crossing_ends(hd_map)
    nodes = np.concatenate([walkway, ends])
    along = _links(hd_map, nodes)
    across = np.arange(len(walkway), len(nodes)).reshape(-1, 2)
    return _graph(nodes, along, across)


def place_tree(places: NDArray[np.complex128]) -> cKDTree:
    """Tree of places, quick to make: it serves one search."""
    return cKDTree(np.column_stack([places.real, places.imag]), balanced_tree=False, compact_nodes=False)


def _rim(bounds: tuple[float, float, float, float]) -> float:
    """Width [m] of the rim of a map on which nobody walks: it is too far from the ego, if the map is large."""
    x0, y0, x1, y1 = bounds
    return min(max(0.5 * min(x1 - x0, y1 - y0) - _REACH, 0.0), _RIM)


def _walkway_nodes(hd_map: HdMap) -> NDArray[np.complex128]:
    """Points [V] along the ridge of the walkways, thinned."""
    raster = map_raster(hd_map)
    rim = 2 * int(_rim(hd_map.bounds) / (2.0 * raster.resolution))
    height, width = (size // 2 * 2 - rim for size in raster.bits.shape)
    half = cv2.LUT(np.ascontiguousarray(raster.bits[rim:height:2, rim:width:2]), _IS_WALKWAY)
    if not half.any():
        return np.zeros(0, np.complex128)
    row, column = _ridge(cv2.distanceTransform(half, cv2.DIST_L2, 3))
    x, y = (raster.origin[axis] + raster.resolution * (rim + 2 * cell + 1) for axis, cell in enumerate((column, row)))
    _, first = np.unique(
        np.floor(x / _THIN).astype(np.int64) * (1 << 24) + np.floor(y / _THIN).astype(np.int64), return_index=True
    )
    return x[first] + 1j * y[first]


def _ridge(depth: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of those cells [H, W] that no neighbour is clearly deeper than."""
    deepest_around = cv2.dilate(depth, np.ones((3, 3), np.uint8)).reshape(-1)
    flat = depth.reshape(-1)
    cells = np.flatnonzero(flat > _DEEP)
    cells = cells[flat.take(cells) >= deepest_around.take(cells) - np.float32(0.3)]
    return np.divmod(cells, depth.shape[1])


def _crossing_ends(hd_map: HdMap) -> NDArray[np.complex128]:
    """Both ends [2 Z] of the Z crossings, just beyond the kerbs."""
    shapes = shapely.get_parts(list(hd_map.layers["ped_crossing"]))
    x0, y0, x1, y1 = hd_map.bounds
    rim, bounds = _rim(hd_map.bounds), shapely.bounds(shapes)
    inside = (bounds[:, :2] >= (x0 + rim, y0 + rim)).all(axis=1) & (bounds[:, 2:] <= (x1 - rim, y1 - rim)).all(axis=1)
    xy, owner = shapely.get_coordinates(shapes[inside], return_index=True)
    outlines, counts = xy[:, 0] + 1j * xy[:, 1], np.bincount(owner)
    ends = np.empty((len(counts), 2), np.complex128)
    for count in np.unique(counts).tolist():
        chosen = np.flatnonzero(counts == count)
        ends[chosen] = _across(outlines[(counts == count).repeat(counts)].reshape(-1, count))
    return ends.reshape(-1)


def _across(outlines: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Ends [Z, 2] of crossings [Z, K]: beyond the short sides of the smallest rectangle around each."""
    sides = np.diff(outlines)
    lengths = np.abs(sides)
    axes = sides / np.maximum(lengths, 1e-9)
    turned = outlines[:, None] * axes[:, :, None].conj()  # [Z, K - 1, K]
    low, high = _corner(turned, np.min), _corner(turned, np.max)
    extent = high - low
    best = np.where(lengths > 1e-3, extent.real * extent.imag, np.inf).argmin(axis=1)[:, None]
    low, high, axis = (np.take_along_axis(values, best, 1)[:, 0] for values in (low, high, axes))
    along, across = (high - low).real, (high - low).imag
    longest = np.where(along >= across, along, 1j * across)
    half = longest * (0.5 + _BEYOND / np.abs(longest))
    middle = 0.5 * (high + low)
    return axis[:, None] * np.stack([middle - half, middle + half], axis=1)


def _corner(places: NDArray[np.complex128], reduce: Callable) -> NDArray[np.complex128]:
    """Least or largest x and y [...] of places [..., K]."""
    return reduce(places.real, axis=-1) + 1j * reduce(places.imag, axis=-1)


def _links(hd_map: HdMap, nodes: NDArray[np.complex128]) -> NDArray[np.int64]:
    """Pairs [E, 2] of near nodes whose straight connection does not leave the walkway."""
    if len(nodes) < 2:
        return np.zeros((0, 2), np.int64)
    pairs = place_tree(nodes).query_pairs(_LINK, output_type="ndarray")
    way = nodes[pairs[:, 1]] - nodes[pairs[:, 0]]
    aside = _STRIP * np.array([1j, 0.0, -1j]) * (way / np.abs(way))[:, None]  # [E, 3]
    between = nodes[pairs[:, :1]] + way[:, None] * np.linspace(0.15, 0.85, 5)
    places = (between[:, None] + aside[..., None]).reshape(len(pairs), -1)
    bits = map_raster(hd_map).bits_at(places.view(np.float64).reshape(*places.shape, 2))
    return pairs[(bits & class_bits(*_GROUND) == class_bits("walkway")).all(axis=1)]


def _graph(nodes: NDArray[np.complex128], along: NDArray[np.int64], across: NDArray[np.int64]) -> WalkingGraph:
    pairs = np.concatenate([along, across]).reshape(-1, 2)
    crossing = np.repeat([False, True], [len(along), len(across)])
    source = np.concatenate([pairs[:, 0], pairs[:, 1]])
    target = np.concatenate([pairs[:, 1], pairs[:, 0]])
    order = np.lexsort((target, source))
    counts = np.bincount(source, minlength=len(nodes))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return WalkingGraph(nodes, target[order].astype(np.int64), offsets, np.concatenate([crossing, crossing])[order])
