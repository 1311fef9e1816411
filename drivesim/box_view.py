"""Boxes as the cameras see them: which face of which track covers each layout pixel, and where that surface was before.

All faces of all cameras are drawn at once: edge functions in homogeneous pixels (so that a box beside the camera needs
no clipping), then one span per face and row, then the pixels of all spans, farthest box first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import UNIT_CORNERS, invert_pose
from drivesim.kernels import compiled
from drivesim.scene import CameraRig, Tracks

Array = NDArray[np.float32]

NEAR = 0.15  # [m], what is nearer than this has no pixel
BOX_RANGE = 90.0  # [m], boxes beyond are not drawn
FAR = np.float32(1e6)  # [px], a bound that does not bind

# Front, back, left, right, top: corner indices (see geometry.UNIT_CORNERS), counter-clockwise seen from outside, and
# outward normal (x, y, z) in the box frame.
FACES = np.array([[0, 1, 2, 3], [5, 4, 7, 6], [4, 0, 3, 7], [1, 5, 6, 2], [4, 5, 1, 0]])
FACE_NORMALS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], np.float64)
FACE_CODE = np.array([255, 150, 90, 90, 40], np.uint8)
_LOOPS = FACES[:, [0, 1, 2, 3, 0]].T
# Corners [8, 4] as sums of the centre and the half axes (front, left, up).
_CORNER_SUMS = np.concatenate([np.ones((8, 1)), 2.0 * UNIT_CORNERS], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class BoxCover:
    """What box every layout pixel shows: `index` [V, h, w] is 0 where there is none, else 1 + place among F faces."""

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
    if len(near) == 0:
        return BoxCover(np.zeros(shape, np.int32), near, near, near)
    axes = _centre_and_axes(tracks, near, poses[0, :3, 3])
    pixels = _homogeneous_pixels(axes, rig, poses, size)
    view, place = _visible_pairs(pixels)
    which, face = np.nonzero(_facing(axes, camera_centres(rig, poses) - poses[0, :3, 3])[view, :, place])
    corners = _CORNER_SUMS @ _pick(pixels, view, place)  # [3, 8, K]
    polygons = corners.reshape(3, -1).take((_LOOPS * len(view)).take(face, 1) + which, 1)  # [3, 5, F]
    view, row = view.take(which), near.take(place.take(which))
    return BoxCover(drawn(polygons, view, *shape), view, row, face)


def camera_centres(rig: CameraRig, poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Global positions [V, 3] of the cameras for ego poses [V, 4, 4]."""
    return (poses @ rig.extrinsics[:, :, 3:])[:, :3, 0]


def _centre_and_axes(tracks: Tracks, near: NDArray[np.int64], origin: NDArray[np.float64]) -> Array:
    """Centres relative to `origin` [3] and half axes (front, left, up) [3, 4, M] of the boxes `near` [M] [m]."""
    width, length, height = 0.5 * tracks.size.take(near, 0).T
    yaw = tracks.yaw.take(near)
    c, s = np.cos(yaw), np.sin(yaw)
    axes = np.zeros((3, 4, len(near)), np.float32)
    axes[:, 0] = tracks.position.take(near, 0).T - origin[:, None]
    axes[0, 1], axes[1, 1] = length * c, length * s
    axes[0, 2], axes[1, 2] = -width * s, width * c
    axes[2, 3] = height
    return axes


@lru_cache(maxsize=16)
def _projection(rig: CameraRig, size: tuple[int, int]) -> NDArray[np.float64]:
    """Ego points to seven numbers per camera [V, 7, 4]: u d, v d and depth d, then four that are negative beyond the
    left, upper, right and lower edge of the picture. Whole numbers u, v [px] are the middles of pixels.
    """
    k = rig.resized(size).intrinsics
    x, y, d = np.moveaxis(k @ rig.camera_from_ego[:, :3], 1, 0)
    x, y = x - 0.5 * d, y - 0.5 * d
    return np.stack([x, y, d, x + d, y + d, size[1] * d - x, size[0] * d - y], axis=1)


def _homogeneous_pixels(axes: Array, rig: CameraRig, poses: NDArray[np.float64], size: tuple[int, int]) -> Array:
    """The numbers of `_projection` for centres and half axes [3, 4, M] relative to the first pose: [V, 7, 4, M]."""
    matrix = _projection(rig, size) @ invert_pose(poses)
    shift = matrix[..., :3] @ poses[0, :3, 3] + matrix[..., 3]
    pixels = matrix[..., :3].reshape(-1, 3).astype(np.float32) @ axes.reshape(3, -1)
    pixels = pixels.reshape(*shift.shape, *axes.shape[1:])
    pixels[:, :, 0] += shift[..., None].astype(np.float32)
    return pixels


def _visible_pairs(pixels: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cameras [K] and boxes [K] with a corner inside every edge of the picture and in front, farthest first."""
    half = np.abs(pixels[:, 2:, 1:])
    furthest = pixels[:, 2:, 0] + half[:, :, 0] + half[:, :, 1] + half[:, :, 2]  # [V, 5, M]
    pair = np.flatnonzero(furthest.min(1) > NEAR)
    pair = pair[np.argsort(-pixels[:, 2, 0].reshape(-1).take(pair), kind="stable")]
    return np.divmod(pair, pixels.shape[-1])


def _facing(axes: Array, centres: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Faces [V, 5, M] whose outer side is turned to the cameras at `centres` [V, 3], for axes [3, 4, M]."""
    half = axes[:, 1:]
    reach = (half * half).sum(0)  # [3, M]
    along = centres.astype(np.float32) @ half.reshape(3, -1)  # [V, 3 M]
    along = along.reshape(-1, *reach.shape) - (axes[:, :1] * half).sum(0)
    facing = np.empty((len(centres), len(FACES), reach.shape[-1]), bool)
    np.greater(along, reach, out=facing[:, 0::2])
    np.less(along[:, :2], -reach[:2], out=facing[:, 1::2])
    return facing


def _pick(pixels: Array, view: NDArray[np.int64], place: NDArray[np.int64]) -> Array:
    """(u d, v d, d) of centre and half axes [3, 4, K] of single pairs, from [V, 7, 4, M]."""
    _, numbers, parts, boxes = pixels.shape
    offsets = boxes * np.arange(3 * parts)[:, None]
    return pixels.reshape(-1).take(view * (numbers * parts * boxes) + place + offsets).reshape(3, parts, -1)


@compiled
def drawn(polygons: Array, view: NDArray[np.int64], views: int, h: int, w: int) -> NDArray[np.int32]:
    """1 + place of closed homogeneous convex polygons [3, 5, F], later over earlier, in pixels [V, h, w]; else 0."""
    index = np.zeros((views, h, w), np.int32)
    if not len(view):
        return index
    low, high = _extent(polygons, (h, w))
    rows = np.maximum(high[1] - low[1] + 1, 0)
    face = np.repeat(np.arange(len(view)), rows)
    y = _count_up(rows) + low[1].take(face)
    slope, intercept, lower = _edge_bounds(polygons).take(face, -1)  # [4, S] each
    bound = slope * y.astype(np.float32) + intercept
    first = np.maximum(np.ceil(np.where(lower > 0, bound, -FAR).max(0)), low[0].take(face)).astype(np.int64)
    last = np.minimum(np.floor(np.where(lower > 0, FAR, bound).min(0)), high[0].take(face)).astype(np.int64)
    length = np.maximum(last - first + 1, 0)
    pixel = np.repeat((view.take(face) * h + y) * w + first, length) + _count_up(length)
    index.reshape(-1)[pixel] = np.repeat(face.astype(np.int32) + 1, length)
    return index


def _count_up(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, .. n - 1 for every n of `lengths`, one run after the other."""
    ends = lengths.cumsum()
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _extent(polygons: Array, size: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last (column, row) [2, F] that polygons [3, 5, F] may touch; all if they reach behind the camera."""
    depth = polygons[2]
    uv = polygons[:2] / np.maximum(depth, NEAR)
    limit = np.array([[size[1] - 1], [size[0] - 1]])
    low = np.maximum(np.rint(uv.min(1)), 0.0).astype(np.int64)
    high = np.minimum(np.rint(uv.max(1)), limit).astype(np.int64)
    crossing = np.flatnonzero(depth.min(0) < NEAR)
    low[:, crossing], high[:, crossing] = 0, limit
    return low, high


def _edge_bounds(polygons: Array) -> Array:
    """Bounds of the column set by the edges of polygons [3, 5, F]: slope, intercept, whether a lower bound [3, 4, F].

    The bound in a row is slope * row + intercept. The edges lie half a pixel outside along the axis they are steeper
    against, so that all pixels they pass are drawn.
    """
    x, y, d = polygons[:, :-1]
    x1, y1, d1 = polygons[:, 1:]
    a, b, c = y * d1 - d * y1, d1 * x - x1 * d, x1 * y - y1 * x  # inside is -a u + b v + c > 0
    c += np.float32(0.5) * np.maximum(np.abs(a), np.abs(b))
    a[a == 0.0] = -1e-9
    bounds = np.empty((3, *a.shape), np.float32)
    np.divide(b, a, out=bounds[0])
    np.divide(c, a, out=bounds[1])
    np.less(a, 0.0, out=bounds[2])
    return bounds


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


def box_coordinates(points: NDArray, row: NDArray, tracks: Tracks) -> NDArray[np.float64]:
    """Where on the boxes of tracks `row` [M] global points [M, 3] lie: along, across and up, 0 to 1 from rear to front,
    right to left and bottom to top; points beyond count as on the edge."""
    x, y, z = (points - tracks.position.take(row, 0)).T
    yaw = tracks.yaw.take(row)
    c, s = np.cos(yaw), np.sin(yaw)
    local = np.stack([c * x + s * y, c * y - s * x, z], axis=-1)
    return np.clip(local / tracks.size.take(row, 0)[:, [1, 0, 2]] + 0.5, 0.0, 1.0)


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
