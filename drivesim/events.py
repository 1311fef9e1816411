"""What happened to the ego: collisions with who was at fault, and leaving the road."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import box_footprints, rectangles_overlap
from drivesim.kernels import compiled
from drivesim.scene import OBJECT_CLASSES, EgoState, Tracks, VehicleShape

STOPPED_SPEED = 0.05  # [m/s], as in nuPlan
BUMPER_DEPTH = 0.3  # [m], part of the ego body that counts as its front
REAR_ANGLE_COSINE = float(np.cos(np.deg2rad(150.0)))  # a track beyond this bearing is behind the ego, as in nuPlan


@dataclass(frozen=True)
class Collision:
    """One track that the ego overlaps. `kind`: stopped_ego, stopped_track, rear, front or side."""

    track_id: int
    class_name: str
    kind: str
    at_fault: bool


@dataclass(frozen=True)
class Events:
    """Events of one step. `corners_off_road` counts the ego's corners that are not on drivable area."""

    collisions: tuple[Collision, ...] = ()
    off_road: bool = False
    corners_off_road: int = 0


def ego_corners(ego: EgoState, shape: VehicleShape) -> list[tuple[float, float]]:
    """Corners (x, y) [m] of the ego body on the ground, counter-clockwise from the front left one."""
    pose = np.ascontiguousarray(ego.pose)
    return corners_at(pose, shape.length - shape.rear_overhang, -shape.rear_overhang, 0.5 * shape.width)


@compiled
def corners_at(pose: NDArray[np.float64], front: float, rear: float, side: float) -> list[tuple[float, float]]:
    """`ego_corners` of a body that reaches so far [m] to the front, to the rear (negative) and to its sides."""
    (c, _, _, x), (s, _, _, y) = pose[:2].tolist()
    corners = ((front, side), (rear, side), (rear, -side), (front, -side))
    return [(x + c * a - s * b, y + s * a + c * b) for a, b in corners]


def ego_footprint(ego: EgoState, shape: VehicleShape) -> NDArray[np.float64]:
    """`ego_corners` as an array [4, 2]."""
    return np.array(ego_corners(ego, shape))


def find_collisions(
    ego: EgoState, shape: VehicleShape, corners: list[tuple[float, float]], tracks: Tracks, straddles: bool
) -> tuple[Collision, ...]:
    """Collisions of the ego body with `ego_corners` with the tracks; `straddles`: the ego is not inside one lane."""
    (x0, y0), _, (x1, y1), _ = corners
    x, y = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
    position, size = np.ascontiguousarray(tracks.position), np.ascontiguousarray(tracks.size)
    near = near_rows(position, size, x, y, shape.length + shape.width)
    rows = [row for row in near if _touches(ego, shape, x, y, tracks, row)]
    if not rows:
        return ()
    footprint = np.array(corners)
    boxes = box_footprints(tracks.position[rows], tracks.size[rows], tracks.yaw[rows])
    return tuple(_collision(ego, footprint, tracks, row, box, straddles) for row, box in zip(rows, boxes))


@compiled
def near_rows(position: NDArray[np.float64], size: NDArray[np.float64], x: float, y: float, extent: float) -> list[int]:
    """Rows of boxes [N, 3] that may touch a box at a place whose length and width add up to `extent` [m]."""
    dx, dy = position[:, 0] - x, position[:, 1] - y
    reach = 0.5 * (size[:, 0] + size[:, 1] + extent)
    return (dx * dx + dy * dy < reach * reach).nonzero()[0].tolist()


def _touches(ego: EgoState, shape: VehicleShape, x: float, y: float, tracks: Tracks, row: int) -> bool:
    """Separating-axis test of the ego body, whose middle is at (x, y) [m], and one box; plain numbers."""
    width, length, _ = tracks.size[row].tolist()
    ex, ey = ego.pose[:2, 0].tolist()
    dx, dy, yaw = tracks.position.item(row, 0) - x, tracks.position.item(row, 1) - y, tracks.yaw.item(row)
    bx, by = math.cos(yaw), math.sin(yaw)
    c, s = abs(ex * bx + ey * by), abs(ex * by - ey * bx)
    return (
        2.0 * abs(ex * dx + ey * dy) < shape.length + c * length + s * width
        and 2.0 * abs(ex * dy - ey * dx) < shape.width + s * length + c * width
        and 2.0 * abs(bx * dx + by * dy) < length + c * shape.length + s * shape.width
        and 2.0 * abs(bx * dy - by * dx) < width + s * shape.length + c * shape.width
    )


def _collision(
    ego: EgoState, footprint: NDArray[np.float64], tracks: Tracks, row: int, box: NDArray[np.float64], straddles: bool
) -> Collision:
    kind = _kind(ego, footprint, tracks, row, box)
    at_fault = kind in ("front", "stopped_track") or (kind == "side" and straddles)
    return Collision(int(tracks.ids[row]), OBJECT_CLASSES[tracks.class_ids[row]], kind, at_fault)


def _kind(ego: EgoState, footprint: NDArray[np.float64], tracks: Tracks, row: int, box: NDArray[np.float64]) -> str:
    """Type of a collision in the order in which nuPlan decides it."""
    if abs(ego.speed) <= STOPPED_SPEED:
        return "stopped_ego"
    if float(np.hypot(*tracks.velocity[row])) <= STOPPED_SPEED:
        return "stopped_track"
    bearing = tracks.position[row, :2] - ego.xy
    if float(bearing @ ego.pose[:2, 0]) < REAR_ANGLE_COSINE * float(np.hypot(*bearing)):
        return "rear"
    depth = BUMPER_DEPTH * ego.pose[:2, 0]
    bumper = np.array([footprint[0], footprint[0] - depth, footprint[3] - depth, footprint[3]])
    return "front" if bool(rectangles_overlap(bumper, box)) else "side"
