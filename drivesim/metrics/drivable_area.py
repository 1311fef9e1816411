"""Whether the ego stayed on the road."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.metric import UNKNOWN, Metric, compliance

TOLERANCE = 0.3  # [m] that a corner may be off the road in nuPlan


@once_per_log
def drivable_area_compliance(log: DriveLog) -> Metric:
    """1 if no corner of the body was ever 0.3 m or more off drivable and parking area, else 0 (nuPlan devkit e924167,
    drivable_area_compliance). Unknown where a part of the map is unknown and nothing was seen off the known part."""
    distance = ego_area(log).corner_distance.max(1)
    return _rule(log, (distance >= TOLERANCE) | log.off_road)


@once_per_log
def corners_in_drivable_area(log: DriveLog) -> Metric:
    """1 if all corners of the body were always on drivable or parking area, else 0.

    nuPlan's corners_in_drivable_area and NAVSIM's drivable area compliance.
    """
    return _rule(log, ego_area(log).off_road | log.off_road)


def _rule(log: DriveLog, broken: NDArray[np.bool_]) -> Metric:
    return compliance(broken) if broken.any() or ego_area(log).known.all() else UNKNOWN
