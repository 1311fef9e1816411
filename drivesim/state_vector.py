"""The observation `state_vector`: all that matters for driving along the route in 121 numbers, for learning from state.

Everything about others is told in the frame of the route: how far along it (s) and how far to its left (d).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from drivesim.others_along import INSTANTS, OthersAlong, others_along
from drivesim.road_ahead import RoadAhead
from drivesim.room_beside import PLACES, REACH, room_beside
from drivesim.scene import Scene, VehicleShape

if TYPE_CHECKING:
    from drivesim.observations import View

STRIPS = np.array([0.0, 1.5, -1.5, 3.0, -3.0])  # [m] left of the route: where the body could drive
CLEARANCE = 0.3  # [m] to both sides of the body
NEIGHBOURS = 8
ROAD_POINTS = (2, 5, 10, 15, 22, 30)  # rows of the road's table, every 2 m
FAR = 60.0  # [m], gap where nothing is in the way
FAST = 20.0  # [m/s] that speeds are divided by
GAPS = slice(7 + 2 * len(ROAD_POINTS), 7 + 2 * len(ROAD_POINTS) + len(INSTANTS))  # entries of the vector
SPEEDS = slice(GAPS.stop, GAPS.stop + len(INSTANTS))
_SIDES = np.array([[1.0], [-1.0]])  # left, right
SIZE = 7 + 2 * len(ROAD_POINTS) + 2 * len(INSTANTS) + 2 * (len(STRIPS) - 1) + 2 + 9 * NEIGHBOURS + 2 * len(PLACES)
TABLE = slice(SIZE - 2 * len(PLACES) - 9 * NEIGHBOURS, SIZE - 2 * len(PLACES))


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
    others, vector = others_along(scene, road), np.zeros(SIZE)
    vector[:7] = _ego(scene, road)
    vector[7 : GAPS.start] = _road(road)
    vector[GAPS.start : TABLE.start] = _gaps(others, scene.vehicle)
    if others.vulnerable.size:
        _nearest(others, scene, road.position.offset, vector[TABLE].reshape(NEIGHBOURS, 9))
    vector[TABLE.stop :] = room_beside(road).reshape(-1) / REACH
    return vector


def _ego(scene: Scene, road: RoadAhead) -> list[float]:
    ego, free = scene.ego, road.free_speed
    return [
        ego.speed / FAST, ego.acceleration / 8.0, ego.steering / 0.6, road.position.offset / 3.0,
        math.sin(road.position.heading_error), free / FAST, 0.5 * ego.speed / max(free, 0.1),
    ]  # fmt: skip


def _road(road: RoadAhead) -> NDArray[np.float64]:
    return np.concatenate([10.0 * road.curvature.take(ROAD_POINTS), road.line[:, 4].take(ROAD_POINTS) / FAST])


def _gaps(others: OthersAlong, shape: VehicleShape) -> NDArray[np.float64]:
    """Gap and speed of what is in the way at every instant, gaps in the strips beside, gaps behind."""
    reach, (instants, count) = 0.5 * shape.width + CLEARANCE, others.at.shape
    end = others.s + others.half_length
    distance = np.abs(others.d - STRIPS[:, None]) - others.half_width  # [S, P]
    in_the_way = (distance < reach) & (end > 0.0)
    gap = np.full((len(STRIPS), len(end) + 1), FAR)  # with a last place that stands for nobody
    np.copyto(gap[:, :-1], np.maximum(others.s - others.half_length, 0.0), where=in_the_way)
    at = np.full((instants, count + 1), len(end))
    at[:, :-1] = others.at
    ahead = gap[0].take(at)  # [T, N + 1]
    first = at[np.arange(instants), ahead.argmin(axis=1)]
    soon = others.places_until(4)
    beside = [gap[1:, :count].min(axis=1, initial=FAR), gap[1:, :soon].min(axis=1, initial=FAR)]
    speed = np.append(others.along, FAST).take(first)
    return np.concatenate(
        [gap[0].take(first) / FAR, speed / FAST, *(gaps / FAR for gaps in beside), _behind(others, end, shape) / FAR]
    )


def _behind(others: OthersAlong, end: NDArray[np.float64], shape: VehicleShape) -> NDArray[np.float64]:
    """Gap [2] [m] from the rear bumper to the next one behind, in a lane to the left and to the right."""
    count = len(others.vulnerable)
    side = _SIDES * others.d[:count]
    gap = np.minimum(np.maximum(-end[:count] - shape.length, 0.0), FAR)
    there = (side > 1.0) & (side < 5.0) & (others.s[:count] < 0.0)
    return np.where(there, gap, FAR).min(-1, initial=FAR)


def _nearest(others: OthersAlong, scene: Scene, offset: float, table: NDArray[np.float64]) -> None:
    """Fills in [8, 9]: nine numbers for each of the others that come closest to an ego that goes on along the route,
    at its offset [m] from it and its speed."""
    middle = scene.ego.speed * INSTANTS - 0.5 * scene.vehicle.length  # of the ego, in s
    ds = np.abs(others.s.take(others.at) - middle[:, None])
    ds = ds - others.half_length.take(others.at) - 0.5 * scene.vehicle.length
    dd = np.maximum(np.abs(others.d - offset) - others.half_width - 0.5 * scene.vehicle.width, 0.0)
    # Ties in time go to what is near now.
    approach = (np.hypot(np.maximum(ds, 0.0), dd.take(others.at)) + 2.0 * INSTANTS[:, None]).min(0)
    rows = np.argsort(approach, kind="stable")[:NEIGHBOURS]
    table = table[: len(rows)]
    table[:, 0] = 1.0
    table[:, 1] = others.s.take(rows) / 40.0
    table[:, 2] = others.d.take(rows) / 10.0
    table[:, 3] = (others.along.take(rows) - scene.ego.speed) / FAST
    table[:, 4] = others.across.take(rows) / 10.0
    table[:, 5] = others.half_length.take(rows) / 5.0
    table[:, 6] = others.half_width.take(rows) / 3.0
    table[:, 7] = others.vulnerable.take(rows)
    table[:, 8] = approach.take(rows) / 20.0
