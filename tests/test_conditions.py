"""Conditions: meaning of every tensor against closed forms, and that batching changes nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from drivesim.conditions import (
    INVERSE_DEPTH_SCALE,
    LAYOUT_CHANNELS,
    MAX_BOXES,
    PARTS,
    Conditions,
    ConditionSpec,
    build_conditions,
    relative_motion,
)
from drivesim.geometry import box_corners, transform_points
from drivesim.ground_view import pixel_rays
from drivesim.scene import OBJECT_CLASSES, CameraRig, EgoState, Scene, Tags, Tracks
from drivesim.town.rig import nuscenes_rig
from tests.straight_road import track
from tests.town.scenes import mixed_traffic, synthetic_scene

SIZE = (36, 64)
ALL = ConditionSpec(SIZE, PARTS)
CHANNEL = {name: index for index, name in enumerate(LAYOUT_CHANNELS)}


def scene(x: float = 0.0, yaw: float = 0.0, time: float = 0.0, **changes: object) -> Scene:
    """A straight road with one object of each class; the ego at (x, -1.75)."""
    made = synthetic_scene(ego_free(mixed_traffic()))
    return replace(made, **{"timestamp": time, "ego": EgoState.at(x, -1.75, yaw, 8.0), **changes})


def ego_free(tracks: Tracks) -> Tracks:
    """Tracks that are not where the ego drives."""
    return tracks.take(np.abs(tracks.position[:, 0]) > 5.0)


def single(now: Scene, before: Scene | None = None, spec: ConditionSpec = ALL) -> Conditions:
    return build_conditions([[now]], [before], [before or now], spec)


def tensors(conditions: Conditions) -> dict[str, Tensor]:
    values = {f.name: getattr(conditions, f.name) for f in fields(conditions)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def test_shapes_and_types_are_as_documented() -> None:
    made = build_conditions([[scene(), scene(1.0)]] * 3, [None] * 3, [scene()] * 3, ALL)
    expected = {
        "layout": ((3, 2, 6, 36, 64, 27), torch.uint8), "motion": ((3, 2, 4, 4), torch.float32),
        "anchor_motion": ((3, 2, 4, 4), torch.float32), "ego": ((3, 2, 4), torch.float32),
        "tags": ((3, 2, 6), torch.float32), "intrinsics": ((3, 6, 3, 3), torch.float32),
        "extrinsics": ((3, 6, 4, 4), torch.float32), "previous_points": ((3, 2, 6, 36, 64, 3), torch.float32),
        "box_points": ((3, 2, 6, 36, 64, 3), torch.uint8),
        "object_pixels": ((3, 2, 6, 36, 64), torch.int32), "box_corners": ((3, 2, 96, 8, 3), torch.float32),
        "box_class": ((3, 2, 96), torch.int64), "box_track": ((3, 2, 96), torch.int64),
        "box_mask": ((3, 2, 96), torch.bool), "bev": ((3, 2, 8, 200, 200), torch.uint8),
    }  # fmt: skip
    assert {name: (tuple(t.shape), t.dtype) for name, t in tensors(made).items()} == expected
    assert len(LAYOUT_CHANNELS) == 27
    assert len(made.scenes) == 3
    assert [len(frames) for frames in made.scenes] == [2, 2, 2]


def test_parts_that_were_not_asked_for_are_missing() -> None:
    made = single(scene(), spec=ConditionSpec((9, 16)))
    optional = ("previous_points", "box_points", "object_pixels", "box_corners", "box_class", "box_track", "box_mask")
    assert all(getattr(made, name) is None for name in (*optional, "bev"))


def test_frames_of_a_chunk_equal_single_frames() -> None:
    drive = [scene(0.7 * t, 0.02 * t, t / 12) for t in range(4)]
    chunk = build_conditions([drive[1:]], [drive[0]], [drive[0]], ALL)
    for t in range(1, 4):
        alone = build_conditions([[drive[t]]], [drive[t - 1]], [drive[0]], ALL)
        for name, value in tensors(alone).items():
            if name not in ("intrinsics", "extrinsics"):
                assert torch.equal(value[:, 0].nan_to_num(9e9), getattr(chunk, name)[:, t - 1].nan_to_num(9e9)), name


def test_worlds_of_a_batch_equal_single_worlds() -> None:
    first, second = scene(3.0, 0.1, tags=Tags("rain", "night")), scene(-6.0, -0.2, map=None)
    both = build_conditions([[first], [second]], [scene(2.0), None], [scene(), second], ALL)
    for world, alone in enumerate((build_conditions([[first]], [scene(2.0)], [scene()], ALL), single(second))):
        for name, value in tensors(alone).items():
            assert torch.equal(value[0].nan_to_num(9e9), getattr(both, name)[world].nan_to_num(9e9)), name


def test_results_belong_to_the_caller() -> None:
    before = single(scene())
    kept = {name: value.clone() for name, value in tensors(before).items()}
    for value in tensors(before).values():
        value.zero_()
    for name, value in tensors(single(scene())).items():
        assert torch.equal(value.nan_to_num(9e9), kept[name].nan_to_num(9e9)), name


def test_motion_maps_points_of_now_to_where_they_were() -> None:
    before, now, anchor = scene(2.0, 0.1), scene(3.0, 0.3), scene(-5.0, 1.0)
    made = build_conditions([[now]], [before], [anchor], ALL)
    point = np.array([12.0, 3.0, 0.5])
    world = transform_points(now.ego.pose, point)
    for motion, then in ((made.motion, before), (made.anchor_motion, anchor)):
        seen_then = transform_points(np.linalg.inv(then.ego.pose), world)
        assert np.allclose(transform_points(motion[0, 0].numpy(), point), seen_then, atol=1e-4)


def test_motion_identities() -> None:
    start, middle, end = (scene(x, yaw).ego.pose for x, yaw in ((0.0, 0.0), (2.0, 0.4), (3.0, -0.3)))
    assert np.allclose(relative_motion(start, start), np.eye(4))
    assert np.allclose(
        relative_motion(middle, start) @ relative_motion(end, middle), relative_motion(end, start), atol=1e-5
    )
    first = single(scene(2.0, 0.4))  # the first scene of a drive is its own predecessor
    assert torch.allclose(first.motion[0, 0], torch.eye(4), atol=1e-6)
    assert torch.allclose(first.anchor_motion[0, 0], torch.eye(4), atol=1e-6)


def test_ego_tags_and_cameras_are_passed_on() -> None:
    now = scene(tags=Tags("overcast", "dusk"), ego=EgoState(np.eye(4), 7.0, -1.0, 0.05, 0.2))
    made = single(now)
    assert torch.allclose(made.ego[0, 0], torch.tensor([7.0, -1.0, 0.2, 0.05]))
    assert made.tags[0, 0].tolist() == [0, 1, 0, 0, 1, 0]
    h, w = now.rig.image_size
    assert np.allclose(made.intrinsics[0] * torch.tensor([[w], [h], [1.0]]), now.rig.intrinsics, rtol=1e-5)
    assert np.allclose(made.extrinsics[0], now.rig.extrinsics, atol=1e-6)


def test_layout_tells_class_heading_distance_and_colour_of_a_box() -> None:
    bus = track(20.0, -1.75, yaw=0.6, name="bus")
    bus = replace(bus, color=np.array([[0.2, 0.4, 0.6]], np.float32))
    now = scene(tracks=bus, ego=EgoState.at(0.0, -1.75, 0.0))
    layout = single(now).layout[0, 0].numpy()
    boxes = layout[layout[..., CHANNEL["face"]] > 0]
    assert len(boxes) > 10
    classes = boxes[:, CHANNEL["car"] : CHANNEL["car"] + len(OBJECT_CLASSES)]
    assert (classes == 255 * (np.arange(10) == OBJECT_CLASSES.index("bus"))).all()
    centre = now.rig.extrinsics[1, :3, 3] + now.ego.pose[:3, 3]
    offset = bus.position[0] - centre
    angle = 0.6 - np.arctan2(offset[1], offset[0])
    pixel = layout[1][layout[1][..., CHANNEL["face"]] > 0][0].astype(float)
    assert pixel[CHANNEL["heading_sin"]] == pytest.approx(127.5 + 127.5 * np.sin(angle), abs=0.51)
    assert pixel[CHANNEL["heading_cos"]] == pytest.approx(127.5 + 127.5 * np.cos(angle), abs=0.51)
    depth = 255 * INVERSE_DEPTH_SCALE / np.linalg.norm(offset)
    assert pixel[CHANNEL["inverse_depth"]] == pytest.approx(depth, abs=0.51)
    assert pixel[CHANNEL["red"] : CHANNEL["face"]].tolist() == [51, 102, 153, 255]


def test_unknown_colour_is_marked_as_unknown() -> None:
    layout = single(scene(tracks=track(15.0, -1.75))).layout[0, 0].numpy()
    boxes = layout[layout[..., CHANNEL["face"]] > 0]
    assert not boxes[:, CHANNEL["red"] : CHANNEL["color_known"] + 1].any()


def test_background_has_ground_depth_and_no_box_channels() -> None:
    layout = single(scene(tracks=Tracks.empty())).layout[0, 0].numpy()
    depth = layout[..., CHANNEL["inverse_depth"]]
    assert (depth[:, -1] > 100).all()
    assert not depth[:, 0].any()
    rest = np.delete(layout, [*range(8), CHANNEL["inverse_depth"], CHANNEL["stripes"]], axis=-1)
    assert not rest.any()
    assert layout[..., CHANNEL["drivable_area"]].any()


def test_scenes_without_a_map_show_boxes_on_empty_ground() -> None:
    with_map, without = single(scene()), single(scene(map=None))
    assert not without.layout[..., :8].any()
    boxes = slice(8, CHANNEL["stripes"])
    assert torch.equal(without.layout[..., boxes], with_map.layout[..., boxes])
    assert not without.bev.any()
    assert torch.equal(without.previous_points.nan_to_num(9e9), with_map.previous_points.nan_to_num(9e9))


def test_object_pixels_count_the_visible_part() -> None:
    now = scene()
    made = single(now)
    pixels = made.object_pixels[0, 0].numpy()
    face = made.layout[0, 0, ..., CHANNEL["face"]].numpy()
    assert np.array_equal(pixels > 0, face > 0)
    for view in range(6):
        sizes, counts = np.unique(pixels[view][pixels[view] > 0], return_counts=True)
        assert (counts % sizes == 0).all()  # one object, or several of the same size
    alone = single(scene(tracks=track(14.0, -1.75)))
    count = int((alone.layout[0, 0, 1, ..., CHANNEL["face"]] > 0).sum())
    assert set(alone.object_pixels[0, 0, 1].unique().tolist()) == {0, count}


def test_boxes_are_the_nearest_ones_in_the_ego_frame() -> None:
    now = scene(4.0, 0.5)
    made = single(now)
    count = int(made.box_mask.sum())
    assert count == len(now.tracks)
    assert made.box_mask[0, 0, :count].all()
    ids = made.box_track[0, 0, :count].numpy()
    distance = np.linalg.norm(now.tracks.position[:, :2] - now.ego.xy, axis=1)
    assert np.array_equal(ids, now.tracks.ids[np.argsort(distance, kind="stable")])
    assert (made.box_track[0, 0, count:] == -1).all()
    rows = np.searchsorted(now.tracks.ids, ids)
    assert np.array_equal(made.box_class[0, 0, :count], now.tracks.class_ids[rows])
    world = box_corners(now.tracks.position, now.tracks.size, now.tracks.yaw)[rows]
    assert np.allclose(transform_points(now.ego.pose, made.box_corners[0, 0, :count].numpy()), world, atol=1e-4)


def test_an_object_ahead_has_positive_x_and_one_to_the_left_positive_y() -> None:
    ego = EgoState.at(50.0, 20.0, 2.0)
    places = transform_points(ego.pose, np.array([[10.0, 0.0, 0.75], [0.0, 20.0, 0.75], [0.0, 0.0, 0.75]]))
    tracks = Tracks(np.arange(3), np.zeros(3, int), places + [[0, 0, 0], [0, 0, 0], [0, 0, 100.0]], np.ones((3, 3)),
                    np.full(3, 2.0), np.zeros((3, 2)))  # fmt: skip
    made = single(scene(ego=ego, tracks=tracks.take(np.array([1, 0]))))
    assert made.box_track[0, 0, :2].tolist() == [0, 1]
    centres = made.box_corners[0, 0, :2].mean(1)
    assert torch.allclose(centres[:, :2], torch.tensor([[10.0, 0.0], [0.0, 20.0]]), atol=1e-4)


def test_more_boxes_than_fit_leave_out_the_farthest() -> None:
    count = MAX_BOXES + 20
    angle = np.linspace(0, 6, count)
    radius = np.linspace(5, 70, count)
    position = np.stack([radius * np.cos(angle), radius * np.sin(angle) - 1.75, np.ones(count)], axis=1)
    tracks = Tracks(np.arange(count), np.zeros(count, int), position, np.ones((count, 3)), angle, np.zeros((count, 2)))
    made = single(scene(tracks=tracks))
    assert made.box_mask[0, 0].sum() == min(MAX_BOXES, int((radius < 60.0).sum()))
    assert made.box_track[0, 0, :50].tolist() == list(range(50))


def point_at(made: Conditions, view: int, row: int, column: int) -> np.ndarray:
    return made.previous_points[0, 0, view, row, column].numpy()


def test_ground_reprojects_to_where_it_was_seen() -> None:
    before, now = scene(0.0, tracks=Tracks.empty()), scene(0.8, 0.05, tracks=Tracks.empty())
    made = single(now, before)
    known = ~made.previous_points[0, 0, ..., 0].isnan().numpy()
    assert 0.2 < known.mean() < 0.6
    view, row, column = (axis[::50] for axis in np.nonzero(known))
    rays = pixel_rays(now.rig, SIZE)[view, row, column]
    centres = now.rig.extrinsics[view, :3, 3]
    hit = centres - rays * (centres[:, 2:] / rays[:, 2:])  # where the pixel's ray meets z = 0 of the ego frame
    expected = transform_points(np.linalg.inv(before.ego.pose) @ now.ego.pose, hit)
    assert np.allclose(made.previous_points[0, 0].numpy()[view, row, column], expected, atol=1e-3)


def test_previous_surface_of_a_standing_box_is_its_surface() -> None:
    box = track(15.0, -1.75)
    before, now = scene(0.0, tracks=box), scene(1.0, tracks=box, time=1 / 12)
    made = single(now, before)
    row, column = 20, 32  # straight ahead of the front camera, just below the horizon
    seen = point_at(made, 1, row, column)
    assert seen[0] == pytest.approx(13.0, abs=1e-3)  # rear face, in the previous ego frame
    assert abs(seen[1]) < 1.0
    assert 0.0 < seen[2] < 1.5
    along, across, up = made.box_points[0, 0, 1, row, column].tolist()
    assert along == 0  # its rear end
    width, _, height = box.size[0]
    assert across == pytest.approx(255 * (seen[1] / width + 0.5), abs=1)
    assert up == pytest.approx(255 * seen[2] / height, abs=1)
    assert not made.box_points[0, 0][made.object_pixels[0, 0] == 0].any()


def test_previous_surface_of_a_moving_box_follows_its_track() -> None:
    now = scene(1.0, tracks=track(15.0, -1.75, speed=12.0), time=1 / 12)
    known = single(now, scene(0.0, tracks=track(13.9, -1.65, speed=12.0)))
    seen = point_at(known, 1, 20, 32)
    still = point_at(single(now, scene(0.0, tracks=track(15.0, -1.75))), 1, 20, 32)
    assert np.allclose(seen - still, [-1.1, 0.1, 0.0], atol=1e-3)
    new = point_at(single(now, scene(0.0, tracks=Tracks.empty())), 1, 20, 32)
    assert np.allclose(new - still, [-1.0, 0.0, 0.0], atol=1e-3)  # 12 m/s for a twelfth of a second


def test_conditions_move_to_a_device_as_a_whole() -> None:
    moved = single(scene()).to("meta")
    assert all(value.device.type == "meta" for value in tensors(moved).values())
    assert len(moved.scenes) == 1


def test_what_does_not_fit_together_is_named() -> None:
    now, spec = scene(), ConditionSpec((9, 16))
    with pytest.raises(ValueError, match=r"scenes: found worlds with \[1, 2\] frames"):
        build_conditions([[now], [now, now]], [None, None], [now, now], spec)
    with pytest.raises(ValueError, match=r"scenes: found worlds with \[0\] frames"):
        build_conditions([[]], [None], [now], spec)
    with pytest.raises(ValueError, match=r"scenes: found worlds with \[\] frames"):
        build_conditions([], [], [], spec)
    with pytest.raises(ValueError, match=r"previous: found 2 scenes, accepted one per world \(1\)"):
        build_conditions([[now]], [None, None], [now], spec)
    with pytest.raises(ValueError, match=r"anchors: found 0 scenes, accepted one per world \(1\)"):
        build_conditions([[now]], [None], [], spec)
    rig = nuscenes_rig()
    front = CameraRig(rig.names[:1], rig.intrinsics[:1], rig.extrinsics[:1], rig.image_size)
    with pytest.raises(ValueError, match="scenes: found rigs"):
        build_conditions([[now], [replace(now, rig=front)]], [None, None], [now, now], spec)


def test_spec_refuses_unknown_parts_and_sizes_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match=r"parts: found \['depth'\], accepted any of"):
        ConditionSpec(SIZE, parts=frozenset({"depth"}))
    with pytest.raises(ValueError, match=r"layout_size: found \(0, 0\), accepted at least \(1, 1\) for \['warp'\]"):
        ConditionSpec((0, 0), frozenset({"warp"}))


def test_no_layout_leaves_the_rest() -> None:
    made = single(scene(), spec=ConditionSpec((0, 0)))
    assert made.layout.numel() == 0
    assert torch.equal(made.ego, single(scene()).ego)


def test_a_rig_of_one_camera_is_enough() -> None:
    rig = nuscenes_rig()
    front = CameraRig(rig.names[1:2], rig.intrinsics[1:2], rig.extrinsics[1:2], rig.image_size)
    ring, alone = single(scene()), single(scene(rig=front))
    assert torch.equal(alone.layout[:, :, 0], ring.layout[:, :, 1])
