"""How far the ego came along its route."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.metric import UNKNOWN, Metric

LEAST_PROGRESS = 2.0  # [m] below which progress is not compared, nuPlan's score_progress_threshold
COMPARED_PROGRESS = 5.0  # [m] up to which NAVSIM does not compare
MAKING_PROGRESS = 0.2  # of the expert's progress
_TURNED = 10.0  # [m] that a part of the route counts as farther off when it points the other way
_REACH = 25.0  # [m] along the route within which the next place is sought
_ALIKE = 0.25  # [m^2] by which parts may differ and be equally near, so that the first is taken
_LOST = 20.0  # [m] from that part of the route beyond which all of it is searched


@dataclass(frozen=True, eq=False)
class RouteCourse:
    """The middle of the ego's body relative to its route; NaN where there is none."""

    progress: NDArray[np.float64]  # [T] along the route since the start [m]
    offset: NDArray[np.float64]  # [T] from the route, positive to its left [m]


@once_per_log
def route_course(log: DriveLog) -> RouteCourse:
    """Course of a drive along its routes; a step counts along the route that it began on."""
    gain, offset = np.full(len(log), np.nan), np.full(len(log), np.nan)
    gain[:1] = 0.0 if log.route_index[0] >= 0 else np.nan
    index = log.route_index
    edges = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), len(log)]
    for first, end in zip(edges[:-1], edges[1:]):
        if index[first] < 0:
            continue
        steps = slice(first, end + 1)  # and the step after, where there is one
        along, left = _follow(log.routes[index[first]], log.centre[steps], log.yaw[steps])
        offset[first:end] = left[: end - first]
        gain[first + 1 : end + 1] = np.diff(along)
    return RouteCourse(np.cumsum(gain), offset)


def _follow(
    route: NDArray[np.float64], points: NDArray[np.float64], yaw: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance along a route [R, 3] and to its left [K] [m] of successive points [K, 2] with headings [K].

    The route is led on straight at both ends. Where it comes by more than once, the part near the last place goes
    before others; where nothing is near it, as at the beginning, the first part that points the way of the heading.
    """
    start, edge = route[:-1, :2], np.diff(route[:, :2], axis=0)
    length = np.maximum(np.linalg.norm(edge, axis=1), 1e-9)
    unit = edge / length[:, None]
    begin = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    low, high = np.zeros(len(length)), length.copy()
    low[0], high[-1] = -np.inf, np.inf
    found = np.zeros((len(points), 2))
    near = slice(0, len(length))
    for row, (point, angle) in enumerate(zip(points, yaw.tolist())):
        for part in (near, slice(0, len(length))):
            offset = point - start[part]
            along = np.clip((offset * unit[part]).sum(1), low[part], high[part])
            aside = offset - along[:, None] * unit[part]
            facing = math.cos(angle) * unit[part, 0] + math.sin(angle) * unit[part, 1]
            cost = (aside * aside).sum(1) + (0.5 * _TURNED * (1.0 - facing)) ** 2
            alike = int(np.flatnonzero(cost <= cost.min() + _ALIKE)[0])
            best = alike + int(cost[alike : np.searchsorted(begin[part], begin[part][alike] + _REACH)].argmin())
            if (aside[best] * aside[best]).sum() < _LOST**2:
                break
        x, y = unit[part][best].tolist()
        place = begin[part][best] + along[best]
        found[row] = place, x * offset[best, 1] - y * offset[best, 0]
        first, last = np.searchsorted(begin, (place - _REACH, place + _REACH)).tolist()
        near = slice(max(first - 1, 0), max(last, 1))
    return found[:, 0], found[:, 1]


@once_per_log
def route_progress(log: DriveLog) -> Metric:
    """Distance along the route that was covered [m], negative if the ego ends behind its start."""
    series = route_course(log).progress
    return Metric(float(series[-1]), True, series) if np.isfinite(series).all() else UNKNOWN


def ego_progress_along_expert_route(log: DriveLog, expert: DriveLog | float | None) -> Metric:
    """Progress of the ego over that of an expert on the same route, 0 to 1.

    nuPlan devkit e924167: max(ego, 2 m) / max(expert, 2 m), at most 1; 0 if the ego ended more than 2 m behind its
    start, 1 where neither has a route. Unknown without an expert. `expert` may be the metres that one came.
    """
    if expert is None:
        return UNKNOWN
    if isinstance(expert, DriveLog) and not log.routes and not expert.routes:
        return Metric(1.0, True)
    own, other = route_progress(log), _progress_of(expert)
    if not (own.valid and other.valid):
        return UNKNOWN
    if own.value < -LEAST_PROGRESS:
        return Metric(0.0, True)
    return Metric(min(1.0, max(own.value, LEAST_PROGRESS) / max(other.value, LEAST_PROGRESS)), True)


def _progress_of(expert: DriveLog | float) -> Metric:
    return route_progress(expert) if isinstance(expert, DriveLog) else Metric(expert, True)


def ego_is_making_progress(log: DriveLog, expert: DriveLog | float | None) -> Metric:
    """1 if the ego came at least a fifth of the way that an expert came, else 0 (nuPlan devkit e924167)."""
    ratio = ego_progress_along_expert_route(log, expert)
    return Metric(float(ratio.value >= MAKING_PROGRESS), True) if ratio.valid else UNKNOWN


def navsim_ego_progress(log: DriveLog, expert: DriveLog | float, expert_rules: float = 1.0) -> Metric:
    """Progress of the ego over the larger of its own and the expert's, 0 to 1; 1 if that is 5 m or less (NAVSIM v1.1).

    `expert_rules` is the product of the expert's multiplying terms, with which its progress counts. The ego's own is
    not reduced by its multiplying terms: they multiply the score anyway.
    """
    own, other = route_progress(log), _progress_of(expert)
    if not (own.valid and other.valid):
        return UNKNOWN
    larger = max(own.value, expert_rules * other.value)
    return Metric(max(own.value, 0.0) / larger if larger > COMPARED_PROGRESS else 1.0, True)


def route_completion(log: DriveLog, route_length: float | None) -> Metric:
    """Share of a route of `route_length` [m] that was covered, 0 to 1; the farthest point counts.

    Unknown without a length: routes of the town have no end. ValueError for a length that is not positive.
    """
    if route_length is not None and not 0.0 < route_length < float("inf"):
        raise ValueError(f"route_length: found {route_length}, accepted a positive number of metres, or None")
    progress = route_progress(log)
    if route_length is None or not progress.valid or progress.series is None:
        return UNKNOWN
    series = np.clip(np.maximum.accumulate(progress.series) / route_length, 0.0, 1.0)
    return Metric(float(series[-1]), True, series)
