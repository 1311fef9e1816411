"""From vehicles and the ego to those who contend for junctions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.scene import VehicleShape
from drivesim.traffic.junctions import SIGHT, Contenders
from drivesim.traffic.perception import Sight
from drivesim.traffic.state import PATH_LANES, Float, TrafficState
from drivesim.traffic.tables import LaneTables

PAST_LINE = -0.6  # [m] to the stop line, below which a vehicle is inside the junction
_EASY_BRAKING = 2.5  # [m/s^2]
_QUEUE_SPEED = 1.5  # [m/s] below which something ahead fills the exit
_AT_LINE = 8.0  # [m] before the stop line within which waiting counts
_PICKS_UP, _EGO_PICKS_UP = 1.5, 0.05  # [m/s^2] expected; nobody knows what the ego does
_LOOKOUT = 20.0  # [m] before the stop line where drivers begin to look for a grant, and more the faster they are


@dataclass(frozen=True, eq=False)
class EgoIntent:
    """Lanes that the ego is on and will take: indices [E] and where they start and end [E] [m] ahead of its front."""

    lanes: NDArray[np.int64]
    start: Float
    end: Float


def contenders(
    state: TrafficState, tables: LaneTables, sight: Sight, entry: Float, clear: Float, ego_speed: float,
    shape: VehicleShape, intent: EgoIntent | None,
) -> Contenders:  # fmt: skip
    """All vehicles in their order, with their lanes in and before junctions, then the ego, if it is near one."""
    motion, bodies, paths, vehicles = state.motion, state.bodies, state.paths, len(state.motion.s)
    ego = None if intent is None else _near_junctions(intent, tables, shape)
    numbers, flags = approaches(
        motion.s, motion.speed, motion.granted, motion.waiting, bodies.half_length, bodies.eagerness, entry, clear,
        sight.observer, sight.gap, sight.speed, ego is not None,
    )  # fmt: skip
    lanes = near_lanes(
        paths.lane_start, paths.lane_end, paths.controlled, paths.lanes, numbers[0, :vehicles], numbers[1, :vehicles],
        tables.graph.ids, tables.rank,
    )  # fmt: skip
    if ego is not None:
        way = float(ego.start.min())
        numbers[:, vehicles] = 0.0, shape.length, ego_speed, 1.0, way, 0.0, _EGO_PICKS_UP
        flags[:, vehicles] = way < 0.5, False, False, ego_speed > 0.5
        owner, lane, start = lanes
        mine = np.full(len(ego.lanes), vehicles)
        lanes = np.concatenate((owner, mine)), np.concatenate((lane, ego.lanes)), np.concatenate((start, ego.start))
    front, length, speed, top, line, waiting, picks_up = numbers
    inside, held, able, claims = flags
    return Contenders(front, length, speed, top, line, inside, held, able, claims, waiting, picks_up, *lanes)


@compiled
def approaches(
    s: Float, speed: Float, granted: Float, waiting: Float, half_length: Float, eagerness: Float, entry: Float,
    clear: Float, observer: NDArray[np.int64], gap: Float, seen_speed: Float, more: bool,
) -> tuple[Float, NDArray[np.bool_]]:  # fmt: skip
    """Columns of `Contenders`, numbers [7, N] and flags [4, N], the last column zero if there is one `more` to come."""
    vehicles = len(s)
    numbers, flags = np.zeros((7, vehicles + more)), np.zeros((4, vehicles + more), bool)
    front, length, pace, top, line, waits, picks_up = numbers[:, :vehicles]
    np.add(s, half_length, out=front)
    length[:], pace[:], top[:] = 2.0 * half_length, speed, eagerness
    distance, square = entry - front, speed * speed
    line[:], picks_up[:] = entry, _PICKS_UP
    np.multiply(waiting, distance < _AT_LINE, out=waits)
    inside, held, able, claims = flags[:, :vehicles]
    np.greater_equal(granted, clear - 0.5, out=held)
    np.logical_or(distance < PAST_LINE, held & (distance < square * (0.5 / _EASY_BRAKING)), out=inside)
    claims[:] = _exit_room(observer, gap, seen_speed, clear - s + half_length + 2.0)
    np.logical_and(claims, distance < _LOOKOUT + 0.35 * square, out=able)
    return numbers, flags


@compiled
def near_lanes(
    lane_start: Float, lane_end: Float, controlled: NDArray[np.bool_], lanes: NDArray[np.int64], front: Float,
    length: Float, ids: NDArray[np.int64], rank: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Float]:  # fmt: skip
    """Owner, lane index and start [E] of the controlled lanes that vehicles are on or come to soon.

    Of columns of the paths [N, PATH_LANES], front and length [N] of the vehicles, ids and ranks [L] of the lanes.
    """
    near = lane_start < (front + SIGHT)[:, None]
    near &= controlled
    near &= lane_end > (front - length)[:, None]
    cells = near.reshape(-1).nonzero()[0]
    wanted = lanes.reshape(-1).take(cells)
    lane = np.minimum(ids.searchsorted(wanted), len(ids) - 1)
    known = ((ids.take(lane) == wanted) & (rank.take(lane) >= 0)).nonzero()[0]
    cells = cells.take(known)
    return cells // PATH_LANES, lane.take(known), lane_start.reshape(-1).take(cells)


def _near_junctions(intent: EgoIntent, tables: LaneTables, shape: VehicleShape) -> EgoIntent | None:
    """The part of an intent that is about junctions which the ego is in or comes to soon, if any."""
    near = (tables.rank.take(intent.lanes) >= 0) & (intent.start < SIGHT) & (intent.end > -shape.length)
    rows = near.nonzero()[0]
    return EgoIntent(intent.lanes[rows], intent.start[rows], intent.end[rows]) if rows.size else None


def _exit_room(observer: NDArray[np.int64], gap: Float, speed: Float, need: Float) -> NDArray[np.bool_]:
    """Whether nothing slow [N] is on the path within the next `need` [N] [m]."""
    room = np.ones(len(need), bool)
    slow = (speed < _QUEUE_SPEED) & (gap < need.take(observer))
    room[observer[slow]] = False
    return room
