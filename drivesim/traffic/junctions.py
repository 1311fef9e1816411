"""Who may enter a junction: right of way, gaps in time, and first come, first served once someone has waited long.

Every vehicle needs a grant to pass the stop line. It gets one unless, in time and space, its lanes conflict with those
of a vehicle that is committed to enter, or of one with a higher claim. Claims grow with waiting and are strictly
ordered, and a vehicle whose exit is full claims nothing; so some vehicle can always go. Until a vehicle is too close to
the line to stop with ease, its grant is looked at again at every decision. Inside, of two vehicles that would meet, the
one that comes later waits before the place where their lanes meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.traffic.state import Float
from drivesim.traffic.tables import LaneTables

SIGHT = 65.0  # [m] before the stop line from which others count
CONSIDERED = 45.0  # [m] of lanes beyond the stop line that can hold a vehicle back
_BEFORE, _AFTER = 0.7, 1.2  # [s] between one leaving a conflict zone and the next entering
_PATIENCE = 4.0  # [s] of waiting that does not raise a claim
_URGENCY = 2.5  # claim per second of waiting beyond
_HELD = 4.0  # claim for holding a grant already
_HOLD_BEFORE = 1.2  # [m] from a conflict zone to the bumper of who waits for it


@dataclass(frozen=True, eq=False)
class Contenders:
    """V vehicles that approach or pass junctions and their E lanes there (any order)."""

    front: Float  # [V] path coordinate of the front bumper [m]
    length: Float  # [V] [m]
    speed: Float  # [V] [m/s]
    top: Float  # [V] wanted speed over the limit of a lane
    entry: Float  # [V] stop line [m]
    inside: NDArray[np.bool_]  # [V] past the line, or unable to stop with ease
    held: NDArray[np.bool_]  # [V] has a grant
    able: NDArray[np.bool_]  # [V] close enough to be granted, and with room at the exit
    claims: NDArray[np.bool_]  # [V] holds others back though it has no grant
    waiting: Float  # [V] [s]
    picks_up: Float  # [V] acceleration that is expected [m/s^2]
    owner: NDArray[np.int64]  # [E] vehicle of each lane
    lane: NDArray[np.int64]  # [E] lane index
    start: Float  # [E] path coordinate of the lane's start [m]


def decide(tables: LaneTables, who: Contenders) -> tuple[NDArray[np.bool_], Float]:
    """Which vehicles [V] hold a grant from now on, and where those inside must wait [V] [m], inf where nowhere."""
    return settled(
        tables.rank, tables.conflict_in, tables.conflict_out, tables.limit, tables.graph.priority, who.front,
        who.length, who.speed, who.top, who.entry, who.inside, who.held, who.able, who.claims, who.waiting,
        who.picks_up, who.owner, who.lane, who.start,
    )  # fmt: skip


@compiled
def settled(
    ranks: NDArray[np.int64], conflict_in: Float, conflict_out: Float, limit: Float, priority: NDArray[np.int64],
    front: Float, length: Float, speed: Float, top: Float, entry: Float, inside: NDArray[np.bool_],
    held: NDArray[np.bool_], able: NDArray[np.bool_], claims: NDArray[np.bool_], waiting: Float, picks_up: Float,
    owner: NDArray[np.int64], lane: NDArray[np.int64], start: Float,
) -> tuple[NDArray[np.bool_], Float]:  # fmt: skip
    """`decide` with columns of the tables and of the contenders."""
    who = Contenders(
        front, length, speed, top, entry, inside, held, able, claims, waiting, picks_up, owner, lane, start
    )
    held_back = np.zeros(len(who.front), bool)
    hold = np.full(len(who.front), np.inf)
    a, b, enter_a, leave_a, enter_b, leave_b = _conflicts(ranks.take(lane), conflict_in, conflict_out, owner)
    if a.size:
        vehicle, other = who.owner[a], who.owner[b]
        enter, leave = np.concatenate([enter_a, enter_b]), np.concatenate([leave_a, leave_b])
        both = _times(limit, who, np.concatenate([a, b]), enter, leave)
        (in_a, in_b), (out_a, out_b), (near_a, _), (_, cleared_b) = (column.reshape(2, -1) for column in both)
        meet = (out_b + _BEFORE > in_a) & (in_b < out_a + _AFTER) & ~cleared_b
        claim = _claims(priority, who)
        stronger = who.inside[other] | (who.claims[other] & (claim[other] > claim[vehicle]))
        held_back[vehicle[meet & stronger & (near_a < who.entry[vehicle] - who.front[vehicle] + CONSIDERED)]] = True
        first = (in_b < in_a) | ((in_b == in_a) & (other < vehicle))
        waits = meet & who.inside[vehicle] & who.inside[other] & first & (near_a > 0.0)
        np.minimum.at(hold, vehicle[waits], (who.front[vehicle] + near_a - _HOLD_BEFORE)[waits])
    return who.inside | (who.able & ~held_back), hold


def _conflicts(
    rank: NDArray[np.int64], conflict_in: Float, conflict_out: Float, owner: NDArray[np.int64]
) -> tuple[NDArray, NDArray, Float, Float, Float, Float]:
    """Pairs of rows into the lanes of different vehicles that conflict, and from where to where [m] on either lane."""
    count = len(rank)
    enter = conflict_in.take(rank[:, None] * len(conflict_in) + rank)
    a, b = np.nonzero((enter < np.inf) & (owner[:, None] != owner))
    size, leaves = len(conflict_out), conflict_out.reshape(-1)
    rank_a, rank_b = rank.take(a), rank.take(b)
    leave, leave_other = leaves.take(rank_a * size + rank_b), leaves.take(rank_b * size + rank_a)
    flat = enter.reshape(-1)
    return a, b, flat.take(a * count + b), leave, flat.take(b * count + a), leave_other


def _claims(priorities: NDArray[np.int64], who: Contenders) -> Float:
    """Strength [V] of the claims: right of way of the first lane, raised by waiting; no two alike."""
    priority = np.zeros(len(who.front))
    first_start = np.full(len(who.front), np.inf)
    np.minimum.at(first_start, who.owner, who.start)
    is_first = who.start == first_start[who.owner]
    priority[who.owner[is_first]] = priorities[who.lane[is_first]]
    patience = _URGENCY * np.maximum(who.waiting - _PATIENCE, 0.0)
    return priority + patience + _HELD * who.held - 1e-3 * np.arange(len(who.front))


def _times(
    limit: Float, who: Contenders, row: NDArray, enter: Float, leave: Float
) -> tuple[Float, Float, Float, NDArray[np.bool_]]:
    """When [s] vehicles reach and leave a stretch of a lane, how far it is [m], and whether they have left it."""
    vehicle = who.owner[row]
    zone = who.start[row] - who.front[vehicle]
    speed, picks_up = who.speed[vehicle], who.picks_up[vehicle]
    top = np.maximum(speed, limit[who.lane[row]] * who.top[vehicle])
    near, far = zone + enter, zone + leave + who.length[vehicle]
    reach = _duration(np.maximum(near, 0.0), speed, picks_up, top)
    return reach, _duration(np.maximum(far, 0.0), speed, picks_up, top), near, far <= 0.0


def _duration(distance: Float, speed: Float, acceleration: Float, top: Float) -> Float:
    """Time [s] for a distance [m] with constant acceleration up to the top speed."""
    end = np.sqrt(speed * speed + 2.0 * acceleration * distance)
    return np.maximum(2.0 * distance / np.maximum(speed + end, 1e-3), distance / top)
