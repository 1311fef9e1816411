"""Maps as cells: the map classes and the centre lines of lanes, and patches of them in the frame of a pose."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.map_raster import RESOLUTION, map_raster
from drivesim.scene import LINE_CLASSES, MAP_CLASSES, HdMap

CLASSES = (*MAP_CLASSES, "lane_centre")
ROAD = CLASSES.index("drivable_area")
LANE_CENTRE = CLASSES.index("lane_centre")
CELL = 1.0  # [m] of a patch
SIDE = 96  # cells of a patch
AHEAD = 64.0  # [m] of a patch before its pose; the rest of it is behind
_FINE = 2.0 * RESOLUTION  # [m] of the cells that patches are sampled from
_THIN = np.array([name in (*LINE_CLASSES, "lane_centre") for name in CLASSES])
_PLACES = 0.25 * CELL * np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])  # inside a cell
_SHIFT = 8  # fractional bits of cv2's coordinates


@dataclass(frozen=True, eq=False)
class MapGrid:
    """Bit k of `bits` [H, W] is class k of CLASSES, in cells of 0.5 m from `origin` (x, y) [m] on."""

    bits: NDArray[np.uint16]
    origin: NDArray[np.float64]

    def bits_at(self, points: NDArray[np.float64]) -> NDArray[np.uint16]:
        """Bits [...] under global points [..., 2] [m]; 0 outside."""
        column, row = np.moveaxis(np.floor((points - self.origin) / _FINE).astype(np.int64), -1, 0)
        height, width = self.bits.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return np.where(inside, self.bits[np.where(inside, row, 0), np.where(inside, column, 0)], 0)

    def patch(self, pose: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Classes [C, SIDE, SIDE] around a pose (x, y [m], heading [rad]): areas where they fill half of a cell, lines
        where they touch it. Ahead is up, left is left."""
        points = cell_centres()[..., None, :] + _PLACES
        bits = self.bits_at(to_global(points, pose))
        count = ((bits[None] >> np.arange(len(CLASSES), dtype=np.uint16)[:, None, None, None]) & 1).sum(-1)
        return count >= np.where(_THIN, 1, 2)[:, None, None]


def cell_centres() -> NDArray[np.float64]:
    """Middles [SIDE, SIDE, 2] of the cells of a patch in the frame of its pose [m]."""
    forward = AHEAD - CELL * (np.arange(SIDE) + 0.5)
    left = CELL * (0.5 * SIDE - np.arange(SIDE) - 0.5)
    return np.stack(np.meshgrid(forward, left, indexing="ij"), axis=-1)


def to_global(points: NDArray[np.float64], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [..., 2] of the frame of a pose (x, y, heading) in the frame that the pose is in."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return points @ np.array([[c, s], [-s, c]]) + pose[:2]


def to_local(points: NDArray[np.float64], pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `to_global`."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return (points - pose[:2]) @ np.array([[c, -s], [s, c]])


def grid_of(hd_map: HdMap) -> MapGrid:
    """The cells of a map."""
    raster = map_raster(hd_map)
    height, width = (size // 2 * 2 for size in raster.bits.shape)
    quarters = raster.bits[:height, :width].reshape(height // 2, 2, width // 2, 2)
    bits = np.bitwise_or.reduce(quarters, axis=(1, 3)).astype(np.uint16)
    lanes = np.zeros(bits.shape, np.uint8)
    graph = hd_map.lane_graph
    points = np.rint((graph.points[:, :2] - raster.origin) * ((1 << _SHIFT) / _FINE) - (1 << (_SHIFT - 1)))
    lines = np.split(points.astype(np.int32), graph.offsets[1:-1])
    cv2.polylines(lanes, [line for line in lines if len(line)], False, (1,), 1, cv2.LINE_8, _SHIFT)
    bits |= lanes.astype(np.uint16) << LANE_CENTRE
    return MapGrid(bits, np.asarray(raster.origin, np.float64))


def cells_inside(area: shapely.Geometry, pose: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which cells [SIDE, SIDE] of the patch of a pose lie in an area of the global frame."""
    xy = to_global(cell_centres(), pose)
    shapely.prepare(area)
    return shapely.contains_xy(area, xy[..., 0], xy[..., 1])
