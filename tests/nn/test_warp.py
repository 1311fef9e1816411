"""Warping against closed forms of projective geometry."""

from __future__ import annotations

import math

import torch

from drivesim.nn.warp import project_to_ring, sample_ring, surface_hypotheses, viewing_rays
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
    unknown = torch.full((1, 6, 9, 16, 3), torch.nan)
    points = surface_hypotheses(rays, extrinsics, turned(0.0), unknown, (25.0, 10.0))
    camera, uv, seen = project_to_ring(points, intrinsics, extrinsics)
    assert seen.all()
    assert (camera == torch.arange(6)[:, None, None]).all()
    pictures = torch.rand(1, 6, 2, 9, 16)
    warped = sample_ring(pictures, camera, uv)
    assert torch.allclose(warped, pictures[:, None].expand_as(warped), atol=1e-3)


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
    unknown = torch.full((1, 6, 9, 16, 3), torch.nan)
    points = surface_hypotheses(rays, extrinsics, turned(-math.radians(20.0)), unknown, (40.0,))
    camera, _, seen = project_to_ring(points, intrinsics, extrinsics)
    front = camera[0, 0, 1]
    assert set(front.unique().tolist()) >= {1, 2}, "after a turn the front camera reads the front and one neighbour"
    assert seen[0, 0, 1].float().mean() > 0.9


def test_known_surfaces_win_and_ground_only_in_the_first_guess() -> None:
    intrinsics, extrinsics = ring()
    rays = viewing_rays(intrinsics, extrinsics, (2, 2))
    known = torch.full((1, 6, 2, 2, 3), torch.nan)
    known[:, :, 0, 0] = torch.tensor([30.0, 1.0, 0.0])  # ground
    known[:, :, 0, 1] = torch.tensor([12.0, 1.0, 1.0])  # a box
    points = surface_hypotheses(rays, extrinsics, turned(0.0), known, (25.0, 10.0))
    assert torch.allclose(points[0, 0, 0, 0, 0], known[0, 0, 0, 0])
    assert torch.allclose(points[0, :, :, 0, 1], known[0, :, 0, 1].expand(2, 6, 3))
    centre = extrinsics[0, 0, :3, 3]
    assert abs(float((points[0, 1, 0, 0, 0] - centre).norm()) - 10.0) < 1e-3
    assert abs(float((points[0, 0, 0, 1, 1] - centre).norm()) - 25.0) < 1e-3
