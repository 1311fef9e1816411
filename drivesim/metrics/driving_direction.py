"""Whether the ego drove in the direction of its lanes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.metric import UNKNOWN, Metric

WINDOW = 1.0  # [s]
COMPLIANT, VIOLATION = 2.0, 6.0  # [m] driven backward within the window


@once_per_log
def progress_along_lanes(log: DriveLog) -> NDArray[np.float64]:
    """Distance [T] [m] driven within the last second in the direction of the lanes, negative against it.

    A step counts by its part along the lane in which the middle of the body ends it, by the best one where lanes
    overlap, and by nothing outside of all lanes.
    """
    moved = np.diff(log.centre, axis=0, prepend=log.centre[:1])
    pairs = ego_area(log).at_centre
    along = np.full(len(log), -np.inf)
    np.maximum.at(along, pairs.step, (pairs.direction * moved[pairs.step]).sum(1))
    total = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(along), along, 0.0))])
    steps = int(WINDOW / log.step_seconds + 1e-6) if len(log) > 1 else 0
    ends = np.arange(1, len(total))
    return total[ends] - total[np.maximum(ends - 1 - steps, 0)]


def driving_direction_compliance(log: DriveLog, violation: float = VIOLATION) -> Metric:
    """1 if the ego went less than 2 m against its lanes within any second, 1/2 if less than `violation` [m], else 0.

    nuPlan devkit e924167, driving_direction_compliance; NAVSIM has the same lengths. The series is the score of the
    second that ends at each step. Unknown where a part of the map is, or
    where it has no lanes.
    """
    if not ego_area(log).known.all() or not all(len(hd_map.lane_graph) for hd_map in log.maps):
        return UNKNOWN
    backward = -progress_along_lanes(log)
    series = np.select([backward < COMPLIANT, backward < violation], [1.0, 0.5], 0.0)
    return Metric(float(series.min()), True, series)
