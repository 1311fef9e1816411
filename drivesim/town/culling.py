"""Where objects can matter at all: pixels that may show a box, ground that a box may shade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import box_corners, box_footprints
from drivesim.kernels import compiled
from drivesim.scene import CameraRig, Tracks

NEAR = 0.02  # corners of boxes closer to the image plane are not projected [m]
CELL, CELLS = 0.5, 384  # side of the cells of shadow maps [m], number of cells along each axis


def pixels_near_boxes(rig: CameraRig, poses: NDArray[np.float64], tracks: Tracks) -> NDArray[np.int64]:
    """Rows of the rays of all views inside the rectangles around projected boxes, with one pixel to spare."""
    corners = box_corners(tracks.position, tracks.size, tracks.yaw).reshape(-1, 3)
    mounts = poses @ rig.extrinsics
    to_pixels = rig.intrinsics @ np.swapaxes(mounts[:, :3, :3], 1, 2)
    offset = np.einsum("vij,vj->vi", to_pixels, mounts[:, :3, 3])
    homogeneous = corners @ np.swapaxes(to_pixels, 1, 2) - offset[:, None]
    return np.flatnonzero(around(homogeneous.reshape(len(rig.names), len(tracks), 8, 3), *rig.image_size))


@compiled
def around(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels [V, H, W] in rectangles around boxes, one pixel wider, by their corners (u d, v d, d) [V, N, 8, 3]."""
    mask = np.zeros((len(corners), height, width), bool)
    ahead = corners[..., 2] > NEAR
    whole, cut = ahead.all(2), ahead.any(2) & ~ahead.all(2)
    views = np.concatenate([np.nonzero(whole)[0], np.nonzero(cut)[0]])
    pixel = np.concatenate([corners[whole][..., :2] / corners[whole][..., 2:], _cut_corners(corners[cut])])
    low = np.maximum(np.floor(pixel.min(1)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(pixel.max(1)) + 1, (width, height)).astype(int)
    seen = (low < high).all(1)
    for view, (x0, y0), (x1, y1) in zip(views[seen].tolist(), low[seen].tolist(), high[seen].tolist(), strict=True):
        mask[view, y0:y1, x0:x1] = True
    return mask


def _cut_corners(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Extreme pixels [C, 8, 2] of boxes [C, 8, 3] cut by the image plane: of the corners ahead of it and of where the
    lines between corners ahead and behind meet it."""
    if len(corners) == 0:
        return np.zeros((0, 8, 2))
    first, second = corners[:, :, None], corners[:, None, :]
    rise = second[..., 2:] - first[..., 2:]
    share = (NEAR - first[..., 2:]) / np.where(rise == 0.0, 1.0, rise)
    crossing = (first[..., 2:] > NEAR) & (second[..., 2:] <= NEAR)
    points = np.where(crossing, first + share * (second - first), np.nan).reshape(len(corners), 64, 3)
    points = np.concatenate([points, np.where(corners[..., 2:] > NEAR, corners, np.nan)], axis=1)
    pixel = points[..., :2] / points[..., 2:]
    return np.stack([np.nanmin(pixel, axis=1), np.nanmax(pixel, axis=1)] * 4, axis=1)


@dataclass(frozen=True)
class ShadowCells:
    """Cells of the plane around the ego that lie below the space that objects may shade."""

    corner: NDArray[np.float32]  # [2] lower corner [m]
    cells: NDArray[np.bool_]  # [CELLS * CELLS], row by row

    @classmethod
    def of(
        cls, tracks: Tracks, sun: NDArray[np.float32], viewer: NDArray[np.float64], centre: NDArray[np.float64]
    ) -> ShadowCells:
        """Cells around `viewer` [2] for a direction towards the sun [3]; cells count from `centre` [2]."""
        corner = viewer - 0.5 * CELL * CELLS
        foot = box_footprints(tracks.position, tracks.size, tracks.yaw) - corner
        top = tracks.position[:, 2] + 0.5 * tracks.size[:, 2]
        shifted = foot - (top[:, None] * (sun[:2] / sun[2]))[:, None]
        both = np.concatenate([foot, shifted], axis=1) / CELL
        low = np.clip(np.floor(both.min(1)) - 1, 0, CELLS).astype(int)
        high = np.clip(np.ceil(both.max(1)) + 1, 0, CELLS).astype(int)
        cells = np.zeros((CELLS, CELLS), bool)
        for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True):
            cells[y0:y1, x0:x1] = True
        return cls((corner - centre).astype(np.float32), cells.ravel())

    def at(self, point: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether objects may shade points [3, N]; far from the viewer they do not."""
        x, y = ((point[:2] - self.corner[:, None]) * np.float32(1.0 / CELL)).astype(np.int32)
        inside = (x >= 0) & (y >= 0) & (x < CELLS) & (y < CELLS)
        return inside & self.cells.take(np.where(inside, y * CELLS + x, 0))
