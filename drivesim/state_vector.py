"""The observation `state_vector`: all that matters for driving along the route in 121 numbers, for learning from state.

Everything about others is told in the frame of the route: how far along it (s) and how far to its left (d).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from drivesim.road_ahead import RoadAhead
from drivesim.room_beside import PLACES, REACH, room_beside
from drivesim.scene import OBJECT_CLASSES, Scene, VehicleShape

if TYPE_CHECKING:
    from drivesim.observations import View

RANGE = 80.0  # [m] within which others are seen, as by `boxes`
INSTANTS = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])  # [s] ahead, others at constant velocity
STRIPS = np.array([0.0, 1.5, -1.5, 3.0, -3.0])  # [m] left of the route: where the body could drive
CLEARANCE = 0.3  # [m] to both sides of the body
NEIGHBOURS = 8
ROAD_POINTS = (2, 5, 10, 15, 22, 30)  # rows of the road's table, every 2 m
FAR = 60.0  # [m], gap where nothing is in the way
FAST = 20.0  # [m/s] that speeds are divided by
VULNERABLE = np.isin(OBJECT_CLASSES, ("pedestrian", "bicycle", "motorcycle"))  # [10]
GAPS = slice(7 + 2 * len(ROAD_POINTS), 7 + 2 * len(ROAD_POINTS) + len(INSTANTS))  # entries of the vector
SPEEDS = slice(GAPS.stop, GAPS.stop + len(INSTANTS))
SIZE = 7 + 2 * len(ROAD_POINTS) + 2 * len(INSTANTS) + 2 * (len(STRIPS) - 1) + 2 + 9 * NEIGHBOURS + 2 * len(PLACES)


@dataclass(frozen=True, eq=False)
class RouteFrame:
    """N others at T instants in the frame of the route, s counted from the ego's front bumper."""

    s: NDArray[np.float64]  # [T, N] middle [m]
    d: NDArray[np.float64]  # [T, N] [m]
    half_length: NDArray[np.float64]  # [T, N] along the route [m]
    half_width: NDArray[np.float64]  # [T, N] across it [m]
    along: NDArray[np.float64]  # [T, N] speed along the route [m/s]
    across: NDArray[np.float64]  # [T, N] to its left [m/s]
    vulnerable: NDArray[np.bool_]  # [N]


class StateVector:
    """`state_vector` [121], each about -1 to 1: ego, road, gaps in time, gaps beside, the eight nearest in time.

    In order: speed / 20 m/s, acceleration / 8 m/s^2, steering / 0.6 rad, offset from the route / 3 m, sine of the
    heading error, free speed of the road / 20 m/s, share of it that is driven / 2; curvature * 10 m and speed limit /
    20 m/s 4, 10, 20, 30, 44, 60 m ahead; gap / 60 m and speed / 20 m/s of what is in the body's way along the route in
    0, 0.5, 1, 1.5, 2, 3 s; gap now and gap within 1.5 s for strips 1.5 and 3 m left and right of the route; nearest gap
    behind on both sides / 60 m; of each of eight others, nearest predicted approach first: 1 if there is one, s / 40 m,
    d / 10 m, speeds relative to the ego's along / 20 m/s and across / 10 m/s, half sizes along / 5 m and across / 3 m,
    1 if vulnerable, closest approach / 20 m; room left of the route / 5 m 0, 8, 16, 24 m ahead, and right of it.
    """

    def spaces(self) -> dict[str, spaces.Box]:
        """One vector."""
        return {"state_vector": spaces.Box(-1.0, 1.0, (SIZE,), np.float32)}

    def observe(self, view: View) -> dict[str, NDArray]:
        """Clipped to the space."""
        return {"state_vector": np.clip(state_vector(view.scene, view.road), -1.0, 1.0).astype(np.float32)}


def state_vector(scene: Scene, road: RoadAhead) -> NDArray[np.float64]:
    """The vector [121] before it is clipped."""
    others = _others(scene, road)
    room = room_beside(road).reshape(-1) / REACH
    return np.concatenate(
        [_ego(scene, road), _road(road), _gaps(others, scene.vehicle), _nearest(others, scene, road), room]
    )


def _ego(scene: Scene, road: RoadAhead) -> NDArray[np.float64]:
    ego, free = scene.ego, road.free_speed
    return np.array([
        ego.speed / FAST, ego.acceleration / 8.0, ego.steering / 0.6, road.position.offset / 3.0,
        np.sin(road.position.heading_error), free / FAST, 0.5 * ego.speed / max(free, 0.1),
    ])  # fmt: skip


def _road(road: RoadAhead) -> NDArray[np.float64]:
    rows = list(ROAD_POINTS)
    return np.concatenate([10.0 * road.curvature[rows], road.line[rows, 4] / FAST])


def _others(scene: Scene, road: RoadAhead) -> RouteFrame:
    """Others within RANGE in the frame of the route."""
    tracks, ego = scene.tracks, scene.ego
    offset = tracks.position[:, :2] - ego.xy
    near = tracks.take(np.flatnonzero((offset * offset).sum(-1) < RANGE * RANGE))
    rotation = ego.pose[:2, :2]
    xy, velocity = (near.position[:, :2] - ego.xy) @ rotation, near.velocity @ rotation
    places = xy + INSTANTS[:, None, None] * velocity  # [T, N, 2]
    line = road.line[:, :2]
    squared = (places[..., :1] - line[:, 0]) ** 2 + (places[..., 1:] - line[:, 1]) ** 2
    row = squared.argmin(-1)  # [T, N]
    heading = road.line[row, 2]
    c, s = np.cos(heading), np.sin(heading)
    dx, dy = np.moveaxis(places - line[row], -1, 0)
    turned = near.yaw - ego.yaw - heading
    cosine, sine = np.abs(np.cos(turned)), np.abs(np.sin(turned))
    width, length = 0.5 * near.size[:, 0], 0.5 * near.size[:, 1]
    return RouteFrame(
        road.along[row] + c * dx + s * dy - _front(scene.vehicle), c * dy - s * dx,
        cosine * length + sine * width, sine * length + cosine * width,
        c * velocity[:, 0] + s * velocity[:, 1], c * velocity[:, 1] - s * velocity[:, 0], VULNERABLE[near.class_ids],
    )  # fmt: skip


def _front(shape: VehicleShape) -> float:
    """From the rear axle to the front bumper [m]."""
    return shape.length - shape.rear_overhang


def _gaps(others: RouteFrame, shape: VehicleShape) -> NDArray[np.float64]:
    """Gap and speed of what is in the way at every instant, gaps in the strips beside, gaps behind."""
    reach = 0.5 * shape.width + CLEARANCE
    begin, end = others.s - others.half_length, others.s + others.half_length
    ahead = end > 0.0
    distance = np.abs(others.d - STRIPS[:, None, None]) - others.half_width  # [S, T, N]
    gap = np.where((distance < reach) & ahead, np.maximum(begin, 0.0), FAR)
    gap = np.concatenate([gap, np.full((*gap.shape[:2], 1), FAR)], axis=-1)  # a column for "nobody"
    first = gap[0].argmin(-1)
    speed = np.concatenate([others.along, np.full((len(INSTANTS), 1), FAST)], axis=-1)[np.arange(len(INSTANTS)), first]
    nearest = np.minimum(gap.min(-1), FAR)  # [S, T]
    beside = np.concatenate([nearest[1:, 0], nearest[1:, :4].min(-1)])
    return np.concatenate([nearest[0] / FAR, speed / FAST, beside / FAR, _behind(others, end, shape) / FAR])


def _behind(others: RouteFrame, end: NDArray[np.float64], shape: VehicleShape) -> NDArray[np.float64]:
    """Gap [2] [m] from the rear bumper to the next one behind, in a lane to the left and to the right."""
    side = np.array([[1.0], [-1.0]]) * others.d[0]
    gap = -end[0] - shape.length
    there = (side > 1.0) & (side < 5.0) & (others.s[0] < 0.0)
    return np.where(there, np.clip(gap, 0.0, FAR), FAR).min(-1, initial=FAR)


def _nearest(others: RouteFrame, scene: Scene, road: RoadAhead) -> NDArray[np.float64]:
    """Nine numbers for each of the others that come closest to an ego that goes on along the route as it is now."""
    table = np.zeros((NEIGHBOURS, 9))
    if not len(others.vulnerable):
        return table.reshape(-1)
    middle = scene.ego.speed * INSTANTS - 0.5 * scene.vehicle.length  # of the ego, in s
    ds = np.abs(others.s - middle[:, None]) - others.half_length - 0.5 * scene.vehicle.length
    dd = np.abs(others.d - road.position.offset) - others.half_width - 0.5 * scene.vehicle.width
    # Ties in time go to what is near now.
    approach = (np.hypot(np.maximum(ds, 0.0), np.maximum(dd, 0.0)) + 2.0 * INSTANTS[:, None]).min(0)
    rows = np.argsort(approach, kind="stable")[:NEIGHBOURS]
    table[: len(rows)] = np.column_stack([
        np.ones(len(rows)), others.s[0, rows] / 40.0, others.d[0, rows] / 10.0,
        (others.along[0, rows] - scene.ego.speed) / FAST, others.across[0, rows] / 10.0,
        others.half_length[0, rows] / 5.0, others.half_width[0, rows] / 3.0, others.vulnerable[rows],
        approach[rows] / 20.0,
    ])  # fmt: skip
    return table.reshape(-1)
