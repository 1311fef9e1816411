"""Smoothed signals and comfort limits against closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from drivesim.metrics.comfort import COMFORT_LIMITS, comfort, comfort_terms
from drivesim.metrics.drive_log import DriveLog
from drivesim.metrics.motion import motion_signals
from tests.metrics.drives import DT, drive

TIME = DT * np.arange(60)
RAMP = np.clip(TIME, 1.5, 4.5)


def accelerated(forward: np.ndarray | float, left: np.ndarray | float = 0.0, yaw: np.ndarray | float = 0.0) -> DriveLog:
    """A drive with these accelerations [m/s^2] and headings [rad]."""
    acceleration = np.stack(np.broadcast_arrays(forward, left, TIME)[:2], axis=-1).astype(float)
    return drive(TIME, yaw=yaw, speed=1.0, acceleration=acceleration)


def test_polynomials_pass_through_the_smoothing() -> None:
    """Upstream's window of accelerations is even, so that all but the four values at each end are half a step late."""
    signals = motion_signals(accelerated(1.0 + 0.5 * TIME + 0.1 * TIME**2, 0.3 * TIME, 0.1 * TIME**2))
    late = TIME + 0.5 * DT
    late[:4], late[-4:] = TIME[:4], TIME[-4:]
    assert np.allclose(signals.longitudinal_acceleration, 1.0 + 0.5 * late + 0.1 * late**2)
    middle = slice(12, -12)
    assert np.allclose(signals.longitudinal_jerk[middle], 0.5 + 0.2 * late[middle])
    assert np.allclose(signals.lateral_jerk[middle], 0.3)
    assert np.allclose(signals.yaw_rate, 0.2 * TIME) and np.allclose(signals.yaw_acceleration, 0.2)


def test_yaw_may_pass_half_a_turn() -> None:
    yaw = (3.0 + 0.5 * TIME + np.pi) % (2.0 * np.pi) - np.pi
    assert np.allclose(motion_signals(accelerated(0.0, yaw=yaw)).yaw_rate, 0.5)


@pytest.mark.parametrize(
    ("name", "drive_of", "below"),
    [
        ("longitudinal_acceleration", lambda value: accelerated(value), 0.999),
        ("lateral_acceleration", lambda value: accelerated(0.0, value), 0.999),
        ("longitudinal_jerk", lambda value: accelerated(value * RAMP), 0.95),
        ("jerk", lambda value: accelerated(0.0, 100.0 + value * RAMP), 0.95),
        ("yaw_rate", lambda value: accelerated(0.0, yaw=value * TIME), 0.999),
        ("yaw_acceleration", lambda value: accelerated(0.0, yaw=0.5 * value * TIME**2), 0.999),
    ],
)
def test_limits_flip_at_their_values(name: str, drive_of: Callable[[float], DriveLog], below: float) -> None:
    """The smoothing overshoots a little where a ramp begins and ends, so jerks are tried from farther below."""
    for limit in COMFORT_LIMITS[name]:
        assert comfort_terms(drive_of(below * limit))[name].value == 1.0
        assert comfort_terms(drive_of(1.001 * limit))[name].value == 0.0


def test_limits_are_the_published_ones() -> None:
    assert COMFORT_LIMITS == {
        "longitudinal_acceleration": (-4.05, 2.40), "lateral_acceleration": (-4.89, 4.89), "jerk": (-8.37, 8.37),
        "longitudinal_jerk": (-4.13, 4.13), "yaw_rate": (-0.95, 0.95), "yaw_acceleration": (-1.93, 1.93),
    }  # fmt: skip


def test_comfort_is_all_of_them() -> None:
    assert comfort(accelerated(2.3)).value == 1.0 and comfort(accelerated(2.5)).value == 0.0
    step = np.where(TIME < 2.0, 0.0, -6.0)
    metric = comfort(accelerated(step))
    assert metric.value == 0.0 and metric.series[0] == 1.0 and metric.series[-1] == 0.0
    assert set(comfort_terms(accelerated(0.0))) == set(COMFORT_LIMITS)


def test_three_steps_are_too_few() -> None:
    assert not comfort(drive([0.0, 1.0, 2.0])).valid and comfort(drive([0.0, 1.0, 2.0, 3.0])).valid
    assert not any(term.valid for term in comfort_terms(drive([0.0])).values())
    with pytest.raises(ValueError, match="motion_signals: found a drive of 3 steps, accepted 4 or more"):
        motion_signals(drive([0.0, 1.0, 2.0]))
