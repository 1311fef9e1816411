"""Which events happen now: conditions of all events as columns, compared at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.schema import Event

Float = NDArray[np.float64]
_NOBODY = -1


@dataclass(frozen=True, eq=False)
class Triggers:
    """Conditions of E events; those that are not asked for hold always."""

    time: Float  # [E] [s]
    ego_at: Float  # [E] [m]
    arrives_at: Float  # [E] [m], NaN without
    arrives_within: Float  # [E] [s]
    actor: NDArray[np.int64]  # [E] index of the actor that is watched, -1 for none
    distance: Float  # [E] [m]
    time_to_collision: Float  # [E] [s]
    after: NDArray[np.int64]  # [E] index of an event, -1 for none
    delay: Float  # [E] [s]


@dataclass(frozen=True, eq=False)
class Situation:
    """What conditions look at. A actors: `distance` [A] [m], `time_to_collision` [A] [s]."""

    time: float  # [s]
    progress: float  # [m] of the ego along the reference line
    ego_speed: float  # [m/s]
    distance: Float
    time_to_collision: Float


def triggers_of(events: tuple[Event, ...], actors: tuple[str, ...], meets: Float) -> Triggers:
    """The columns of some events; `meets` [A]: where the actors' paths meet the reference line [m]."""
    whens = [event.when for event in events]
    names = [event.name for event in events]
    arrives = [
        np.nan if when.ego_arrives_at is None and when.ego_arrives_actor is None
        else when.ego_arrives_at if when.ego_arrives_actor is None
        else meets[actors.index(when.ego_arrives_actor)]
        for when in whens
    ]  # fmt: skip
    return Triggers(
        time=np.array([when.time for when in whens]),
        ego_at=np.array([when.ego_at for when in whens]),
        arrives_at=np.array(arrives, float),
        arrives_within=np.array([when.ego_arrives_within for when in whens]),
        actor=np.array([_NOBODY if when.actor is None else actors.index(when.actor) for when in whens], np.int64),
        distance=np.array([when.distance for when in whens]),
        time_to_collision=np.array([when.time_to_collision for when in whens]),
        after=np.array([_NOBODY if when.after is None else names.index(when.after) for when in whens], np.int64),
        delay=np.array([when.delay for when in whens]),
    )


def due(triggers: Triggers, fired: Float, now: Situation) -> NDArray[np.bool_]:
    """Which events [E] happen now; `fired` [E]: when they did [s], NaN for not yet."""
    ahead = triggers.arrives_at - now.progress
    arrives = ~(ahead / max(now.ego_speed, 0.1) > triggers.arrives_within)
    distance = np.append(now.distance, -np.inf)[triggers.actor]
    closing = np.append(now.time_to_collision, -np.inf)[triggers.actor]
    since = now.time - np.append(fired, -np.inf)[triggers.after]
    return (
        np.isnan(fired)
        & (now.time >= triggers.time - 1e-9)
        & (now.progress >= triggers.ego_at)
        & arrives
        & (distance <= triggers.distance)
        & (closing <= triggers.time_to_collision)
        & (since >= triggers.delay - 1e-9)
    )


def gaps(
    ego: complex, ego_direction: complex, ego_size: tuple[float, float], position: NDArray[np.complex128],
    direction: NDArray[np.complex128], half_length: Float, half_width: Float,
) -> Float:  # fmt: skip
    """Distances [A] [m] between the ego's body, (half length, half width) [m], and others: the larger gap along or
    across either body, a lower bound that is exact side by side and bumper to bumper; 0 when they overlap."""
    offset = position - ego
    turn = direction * ego_direction.conjugate()
    cosine, sine = np.abs(turn.real), np.abs(turn.imag)
    own, other = offset * ego_direction.conjugate(), offset * direction.conj()
    length, width = ego_size
    apart = [
        np.abs(own.real) - length - cosine * half_length - sine * half_width,
        np.abs(own.imag) - width - sine * half_length - cosine * half_width,
        np.abs(other.real) - half_length - cosine * length - sine * width,
        np.abs(other.imag) - half_width - sine * length - cosine * width,
    ]
    return np.maximum(np.max(apart, axis=0), 0.0)


def times_to_collision(gap: Float, offset: NDArray[np.complex128], velocity: NDArray[np.complex128]) -> Float:
    """Gap [A] [m] over the speed at which the centres, `offset` [A] apart [m], close at relative `velocity` [A]
    [m/s]; inf where they part."""
    closing = -(velocity * offset.conj()).real / np.maximum(np.abs(offset), 1e-9)
    return np.where(closing > 1e-6, gap / np.maximum(closing, 1e-6), np.inf)
