"""Time until the ego would hit something if everybody went straight on as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.events import REAR_ANGLE_COSINE
from drivesim.metrics.collisions import first_contacts
from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.metric import UNKNOWN, Metric, compliance

STEP, HORIZON = 0.1, 3.0  # [s], instants that are looked at, as in nuPlan
LEAST = 0.95  # [s], shorter ones count as too short
STANDING_SPEED = 0.005  # [m/s] up to which the ego cannot run into anything
AHEAD_COSINE = float(np.cos(np.deg2rad(30.0)))
CHECKED_AT = (0.5, 1.0)  # [s] at which DriveArena and HUGSIM look


def overlap_times(log: DriveLog, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When the boxes of the track rows [K] and the ego's begin and cease to overlap [K] [s] at constant velocity and
    heading, from the moment of each row on; begin > end where they never do.

    Separating axes of two rectangles in relative motion: along each of the four axes the overlap is one interval.
    """
    tracks, step = log.tracks, log.tracks.step[rows]
    other = np.stack([np.cos(tracks.yaw[rows]), np.sin(tracks.yaw[rows])], axis=-1)
    own = log.heading[step]
    offset = tracks.position[rows, :2] - log.centre[step]
    motion = tracks.velocity[rows] - log.global_velocity[step]
    begin, end = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for axis in (own, _left(own), other, _left(other)):
        reach = _extent(axis, own, log.vehicle.length, log.vehicle.width)
        reach = reach + _extent(axis, other, tracks.size[rows, 1], tracks.size[rows, 0])
        distance, speed = (axis * offset).sum(1), (axis * motion).sum(1)
        moving = np.abs(speed) > 1e-9
        safe = np.where(moving, speed, 1.0)
        edges = np.sort([(-reach - distance) / safe, (reach - distance) / safe], axis=0)
        never = np.where(np.abs(distance) <= reach, np.inf, -np.inf)
        begin = np.maximum(begin, np.where(moving, edges[0], -never))
        end = np.minimum(end, np.where(moving, edges[1], never))
    return begin, end


def _left(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([-axis[:, 1], axis[:, 0]], axis=-1)


def _extent(
    axis: NDArray[np.float64], heading: NDArray[np.float64], length: float | NDArray, width: float | NDArray
) -> NDArray[np.float64]:
    """Half of what a box covers [K] [m] along an axis."""
    extent = length * np.abs((axis * heading).sum(1)) + width * np.abs((axis * _left(heading)).sum(1))
    return np.asarray(0.5 * extent, np.float64)


@once_per_log
def time_to_collision(log: DriveLog) -> NDArray[np.float64]:
    """Time to collision [T] [s] (nuPlan devkit e924167, time_to_collision_within_bound).

    The first multiple of 0.1 s at which the ego and a track would overlap if all went straight on; infinite if none
    does within 3 s or the ego stands. 0 where a collision that is the ego's fault begins. Tracks count that are ahead
    (within 30 degrees of the heading, seen from the rear axle), and also those beside where the ego is in several
    lanes, off the road or in a junction; none that was hit before.
    """
    found = np.full(len(log), np.inf)
    rows = _relevant(log)
    begin, end = overlap_times(log, rows)
    instant = np.maximum(np.ceil(begin / STEP - 1e-6), 1.0) * STEP
    hit = (instant <= end + 1e-9) & (instant <= HORIZON + 1e-9)
    np.minimum.at(found, log.tracks.step[rows[hit]], instant[hit])
    contacts = first_contacts(log)
    found[contacts.step[contacts.at_fault]] = 0.0
    return found


def _relevant(log: DriveLog) -> NDArray[np.int64]:
    """Rows of the tracks that the ego has to mind."""
    tracks, area, contacts = log.tracks, ego_area(log), first_contacts(log)
    bearing = tracks.position[:, :2] - log.position[tracks.step]
    along = (bearing * log.heading[tracks.step]).sum(1)
    distance = np.linalg.norm(bearing, axis=1)
    between = (area.multiple_lanes | area.off_road | area.in_junction)[tracks.step]
    minded = (along > AHEAD_COSINE * distance) | (between & (along >= REAR_ANGLE_COSINE * distance))
    minded &= (log.speed > STANDING_SPEED)[tracks.step]
    for track_id, step in zip(contacts.track_id.tolist(), contacts.step.tolist()):
        minded &= ~((tracks.ids == track_id) & (tracks.step >= step))
    return np.flatnonzero(minded)


@once_per_log
def time_to_collision_within_bound(log: DriveLog) -> Metric:
    """1 if the time to collision always exceeds 0.95 s, else 0; the series is 1 or 0 per step."""
    return compliance(time_to_collision(log) <= LEAST)


@once_per_log
def minimum_time_to_collision(log: DriveLog) -> Metric:
    """Shortest time to collision [s]; unknown where the ego was never within 3 s of one. The series has infinities."""
    series = time_to_collision(log)
    return Metric(float(series.min()), True, series) if np.isfinite(series).any() else UNKNOWN._replace(series=series)


@once_per_log
def no_collision_ahead(log: DriveLog) -> Metric:
    """1 if, with everybody going straight on, no track would overlap the ego 0.5 s or 1 s later, else 0.

    The time-to-collision term of DriveArena and HUGSIM: any track counts, whoever would be at fault.
    """
    rows = np.arange(len(log.tracks.ids))
    begin, end = overlap_times(log, rows)
    hit = np.any([(begin <= instant) & (instant <= end) for instant in CHECKED_AT], axis=0)
    broken = np.zeros(len(log), bool)
    broken[log.tracks.step[hit]] = True
    return compliance(broken & (log.speed > STANDING_SPEED))
