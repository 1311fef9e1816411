"""Which events happen now: conditions of all events as columns, measured and compared at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.schema import MEASURES, Event

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Triggers:
    """C conditions, those of an alternative and those of an event next to each other. Entities are indices of actors,
    the ego's is their number."""

    kinds: tuple[tuple[str, Int], ...]  # conditions of each kind that there is
    of: Int  # [C]
    to: Int  # [C]
    measured: Int  # [C] index into MEASURES
    bound: Float  # [C]
    equals: Float  # [C] value whose difference is compared, NaN for none
    sign: Float  # [C] 1 where the bound is the least, -1 where it is the most
    place: Float  # [C, 2] (at, offset) [m]
    event: Int  # [C] index of the event that is followed
    edge: Bool  # [C]
    alternatives: Int  # [G] first condition of each alternative
    events: Int  # [E] first alternative of each event


@dataclass(frozen=True, eq=False)
class Situation:
    """What conditions look at: N entities, the ego last."""

    time: float  # [s]
    at: Float  # [N] of the body's middle along the reference line [m]
    beside: Float  # [N] how far it is to the left of it [m]
    position: Complex  # [N] middle of the body
    direction: Complex  # [N]
    velocity: Complex  # [N] [m/s]
    acceleration: Float  # [N] [m/s^2]
    half_length: Float  # [N] [m]
    half_width: Float  # [N] [m]
    travelled: Float  # [N] [m]
    stood: Float  # [N] [s] without a break
    fired: Float  # [E] when events happened [s], NaN for not yet
    progress: float  # [m] of the ego's rear axle along the reference line
    speed: Float  # [N] [m/s]


def triggers_of(events: tuple[Event, ...], actors: tuple[str, ...], meets: Float) -> Triggers:
    """The columns of some events; `meets` [A]: where the actors' paths meet the reference line [m]."""
    names = [event.name for event in events]
    groups = [group for event in events for group in event.when.alternatives]
    rows = [condition for group in groups for condition in group]

    def entity(name: str | None) -> int:
        return len(actors) if name is None else actors.index(name)

    kinds = {name: np.flatnonzero([row.kind == name for row in rows]) for name in KINDS}
    return Triggers(
        kinds=tuple((name, found) for name, found in kinds.items() if found.size),
        of=np.array([entity(row.of) for row in rows], np.int64),
        to=np.array([entity(row.to) for row in rows], np.int64),
        measured=np.array([MEASURES.index(row.measured) for row in rows], np.int64),
        bound=np.array([row.bound for row in rows]),
        equals=np.array([np.nan if row.equals is None else row.equals for row in rows]),
        sign=np.array([1.0 if row.above else -1.0 for row in rows]),
        place=np.array(
            [(row.at if row.meets is None else meets[actors.index(row.meets)], row.offset) for row in rows]
        ).reshape(-1, 2),
        event=np.array([names.index(row.event) if row.event is not None else 0 for row in rows], np.int64),
        edge=np.array([row.edge for row in rows], bool),
        alternatives=np.append(0, np.cumsum([len(group) for group in groups]))[:-1].astype(np.int64),
        events=np.append(0, np.cumsum([len(event.when.alternatives) for event in events]))[:-1].astype(np.int64),
    )


def due(triggers: Triggers, otherwise: Bool, now: Situation) -> tuple[Bool, Bool]:
    """Which events [E] happen now, and which conditions [C] have not held some time; `otherwise` [C]: those until now.

    Conditions of something that there is not (yet) do not hold.
    """
    value = np.full(len(triggers.bound), np.nan)
    for kind, rows in triggers.kinds:
        value[rows] = KINDS[kind](triggers, rows, now)
    value = np.where(np.isnan(triggers.equals), value, np.abs(value - triggers.equals))
    holds = triggers.sign * (value - triggers.bound) >= -1e-9
    passes = holds & (otherwise | ~triggers.edge)
    each = np.logical_or.reduceat(np.logical_and.reduceat(passes, triggers.alternatives), triggers.events)
    return each & np.isnan(now.fired), otherwise | (~holds & ~np.isnan(value))


def _along(triggers: Triggers, rows: Int, now: Situation) -> Float:
    """How far `to` is ahead of `of` along the line [m], between the bodies where asked for: then 0 side by side."""
    of, to = triggers.of[rows], triggers.to[rows]
    ahead = now.at[to] - now.at[of]
    room = np.maximum(np.abs(ahead) - now.half_length[of] - now.half_length[to], 0.0)
    return np.where(triggers.measured[rows] == MEASURES.index("bodies"), np.sign(ahead) * room, ahead)


def _distance(triggers: Triggers, rows: Int, now: Situation) -> Float:
    of, to = triggers.of[rows], triggers.to[rows]
    offset = now.position[to] - now.position[of]
    ways = np.stack([
        _gaps(triggers, rows, now), np.abs(offset), np.abs(now.at[to] - now.at[of]),
        np.abs(now.beside[to] - now.beside[of]),
    ])  # fmt: skip
    return ways[triggers.measured[rows], np.arange(len(rows))]


def _gaps(triggers: Triggers, rows: Int, now: Situation) -> Float:
    of, to = triggers.of[rows], triggers.to[rows]
    return gaps(
        now.position[of], now.direction[of], (now.half_length[of], now.half_width[of]), now.position[to],
        now.direction[to], now.half_length[to], now.half_width[to],
    )  # fmt: skip


def _time_to_collision(triggers: Triggers, rows: Int, now: Situation) -> Float:
    of, to = triggers.of[rows], triggers.to[rows]
    there = now.position[to] - now.position[of]
    seconds = times_to_collision(_gaps(triggers, rows, now), there, now.velocity[to] - now.velocity[of])
    return np.where(np.isnan(there), np.nan, seconds)


def _headway(triggers: Triggers, rows: Int, now: Situation) -> Float:
    return _along(triggers, rows, now) / np.maximum(now.speed[triggers.of[rows]], 0.1)


def _arrives(triggers: Triggers, rows: Int, now: Situation) -> Float:
    return (triggers.place[rows, 0] - now.progress) / max(float(now.speed[-1]), 0.1)


def _near(triggers: Triggers, rows: Int, now: Situation) -> Float:
    of, place = triggers.of[rows], triggers.place[rows]
    return np.hypot(now.at[of] - place[:, 0], now.beside[of] - place[:, 1])


# What each kind of condition measures, from the rows [K] of its conditions: [K].
KINDS: dict[str, Callable[[Triggers, Int, Situation], Float]] = {
    "time": lambda t, rows, now: np.full(len(rows), now.time),
    "at": lambda t, rows, now: np.where(t.of[rows] == len(now.at) - 1, now.progress, now.at[t.of[rows]]),
    "arrives": _arrives,
    "distance": _distance,
    "time_to_collision": _time_to_collision,
    "headway": _headway,
    "speed": lambda t, rows, now: now.speed[t.of[rows]],
    "relative_speed": lambda t, rows, now: now.speed[t.of[rows]] - now.speed[t.to[rows]],
    "acceleration": lambda t, rows, now: now.acceleration[t.of[rows]],
    "standstill": lambda t, rows, now: now.stood[t.of[rows]],
    "travelled": lambda t, rows, now: now.travelled[t.of[rows]],
    "near": _near,
    "after": lambda t, rows, now: now.time - now.fired[t.event[rows]],
}


def gaps(
    ego: complex | Complex, ego_direction: complex | Complex, ego_size: tuple[float | Float, float | Float],
    position: Complex, direction: Complex, half_length: Float, half_width: Float,
) -> Float:  # fmt: skip
    """Distances [A] [m] between a body, (half length, half width) [m], or one for each, and others: the larger gap
    along or across either body, a lower bound that is exact side by side and bumper to bumper; 0 when they overlap."""
    offset = position - ego
    turn = direction * np.conj(ego_direction)
    cosine, sine = np.abs(turn.real), np.abs(turn.imag)
    own, other = offset * np.conj(ego_direction), offset * direction.conj()
    length, width = ego_size
    apart = [
        np.abs(own.real) - length - cosine * half_length - sine * half_width,
        np.abs(own.imag) - width - sine * half_length - cosine * half_width,
        np.abs(other.real) - half_length - cosine * length - sine * width,
        np.abs(other.imag) - half_width - sine * length - cosine * width,
    ]
    return np.maximum(np.max(apart, axis=0), 0.0)


def times_to_collision(gap: Float, offset: Complex, velocity: Complex) -> Float:
    """Gap [A] [m] over the speed at which the centres, `offset` [A] apart [m], close at relative `velocity` [A]
    [m/s]; inf where they part."""
    closing = -(velocity * offset.conj()).real / np.maximum(np.abs(offset), 1e-9)
    return np.where(closing > 1e-6, gap / np.maximum(closing, 1e-6), np.inf)
