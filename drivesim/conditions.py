"""Scenes to condition tensors: the one function behind training data, evaluation and the closed loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.box_view import (
    FACE_CODE,
    BoxCover,
    box_coordinates,
    camera_centres,
    cover_with_boxes,
    previous_points,
    surface_points,
)
from drivesim.geometry import box_corners, invert_pose, transform_points, wrap_angle
from drivesim.ground_view import BirdsEyeView, GroundView, coverage_pyramid
from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES, CameraRig, Scene
from drivesim.stripes import StripeView, crossing_stripes

MAX_BOXES = 96
BOX_SEQUENCE_RANGE = 60.0  # [m]
INVERSE_DEPTH_SCALE = 4.0  # inverse depth 1/4 m saturates its channel

# Channels of the per-view layout, in order (uint8, 0..255).
_CLASS = len(MAP_CLASSES)
_HEADING = _CLASS + len(OBJECT_CLASSES)
_DEPTH = _HEADING + 2
_COLOR = _DEPTH + 1
_FACE = _COLOR + 4
_STRIPES = _FACE + 1
_CROSSING = MAP_CLASSES.index("ped_crossing")
LAYOUT_CHANNELS = (
    *MAP_CLASSES, *OBJECT_CLASSES, "heading_sin", "heading_cos", "inverse_depth",
    "red", "green", "blue", "color_known", "face", "stripes",
)  # fmt: skip


# One pixel of the layout in memory: all coverages are written as one word, all box channels as one block; then stripes.
_BOX_BYTES = _STRIPES - _CLASS
_PIXEL = np.dtype({"names": ["map", "box"], "formats": ["u8", f"V{_BOX_BYTES}"], "offsets": [0, _CLASS],
                   "itemsize": len(LAYOUT_CHANNELS)})  # fmt: skip
PARTS = frozenset({"warp", "objects", "boxes", "bev"})


@dataclass(frozen=True)
class ConditionSpec:
    """What to compute: layout (height, width), (0, 0) for none, and which of the optional PARTS.

    Raises ValueError for unknown parts, and for "warp" or "objects" without a layout.
    """

    layout_size: tuple[int, int]
    parts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.parts <= PARTS:
            raise ValueError(f"parts: found {sorted(self.parts)}, accepted any of {sorted(PARTS)}")
        drawn = self.parts & {"warp", "objects"}
        if drawn and min(self.layout_size) < 1:
            raise ValueError(f"layout_size: found {self.layout_size}, accepted at least (1, 1) for {sorted(drawn)}")


@dataclass
class Conditions:
    """Condition tensors for B worlds and T frames. Optional parts are None where the spec does not ask for them."""

    layout: Tensor  # uint8 [B, T, V, h, w, C], channels LAYOUT_CHANNELS
    motion: Tensor  # float32 [B, T, 4, 4], current ego frame -> ego frame of the previous frame
    anchor_motion: Tensor  # float32 [B, T, 4, 4], current ego frame -> ego frame of the first frame
    ego: Tensor  # float32 [B, T, 4]: speed [m/s], acceleration [m/s^2], yaw rate [rad/s], steering [rad]
    tags: Tensor  # float32 [B, T, 6], one-hot weather and time of day
    intrinsics: Tensor  # float32 [B, V, 3, 3], of pictures with height = width = 1
    extrinsics: Tensor  # float32 [B, V, 4, 4], camera -> ego
    previous_points: Tensor | None = (
        None  # float32 [B, T, V, h, w, 3], seen surface in the previous ego frame; NaN unknown
    )
    box_points: Tensor | None = (
        None  # uint8 [B, T, V, h, w, 3], seen surface along, across and up its box, 0..255 from end to end; 0 elsewhere
    )
    object_pixels: Tensor | None = None  # int32 [B, T, V, h, w], size [px] of the object seen there, 0 on background
    box_corners: Tensor | None = None  # float32 [B, T, N, 8, 3], ego frame
    box_class: Tensor | None = None  # int64 [B, T, N]
    box_track: Tensor | None = None  # int64 [B, T, N]
    box_mask: Tensor | None = None  # bool [B, T, N]
    bev: Tensor | None = None  # uint8 [B, T, 8, 200, 200], see ground_view.BirdsEyeView
    scenes: tuple[tuple[Scene, ...], ...] = ()  # [B][T], for generators that render the scene itself

    def to(self, device: torch.device | str) -> Conditions:
        """The same conditions on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in values.items()}
        return Conditions(**moved)


def build_conditions(
    scenes: Sequence[Sequence[Scene]], previous: Sequence[Scene | None], anchors: Sequence[Scene], spec: ConditionSpec
) -> Conditions:
    """Conditions of `scenes` [B][T] given the scene before each world's first one and the scene its drive began with.

    `previous[b]` is None at the very start of a drive: the first scene then counts as its own predecessor.
    Raises ValueError if worlds differ in length or in their number of cameras.
    """
    lengths = {len(frames) for frames in scenes}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"scenes: found worlds with {sorted(lengths)} frames, accepted equal lengths of at least 1")
    cameras = {frames[0].rig.names for frames in scenes}
    if len(cameras) != 1:
        raise ValueError(f"scenes: found rigs {sorted(cameras)}, accepted one set of cameras in a batch")
    for name, found in (("previous", len(previous)), ("anchors", len(anchors))):
        if found != len(scenes):
            raise ValueError(f"{name}: found {found} scenes, accepted one per world ({len(scenes)})")
    shape = (len(scenes), *lengths, len(scenes[0][0].rig.names), *spec.layout_size, len(LAYOUT_CHANNELS))
    layout = np.empty(shape, np.uint8)
    worlds = []
    for world, (frames, before, anchor) in enumerate(zip(scenes, previous, anchors)):
        chain = [before or frames[0], *frames]
        pairs = zip(chain, frames)
        worlds.append([_frame(now, old, anchor, spec, layout[world, time]) for time, (old, now) in enumerate(pairs)])
    stacked: dict[str, Any] = {
        name: _stacked([[frame[name] for frame in frames] for frames in worlds]) for name in worlds[0][0]
    }
    mounts = [_mounting(frames[0].rig) for frames in scenes]
    return Conditions(
        layout=torch.from_numpy(layout), **stacked, intrinsics=_stacked([unit for unit, _ in mounts]),
        extrinsics=_stacked([pose for _, pose in mounts]), scenes=tuple(tuple(frames) for frames in scenes),
    )  # fmt: skip


def relative_motion(now: NDArray, then: NDArray) -> NDArray[np.float32]:
    """Transform [4, 4] from the ego frame of pose `now` to that of pose `then`."""
    return (invert_pose(then) @ now).astype(np.float32)


def _stacked(values: Sequence) -> Tensor:
    return torch.from_numpy(np.array(values))


@lru_cache(maxsize=16)
def _mounting(rig: CameraRig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Intrinsics [V, 3, 3] of pictures with height = width = 1 and extrinsics [V, 4, 4]."""
    return rig.resized((1, 1)).intrinsics.astype(np.float32), rig.extrinsics.astype(np.float32)


@lru_cache(maxsize=16)
def _ground_view(rig: CameraRig, size: tuple[int, int]) -> GroundView:
    return GroundView(rig, size)


@lru_cache(maxsize=16)
def _stripe_view(rig: CameraRig, size: tuple[int, int]) -> StripeView:
    return StripeView(_ground_view(rig, size))


@lru_cache(maxsize=16)
def _empty_layout(rig: CameraRig, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Layout [V, h, w, C] of a place without map and boxes; to be copied."""
    layout = np.zeros((len(rig.names), *size, len(LAYOUT_CHANNELS)), np.uint8)
    layout[..., _DEPTH] = _ground_view(rig, size).ground_inverse_depth(INVERSE_DEPTH_SCALE)
    return layout


@lru_cache(maxsize=1)
def _birds_eye_view() -> BirdsEyeView:
    return BirdsEyeView()


def _frame(
    now: Scene, before: Scene, anchor: Scene, spec: ConditionSpec, layout: NDArray[np.uint8]
) -> dict[str, NDArray]:
    """Draws the layout [V, h, w, C] of one scene in place and returns all other conditions."""
    views = len(now.rig.names)
    poses = np.broadcast_to(now.ego.pose, (views, 4, 4)) if now.exposure_poses is None else now.exposure_poses
    cover = None
    if layout.size:
        cover = cover_with_boxes(now.tracks, now.rig, poses, spec.layout_size)
        _draw_layout(now, cover, poses, layout)
    ego = now.ego
    parts: dict[str, NDArray] = {
        "motion": relative_motion(ego.pose, before.ego.pose),
        "anchor_motion": relative_motion(ego.pose, anchor.ego.pose),
        "ego": np.array([ego.speed, ego.acceleration, ego.yaw_rate, ego.steering], np.float32),
        "tags": now.tags.vector(),
    }
    if cover is not None and "warp" in spec.parts:
        parts |= _surface(now, before, cover, spec)
    if cover is not None and "objects" in spec.parts:
        parts["object_pixels"] = _object_pixels(cover)
    if "boxes" in spec.parts:
        parts |= _box_sequence(now)
    if "bev" in spec.parts:
        parts["bev"] = np.zeros((8, 200, 200), np.uint8)
        if now.map is not None:
            parts["bev"] = _birds_eye_view().sample(coverage_pyramid(now.map), ego.pose)
    return parts


def _draw_layout(scene: Scene, cover: BoxCover, poses: NDArray, layout: NDArray[np.uint8]) -> None:
    """Fills the layout [V, h, w, C] of one scene."""
    size = layout.shape[1:3]
    np.copyto(layout, _empty_layout(scene.rig, size))
    pixels = layout.view(_PIXEL)[..., 0]
    if scene.map is not None:
        _ground_view(scene.rig, size).sample(coverage_pyramid(scene.map), poses[0], pixels["map"])
        crossing = np.flatnonzero(layout[..., _CROSSING])
        if crossing.size:
            shares = _stripe_view(scene.rig, size).sample(crossing_stripes(scene.map), poses[0], crossing)
            layout.reshape(-1, len(LAYOUT_CHANNELS))[crossing, _STRIPES] = shares
    index = cover.index.reshape(-1)
    drawn = np.flatnonzero(index != 0)
    pixels["box"].reshape(-1)[drawn] = _box_features(scene, cover, poses).take(index.take(drawn) - 1)


def _box_features(scene: Scene, cover: BoxCover, poses: NDArray) -> NDArray[np.void]:
    """Layout channels after the map classes of every drawn face [F]."""
    tracks, row = scene.tracks, cover.row
    x, y, z = (tracks.position.take(row, 0) - camera_centres(scene.rig, poses).take(cover.view, 0)).T
    heading = tracks.yaw.take(row) - np.arctan2(y, x)
    values = np.empty((_BOX_BYTES - _HEADING + _CLASS, len(row)), np.float32)
    values[0] = 127.5 + 127.5 * np.sin(heading)
    values[1] = 127.5 + 127.5 * np.cos(heading)
    values[2] = 255.0 * np.minimum(INVERSE_DEPTH_SCALE / np.sqrt(x * x + y * y + z * z), 1.0)
    values[3:6] = 255.0 * tracks.color.take(row, 0).T
    values[6] = 255.0
    values[3:7, np.isnan(values[3])] = 0.0
    values[7] = FACE_CODE.take(cover.face)
    table = np.zeros((len(row), _BOX_BYTES), np.uint8)
    table[np.arange(len(row)), tracks.class_ids.take(row)] = 255
    table[:, _HEADING - _CLASS :] = np.rint(values).T
    return table.view(f"V{_BOX_BYTES}")[:, 0]


def _object_pixels(cover: BoxCover) -> NDArray[np.int32]:
    """Size [px] of the visible part of the object under every layout pixel [V, h, w]; 0 on background."""
    pixels = np.bincount(cover.index.reshape(-1), minlength=len(cover.row) + 1)[1:]
    tracks = int(cover.row.max(initial=-1)) + 1
    pair = cover.view * tracks + cover.row  # the faces of one object in one camera
    total = np.bincount(pair, pixels, minlength=1)[pair]
    return np.concatenate([[0], total]).astype(np.int32)[cover.index]


def _surface(now: Scene, before: Scene, cover: BoxCover, spec: ConditionSpec) -> dict[str, NDArray]:
    """Surface [V, h, w, 3] that the layout tells of: ground and boxes in the previous ego frame, NaN elsewhere, and
    where on its box that of boxes lies."""
    view = _ground_view(now.rig, spec.layout_size)
    motion = invert_pose(before.ego.pose) @ now.ego.pose
    points = transform_points(motion, view.ground_points)
    within = np.zeros(points.shape, np.uint8)
    index = cover.index.reshape(-1)
    pixels = np.flatnonzero(index)
    if pixels.size:
        face = index[pixels] - 1
        rays = view.rays.reshape(-1, 3)[pixels] @ now.ego.pose[:3, :3].T
        centres = transform_points(now.ego.pose, view.centres)[cover.view[face]]
        seen = surface_points(cover, now.tracks, rays, centres, face)
        within.reshape(-1, 3)[pixels] = np.rint(255.0 * box_coordinates(seen, cover.row[face], now.tracks))
        seen = previous_points(seen, cover.row[face], now.tracks, before.tracks, now.timestamp - before.timestamp)
        points.reshape(-1, 3)[pixels] = transform_points(invert_pose(before.ego.pose), seen)
    return {"previous_points": points.astype(np.float32), "box_points": within}


def _box_sequence(scene: Scene) -> dict[str, NDArray]:
    """The nearest MAX_BOXES tracks within range as corners in the ego frame, class and track id, with a mask."""
    tracks = scene.tracks
    distance = np.linalg.norm(tracks.position[:, :2] - scene.ego.xy, axis=-1)
    rows = np.argsort(distance, kind="stable")[:MAX_BOXES]
    rows = rows[distance[rows] < BOX_SEQUENCE_RANGE]
    chosen = tracks.take(rows)
    corners = np.zeros((MAX_BOXES, 8, 3), np.float32)
    corners[: len(rows)] = transform_points(
        invert_pose(scene.ego.pose), box_corners(chosen.position, chosen.size, wrap_angle(chosen.yaw))
    )
    classes, ids = np.zeros(MAX_BOXES, np.int64), np.full(MAX_BOXES, -1, np.int64)
    classes[: len(rows)], ids[: len(rows)] = chosen.class_ids, chosen.ids
    return {
        "box_corners": corners,
        "box_class": classes,
        "box_track": ids,
        "box_mask": np.arange(MAX_BOXES) < len(rows),
    }
