"""LIDAR sweeps against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.geometry import transform_points
from drivesim.scene import Statics
from drivesim.town.lidar import FIRINGS, HIGHEST, LOWEST, MAX_RANGE, MIN_RANGE, RINGS, lidar_sweep
from drivesim.town.rig import LIDAR_EXTRINSICS
from tests.town.scenes import surroundings, synthetic_scene, traffic

BARE = surroundings(buildings=False, trees=False)
HEIGHT = LIDAR_EXTRINSICS[2, 3]


def bare_statics() -> Statics:
    return replace(
        BARE,
        pole_position=BARE.pole_position[:0],
        pole_height=BARE.pole_height[:0],
        pole_yaw=BARE.pole_yaw[:0],
        pole_kind=BARE.pole_kind[:0],
    )


def test_empty_plane_gives_circles() -> None:
    """Ring k at elevation e meets the plane at height / sin(-e), all around, where that is in range."""
    points = lidar_sweep(synthetic_scene(traffic([]), statics=bare_statics()))
    assert points.dtype == np.float32 and points.shape[1] == 5
    elevation = np.radians(np.linspace(LOWEST, HIGHEST, RINGS))
    for ring, angle in enumerate(elevation):
        mine = points[points[:, 4] == ring]
        expected = HEIGHT / np.sin(-angle) if angle < 0 else np.inf
        assert len(mine) == (FIRINGS if expected <= MAX_RANGE else 0)
        assert np.allclose(np.linalg.norm(mine[:, :3], axis=1), expected, rtol=1e-4) if len(mine) else True


def test_wall_ahead_is_at_its_distance() -> None:
    scene = synthetic_scene(traffic([("barrier", 21.0, -1.75, 0.0, (8.0, 2.0, 3.0))]), statics=bare_statics())
    points = lidar_sweep(scene)
    world = transform_points(scene.ego.pose @ LIDAR_EXTRINSICS, points[:, :3].astype(float))
    hit = world[(world[:, 2] > 0.05) & (points[:, 1] > 0)]
    assert len(hit) > 50
    assert hit[:, 0].min() == pytest.approx(20.0, abs=0.02) and hit[:, 0].max() <= 22.0 + 1e-3
    assert np.abs(hit[:, 1] + 1.75).max() <= 4.0 + 1e-3


def test_sensor_axes() -> None:
    """x points right, y forward: what stands ahead has positive y, what stands at the left negative x."""
    left_ahead = synthetic_scene(traffic([("bus", 10.0, 6.0, 0.0, (3.0, 6.0, 3.5))]), statics=bare_statics())
    points = lidar_sweep(left_ahead)
    body = points[points[:, 2] > -HEIGHT + 0.05]
    assert len(body) and (body[:, 0] < 0).all() and (body[:, 1] > 0).all()


def test_ranges_intensities_and_rings() -> None:
    points = lidar_sweep(synthetic_scene())
    distance = np.linalg.norm(points[:, :3], axis=1)
    assert distance.min() >= MIN_RANGE - 1e-4 and distance.max() <= MAX_RANGE + 1e-3
    assert points[:, 3].min() > 0 and points[:, 3].max() <= 255
    assert set(np.unique(points[:, 4])) <= set(range(RINGS))
    elevation = np.degrees(np.arcsin(points[:, 2] / distance))
    assert np.allclose(elevation, LOWEST + points[:, 4] * (HIGHEST - LOWEST) / (RINGS - 1), atol=0.01)
    assert np.array_equal(points, lidar_sweep(synthetic_scene()))


def test_boxes_collect_points() -> None:
    scene = synthetic_scene()
    world = transform_points(scene.ego.pose @ LIDAR_EXTRINSICS, lidar_sweep(scene)[:, :3].astype(float))
    tracks = scene.tracks
    for row in np.flatnonzero(np.hypot(*(tracks.position[:, :2] - scene.ego.xy).T) < 15):
        offset = world - tracks.position[row]
        c, s = np.cos(tracks.yaw[row]), np.sin(tracks.yaw[row])
        local = np.stack([c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1], offset[:, 2]], 1)
        inside = (np.abs(local) <= 0.5 * tracks.size[row, [1, 0, 2]] + 1e-3).all(1)
        assert inside.sum() >= 3


def test_needs_a_map() -> None:
    with pytest.raises(ValueError, match=r"Scene\.map"):
        lidar_sweep(replace(synthetic_scene(), map=None))
