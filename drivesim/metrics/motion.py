"""Smoothed accelerations, jerks and yaw rates of a drive, as nuPlan derives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from drivesim.metrics.drive_log import DriveLog, once_per_log

SHORTEST = 4  # steps from which all signals exist
_ACCELERATION = (2, 8)  # polynomial order and window [steps] of Savitzky and Golay (1964)
_JERK = (2, 15)
_YAW_RATE = (2, 5)
_YAW_ACCELERATION = (3, 5)


@dataclass(frozen=True)
class MotionSignals:
    """Signals [T] of the ego's rear axle."""

    longitudinal_acceleration: NDArray[np.float64]  # [m/s^2]
    lateral_acceleration: NDArray[np.float64]  # [m/s^2]
    acceleration: NDArray[np.float64]  # magnitude [m/s^2]
    longitudinal_jerk: NDArray[np.float64]  # [m/s^3]
    lateral_jerk: NDArray[np.float64]  # [m/s^3]
    jerk: NDArray[np.float64]  # of the magnitude of the acceleration [m/s^3]
    yaw_rate: NDArray[np.float64]  # [rad/s]
    yaw_acceleration: NDArray[np.float64]  # [rad/s^2]


@once_per_log
def motion_signals(log: DriveLog) -> MotionSignals:
    """Signals of a drive (definitions: nuPlan devkit e924167, ego_acceleration, ego_jerk and ego_yaw_rate statistics).

    As upstream's window of accelerations is even, all but the four values at each end of it are half a step late.
    Raises ValueError for fewer than SHORTEST steps.
    """
    if len(log) < SHORTEST:
        raise ValueError(f"motion_signals: found a drive of {len(log)} steps, accepted {SHORTEST} or more")
    dt = log.step_seconds
    forward, left = log.acceleration.T
    longitudinal, lateral = _smooth(forward, _ACCELERATION), _smooth(left, _ACCELERATION)
    magnitude = _smooth(np.hypot(forward, left), _ACCELERATION)
    yaw = np.unwrap(log.yaw)
    return MotionSignals(
        longitudinal, lateral, magnitude, _smooth(longitudinal, _JERK, 1, dt), _smooth(lateral, _JERK, 1, dt),
        _smooth(magnitude, _JERK, 1, dt), _smooth(yaw, _YAW_RATE, 1, dt), _smooth(yaw, _YAW_ACCELERATION, 2, dt),
    )  # fmt: skip


def _smooth(
    values: NDArray[np.float64], filter_: tuple[int, int], derivative: int = 0, dt: float = 1.0
) -> NDArray[np.float64]:
    """Values [T], or their derivative, of the polynomial fitted to the window around each step."""
    order, window = filter_
    smoothed = savgol_filter(values, min(window, len(values)), order, deriv=derivative, delta=dt)
    return np.asarray(smoothed, np.float64)
