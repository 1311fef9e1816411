"""How far the ego came along its route."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.metric import UNKNOWN, Metric

LEAST_PROGRESS = 2.0  # [m] below which progress is not compared, nuPlan's score_progress_threshold
COMPARED_PROGRESS = 5.0  # [m] up to which NAVSIM does not compare
MAKING_PROGRESS = 0.2  # of the expert's progress
_TURNED = 10.0  # [m] that a part of the route counts as farther off when it points the other way
_BLOCK = 256  # steps that are projected at a time


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
    for index, route in enumerate(log.routes):
        here = np.flatnonzero(log.route_index == index)
        if not len(here):
            continue
        along, offset[here] = _project(route, log.centre[here], log.yaw[here])
        before = here[here + 1 < len(log)]
        after, _ = _project(route, log.centre[before + 1], log.yaw[before + 1])
        gain[before + 1] = after - along[: len(before)]
    return RouteCourse(np.cumsum(gain), offset)


def _project(
    route: NDArray[np.float64], points: NDArray[np.float64], yaw: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance along a route [R, 3] and to its left [K] [m] of points [K, 2] with headings [K].

    The route is led on straight at both ends. Where it comes by twice, the part along the heading wins.
    """
    start, edge = route[:-1, :2], np.diff(route[:, :2], axis=0)
    length = np.maximum(np.linalg.norm(edge, axis=1), 1e-9)
    unit = edge / length[:, None]
    begin = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    low, high = np.zeros(len(length)), length.copy()
    low[0], high[-1] = -np.inf, np.inf
    found = [
        _nearest(points[k : k + _BLOCK], yaw[k : k + _BLOCK], start, unit, begin, (low, high))
        for k in range(0, len(points), _BLOCK)
    ]
    along, left = zip(*found) if found else ([np.zeros(0)], [np.zeros(0)])
    return np.concatenate(along), np.concatenate(left)


def _nearest(
    points: NDArray[np.float64],
    yaw: NDArray[np.float64],
    start: NDArray[np.float64],
    unit: NDArray[np.float64],
    begin: NDArray[np.float64],
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    offset = points[:, None] - start
    along = np.clip((offset * unit).sum(-1), *bounds)
    aside = offset - along[..., None] * unit
    facing = np.cos(yaw)[:, None] * unit[:, 0] + np.sin(yaw)[:, None] * unit[:, 1]
    cost = (aside * aside).sum(-1) + (0.5 * _TURNED * (1.0 - facing)) ** 2
    best = cost.argmin(1)
    rows = np.arange(len(points))
    left = unit[best, 0] * offset[rows, best, 1] - unit[best, 1] * offset[rows, best, 0]
    return begin[best] + along[rows, best], left


@once_per_log
def route_progress(log: DriveLog) -> Metric:
    """Distance along the route that was covered [m], negative if the ego ends behind its start."""
    series = route_course(log).progress
    return Metric(float(series[-1]), True, series) if np.isfinite(series).all() else UNKNOWN


def ego_progress_along_expert_route(log: DriveLog, expert: DriveLog | None) -> Metric:
    """Progress of the ego over that of an expert on the same route and in the same time, 0 to 1.

    nuPlan devkit v1.2: max(ego, 2 m) / max(expert, 2 m), at most 1; 0 if the ego ended more than 2 m behind its start,
    1 where neither has a route. Unknown without an expert.
    """
    if expert is None:
        return UNKNOWN
    if not log.routes and not expert.routes:
        return Metric(1.0, True)
    own, other = route_progress(log), route_progress(expert)
    if not (own.valid and other.valid):
        return UNKNOWN
    if own.value < -LEAST_PROGRESS:
        return Metric(0.0, True)
    return Metric(min(1.0, max(own.value, LEAST_PROGRESS) / max(other.value, LEAST_PROGRESS)), True)


def ego_is_making_progress(log: DriveLog, expert: DriveLog | None) -> Metric:
    """1 if the ego came at least a fifth of the way that an expert came, else 0 (nuPlan devkit v1.2)."""
    ratio = ego_progress_along_expert_route(log, expert)
    return Metric(float(ratio.value >= MAKING_PROGRESS), True) if ratio.valid else UNKNOWN


def navsim_ego_progress(log: DriveLog, expert: DriveLog, expert_rules: float = 1.0) -> Metric:
    """Progress of the ego over the larger of its own and the expert's, 0 to 1; 1 if that is 5 m or less (NAVSIM v1.1).

    `expert_rules` is the product of the expert's multiplying terms, with which its progress counts. The ego's own is
    not reduced by its multiplying terms: they multiply the score anyway.
    """
    own, other = route_progress(log), route_progress(expert)
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
