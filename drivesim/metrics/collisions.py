"""Collisions of a recorded drive: with whom, of what kind, whose fault and how hard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.events import REAR_ANGLE_COSINE, STOPPED_SPEED
from drivesim.geometry import box_footprints, rectangles_overlap
from drivesim.metrics.drive_log import CollisionEvent, DriveLog, once_per_log
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.metric import UNKNOWN, Metric, compliance
from drivesim.scene import CLASS_ID

KINDS = ("stopped_ego", "stopped_track", "rear", "front", "side")
OBJECTS = np.array([CLASS_ID["barrier"], CLASS_ID["traffic_cone"]])
VULNERABLE = np.array([CLASS_ID["pedestrian"], CLASS_ID["bicycle"], CLASS_ID["motorcycle"]])
OBJECT_SCORE = 0.5  # of one collision with a thing


@dataclass(frozen=True, eq=False)
class Contacts:
    """The first touch of each track that the ego hit, K of them, ordered by step."""

    step: NDArray[np.int64]  # [K]
    track_id: NDArray[np.int64]  # [K]
    class_id: NDArray[np.int64]  # [K]
    kind: NDArray[np.str_]  # [K], one of KINDS
    at_fault: NDArray[np.bool_]  # [K]
    relative_speed: NDArray[np.float64]  # [K] magnitude of the relative velocity [m/s]; NaN where no box is recorded

    @property
    def delta_v(self) -> NDArray[np.float64]:
        """Change of the ego's velocity [K] [m/s] in a plastic impact of equal masses (nuPlan)."""
        return 0.5 * self.relative_speed

    def __len__(self) -> int:
        return len(self.step)


@once_per_log
def first_contacts(log: DriveLog) -> Contacts:
    """First touches of all tracks that the ego hit.

    Kinds and fault are decided as in nuPlan (devkit e924167, no_ego_at_fault_collisions): at fault are those into
    standing tracks, those with the front edge, and those at the side while the ego is in several lanes or off the road.
    Where no map is known, and for touches between two recorded steps, the environment's report decides.
    """
    rows = _first_rows(log)
    step = log.tracks.step[rows]
    kind = _kinds(log, rows)
    area = ego_area(log)
    between = (area.multiple_lanes | area.off_road)[step]
    at_fault = np.isin(kind, ("stopped_track", "front")) | ((kind == "side") & between)
    reported = {event.collision.track_id: event for event in reversed(log.collisions)}
    for index in np.flatnonzero((kind == "side") & ~area.known[step]).tolist():
        event = reported.get(int(log.tracks.ids[rows[index]]))
        at_fault[index] = event is not None and event.collision.at_fault
    relative = np.linalg.norm(log.global_velocity[step] - log.tracks.velocity[rows], axis=1)
    found = Contacts(step, log.tracks.ids[rows], log.tracks.class_ids[rows], kind, at_fault, relative)
    return _with_reported(log, found)


def touching_rows(log: DriveLog) -> NDArray[np.int64]:
    """Rows of the track log whose boxes overlap the ego's at their step."""
    tracks = log.tracks
    reach = 0.5 * (np.hypot(tracks.size[:, 0], tracks.size[:, 1]) + np.hypot(log.vehicle.length, log.vehicle.width))
    offset = tracks.position[:, :2] - log.centre[tracks.step]
    near = np.flatnonzero((offset * offset).sum(1) < reach * reach)
    boxes = box_footprints(tracks.position[near], tracks.size[near], tracks.yaw[near])
    return near[rectangles_overlap(log.footprint[tracks.step[near]], boxes)]


def _first_rows(log: DriveLog) -> NDArray[np.int64]:
    rows = touching_rows(log)
    _, first = np.unique(log.tracks.ids[rows], return_index=True)
    return rows[np.sort(first)]


def _kinds(log: DriveLog, rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Kind of each touch in the order in which nuPlan decides it."""
    tracks, step = log.tracks, log.tracks.step[rows]
    bearing = tracks.position[rows, :2] - log.position[step]
    behind = (bearing * log.heading[step]).sum(1) < REAR_ANGLE_COSINE * np.linalg.norm(bearing, axis=1)
    boxes = shapely.polygons(box_footprints(tracks.position[rows], tracks.size[rows], tracks.yaw[rows]))
    front = shapely.intersects(shapely.linestrings(log.footprint[step][:, [0, 3]]), boxes)
    standing = np.linalg.norm(tracks.velocity[rows], axis=1) <= STOPPED_SPEED
    cases = [log.speed[step] <= STOPPED_SPEED, standing, behind, front]
    return np.select(cases, KINDS[:4], KINDS[4]).astype(np.str_)


def _with_reported(log: DriveLog, found: Contacts) -> Contacts:
    """The contacts and those that the environment saw between two recorded steps."""
    missing: dict[int, CollisionEvent] = {}
    for event in log.collisions:
        if event.collision.track_id not in found.track_id.tolist():
            missing.setdefault(event.collision.track_id, event)
    if not missing:
        return found
    events = list(missing.values())
    step = np.concatenate([found.step, [event.step for event in events]]).astype(np.int64)
    order = np.argsort(step, kind="stable")
    return Contacts(
        step[order],
        np.concatenate([found.track_id, list(missing)]).astype(np.int64)[order],
        np.concatenate([found.class_id, [CLASS_ID[event.collision.class_name] for event in events]])[order],
        np.concatenate([found.kind, [event.collision.kind for event in events]])[order],
        np.concatenate([found.at_fault, [event.collision.at_fault for event in events]])[order],
        np.concatenate([found.relative_speed, [_relative_speed(log, event) for event in events]])[order],
    )


def _relative_speed(log: DriveLog, event: CollisionEvent) -> float:
    tracks = log.tracks.at(event.step)
    row = np.flatnonzero(tracks.ids == event.collision.track_id)
    return float(np.linalg.norm(log.global_velocity[event.step] - tracks.velocity[row[0]])) if len(row) else np.nan


@once_per_log
def no_at_fault_collision(log: DriveLog) -> Metric:
    """1 without collision that is the ego's fault, 1/2 with one into a thing (barrier or cone), else 0.

    nuPlan (devkit e924167, no_ego_at_fault_collisions): road users none, things one at half the score. The series is 0
    or 1/2 where such a collision begins, else 1.
    """
    contacts = first_contacts(log)
    faults = contacts.at_fault
    things = np.isin(contacts.class_id, OBJECTS)
    series = np.ones(len(log))
    np.minimum.at(series, contacts.step[faults], np.where(things[faults], OBJECT_SCORE, 0.0))
    value = float(series.min())
    return Metric(0.0 if int((faults & things).sum()) > 1 else value, True, series)


@once_per_log
def no_collision(log: DriveLog) -> Metric:
    """1 without any collision, else 0, whoever's fault it is."""
    hit = np.zeros(len(log), bool)
    hit[first_contacts(log).step] = True
    return compliance(hit)


@once_per_log
def impact_speed(log: DriveLog) -> Metric:
    """Magnitude of the relative velocity at the first collision [m/s]; unknown where nothing was hit.

    NeuroNCAP's v_i (Ljungbergh et al. 2024, arXiv 2404.07762, definition of the score).
    """
    contacts = first_contacts(log)
    if not len(contacts) or np.isnan(contacts.relative_speed[0]):
        return UNKNOWN
    return Metric(float(contacts.relative_speed[0]), True)
