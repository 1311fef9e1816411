"""Whether the ego kept to the speed limits, where the map has some."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.metric import UNKNOWN, Metric

WORST = 2.23  # [m/s] of mean excess at which nothing is left of the score
_ALIGNED = 0.5  # cosine between heading and lane from which a lane's limit is the ego's


@once_per_log
def speed_limit(log: DriveLog) -> NDArray[np.float64]:
    """Limit [T] [m/s] of the lane under the middle of the body, the highest one where lanes overlap; NaN elsewhere."""
    pairs = ego_area(log).at_centre
    aligned = (pairs.direction * log.heading[pairs.step]).sum(1) > _ALIGNED
    limit = np.full(len(log), np.nan)
    np.fmax.at(limit, pairs.step[aligned], pairs.speed_limit[aligned])
    return limit


@once_per_log
def speed_limit_compliance(log: DriveLog) -> Metric:
    """max(0, 1 - mean excess / 2.23 m/s) (nuPlan devkit e924167, speed_limit_compliance).

    The series is the excess [m/s]. Nothing is exceeded where there is no limit. Unknown where no limit is known in the
    whole drive.
    """
    limit = speed_limit(log)
    if not np.isfinite(limit).any():
        return UNKNOWN
    excess = np.nan_to_num(np.maximum(log.speed - limit, 0.0), nan=0.0)
    return Metric(max(0.0, 1.0 - float(excess.mean()) / WORST), True, excess)
