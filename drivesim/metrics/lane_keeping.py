"""Whether the ego stayed in the middle of its lane."""

from __future__ import annotations

import math

import numpy as np

from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.metric import UNKNOWN, Metric
from drivesim.metrics.progress import route_course

DEVIATION = 0.5  # [m] from the centre line
WINDOW = 2.0  # [s]


@once_per_log
def lane_keeping(log: DriveLog) -> Metric:
    """0 if the middle of the body was more than 0.5 m off the route's centre line for 2 s on end, else 1.

    NAVSIM v2 (devkit 0a380a9, lane keeping): steps in junctions neither count nor interrupt. The series is the offset
    from the centre line [m], positive to its left. Unknown without a route.
    """
    offset = route_course(log).offset
    if not np.isfinite(offset).all() or len(log) < 2:
        return UNKNOWN
    return Metric(float(lane_kept(log, slice(0, len(log)))), True, offset)


def lane_kept(log: DriveLog, steps: slice) -> bool:
    """Whether the lane was kept within some steps of a drive with a route."""
    counted = ~ego_area(log).in_junction[steps]
    off = np.abs(route_course(log).offset[steps][counted]) > DEVIATION
    return _longest_run(off) < math.ceil(WINDOW / log.step_seconds - 1e-6)


def _longest_run(flags: np.ndarray) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
