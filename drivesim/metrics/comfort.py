"""How comfortable a drive is."""

from __future__ import annotations

import numpy as np

from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.metric import UNKNOWN, Metric, compliance
from drivesim.metrics.motion import SHORTEST, motion_signals

COMFORT_LIMITS = {
    "longitudinal_acceleration": (-4.05, 2.40),  # [m/s^2]
    "lateral_acceleration": (-4.89, 4.89),  # [m/s^2]
    "jerk": (-8.37, 8.37),  # [m/s^3]
    "longitudinal_jerk": (-4.13, 4.13),  # [m/s^3]
    "yaw_rate": (-0.95, 0.95),  # [rad/s]
    "yaw_acceleration": (-1.93, 1.93),  # [rad/s^2]
}


@once_per_log
def comfort_terms(log: DriveLog) -> dict[str, Metric]:
    """1 or 0 for each of COMFORT_LIMITS: whether the signal stays between its limits, with the signal as the series."""
    if len(log) < SHORTEST:
        return dict.fromkeys(COMFORT_LIMITS, UNKNOWN)
    signals = motion_signals(log)
    return {name: Metric(float(_within(getattr(signals, name), low, high).all()), True, getattr(signals, name))
            for name, (low, high) in COMFORT_LIMITS.items()}  # fmt: skip


@once_per_log
def comfort(log: DriveLog) -> Metric:
    """1 if all signals stay between their limits at every step, else 0 (nuPlan devkit e924167, ego_is_comfortable).

    NAVSIM has the same limits. Unknown for drives of fewer than 4 steps.
    """
    if len(log) < SHORTEST:
        return UNKNOWN
    signals = motion_signals(log)
    return compliance(~np.all([_within(getattr(signals, name), *limits) for name, limits in COMFORT_LIMITS.items()], 0))


def _within(signal: np.ndarray, low: float, high: float) -> np.ndarray:
    return (signal > low) & (signal < high)
