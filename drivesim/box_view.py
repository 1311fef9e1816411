"""Boxes as the cameras see them: which face of which track covers each layout pixel, and where that surface was before.

All faces of all cameras are drawn at once: edge functions in homogeneous pixels (so that a box beside the camera needs no
clipping), then one span per face and row, then the pixels of all spans, farthest box first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import UNIT_CORNERS, invert_pose
from drivesim.scene import CameraRig, Tracks

NEAR = 0.15  # [m], corners nearer than this have no pixel
BOX_RANGE = 90.0  # [m], boxes beyond are not drawn
MIN_PIXELS = 0.35  # smaller projections are not drawn [px]
FAR = 1e6  # [px], a bound that does not bind

# Front, back, left, right, top: corner indices (see geometry.UNIT_CORNERS), counter-clockwise seen from outside, and outward
# normal (x, y, z) in the box frame.
FACES = np.array([[0, 1, 2, 3], [5, 4, 7, 6], [4, 0, 3, 7], [1, 5, 6, 2], [4, 5, 1, 0]])
FACE_NORMALS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], np.float64)
FACE_CODE = np.array([255, 150, 90, 90, 40], np.uint8)


@dataclass(frozen=True, eq=False)
class BoxCover:
    """What box every layout pixel shows: `index` [V, h, w] is 0 where there is none, else 1 + place among the F drawn faces."""

    index: NDArray[np.int32]
    view: NDArray[np.int64]  # [F]
    row: NDArray[np.int64]  # [F], row of the track
    face: NDArray[np.int64]  # [F], place in FACES

    def track_rows(self) -> NDArray[np.int64]:
        """Track row [V, h, w], -1 where no box is."""
        return np.concatenate([[-1], self.row])[self.index]


def cover_with_boxes(tracks: Tracks, rig: CameraRig, poses: NDArray[np.float64], size: tuple[int, int]) -> BoxCover:
    """Draws the boxes of `tracks` into all cameras, nearest last; `poses` [V, 4, 4] are the ego poses at exposure."""
    shape = (len(rig.names), *size)
    away = np.abs(tracks.position[:, :2] - poses[0, :2, 3])
    near = np.flatnonzero(np.maximum(away[:, 0], away[:, 1]) < BOX_RANGE)
    corners = _homogeneous_pixels(tracks, near, rig, poses, size)  # [3, 8, V, M]
    pair = _visible_pairs(corners, size)
    view, place = np.divmod(pair, max(len(near), 1))
    which, face = np.nonzero(_facing(tracks, near[place], rig, poses, view))
    polygons = corners.reshape(3, 8, -1)[:, FACES.T[:, face], pair[which]]  # [3, 4, F]
    index = np.zeros(shape, np.int32)
    _draw(polygons, view[which], index)
    return BoxCover(index, view[which], near[place[which]], face)


def _homogeneous_pixels(
    tracks: Tracks, near: NDArray, rig: CameraRig, poses: NDArray, size: tuple[int, int]
) -> NDArray[np.float64]:
    """Corners [3, 8, V, M] as (u d, v d, d) with depth d [m] and pixel (u, v), whole numbers at the middle of pixels."""
    origin = poses[0, :3, 3]
    k = rig.resized(size).intrinsics
    k[:, :2, 2] -= 0.5
    camera = rig.camera_from_ego @ invert_pose(poses)
    matrix = k @ camera[:, :3, :3]
    shift = matrix @ origin + (k @ camera[:, :3, 3:])[..., 0]
    w, l, h = tracks.size[near].T
    c, s = np.cos(tracks.yaw[near]), np.sin(tracks.yaw[near])
    x, y, z = (tracks.position[near] - origin).T
    front, left, up = UNIT_CORNERS.T[..., None]
    points = np.stack([front * (l * c) - left * (w * s) + x, front * (l * s) + left * (w * c) + y, up * h + z])
    pixels = matrix.transpose(1, 0, 2).reshape(-1, 3) @ points.reshape(3, -1)
    pixels += shift.T.reshape(-1, 1)
    return pixels.reshape(3, len(k), 8, -1).transpose(0, 2, 1, 3)


def _visible_pairs(corners: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    """Camera and box as view * M + box [K] of all that may touch a picture and are large enough, farthest first."""
    h, w = size
    x, y, depth = corners
    nearest, farthest = depth.min(0), depth.max(0)
    outside = (farthest < NEAR) | ((x + depth).max(0) < 0) | ((y + depth).max(0) < 0)
    outside |= ((x - w * depth).min(0) > 0) | ((y - h * depth).min(0) > 0)
    pair = np.flatnonzero(~outside)
    return pair[np.argsort(-(nearest + farthest).reshape(-1)[pair], kind="stable")]


def _facing(tracks: Tracks, row: NDArray, rig: CameraRig, poses: NDArray, view: NDArray) -> NDArray[np.bool_]:
    """Faces [K, 5] of tracks `row` [K] whose outer side is turned to cameras `view` [K]."""
    offset = (camera_centres(rig, poses)[view] - tracks.position[row]).T
    half_width, half_length, half_height = 0.5 * tracks.size[row].T
    c, s = np.cos(tracks.yaw[row]), np.sin(tracks.yaw[row])
    x, y = c * offset[0] + s * offset[1], c * offset[1] - s * offset[0]
    return np.stack(
        [x > half_length, -x > half_length, y > half_width, -y > half_width, offset[2] > half_height], axis=-1
    )


def camera_centres(rig: CameraRig, poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Global positions [V, 3] of the cameras for ego poses [V, 4, 4]."""
    return (poses @ rig.extrinsics[:, :, 3:])[:, :3, 0]


def _draw(polygons: NDArray[np.float64], view: NDArray[np.int64], index: NDArray[np.int32]) -> None:
    """Writes 1 + place of homogeneous convex polygons [3, 4, F], later over earlier, into `index` [V, h, w]."""
    if polygons.shape[-1] == 0:
        return
    _, h, w = index.shape
    low, high = _extent(polygons, (h, w))
    slope, intercept = _edge_bounds(polygons)
    rows = np.maximum(high[1] - low[1] + 1, 0)
    face = np.repeat(np.arange(len(view)), rows)
    y = _count_up(rows) + low[1][face]
    bound = slope.take(face, -1) * y.astype(np.float32) + intercept.take(face, -1)  # [2, 4, spans]
    first = np.maximum(np.ceil(bound[0].max(0)), low[0][face]).astype(np.int64)
    last = np.minimum(np.floor(bound[1].min(0)), high[0][face]).astype(np.int64)
    length = np.maximum(last - first + 1, 0)
    pixel = np.repeat((view[face] * h + y) * w + first, length) + _count_up(length)
    index.reshape(-1)[pixel] = np.repeat(face.astype(np.int32) + 1, length)


def _count_up(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, .. n - 1 for every n of `lengths`, one run after the other."""
    ends = lengths.cumsum()
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _extent(polygons: NDArray[np.float64], size: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last (column, row) [2, F] that polygons [3, 4, F] may touch, all of the picture if they pass the camera."""
    depth = polygons[2]
    uv = polygons[:2] / np.maximum(depth, NEAR)
    crossing = depth.min(0) < NEAR
    limit = np.array([[size[1] - 1.0], [size[0] - 1.0]])
    low, high = uv.min(1), uv.max(1)
    small = np.maximum(*(high - low)) < MIN_PIXELS
    low = np.where(crossing, 0.0, np.maximum(np.rint(low), 0.0))
    high = np.where(crossing, limit, np.minimum(np.rint(high), limit))
    return low.astype(np.int64), np.where(small, -1.0, high).astype(np.int64)


def _edge_bounds(polygons: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The edges of polygons [3, 4, F] as bounds of the column, slope * row + intercept: lower ones, upper ones [2, 4, F].

    The edges lie half a pixel outside along the axis they are steeper against, so that all pixels they pass are drawn.
    """
    x, y, d = polygons
    x1, y1, d1 = polygons[:, [1, 2, 3, 0]]
    a, b, c = y1 * d - d1 * y, d1 * x - x1 * d, x1 * y - y1 * x
    c += 0.5 * np.maximum(np.abs(a), np.abs(b))
    a = np.where(np.abs(a) < 1e-9, 1e-9, a)
    slope, intercept = -b / a, -c / a
    lower = a > 0
    slopes = np.stack([np.where(lower, slope, 0.0), np.where(lower, 0.0, slope)])
    intercepts = np.stack([np.where(lower, intercept, -FAR), np.where(lower, FAR, intercept)])
    return slopes.astype(np.float32), intercepts.astype(np.float32)


def surface_points(
    cover: BoxCover, tracks: Tracks, rays: NDArray, centres: NDArray, faces: NDArray
) -> NDArray[np.float64]:
    """Global points [M, 3] where viewing rays [M, 3] from camera centres [M, 3] meet the drawn faces `faces` [M]."""
    row, face = cover.row[faces], cover.face[faces]
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
