"""From vehicles and the ego to those who contend for junctions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    motion, paths, bodies = state.motion, state.paths, state.bodies
    front, speed, length = motion.s + bodies.half_length, motion.speed, bodies.size[:, 1]
    distance = entry - front
    held = motion.granted >= clear - 0.5
    room = _exit_room(sight, clear - motion.s + bodies.half_length + 2.0)
    near = paths.lane_start < (front + SIGHT)[:, None]
    near &= paths.controlled & (paths.lane_end > (front - length)[:, None])
    cells = np.flatnonzero(near)
    lane = tables.index(paths.lanes.reshape(-1).take(cells))
    known = (lane >= 0) & (tables.rank[lane] >= 0)
    cells = cells[known]
    who = Contenders(
        front=front,
        length=length,
        speed=speed,
        top=bodies.eagerness,
        entry=entry,
        inside=(distance < PAST_LINE) | (held & (distance < speed * speed * (0.5 / _EASY_BRAKING))),
        held=held,
        able=room & (distance < _LOOKOUT + 0.35 * speed * speed),
        claims=room,
        waiting=motion.waiting * (distance < _AT_LINE),
        picks_up=np.full(len(front), _PICKS_UP),
        owner=cells // PATH_LANES,
        lane=lane[known],
        start=paths.lane_start.reshape(-1).take(cells),
    )
    return _with_ego(who, tables, ego_speed, shape, intent)


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
        front=_and(who.front, 0.0),
        length=_and(who.length, shape.length),
        speed=_and(who.speed, speed),
        top=_and(who.top, 1.0),
        entry=_and(who.entry, entry),
        inside=_and(who.inside, entry < 0.5),
        held=_and(who.held, False),
        able=_and(who.able, False),
        claims=_and(who.claims, speed > 0.5),
        waiting=_and(who.waiting, 0.0),
        picks_up=_and(who.picks_up, _EGO_PICKS_UP),
        owner=np.concatenate((who.owner, np.full(rows.size, ego))),
        lane=np.concatenate((who.lane, intent.lanes[rows])),
        start=np.concatenate((who.start, intent.start[rows])),
    )


def _and(column: NDArray, value: float | bool) -> NDArray:
    """A column with one more value."""
    return np.concatenate((column, (value,)))
