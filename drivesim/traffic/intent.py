"""From vehicles and the ego to those who contend for junctions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import VehicleShape
from drivesim.traffic.junctions import SIGHT, Contenders
from drivesim.traffic.perception import Sight
from drivesim.traffic.state import Float, TrafficState
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
) -> tuple[NDArray[np.int64], Contenders]:  # fmt: skip
    """Rows [V] of the vehicles near a junction, and all contenders: these and after them the ego, if it is near one."""
    motion, paths, bodies = state.motion, state.paths, state.bodies
    front = motion.s + bodies.half_length
    rows = np.flatnonzero(entry - front < SIGHT)
    front, line, speed = front[rows], entry[rows], motion.speed[rows]
    distance, length = line - front, bodies.size[rows, 1]
    held = motion.granted[rows] >= clear[rows] - 0.5
    room = _exit_room(sight, clear - motion.s + bodies.half_length + 2.0)[rows]
    lanes, ends = paths.lane_start[rows], paths.lane_end[rows]
    near = paths.controlled[rows] & (lanes < (front + SIGHT)[:, None]) & (ends > (front - length)[:, None])
    owner, slot = np.nonzero(near)
    lane = tables.index(paths.lanes[rows][owner, slot])
    known = (lane >= 0) & (tables.rank[lane] >= 0)
    owner = owner[known]
    who = Contenders(
        front=front,
        length=length,
        speed=speed,
        top=bodies.eagerness[rows],
        entry=line,
        inside=(distance < PAST_LINE) | (held & (distance < speed * speed * (0.5 / _EASY_BRAKING))),
        held=held,
        able=room & (distance < _LOOKOUT + 0.35 * speed * speed),
        claims=room,
        waiting=motion.waiting[rows] * (distance < _AT_LINE),
        picks_up=np.full(len(rows), _PICKS_UP),
        owner=owner,
        lane=lane[known],
        start=lanes[owner, slot[known]],
    )
    return rows, _with_ego(who, tables, ego_speed, shape, intent)


def _exit_room(sight: Sight, need: Float) -> NDArray[np.bool_]:
    """Whether nothing slow [N] is on the path within the next `need` [N] [m]."""
    room = np.ones(len(need), bool)
    slow = (sight.speed < _QUEUE_SPEED) & (sight.gap < need.take(sight.observer))
    room[sight.observer[slow]] = False
    return room


def _with_ego(
    who: Contenders, tables: LaneTables, speed: float, shape: VehicleShape, intent: EgoIntent | None
) -> Contenders:
    if intent is None:
        return who
    rows = np.flatnonzero((tables.rank[intent.lanes] >= 0) & (intent.start < SIGHT) & (intent.end > -shape.length))
    if rows.size == 0:
        return who
    entry = float(intent.start[rows].min())
    ego = len(who.front)
    return Contenders(
        front=np.append(who.front, 0.0),
        length=np.append(who.length, shape.length),
        speed=np.append(who.speed, speed),
        top=np.append(who.top, 1.0),
        entry=np.append(who.entry, entry),
        inside=np.append(who.inside, entry < 0.5),
        held=np.append(who.held, False),
        able=np.append(who.able, False),
        claims=np.append(who.claims, speed > 0.5),
        waiting=np.append(who.waiting, 0.0),
        picks_up=np.append(who.picks_up, _EGO_PICKS_UP),
        owner=np.append(who.owner, np.full(rows.size, ego)),
        lane=np.append(who.lane, intent.lanes[rows]),
        start=np.append(who.start, intent.start[rows]),
    )
