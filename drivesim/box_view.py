"""Boxes as the cameras see them: which face of which track covers each layout pixel, and where that surface was before."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import box_corners, invert_pose
from drivesim.scene import CameraRig, Tracks

NEAR = 0.15  # [m], faces are clipped at this depth
BOX_RANGE = 90.0  # [m], boxes beyond are not drawn
MIN_PIXELS = 0.35  # smaller projections are not drawn [px]
_SHIFT = 4  # fractional bits of cv2's polygon coordinates

# Front, back, left, right, top: corner indices (see geometry.UNIT_CORNERS) and outward normal (x, y, z) in the box frame.
FACES = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [0, 4, 7, 3], [1, 5, 6, 2], [0, 1, 5, 4]])
FACE_NORMALS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], np.float64)
FACE_CODE = np.array([255, 150, 90, 90, 40], np.uint8)


@dataclass(frozen=True)
class BoxCover:
    """For every layout pixel the face it shows: `index` [V, h, w] int32 is row * 5 + face, -1 where no box is."""

    index: NDArray[np.int32]
    near: NDArray[np.int64]  # rows of the tracks that were considered

    @property
    def row(self) -> NDArray[np.int32]:
        """Track row [V, h, w], -1 where no box is."""
        return np.where(self.index < 0, -1, self.index // 5)


def cover_with_boxes(tracks: Tracks, rig: CameraRig, poses: NDArray[np.float64], size: tuple[int, int]) -> BoxCover:
    """Draws the boxes of `tracks` into all cameras, nearest last; `poses` [V, 4, 4] are the ego poses at exposure."""
    views, (h, w) = len(rig.names), size
    index = np.full((views, h, w), -1, np.int32)
    centre = poses[0, :2, 3]
    near = np.flatnonzero(np.abs(tracks.position[:, :2] - centre).max(-1, initial=0.0) < BOX_RANGE)
    if near.size == 0:
        return BoxCover(index, near)
    corners = box_corners(tracks.position[near], tracks.size[near], tracks.yaw[near])
    camera_from_global = rig.camera_from_ego @ invert_pose(poses)
    in_camera = np.einsum("vij,nkj->vnki", camera_from_global[:, :3, :3], corners) + camera_from_global[:, None, None, :3, 3]
    k = rig.resized(size).intrinsics
    uv = np.einsum("vij,vnkj->vnki", k[:, :2], in_camera) / np.maximum(in_camera[..., 2:], NEAR)
    visible = _visible_boxes(in_camera[..., 2], uv, size)
    facing = _facing(tracks, near, poses, rig)
    distance = in_camera[..., 2].mean(-1)
    fixed = np.round((uv - 0.5) * (1 << _SHIFT)).clip(-(1 << 20), 1 << 20).astype(np.int32)
    behind = (in_camera[..., 2] < NEAR).any(-1)
    for view in range(views):
        rows = np.flatnonzero(visible[view])
        picture = index[view]
        for row in rows[np.argsort(-distance[view, rows])]:
            for face in np.flatnonzero(facing[view, row]):
                polygon = fixed[view, row, FACES[face]]
                if behind[view, row]:
                    polygon = _clipped(in_camera[view, row, FACES[face]], k[view])
                    if len(polygon) < 3:
                        continue
                cv2.fillConvexPoly(picture, polygon, int(near[row]) * 5 + int(face), cv2.LINE_8, _SHIFT)
    return BoxCover(index, near)


def _visible_boxes(depth: NDArray, uv: NDArray, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Boxes [V, N] that can touch the picture and are large enough to be drawn."""
    h, w = size
    low, high = uv.min(-2), uv.max(-2)
    crossing = (depth < NEAR).any(-1)
    on_picture = (high[..., 0] > 0) & (low[..., 0] < w) & (high[..., 1] > 0) & (low[..., 1] < h)
    large = (high - low).max(-1) > MIN_PIXELS
    return (depth > NEAR).any(-1) & (crossing | (on_picture & large))


def _facing(tracks: Tracks, near: NDArray, poses: NDArray, rig: CameraRig) -> NDArray[np.bool_]:
    """Faces [V, N, 5] whose outer side is turned to the camera."""
    centres = np.einsum("vij,vj->vi", poses, rig.extrinsics[:, :, 3])[:, :3]
    offset = centres[:, None] - tracks.position[near]  # [V, N, 3]
    c, s = np.cos(tracks.yaw[near]), np.sin(tracks.yaw[near])
    local = np.stack([c * offset[..., 0] + s * offset[..., 1], -s * offset[..., 0] + c * offset[..., 1], offset[..., 2]], -1)
    half = 0.5 * tracks.size[near][:, [1, 0, 2]]
    return local @ FACE_NORMALS.T > half @ np.abs(FACE_NORMALS).T


def _clipped(corners: NDArray, k: NDArray) -> NDArray[np.int32]:
    """A face [4, 3] in a camera frame, cut at the near plane (Sutherland-Hodgman) and projected; fixed point [M, 2]."""
    kept = []
    for here, after in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if here[2] >= NEAR:
            kept.append(here)
        if (here[2] >= NEAR) != (after[2] >= NEAR):
            kept.append(here + (NEAR - here[2]) / (after[2] - here[2]) * (after - here))
    if not kept:
        return np.zeros((0, 2), np.int32)
    points = np.array(kept)
    uv = points @ k[:2].T / points[:, 2:]
    return np.round((uv - 0.5) * (1 << _SHIFT)).clip(-(1 << 20), 1 << 20).astype(np.int32)


def surface_points(cover: BoxCover, tracks: Tracks, rays: NDArray, centres: NDArray, index: NDArray) -> NDArray[np.float64]:
    """Global points [M, 3] where viewing rays [M, 3] from camera centres [M, 3] meet the faces `index` [M]."""
    row, face = index // 5, index % 5
    half = 0.5 * tracks.size[row][:, [1, 0, 2]]
    normal = FACE_NORMALS[face]
    reach = (half * np.abs(normal)).sum(-1)
    c, s = np.cos(tracks.yaw[row]), np.sin(tracks.yaw[row])
    normal = np.stack([c * normal[:, 0] - s * normal[:, 1], s * normal[:, 0] + c * normal[:, 1], normal[:, 2]], -1)
    along = (normal * rays).sum(-1)
    gap = reach - (normal * (centres - tracks.position[row])).sum(-1)
    depth = gap / np.where(np.abs(along) < 1e-6, -1e-6, along)
    return centres + np.clip(depth, NEAR, 2 * BOX_RANGE)[:, None] * rays


def previous_points(points: NDArray, row: NDArray, now: Tracks, before: Tracks, dt: float) -> NDArray[np.float64]:
    """Where surface points [M, 3] of tracks `row` [M] were one step earlier, carried by the motion of their track.

    A track that is new since then is carried back by its velocity.
    """
    order = np.argsort(before.ids)
    place = np.minimum(np.searchsorted(before.ids, now.ids, sorter=order), max(len(before) - 1, 0))
    match = order[place] if len(before) else np.zeros(len(now), np.int64)
    known = before.ids[match] == now.ids if len(before) else np.zeros(len(now), bool)
    back = now.position - np.concatenate([now.velocity * dt, np.zeros((len(now), 1))], axis=-1)
    old_position, old_yaw = back, now.yaw
    if len(before):
        old_position = np.where(known[:, None], before.position[match], back)
        old_yaw = np.where(known, before.yaw[match], now.yaw)
    turn = (old_yaw - now.yaw)[row]
    offset = points - now.position[row]
    c, s = np.cos(turn), np.sin(turn)
    moved = np.stack([c * offset[:, 0] - s * offset[:, 1], s * offset[:, 0] + c * offset[:, 1], offset[:, 2]], -1)
    return old_position[row] + moved

