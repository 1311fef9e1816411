"""Scripted actors as a value: arrays over all of them, and one step of everybody."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.line import BEFORE, ReferenceLine
from drivesim.scene import Tracks
from drivesim.traffic.driving import inserted
from drivesim.traffic.idm import DriverModel, acceleration, wanted_gap
from drivesim.traffic.perception import Objects, look_ahead
from drivesim.traffic.state import PATH_POINTS, Bodies, Complex, Float, Motion, Paths

NOBODY = -1
START = 10  # [m] along its path where every actor starts
_SLOW = 0.3  # [m/s] below which a body does not turn with its motion across
_DRIVER = DriverModel(acceleration=2.5, braking=3.0, headway=1.0)


@dataclass(frozen=True, eq=False)
class Cast:
    """What never changes of A actors. Offsets are to the left of the paths [m]."""

    names: tuple[str, ...]
    bodies: Bodies
    paths: Paths  # only points and headings mean something
    turned: Float  # [A] that bodies point left of their paths [rad]
    meets: Float  # [A] along the reference line where the path meets it [m], NaN where it does not


@dataclass(frozen=True, eq=False)
class Actors:
    """What changes of A actors. A step makes new arrays."""

    s: Float  # [A] of the middle of the body along its path [m]
    offset: Float  # [A] [m]
    speed: Float  # [A] [m/s]
    acceleration: Float  # [A] [m/s^2]
    wanted: Float  # [A] speed [m/s]
    rate: Float  # [A] at most towards it [m/s^2]
    reacts: NDArray[np.bool_]  # [A]
    present: NDArray[np.bool_]  # [A]
    move_from: Float  # [A] offset where the last move across began [m]
    move_to: Float  # [A] and where it ends [m]
    move_begin: Float  # [A] when [s], inf for never
    move_over: Float  # [A] how long it takes [s]
    door: Float  # [A] how far a door stands out, positive to the left [m]
    door_to: Float  # [A] and how far it will [m]
    keep_to: NDArray[np.int64]  # [A] whom it keeps its distance to: index of an actor, A for the ego, NOBODY
    keep_gap: Float  # [A] between the bodies [m]
    keep_seconds: Float  # [A] of its own speed in addition [s]
    keep_side: Float  # [A] -0.5 behind, 0.5 ahead
    position: Complex  # [A] middle of the body
    direction: Complex  # [A] unit vector of the heading
    velocity: Complex  # [A] [m/s]


_DOOR_SPEED = 1.2  # [m/s]


def place(cast: Cast, actors: Actors) -> Actors:
    """The actors with position, direction and velocity of where they are on their paths."""
    return _moved(cast, actors, actors.s, actors.offset, actors.speed, np.zeros_like(actors.s))


def anybody_reacts(actors: Actors) -> bool:
    """Whether some actor looks at the others."""
    return bool((actors.reacts & actors.present).any())


def step(
    cast: Cast, actors: Actors, others: Objects | None, time: float, dt: float, line: ReferenceLine | None = None,
    ego: tuple[complex, complex, float, float] | None = None,
) -> Actors:  # fmt: skip
    """The actors after `dt` [s]; those who react keep their distance from each other and from the `others`, those who
    keep a distance along the `line` theirs, from the `ego` (middle, heading, speed [m/s], half length [m]) too.

    Who has come to the end of its path is gone.
    """
    wanted = actors.wanted
    if line is not None and ego is not None and (actors.keep_to != NOBODY).any():
        wanted = _keeping(cast, actors, line, ego)
    rate = np.clip((wanted - actors.speed) / dt, -actors.rate, actors.rate)
    if others is not None and anybody_reacts(actors):
        rate = np.where(actors.reacts, np.minimum(rate, _following(cast, actors, others)), rate)
    speed = np.maximum(actors.speed + rate * dt, 0.0)
    s = np.minimum(actors.s + 0.5 * (actors.speed + speed) * dt, PATH_POINTS - 3.0)
    share = np.clip((time + dt - actors.move_begin) / actors.move_over, 0.0, 1.0)
    smooth = share * share * (3.0 - 2.0 * share)
    offset = actors.move_from + smooth * (actors.move_to - actors.move_from)
    door = actors.door + np.clip(actors.door_to - actors.door, -_DOOR_SPEED * dt, _DOOR_SPEED * dt)
    present = actors.present & (s < PATH_POINTS - 4.0)
    actors = replace(actors, acceleration=(speed - actors.speed) / dt, door=door, present=present)
    return _moved(cast, actors, s, offset, speed, (offset - actors.offset) / dt)


def _moved(cast: Cast, actors: Actors, s: Float, offset: Float, speed: Float, sideways: Float) -> Actors:
    whole = s.astype(np.int64)
    rows = np.arange(len(s))
    points = cast.paths.points
    along = cast.paths.heading[rows, whole]
    position = points[rows, whole] + (s - whole) * (points[rows, whole + 1] - points[rows, whole]) + 1j * offset * along
    velocity = along * (speed + 1j * sideways)
    moving = speed > _SLOW
    direction = np.where(moving, velocity / np.maximum(np.abs(velocity), 1e-9), along) * np.exp(1j * cast.turned)
    return replace(actors, s=s, offset=offset, speed=speed, position=position, direction=direction, velocity=velocity)


def _keeping(
    cast: Cast, actors: Actors, line: ReferenceLine, ego: tuple[complex, complex, float, float]
) -> Float:  # fmt: skip
    """Speeds [A] [m/s] that close half of what is missing to the kept distances in a second."""
    at, _ = line.project_all(np.append(actors.position, ego[0]))
    forward = line.heading[np.clip(at + BEFORE, 0, len(line.heading) - 1).astype(np.int64)]
    half = np.append(cast.bodies.half_length, ego[3])
    speed = np.append((actors.velocity * forward[:-1].conj()).real, (ego[2] * ego[1] * forward[-1].conjugate()).real)
    to = np.where(actors.keep_to == NOBODY, 0, actors.keep_to)
    away = actors.keep_gap + half[to] + half[:-1] + actors.keep_seconds * actors.speed
    goal = at[to] + 2.0 * actors.keep_side * away
    wanted = np.maximum(speed[to] + 0.5 * (goal - at[:-1]), 0.0)
    return np.where(actors.keep_to == NOBODY, actors.wanted, wanted)


def _following(cast: Cast, actors: Actors, others: Objects) -> Float:
    """Acceleration [A] [m/s^2] of the intelligent driver model behind whatever is on the path."""
    shifted = replace(cast.paths, points=cast.paths.points + 1j * actors.offset[:, None] * cast.paths.heading)
    zero = np.zeros_like(actors.s)
    motion = Motion(actors.s, actors.speed, zero, actors.position, actors.direction, zero, zero, zero)
    objects = inserted(others, 0, objects_of(cast, actors))
    sight = look_ahead(cast.bodies, shifted, motion, objects)
    crowding = np.zeros(len(actors.s))
    gap = np.maximum(sight.gap, 0.1)
    wanted = wanted_gap(_DRIVER, actors.speed.take(sight.observer), np.maximum(sight.speed, 0.0))
    np.maximum.at(crowding, sight.observer, wanted / gap)
    return acceleration(_DRIVER, actors.speed, actors.wanted, crowding)


def objects_of(cast: Cast, actors: Actors) -> Objects:
    """All actors as things that others may have to stop for; those who are not there are out of reach."""
    side = 0.5 * actors.door
    position = np.where(actors.present, actors.position + 1j * side * actors.direction, 1e7)
    margin = np.where(actors.present, 0.3, -np.inf)
    half_width = cast.bodies.half_width + 0.5 * np.abs(actors.door)
    return Objects(position, actors.direction, np.abs(actors.velocity), cast.bodies.half_length, half_width, margin)


def tracks_with(tracks: Tracks, cast: Cast, actors: Actors) -> Tracks:
    """Tracks with the present actors after them; an open door widens its car."""
    rows = np.flatnonzero(actors.present)
    bodies, size = cast.bodies, cast.bodies.size[rows]
    size[:, 0] += np.abs(actors.door[rows])
    middle = (actors.position + 0.5j * actors.door * actors.direction)[rows]
    position = np.stack([middle.real, middle.imag, 0.5 * size[:, 2]], axis=-1)
    velocity = actors.velocity[rows]
    return Tracks(
        np.concatenate((tracks.ids, bodies.ids[rows])),
        np.concatenate((tracks.class_ids, bodies.class_ids[rows])),
        np.concatenate((tracks.position, position)),
        np.concatenate((tracks.size, size)),
        np.concatenate((tracks.yaw, np.angle(actors.direction[rows]))),
        np.concatenate((tracks.velocity, np.stack([velocity.real, velocity.imag], axis=-1))),
        np.concatenate((tracks.color, bodies.color[rows])),
    )
