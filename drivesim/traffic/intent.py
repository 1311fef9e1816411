"""From vehicles and the ego to those who contend for junctions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import VehicleShape
from drivesim.traffic.junctions import SIGHT, Contenders
from drivesim.traffic.perception import Sight
from drivesim.traffic.state import PATH_LANES, Float, Paths, TrafficState
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
    motion, bodies, vehicles = state.motion, state.bodies, len(state.motion.s)
    ego = None if intent is None else _near_junctions(intent, tables, shape)
    count = vehicles if ego is None else vehicles + 1
    numbers, flags = np.empty((7, count)), np.empty((4, count), bool)
    front, length, speed, top, line, waiting, picks_up = numbers[:, :vehicles]
    np.add(motion.s, bodies.half_length, out=front)
    length[:], speed[:], top[:] = bodies.size[:, 1], motion.speed, bodies.eagerness
    distance, square = entry - front, speed * speed
    line[:], picks_up[:] = entry, _PICKS_UP
    np.multiply(motion.waiting, distance < _AT_LINE, out=waiting)
    inside, held, able, claims = flags[:, :vehicles]
    np.greater_equal(motion.granted, clear - 0.5, out=held)
    np.logical_or(distance < PAST_LINE, held & (distance < square * (0.5 / _EASY_BRAKING)), out=inside)
    claims[:] = _exit_room(sight, clear - motion.s + bodies.half_length + 2.0)
    np.logical_and(claims, distance < _LOOKOUT + 0.35 * square, out=able)
    lanes = _near_lanes(state.paths, tables, front, length)
    if ego is not None:
        way = float(ego.start.min())
        numbers[:, vehicles] = 0.0, shape.length, ego_speed, 1.0, way, 0.0, _EGO_PICKS_UP
        flags[:, vehicles] = way < 0.5, False, False, ego_speed > 0.5
        more = (np.full(len(ego.lanes), vehicles), ego.lanes, ego.start)
        lanes = tuple(np.concatenate(pair) for pair in zip(lanes, more))
    front, length, speed, top, line, waiting, picks_up = numbers
    inside, held, able, claims = flags
    return Contenders(front, length, speed, top, line, inside, held, able, claims, waiting, picks_up, *lanes)


def _near_lanes(paths: Paths, tables: LaneTables, front: Float, length: Float) -> tuple[NDArray, ...]:
    """Owner, lane index and start [E] of the controlled lanes that vehicles are on or come to soon."""
    near = paths.lane_start < (front + SIGHT)[:, None]
    near &= paths.controlled
    near &= paths.lane_end > (front - length)[:, None]
    cells = near.reshape(-1).nonzero()[0]
    lane = tables.index(paths.lanes.reshape(-1).take(cells))
    known = ((lane >= 0) & (tables.rank.take(lane) >= 0)).nonzero()[0]
    cells = cells.take(known)
    return cells // PATH_LANES, lane.take(known), paths.lane_start.reshape(-1).take(cells)


def _near_junctions(intent: EgoIntent, tables: LaneTables, shape: VehicleShape) -> EgoIntent | None:
    """The part of an intent that is about junctions which the ego is in or comes to soon, if any."""
    near = (tables.rank.take(intent.lanes) >= 0) & (intent.start < SIGHT) & (intent.end > -shape.length)
    rows = near.nonzero()[0]
    return EgoIntent(intent.lanes[rows], intent.start[rows], intent.end[rows]) if rows.size else None


def _exit_room(sight: Sight, need: Float) -> NDArray[np.bool_]:
    """Whether nothing slow [N] is on the path within the next `need` [N] [m]."""
    room = np.ones(len(need), bool)
    slow = (sight.speed < _QUEUE_SPEED) & (sight.gap < need.take(sight.observer))
    room[sight.observer[slow]] = False
    return room
