"""Warping against closed forms of projective geometry."""

from __future__ import annotations

import math

import torch

from drivesim.nn.warp import (
    camera_centres,
    is_ground,
    pixel_centres,
    points_along,
    project_to_ring,
    refine,
    sample_ring,
    viewing_rays,
)
from drivesim.town.rig import nuscenes_rig


def ring() -> tuple[torch.Tensor, torch.Tensor]:
    rig = nuscenes_rig((72, 128))
    unit = torch.tensor(rig.resized((1, 1)).intrinsics, dtype=torch.float32)[None]
    return unit, torch.tensor(rig.extrinsics, dtype=torch.float32)[None]


def turned(yaw: float, forward: float = 0.0) -> torch.Tensor:
    pose = torch.eye(4)
    pose[:2, :2] = torch.tensor([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    pose[0, 3] = forward
    return pose[None]


def test_no_motion_gives_the_picture_back() -> None:
    intrinsics, extrinsics = ring()
    rays = viewing_rays(intrinsics, extrinsics, (9, 16))
    distance = torch.tensor([25.0, 10.0])[None, :, None, None, None].expand(1, 2, 6, 9, 16)
    points = points_along(rays, extrinsics, turned(0.0), distance)
    camera, uv, seen = project_to_ring(points, intrinsics, extrinsics)
    assert seen.all()
    assert (camera == torch.arange(6)[:, None, None]).all()
    pictures = torch.rand(1, 6, 2, 9, 16)
    for mode in ("bilinear", "bicubic"):
        warped = sample_ring(pictures, camera, uv, mode)
        assert torch.allclose(warped, pictures[:, None].expand_as(warped), atol=2e-3)


def test_a_turn_moves_the_far_picture_by_its_angle() -> None:
    """A yaw of 5 degrees shifts a point on the optical axis by f tan(5 degrees), whatever its distance."""
    intrinsics, extrinsics = ring()
    angle = math.radians(5.0)
    points = torch.tensor([60.0, 0.0, 1.5])[None, None, None, None, None].expand(1, 1, 6, 1, 1, 3)
    here = project_to_ring(points, intrinsics, extrinsics)[1][0, 0, 1, 0, 0, 0]
    turned_points = points @ turned(angle)[0, :3, :3].T
    there = project_to_ring(turned_points, intrinsics, extrinsics)[1][0, 0, 1, 0, 0, 0]
    assert abs(float(here - there) - float(intrinsics[0, 1, 0, 0]) * math.tan(angle)) < 0.02


def test_what_leaves_a_camera_is_found_in_its_neighbour() -> None:
    intrinsics, extrinsics = ring()
    rays = viewing_rays(intrinsics, extrinsics, (9, 16))
    points = points_along(rays, extrinsics, turned(-math.radians(20.0)), torch.full((1, 1, 6, 9, 16), 40.0))
    camera, _, seen = project_to_ring(points, intrinsics, extrinsics)
    front = camera[0, 0, 1]
    assert set(front.unique().tolist()) >= {1, 2}, "after a turn the front camera reads the front and one neighbour"
    assert seen[0, 0, 1].float().mean() > 0.9


def test_points_lie_at_their_distances_from_where_the_cameras_have_come_to() -> None:
    intrinsics, extrinsics = ring()
    rays = viewing_rays(intrinsics, extrinsics, (2, 2))
    motion = turned(0.3, forward=2.0)
    distance = torch.tensor([25.0, 10.0])[None, :, None, None, None].expand(1, 2, 6, 2, 2)
    points = points_along(rays, extrinsics, motion, distance)
    centres = camera_centres(extrinsics, motion)
    expected = extrinsics[0, :, :3, 3] @ motion[0, :3, :3].T + torch.tensor([2.0, 0.0, 0.0])
    assert torch.allclose(centres[0], expected, atol=1e-5)
    found = (points - centres[:, None, :, None, None]).norm(dim=-1)
    assert torch.allclose(found, distance, atol=1e-4)


def test_geometry_stays_exact_in_mixed_precision() -> None:
    intrinsics, extrinsics = ring()
    rays = viewing_rays(intrinsics, extrinsics, (9, 16))
    points = points_along(rays, extrinsics, turned(0.1, 1.0), torch.full((1, 1, 6, 9, 16), 31.0))
    expected = project_to_ring(points, intrinsics, extrinsics)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rays = viewing_rays(intrinsics, extrinsics, (9, 16))
        points = points_along(rays, extrinsics, turned(0.1, 1.0), torch.full((1, 1, 6, 9, 16), 31.0))
        found = project_to_ring(points, intrinsics, extrinsics)[1]
    assert torch.equal(found, expected)


def test_ground_is_told_from_boxes_and_the_unknown() -> None:
    points = torch.tensor([[9.0, 1.0, 0.01], [9.0, 1.0, 0.6], [torch.nan] * 3])
    assert is_ground(points).tolist() == [True, False, False]


def test_a_finer_look_up_keeps_the_displacement_of_its_cell() -> None:
    shift = torch.tensor([0.25, -0.125])
    camera = torch.arange(8).reshape(2, 4)
    fine_camera, fine = refine(camera, pixel_centres((2, 4), torch.device("cpu")) + shift, 3)
    assert torch.allclose(fine - pixel_centres((6, 12), torch.device("cpu")), shift.expand(6, 12, 2), atol=1e-6)
    assert (fine_camera[3:, 9:] == camera[1, 3]).all()
