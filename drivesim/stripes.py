"""Zebra stripes over pedestrian crossings: where they are painted, and what share of a layout pixel they cover.

Painting (`drivesim.town.paint`) and conditions take them from here, so what a generator is told is what the ray-caster
shows. For a map of a real city they are a guess: its crossings have stripes, but no map says which.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from drivesim.ground_view import GroundView
from drivesim.map_raster import outlines_of
from drivesim.scene import HdMap

WIDTH = 0.55  # of zebra stripes and of the gaps between them [m]
REACH = 100.0  # [m], crossings whose middle is farther away are not looked at


@dataclass(frozen=True, eq=False)
class Stripes:
    """Stripes over K areas: `corner + u * along + v * across`, u and v in [0, 1], is painted where the fraction of
    `count * u` lies between a quarter and three quarters."""

    corner: NDArray[np.float64]  # [K, 2] [m]
    along: NDArray[np.float64]  # [K, 2] [m], side over which the stripes follow one another
    across: NDArray[np.float64]  # [K, 2] [m], side that they run along
    count: NDArray[np.int64]  # [K]

    @classmethod
    def over(cls, rings: Sequence[NDArray[np.float64]], headings: Sequence[float | None], width: float) -> Stripes:
        """Stripes over the smallest rectangles around rings [., 2], gaps as wide as the stripes. They are parallel to
        the heading [rad] as well as the sides allow, to the short side where it is None."""
        rows = [_sides(ring, heading) for ring, heading in zip(rings, headings, strict=True)]
        corner, along, across = np.array(rows, np.float64).reshape(-1, 3, 2).swapaxes(0, 1)
        length = np.hypot(along[:, 0], along[:, 1])
        return cls(corner, along, across, np.maximum(1, (length / (2.0 * width)).astype(np.int64)))

    def quads(self) -> NDArray[np.float64]:
        """Corners [Q, 4, 2] of every single stripe."""
        owner = np.repeat(np.arange(len(self.count)), self.count)
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(self.count) - self.count, self.count)
        u = (rank[:, None] + np.array([0.25, 0.75, 0.75, 0.25])) / self.count[owner, None]
        v = np.array([0.0, 0.0, 1.0, 1.0])
        along, across = self.along[owner, None], self.across[owner, None]
        return self.corner[owner, None] + u[..., None] * along + v[:, None] * across

    def near(self, xy: NDArray[np.float64], reach: float) -> Stripes:
        """Those whose middle lies within `reach` [m] of a point [2]."""
        offset = self.corner + 0.5 * (self.along + self.across) - xy
        rows = np.flatnonzero((offset * offset).sum(-1) < reach * reach)
        return Stripes(self.corner[rows], self.along[rows], self.across[rows], self.count[rows])

    def share(self, points: NDArray[np.float64], extent: NDArray[np.float64]) -> NDArray[np.float64]:
        """Painted share [N] of parallelograms around points [N, 2] with sides extent [N, 2, 2] [m].

        Averaged over u and v one after the other, over a width in which a point varies as much as in the parallelogram:
        exact if its sides are parallel to those of the area.
        """
        if not len(self.count):
            return np.zeros(len(points))
        sides = [side / (side * side).sum(-1, keepdims=True) for side in (self.along, self.across)]
        u, v = (points @ side.T - (self.corner * side).sum(-1) for side in sides)  # [N, K]
        area = np.maximum(np.abs(u - 0.5), np.abs(v - 0.5)).argmin(-1)  # that contains the point, or the nearest
        rows = np.arange(len(points))
        wide = [np.hypot(*(extent * side[area][:, None]).sum(-1).T).clip(1e-6) for side in sides]
        count = self.count[area]
        u, v = u[rows, area], v[rows, area]
        painted = _painted(u + 0.5 * wide[0], count) - _painted(u - 0.5 * wide[0], count)
        within = (v + 0.5 * wide[1]).clip(0.0, 1.0) - (v - 0.5 * wide[1]).clip(0.0, 1.0)
        return painted / wide[0] * within / wide[1]


def _painted(u: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Painted length between 0 and u of [0, 1]."""
    stripe, rest = np.divmod(u.clip(0.0, 1.0) * count, 1.0)
    return (0.5 * stripe + (rest - 0.25).clip(0.0, 0.5)) / count


def _sides(ring: NDArray[np.float64], heading: float | None) -> tuple[NDArray, NDArray, NDArray]:
    corner, along, across = rectangle_axes(ring)
    if heading is not None:
        direction = np.array([np.cos(heading), np.sin(heading)])
        if abs(along @ direction) / np.hypot(*along) > abs(across @ direction) / max(np.hypot(*across), 1e-9):
            along, across = across, along
    return corner, along, across


def rectangle_axes(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Corner [2] of the smallest rectangle around points [K, 2] and its long and short side as vectors [2] [m]."""
    corners = points[0] + cv2.boxPoints(cv2.minAreaRect((points - points[0]).astype(np.float32)))
    first, second = corners[1] - corners[0], corners[3] - corners[0]
    if np.hypot(*first) < np.hypot(*second):
        first, second = second, first
    return corners[0], first, second


_STRIPES: weakref.WeakKeyDictionary[HdMap, Stripes] = weakref.WeakKeyDictionary()


def crossing_stripes(hd_map: HdMap) -> Stripes:
    """Stripes of all pedestrian crossings of a map, in the direction of the nearest lane; once per object."""
    stripes = _STRIPES.get(hd_map)
    if stripes is None:
        stripes = _STRIPES[hd_map] = _of_crossings(hd_map)
    return stripes


def _of_crossings(hd_map: HdMap) -> Stripes:
    rings = [outline[0] for outline in outlines_of(hd_map.layers["ped_crossing"])]
    headings: list[float | None] = [None] * len(rings)
    lanes = hd_map.lane_graph.points
    if rings and len(lanes):
        centres = np.array([ring.mean(axis=0) for ring in rings])
        headings = list(lanes[cKDTree(lanes[:, :2]).query(centres)[1], 2])
    return Stripes.over(rings, headings, WIDTH)


class StripeView:
    """Shares of stripes as the cameras of a `GroundView` see them."""

    def __init__(self, view: GroundView) -> None:
        self._points = view.ground_points[..., :2].reshape(-1, 2)  # ego frame
        self._extent = view.extent().reshape(-1, 2, 2)

    def sample(self, stripes: Stripes, pose: NDArray[np.float64], pixels: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Painted shares (0..255) of pixels [N], numbers into the flattened layout, for an ego pose [4, 4]."""
        turn, place = pose[:2, :2].T, pose[:2, 3]
        points, extent = self._points[pixels] @ turn + place, self._extent[pixels] @ turn
        return np.rint(255.0 * stripes.near(place, REACH).share(points, extent)).astype(np.uint8)
