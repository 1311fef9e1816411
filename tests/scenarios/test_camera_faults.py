"""What faulty cameras deliver."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from drivesim.scenarios.camera_faults import CameraMemory, faulty, remember, turned
from drivesim.scenarios.schema import CameraFault
from drivesim.scene import CAMERAS
from drivesim.town.rig import nuscenes_rig

DT, SIZE = 1.0 / 12.0, (36, 64)
RIG = nuscenes_rig(SIZE)


def pictures(value: int) -> NDArray[np.uint8]:
    return np.full((6, *SIZE, 3), value, np.uint8)


def seen(fault: CameraFault, begun: float, step: int, steps: int = 0) -> NDArray[np.uint8]:
    """What is seen at a step of a drive whose pictures have the grey value of their step."""
    memory = CameraMemory()
    for index in range(step + 1):
        present = [(fault, begun)] if index * DT >= begun - 1e-9 else []
        memory = remember(memory, pictures(index), present, steps)
    return faulty(memory, present, CAMERAS, RIG, step * DT, DT, 0)


def test_dropped_cameras_are_black_and_come_back() -> None:
    fault = CameraFault("drop", ("CAM_FRONT",), seconds=5 * DT)
    assert seen(fault, 10 * DT, 9)[1].mean() == 9
    during = seen(fault, 10 * DT, 14)
    assert (during[1].max(), during[0].mean()) == (0, 14)
    assert seen(fault, 10 * DT, 15)[1].mean() == 15


def test_frozen_cameras_show_the_moment_of_the_fault() -> None:
    assert (seen(CameraFault("freeze"), 10 * DT, 30) == 10).all()


def test_delay_shows_earlier_steps() -> None:
    fault = CameraFault("delay", strength=6 * DT)
    assert (seen(fault, 0.0, 3, steps=6) == 0).all()
    assert (seen(fault, 0.0, 20, steps=6) == 14).all()


def test_noise_has_its_strength_and_is_the_same_again() -> None:
    fault = CameraFault("noise", strength=10.0)
    first = seen(fault, 0.0, 100)
    assert first.astype(float).std() == pytest.approx(10.0, rel=0.05)
    assert (first == seen(fault, 0.0, 100)).all()
    assert (first != seen(fault, 0.0, 101)).any()


def test_turned_camera_shifts_what_is_straight_ahead() -> None:
    """A camera that points left shows what is ahead at f tan(angle) to the right."""
    angle, focal = 0.1, 60.0
    intrinsics = np.array([[focal, 0.0, 32.0], [0.0, focal, 18.0], [0.0, 0.0, 1.0]])
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[:, 31:33] = 250  # a pole around the principal point
    row = turned(picture, intrinsics, angle)[18, :, 0].astype(float)
    found = (row * (np.arange(64) + 0.5)).sum() / row.sum()
    assert found == pytest.approx(32.0 + focal * math.tan(angle), abs=0.2)
    assert (turned(picture, intrinsics, 0.0) == picture).all()


def test_pictures_themselves_are_not_touched() -> None:
    original = pictures(7)
    memory = remember(CameraMemory(), original, [], 0)
    faulty(memory, [(CameraFault("drop"), 0.0)], CAMERAS, RIG, 0.0, DT, 0)
    assert (original == 7).all()
