"""Map classes as the cameras and the bird's-eye view see them: ground-plane sampling of a coverage pyramid.

The map is drawn once per `HdMap` object into an eight-class coverage pyramid (one byte per class, packed into one 64-bit
word per cell). A view is then nothing but gathers at coordinates that are constant in the ego frame, so that a step costs
one rotation and one `take`, whatever the map holds.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import map_raster
from drivesim.scene import CameraRig, HdMap

LEVELS = 5
SUBSAMPLES = ((0.125, 0.25), (0.375, 0.75), (0.625, 0.25), (0.875, 0.75))  # (row, column) inside a layout pixel
GROUND_RANGE = 90.0  # [m], ground beyond is not drawn
_LOW_BYTES = np.uint64(0x00FF00FF00FF00FF)


@dataclass(frozen=True)
class CoveragePyramid:
    """Coverage (0..255) of the eight map classes per cell, all levels in one flat array; cell 0 is the empty cell."""

    cells: NDArray[np.uint64]
    origin: NDArray[np.float64]  # (x, y) of the lower corner [m]
    resolution: tuple[float, ...]  # [m] per level
    shape: tuple[tuple[int, int], ...]  # (rows, columns) per level
    start: tuple[int, ...]  # index of the first cell per level


_PYRAMIDS: weakref.WeakKeyDictionary[HdMap, CoveragePyramid] = weakref.WeakKeyDictionary()


def coverage_pyramid(hd_map: HdMap) -> CoveragePyramid:
    """The pyramid of a map; computed once per object."""
    pyramid = _PYRAMIDS.get(hd_map)
    if pyramid is None:
        pyramid = _PYRAMIDS[hd_map] = _build_pyramid(hd_map)
    return pyramid


def _build_pyramid(hd_map: HdMap) -> CoveragePyramid:
    raster = map_raster(hd_map)
    level = np.unpackbits(raster.bits[..., None], axis=-1, bitorder="little") * np.uint8(255)
    parts, shapes, starts, total = [np.zeros(1, np.uint64)], [], [], 1
    for index in range(LEVELS):
        if index:
            size = (level.shape[1] // 2, level.shape[0] // 2)
            even = level[: 2 * size[1], : 2 * size[0]]
            halves = [cv2.resize(even[..., k : k + 4], size, interpolation=cv2.INTER_AREA) for k in (0, 4)]
            level = np.concatenate(halves, axis=-1)
        parts.append(np.ascontiguousarray(level).view(np.uint64).reshape(-1))
        shapes.append(level.shape[:2])
        starts.append(total)
        total += parts[-1].size
    resolution = tuple(raster.resolution * 2.0**index for index in range(LEVELS))
    return CoveragePyramid(np.concatenate(parts), np.asarray(raster.origin, np.float64), resolution, tuple(shapes), tuple(starts))


def _gather(pyramid: CoveragePyramid, xy: NDArray[np.float32], level: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Cells [...] under points [..., 2] relative to the pyramid's origin, each from its own level [...]."""
    resolution = np.asarray(pyramid.resolution, np.float32)[level]
    shape = np.asarray(pyramid.shape, np.int32)[level]
    cell = np.floor(xy / resolution[..., None]).astype(np.int32)
    index = np.asarray(pyramid.start, np.int32)[level] + cell[..., 1] * shape[..., 1] + cell[..., 0]
    inside = (cell[..., 0] >= 0) & (cell[..., 1] >= 0) & (cell[..., 0] < shape[..., 1]) & (cell[..., 1] < shape[..., 0])
    return pyramid.cells[np.where(inside, index, 0)]


class GroundView:
    """Samples map coverage for a rig at a layout size; everything that depends on the rig alone is computed once."""

    def __init__(self, rig: CameraRig, layout_size: tuple[int, int]) -> None:
        self.layout_size = layout_size
        self.views = len(rig.names)
        self.rays = pixel_rays(rig, layout_size)  # [V, h, w, 3] in the ego frame, z-depth 1
        self.centres = rig.extrinsics[:, :3, 3]
        self.ground_points = self._ground_points()  # [V, h, w, 3] in the ego frame, NaN above the horizon or out of range
        self._pixels, points, footprint = self._visible_ground(rig)
        self._ego_xy = points.astype(np.float32)  # [S, P, 2]
        self._footprint = footprint

    def _ground_points(self) -> NDArray[np.float64]:
        down = self.rays[..., 2] < -1e-6
        depth = np.where(down, -self.centres[:, None, None, 2] / np.where(down, self.rays[..., 2], -1.0), np.nan)
        points = self.centres[:, None, None] + depth[..., None] * self.rays
        reach = np.linalg.norm(points - self.centres[:, None, None], axis=-1)
        return np.where((reach < GROUND_RANGE)[..., None], points, np.nan)

    def ground_inverse_depth(self, scale: float) -> NDArray[np.uint8]:
        """Inverse distance of the ground [V, h, w], `scale` [m] or nearer is 255; 0 where no ground is seen."""
        distance = np.linalg.norm(self.ground_points - self.centres[:, None, None], axis=-1)
        return np.round(255.0 * np.minimum(scale / np.nan_to_num(distance, nan=np.inf), 1.0)).astype(np.uint8)

    def _visible_ground(self, rig: CameraRig) -> tuple[NDArray, NDArray, NDArray]:
        """Pixels [P] that see the ground, their sample points [S, P, 2] in the ego frame and sample spacing [S, P] [m]."""
        points, reach = [], []
        for row, column in SUBSAMPLES:
            rays = pixel_rays(rig, self.layout_size, row, column)
            down = rays[..., 2] < -1e-6
            scale = np.where(down, -self.centres[:, None, None, 2] / np.where(down, rays[..., 2], -1.0), np.inf)
            hit = self.centres[:, None, None, :2] + scale[..., None] * rays[..., :2]
            points.append(np.where(down[..., None], hit, np.inf))
            reach.append(np.linalg.norm(hit - self.centres[:, None, None, :2], axis=-1) * np.where(down, 1.0, np.inf))
        distance = np.stack(reach)  # [S, V, h, w]
        visible = (distance < GROUND_RANGE).all(0)
        pixels = np.flatnonzero(visible)
        hits = np.stack(points).reshape(len(SUBSAMPLES), -1, 2)[:, pixels]
        spread = np.abs(hits[-1] - hits[0]).max(-1) / (len(SUBSAMPLES) - 1)
        return pixels, hits, np.broadcast_to(spread, hits.shape[:2])

    def sample(self, pyramid: CoveragePyramid, pose: NDArray[np.float64], out: NDArray[np.uint8]) -> None:
        """Writes coverage (0..255) of the eight classes into `out` [V, h, w, >=8] for an ego pose [4, 4]."""
        level = np.clip(np.log2(np.maximum(self._footprint, 1e-3) / pyramid.resolution[0]), 0, LEVELS - 1).astype(np.int64)
        rotation = pose[:2, :2].T.astype(np.float32)
        offset = (pose[:2, 3] - pyramid.origin).astype(np.float32)
        words = _gather(pyramid, self._ego_xy @ rotation + offset, level)
        low = (words & _LOW_BYTES).sum(0) >> np.uint64(2) & _LOW_BYTES
        high = ((words >> np.uint64(8)) & _LOW_BYTES).sum(0) >> np.uint64(2) & _LOW_BYTES
        coverage = (low | (high << np.uint64(8))).view(np.uint8).reshape(-1, 8)
        out.reshape(-1, out.shape[-1])[self._pixels, :8] = coverage


class BirdsEyeView:
    """Ego-aligned raster of the map classes: `cells` x `cells` around the ego, x forward is up, y left is left."""

    def __init__(self, extent: float = 50.0, cells: int = 200) -> None:
        step = 2.0 * extent / cells
        forward = extent - step * (np.arange(cells) + 0.5)
        x, y = np.meshgrid(forward, forward, indexing="ij")
        self._ego_xy = np.stack([x, y], axis=-1).astype(np.float32)
        self._level = np.full((cells, cells), max(int(np.log2(step / 0.25)), 0), np.int64)

    def sample(self, pyramid: CoveragePyramid, pose: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Coverage [8, cells, cells] (0..255) for an ego pose [4, 4]."""
        offset = (pose[:2, 3] - pyramid.origin).astype(np.float32)
        words = _gather(pyramid, self._ego_xy @ pose[:2, :2].T.astype(np.float32) + offset, self._level)
        return np.moveaxis(words.view(np.uint8).reshape(*words.shape, 8), -1, 0)


def pixel_rays(rig: CameraRig, size: tuple[int, int], row: float = 0.5, column: float = 0.5) -> NDArray[np.float64]:
    """Viewing directions [V, h, w, 3] in the ego frame with unit z-depth, through (row, column) of every pixel."""
    h, w = size
    k = rig.resized(size).intrinsics
    u, v = np.meshgrid(np.arange(w) + column, np.arange(h) + row)
    pixel = np.stack([u, v, np.ones_like(u)], axis=-1)  # [h, w, 3]
    camera = np.einsum("vij,hwj->vhwi", np.linalg.inv(k), pixel)
    return np.einsum("vij,vhwj->vhwi", rig.extrinsics[:, :3, :3], camera)
