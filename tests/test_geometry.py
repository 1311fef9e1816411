"""Geometry against shapely, the nuScenes devkit and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from nuscenes.utils.data_classes import Box
from pyquaternion import Quaternion

from drivesim.geometry import (
    box_corners,
    box_footprints,
    invert_pose,
    pose_from_xy_yaw,
    project,
    rectangles_overlap,
    scale_intrinsics,
    transform_points,
    wrap_angle,
    yaw_of_pose,
)


def boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random centres [N, 3], sizes [N, 3] and yaws [N]."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 4, (count, 3)), rng.uniform(0.5, 5, (count, 3)), rng.uniform(-np.pi, np.pi, count)


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [(0.0, 0.0), (np.pi, -np.pi), (-np.pi, -np.pi), (1.5 * np.pi, -0.5 * np.pi), (7.0, 7.0 - 2 * np.pi)],
)
def test_angles_wrap_to_the_half_open_circle(angle: float, wrapped: float) -> None:
    assert wrap_angle(angle) == pytest.approx(wrapped)


def test_pose_maps_its_own_axes_to_where_the_heading_points() -> None:
    pose = pose_from_xy_yaw(3.0, -2.0, np.pi / 2, 1.0)
    ahead_and_left = transform_points(pose, np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
    assert np.allclose(ahead_and_left, [[3.0, 0.0, 1.0], [1.0, -2.0, 1.0]])
    assert yaw_of_pose(pose) == pytest.approx(np.pi / 2)


def test_inverse_of_tilted_poses_undoes_them() -> None:
    rng = np.random.default_rng(1)
    poses = np.stack([Quaternion(rng.normal(size=4)).transformation_matrix for _ in range(6)]).reshape(2, 3, 4, 4)
    poses[..., :3, 3] = rng.normal(0, 100, (2, 3, 3))
    assert np.allclose(invert_pose(poses) @ poses, np.eye(4), atol=1e-12)
    assert np.allclose(invert_pose(poses), np.linalg.inv(poses))


def test_corners_are_those_of_the_devkit() -> None:
    position, size, yaw = boxes(8)
    for row, corners in enumerate(box_corners(position, size, yaw)):
        theirs = Box(position[row], size[row], Quaternion(axis=[0, 0, 1], radians=yaw[row])).corners().T
        assert np.allclose(corners, theirs)


def test_footprints_are_the_ground_rectangle_counter_clockwise_from_the_front_left() -> None:
    position, size, yaw = boxes(8)
    corners = box_corners(position, size, yaw)
    for row, footprint in enumerate(box_footprints(position, size, yaw)):
        polygon = shapely.Polygon(footprint)
        assert polygon.exterior.is_ccw
        assert polygon.area == pytest.approx(size[row, 0] * size[row, 1])
        assert np.allclose(footprint, corners[row, [3, 7, 6, 2], :2])


def test_overlap_agrees_with_shapely() -> None:
    first, second = (box_footprints(*boxes(400, seed)) for seed in (1, 2))
    area = shapely.area(shapely.intersection(shapely.polygons(first), shapely.polygons(second)))
    found = rectangles_overlap(first, second)
    assert 0.1 < found.mean() < 0.9
    assert np.array_equal(found, area > 1e-9)


@pytest.mark.parametrize(("gap", "overlap"), [(-1e-3, True), (0.0, False), (1e-3, False)])
def test_touching_rectangles_do_not_overlap(gap: float, overlap: bool) -> None:
    square = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    assert rectangles_overlap(square, square + [2.0 + gap, 0.5]) == overlap


def test_projection_of_known_points() -> None:
    k = np.array([[100.0, 0.0, 64.0], [0.0, 110.0, 36.0], [0.0, 0.0, 1.0]])
    pixels, depth = project(np.array([[0.0, 0.0, 5.0], [1.0, -0.5, 10.0], [1.0, 1.0, 0.0]]), k)
    assert np.allclose(pixels[:2], [[64.0, 36.0], [74.0, 30.5]])
    assert np.array_equal(depth, [5.0, 10.0, 0.0])
    assert np.isfinite(pixels).all()


def test_resized_pictures_show_a_point_at_the_same_relative_place() -> None:
    k = np.array([[1266.0, 0.0, 816.0], [0.0, 1266.0, 491.0], [0.0, 0.0, 1.0]])
    points = np.random.default_rng(0).normal(0, 2, (10, 3)) + [0.0, 0.0, 10.0]
    large, _ = project(points, k)
    small, _ = project(points, scale_intrinsics(k, (900, 1600), (72, 128)))
    assert np.allclose(small / [128, 72], large / [1600, 900])
