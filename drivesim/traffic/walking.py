"""Where pedestrians walk: nodes along the middle of the walkways and at both ends of crossings, and their links."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class WalkingGraph:
    """Undirected graph of V nodes in CSR form. Links between the two ends of a crossing are marked."""

    nodes: NDArray[np.complex128]  # [V] x + iy
    neighbours: NDArray[np.int64]  # [E]
    offsets: NDArray[np.int64]  # [V + 1]
    crossing: NDArray[np.bool_]  # [E]

    def nearest(self, place: complex) -> int:
        """Index of the node nearest to a place."""
        offset = self.nodes - place
        return int((offset.real**2 + offset.imag**2).argmin())

    def links_of(self, node: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Neighbours of a node and which of them lie across a road."""
        rows = slice(self.offsets[node], self.offsets[node + 1])
        return self.neighbours[rows], self.crossing[rows]


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
    coarse = raster.bits[rim:height:2, rim:width:2]
    half = ((coarse & class_bits("walkway", "drivable_area")) == class_bits("walkway")).astype(np.uint8)
    if not half.any():
        return np.zeros(0, np.complex128)
    depth = cv2.distanceTransform(half, cv2.DIST_L2, 3)
    ridge = (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)) - 0.3) & (depth > 1.2)
    row, column = np.nonzero(ridge)
    x, y = (raster.origin[axis] + raster.resolution * (rim + 2 * cell + 1) for axis, cell in enumerate((column, row)))
    _, first = np.unique(
        np.floor(x / _THIN).astype(np.int64) * (1 << 24) + np.floor(y / _THIN).astype(np.int64), return_index=True
    )
    return x[first] + 1j * y[first]


def _crossing_ends(hd_map: HdMap) -> NDArray[np.complex128]:
    """Both ends [2 Z] of the Z crossings, just beyond the kerbs."""
    shapes = shapely.get_parts(list(hd_map.layers["ped_crossing"]))
    inner = shapely.box(*hd_map.bounds).buffer(-_rim(hd_map.bounds), join_style="mitre")
    shapes = shapes[shapely.within(shapes, inner)]
    if len(shapes) == 0:
        return np.zeros(0, np.complex128)
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    outlines = np.split(xy[:, 0] + 1j * xy[:, 1], np.flatnonzero(np.diff(owner)) + 1)
    return np.concatenate([_across(outline) for outline in outlines])


def _across(outline: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Ends [2] of a crossing [K]: beyond the short sides of the smallest rectangle around it."""
    sides = np.diff(outline)
    axes = sides[np.abs(sides) > 1e-3]
    axes /= np.abs(axes)
    turned = outline * axes[:, None].conj()
    along, across = np.ptp(turned.real, axis=1), np.ptp(turned.imag, axis=1)
    best = int(np.argmin(along * across))
    middle = 0.5 * (turned[best].real.max() + turned[best].real.min())
    middle = middle + 0.5j * (turned[best].imag.max() + turned[best].imag.min())
    longest = along[best] if along[best] >= across[best] else 1j * across[best]
    half = longest * (0.5 + _BEYOND / abs(longest))
    return axes[best] * np.array([middle - half, middle + half])


def _links(hd_map: HdMap, nodes: NDArray[np.complex128]) -> NDArray[np.int64]:
    """Pairs [E, 2] of near nodes whose straight connection does not leave the walkway."""
    if len(nodes) < 2:
        return np.zeros((0, 2), np.int64)
    pairs = place_tree(nodes).query_pairs(_LINK, output_type="ndarray")
    way = nodes[pairs[:, 1]] - nodes[pairs[:, 0]]
    aside = _STRIP * np.array([1j, 0.0, -1j]) * (way / np.abs(way))[:, None]  # [E, 3]
    between = nodes[pairs[:, :1]] + way[:, None] * np.linspace(0.15, 0.85, 5)
    places = (between[:, None] + aside[..., None]).reshape(len(pairs), -1)
    bits = map_raster(hd_map).bits_at(np.stack([places.real, places.imag], axis=-1))
    return pairs[((bits & class_bits(*_GROUND)) == class_bits("walkway")).all(axis=1)]


def _graph(nodes: NDArray[np.complex128], along: NDArray[np.int64], across: NDArray[np.int64]) -> WalkingGraph:
    pairs = np.concatenate([along, across]).reshape(-1, 2)
    crossing = np.repeat([False, True], [len(along), len(across)])
    source = np.concatenate([pairs[:, 0], pairs[:, 1]])
    target = np.concatenate([pairs[:, 1], pairs[:, 0]])
    order = np.lexsort((target, source))
    counts = np.bincount(source, minlength=len(nodes))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return WalkingGraph(nodes, target[order].astype(np.int64), offsets, np.concatenate([crossing, crossing])[order])
