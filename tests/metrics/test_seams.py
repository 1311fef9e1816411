"""Neighbouring cameras agree on ray-cast pictures, and not on others."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.metrics.seams import seam_psnr
from drivesim.scene import CameraRig
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource


def test_true_pictures_agree_and_a_brighter_camera_does_not() -> None:
    rig = nuscenes_rig((48, 96))
    frame = Raycaster(rig, 2).render(TownSource(rig=rig).reset(0, {"town": 900_001}).scene)
    true = seam_psnr(frame.images, frame.depth, rig)
    brighter = frame.images.copy()
    brighter[1] = np.clip(brighter[1].astype(int) + 60, 0, 255)
    shuffled = np.roll(frame.images, 1, axis=0)
    assert true > 22.0
    assert seam_psnr(brighter, frame.depth, rig) < true - 4.0
    assert seam_psnr(shuffled, frame.depth, rig) < true - 4.0


def test_constant_difference_has_its_closed_form() -> None:
    """Two cameras in one place that look the same way and differ by 10: 20 log10(255 / 10) dB."""
    front = nuscenes_rig((16, 32))
    twice = CameraRig(("A", "B"), front.intrinsics[[1, 1]], front.extrinsics[[1, 1]], front.image_size)
    pictures = np.full((2, 16, 32, 3), 100, np.uint8)
    pictures[1] += 10
    depth = np.full((2, 16, 32), 5.0, np.float32)
    assert seam_psnr(pictures, depth, twice) == pytest.approx(20 * np.log10(25.5))


def test_one_camera_shares_nothing() -> None:
    rig = nuscenes_rig((16, 32))
    alone = CameraRig(("A",), rig.intrinsics[:1], rig.extrinsics[:1], rig.image_size)
    assert np.isnan(seam_psnr(np.zeros((1, 16, 32, 3), np.uint8), np.ones((1, 16, 32), np.float32), alone))
