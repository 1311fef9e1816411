"""Who may enter a junction: right of way, gaps in time, and first come, first served once someone has waited long.

Every vehicle needs a grant to pass the stop line. It gets one unless, in time and space, its lanes conflict with those of a
vehicle that has one, or of a vehicle with a higher claim. Claims grow with waiting and are strictly ordered, and a vehicle
whose exit is full claims nothing; so some vehicle can always go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.traffic.state import Float
from drivesim.traffic.tables import LaneTables

SIGHT = 65.0  # [m] before the stop line from which others count
CONSIDERED = 45.0  # [m] of lanes beyond the bumper or line that can hold a vehicle back
_ACCELERATION = 1.5  # [m/s^2] others are expected to pick up
_TOP_SPEED = 11.0  # [m/s] that they are expected to reach
_BEFORE, _AFTER = 0.6, 1.2  # [s] between one leaving a conflict zone and the next entering
_PATIENCE = 4.0  # [s] of waiting that does not raise a claim
_URGENCY = 2.5  # claim per second of waiting beyond


@dataclass(frozen=True, eq=False)
class Contenders:
    """V vehicles that approach or pass junctions and their E lanes there (any order)."""

    front: Float  # [V] path coordinate of the front bumper [m]
    length: Float  # [V] [m]
    speed: Float  # [V] [m/s]
    entry: Float  # [V] stop line [m]
    granted: NDArray[np.bool_]  # [V] has a grant, or is already inside
    able: NDArray[np.bool_]  # [V] close enough to be granted, and with room at the exit
    claims: NDArray[np.bool_]  # [V] holds others back though it has no grant
    waiting: Float  # [V] [s]
    accelerates: NDArray[np.bool_]  # [V] expected to pick up speed
    owner: NDArray[np.int64]  # [E] vehicle of each lane
    lane: NDArray[np.int64]  # [E] lane index
    start: Float  # [E] path coordinate of the lane's start [m]


def decide(tables: LaneTables, who: Contenders) -> NDArray[np.bool_]:
    """Which vehicles [V] get a grant now; those that hold one are not among them."""
    a, b = _conflicting_entries(tables, who)
    if a.size == 0:
        return who.able & ~who.granted
    vehicle, other = who.owner[a], who.owner[b]
    claim = _claims(tables, who)
    row_a, row_b = tables.rank[who.lane[a]], tables.rank[who.lane[b]]
    in_a, out_a, _ = _times(who, a, tables.conflict_in[row_a, row_b], tables.conflict_out[row_a, row_b])
    in_b, out_b, cleared = _times(who, b, tables.conflict_in[row_b, row_a], tables.conflict_out[row_b, row_a])
    together = (out_b + _BEFORE > in_a) & (in_b < out_a + _AFTER) & ~cleared
    stronger = who.granted[other] | (who.claims[other] & (claim[other] > claim[vehicle]))
    held_back = np.zeros(len(who.front), bool)
    held_back[vehicle[together & stronger]] = True
    return who.able & ~who.granted & ~held_back


def _conflicting_entries(tables: LaneTables, who: Contenders) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows into the lanes: one of a vehicle that asks for a grant, and one that conflicts with it."""
    rank = tables.rank[who.lane]
    asks = who.able & ~who.granted
    own = np.flatnonzero(asks[who.owner] & (who.start < who.entry[who.owner] + CONSIDERED))
    meet = np.isfinite(tables.conflict_in[rank[own][:, None], rank[None, :]])
    meet &= who.owner[own][:, None] != who.owner[None, :]
    first, second = np.nonzero(meet)
    return own[first], second


def _claims(tables: LaneTables, who: Contenders) -> Float:
    """Strength [V] of the claims: right of way of the first lane, raised by waiting; no two alike."""
    priority = np.zeros(len(who.front))
    first_start = np.full(len(who.front), np.inf)
    np.minimum.at(first_start, who.owner, who.start)
    is_first = who.start == first_start[who.owner]
    priority[who.owner[is_first]] = tables.graph.priority[who.lane[is_first]]
    patience = _URGENCY * np.maximum(who.waiting - _PATIENCE, 0.0)
    return priority + patience - 1e-3 * np.arange(len(who.front))


def _times(who: Contenders, row: NDArray, enter: Float, leave: Float) -> tuple[Float, Float, NDArray[np.bool_]]:
    """When [s] vehicles reach and leave a stretch of a lane, and whether they already have left it."""
    vehicle = who.owner[row]
    zone = who.start[row] - who.front[vehicle]
    speed = who.speed[vehicle]
    picks_up = np.where(who.accelerates[vehicle], _ACCELERATION, 0.05)
    to_enter = np.maximum(zone + enter, 0.0)
    to_leave = zone + leave + who.length[vehicle]
    return (
        _duration(to_enter, speed, picks_up),
        _duration(np.maximum(to_leave, 0.0), speed, picks_up),
        to_leave <= 0.0,
    )


def _duration(distance: Float, speed: Float, acceleration: Float) -> Float:
    """Time [s] for a distance [m] with constant acceleration up to the top speed."""
    end = np.sqrt(speed * speed + 2.0 * acceleration * distance)
    return np.maximum(2.0 * distance / np.maximum(speed + end, 1e-3), distance / np.maximum(speed, _TOP_SPEED))
