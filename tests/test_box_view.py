"""Drawn boxes against closed forms, the ray-caster's instance mask and another rasteriser."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from drivesim.box_view import (
    FACE_NORMALS,
    FACES,
    BoxCover,
    box_coordinates,
    cover_with_boxes,
    previous_points,
    surface_points,
)
from drivesim.geometry import UNIT_CORNERS, box_corners, transform_points
from drivesim.scene import CameraRig, EgoState, Tracks
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from tests.straight_road import track
from tests.town.scenes import mixed_traffic, synthetic_scene

SIZE = (72, 128)
FRONT, LEFT_OF_FRONT, BACK = 1, 0, 4
FRONT_FACE, BACK_FACE, LEFT_FACE, RIGHT_FACE, TOP_FACE = range(5)


def forward_rig(size: tuple[int, int] = SIZE) -> CameraRig:
    """One level camera 1.5 m above the rear axle with f = 100 px and the optical axis in the middle of the picture."""
    k = np.array([[[100.0, 0.0, size[1] / 2], [0.0, 100.0, size[0] / 2], [0.0, 0.0, 1.0]]])
    mount = np.array([[[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.5], [0.0, 0.0, 0.0, 1.0]]])
    return CameraRig(("CAM_FRONT",), k, mount, size)


def cover(tracks: Tracks, rig: CameraRig, ego: EgoState | None = None) -> BoxCover:
    pose = (ego or EgoState.at(0.0, 0.0, 0.0)).pose
    return cover_with_boxes(tracks, rig, np.broadcast_to(pose, (len(rig.names), 4, 4)), rig.image_size)


def merged(*parts: Tracks) -> Tracks:
    return Tracks(*(np.concatenate([getattr(p, name) for p in parts]) for name in Tracks.__dataclass_fields__))


def random_tracks(count: int, seed: int) -> Tracks:
    """Boxes of all sizes anywhere around, so also across and behind the cameras."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.4, 5.0, (count, 3))
    position = np.concatenate([rng.uniform(-40, 40, (count, 2)), 0.5 * size[:, 2:]], axis=1)
    return Tracks(np.arange(count), np.arange(count) % 10, position, size, rng.uniform(-np.pi, np.pi, count),
                  np.zeros((count, 2)))  # fmt: skip


def grown(mask: NDArray[np.bool_], pixels: int = 1) -> NDArray[np.bool_]:
    """Masks [V, h, w] with a margin."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.stack([cv2.dilate(view.astype(np.uint8), kernel) for view in mask]) > 0


def test_faces_are_counter_clockwise_seen_from_outside() -> None:
    for face, normal in zip(FACES, FACE_NORMALS):
        a, b, c, d = UNIT_CORNERS[face]
        assert np.allclose(np.cross(b - a, c - b), normal)
        assert np.allclose(a + c, b + d)  # a parallelogram, at half a unit along its normal
        assert np.allclose((a + c) / 2, normal / 2)


def test_a_box_straight_ahead_fills_the_rectangle_of_its_rear_face() -> None:
    # Rear face at x = 10 m, 2 m wide, from the ground to the height of the camera.
    box = track(12.0, 0.0)
    drawn = cover(box, forward_rig()).index[0] > 0
    rows, columns = np.nonzero(drawn)
    # u = 64 -+ 100 * 1 / 10, v = 36 + 100 * 1.5 / 10; the roof is as high as the camera, so v starts at 36.
    assert (columns.min(), columns.max() + 1) == pytest.approx((54, 74), abs=1)
    assert (rows.min(), rows.max() + 1) == pytest.approx((36, 51), abs=1)
    assert drawn[37:50, 55:73].all()


def test_every_face_that_is_turned_to_the_camera_is_seen_and_no_other() -> None:
    # Ahead and to the right of the camera: rear and left face; low enough for the roof.
    low = track(10.0, -5.0)
    low = replace(low, position=low.position * [1, 1, 0.6], size=low.size * [1, 1, 0.6])
    seen = cover(low, forward_rig())
    assert set(np.unique(seen.face[np.unique(seen.index)[1:] - 1])) == {BACK_FACE, LEFT_FACE, TOP_FACE}


def test_the_nearer_box_hides_the_farther_one() -> None:
    both = merged(track(8.0, 0.0, number=1), track(16.0, 0.0, number=2))
    for order in ([0, 1], [1, 0]):
        tracks = both.take(np.array(order))
        rows = cover(tracks, forward_rig()).track_rows()
        assert set(tracks.ids[rows[rows >= 0]]) == {1}


def test_nothing_is_drawn_of_boxes_behind_beyond_or_around_the_camera() -> None:
    rig = forward_rig()
    inside = track(0.0, 0.0)
    inside = replace(inside, size=inside.size * 4)
    for tracks in (track(-10.0, 0.0), track(95.0, 0.0), track(10.0, 30.0), inside, Tracks.empty()):
        seen = cover(tracks, rig)
        assert not seen.index.any()
        assert len(seen.row) == len(seen.view) == len(seen.face)
    assert cover(track(80.0, 0.0), rig).index.any()


def test_a_box_across_the_plane_of_the_camera_is_cut_there() -> None:
    # A long wall to the left from 20 m behind to 20 m ahead, 3 m away: it shows left of u = 64 - 100 * 3 / 20 = 49.
    wall = track(0.0, 4.0)
    wall = replace(wall, size=np.array([[2.0, 40.0, 1.5]]))
    drawn = cover(wall, forward_rig()).index[0] > 0
    columns = np.arange(128) + 0.5
    depth = np.minimum(100.0 * 3.0 / np.maximum(64.0 - columns, 1e-6), 1e3)  # of the wall at that column [m]
    foot = 36.0 + 100.0 * 1.5 / depth  # the roof is at the height of the camera
    rows = np.arange(72)[:, None] + 0.5
    expected = (rows > 36.0) & (rows < foot) & (columns < 49.0)
    assert expected.sum() > 900
    assert not (expected & ~drawn).any()
    assert not (drawn & ~grown(expected[None])[0]).any()


@pytest.mark.parametrize("seed", range(3))
def test_cover_is_the_union_of_hulls_up_to_a_pixel(seed: int) -> None:
    rig = nuscenes_rig(SIZE)
    ego = EgoState.at(3.0, -2.0, 0.7)
    tracks = random_tracks(40, seed)
    corners = box_corners(tracks.position, tracks.size, tracks.yaw).reshape(-1, 3)
    corners = transform_points(np.linalg.inv(ego.pose), corners)
    hulls = np.zeros((6, *SIZE), np.uint8)
    whole = np.ones((6, len(tracks)), bool)  # hulls of boxes across the camera's plane are not so simple
    for view in range(6):
        local = transform_points(rig.camera_from_ego[view], corners).reshape(-1, 8, 3)
        whole[view] = (local[..., 2] > 0.2).all(-1) | (local[..., 2] < 0.0).all(-1)
        for box in local[(local[..., 2] > 0.2).all(-1)]:
            uv = (box @ rig.intrinsics[view].T)[:, :2] / box[:, 2:]
            hull = cv2.convexHull((16 * (uv - 0.5)).round().clip(-1e6, 1e6).astype(np.int32))
            cv2.fillConvexPoly(hulls[view], hull, 1, cv2.LINE_8, 4)
    kept = tracks.take(whole.all(0) & (np.hypot(*(tracks.position[:, :2] - ego.xy).T) > 4.0))
    drawn = cover(tracks, rig, ego).index > 0
    only_whole = cover(kept, rig, ego).index > 0
    assert (hulls > 0).sum() > 3000
    assert not ((hulls > 0) & ~grown(drawn)).any()
    assert not (only_whole & ~grown(hulls > 0)).any()
    assert (only_whole & ~(hulls > 0)).mean() < 0.002


def test_objects_of_the_ray_caster_lie_inside_the_cover() -> None:
    scene = synthetic_scene(mixed_traffic())
    frame = Raycaster(scene.rig).render(scene)
    seen = cover(scene.tracks, scene.rig, scene.ego)
    covered = np.stack([seen.track_rows() == row for row in range(len(scene.tracks))])
    found = 0
    for row, number in enumerate(scene.tracks.ids):
        mask = frame.instance == number
        found += mask.any()
        # A pixel of an object that shows through the corner of a nearer box belongs to that box in the cover.
        nearer = covered.any(0) & ~covered[row]
        assert not (mask & ~grown(covered[row]) & ~nearer).any()
    assert found >= 8
    masked, drawn = frame.instance >= 0, covered.any(0)
    assert (masked & drawn).sum() > 0.95 * masked.sum()
    assert not (masked & ~grown(drawn)).any()


def test_cover_does_not_depend_on_where_in_the_world_it_is() -> None:
    rig = nuscenes_rig(SIZE)
    tracks = random_tracks(30, 5)
    moved = EgoState.at(1800.0, -950.0, 2.0)
    places = transform_points(moved.pose, tracks.position)
    far = replace(tracks, position=places, yaw=tracks.yaw + 2.0)
    here, there = cover(tracks, rig), cover(far, rig, moved)
    assert (here.track_rows() != there.track_rows()).mean() < 1e-3


def test_surface_lies_on_the_face_that_is_seen() -> None:
    rig = forward_rig()
    box = track(12.0, 0.5, yaw=0.3)
    seen = cover(box, rig)
    v, u = np.nonzero(seen.index[0])
    rays = np.stack([np.ones(len(u)), (64.0 - u - 0.5) / 100.0, (36.0 - v - 0.5) / 100.0], axis=-1)
    faces = seen.index[0, v, u] - 1
    points = surface_points(seen, box, rays, np.broadcast_to([0.0, 0.0, 1.5], rays.shape), faces)
    c, s = np.cos(0.3), np.sin(0.3)
    local = (points - box.position) @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    reach = np.abs(local) / [2.0, 1.0, 0.75]
    half = np.array([2.0, 2.0, 1.0, 1.0, 0.75])
    assert np.allclose((local * FACE_NORMALS[seen.face[faces]]).sum(-1), half[seen.face[faces]])
    assert np.quantile(reach.max(-1), 0.7) < 1.0 + 1e-6  # pixels at the rim may look past the box
    assert reach.max() < 1.5


def test_box_coordinates_of_corners_and_centre() -> None:
    boxes = merged(track(20.5, 5.2, yaw=1.2, number=8), track(1.0, 0.0, yaw=-2.5, number=3))
    corners = box_corners(boxes.position, boxes.size, boxes.yaw).reshape(-1, 3)
    row = np.repeat([0, 1], 8)
    expected = np.tile(UNIT_CORNERS + 0.5, (2, 1))
    assert np.allclose(box_coordinates(corners, row, boxes), expected)
    halfway = 0.5 * (corners + boxes.position[row])
    assert np.allclose(box_coordinates(halfway, row, boxes), 0.5 * expected + 0.25)
    beyond = 2.0 * corners - boxes.position[row]
    assert np.allclose(box_coordinates(beyond, row, boxes), expected)


def test_points_of_a_track_move_back_with_it() -> None:
    before = merged(track(0.0, 0.0, yaw=0.0, number=3), track(20.0, 5.0, yaw=1.0, number=8))
    now = merged(track(20.5, 5.2, yaw=1.2, number=8), track(1.0, 0.0, yaw=np.pi / 2, number=3))
    corners = box_corners(now.position, now.size, now.yaw)
    expected = box_corners(before.position, before.size, before.yaw)[::-1]
    row = np.repeat([0, 1], 8)
    found = previous_points(corners.reshape(-1, 3), row, now, before, 0.1)
    assert np.allclose(found, expected.reshape(-1, 3))


def test_points_of_a_new_track_move_back_with_its_velocity() -> None:
    now = track(10.0, 0.0, yaw=np.pi / 2, speed=6.0, number=5)
    for before in (Tracks.empty(), track(50.0, 0.0, number=4)):
        found = previous_points(np.array([[10.0, 1.0, 0.5]]), np.array([0]), now, before, 0.5)
        assert np.allclose(found, [[10.0, -2.0, 0.5]])
