"""Recorded vehicles that react: each keeps to the way that it took, and by the intelligent driver model its distance.

As the reactive agents of nuPlan do (Caesar et al. 2021), but at the speed that a vehicle drove itself. Everybody else
replays the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivesim.data.interpolation import BoxLog
from drivesim.scenarios.actors import NOBODY, START, Actors, Cast, place
from drivesim.scenarios.actors import step as step_actors
from drivesim.scene import VEHICLE_CLASS_IDS, Scene, Tracks
from drivesim.traffic.perception import Objects
from drivesim.traffic.state import PATH_POINTS, Bodies, Paths, empty_state

_PARKED = 3.0  # [m] within which a vehicle that is parked stays over the whole log
_QUICK = 0.9  # quantile of its recorded speeds that a vehicle wants to drive
_MARGIN = 0.3  # [m]
_METRES = np.arange(PATH_POINTS) - START


@dataclass(frozen=True, eq=False)
class ReactiveLog:
    """V vehicles of a log at one instant. A value: nothing in it is ever written to."""

    cast: Cast
    actors: Actors
    first: NDArray[np.float64]  # [V] when they appear [s]
    last: NDArray[np.float64]  # [V] when the log loses them [s]
    length: NDArray[np.float64]  # [V] of their recorded ways [m]
    height: NDArray[np.float64]  # [V] of their middles [m]
    since: NDArray[np.float64]  # [V] speed with which they appear [m/s]


def begin(log: BoxLog, time: float) -> ReactiveLog:
    """All vehicles of a log that drive after `time` [s]; those that are there start where they are then."""
    rows = np.flatnonzero(np.isin(log.class_ids, VEHICLE_CLASS_IDS) & (log.times[log.key] >= time - 1e-6))
    order = rows[np.lexsort((log.key[rows], log.ids[rows]))]
    ids, starts = np.unique(log.ids[order], return_index=True)
    groups = [group for group in np.split(order, starts[1:]) if len(group) > 1] if len(ids) else []
    xy = [log.position[group, 0] + 1j * log.position[group, 1] for group in groups]
    kept = [index for index, points in enumerate(xy) if np.abs(points - points[0]).max() > _PARKED]
    groups, xy = [groups[index] for index in kept], [xy[index] for index in kept]
    heads = np.array([group[0] for group in groups], np.int64)
    paths, length = _paths(xy, log.yaw[heads])
    velocity = [np.hypot(*log.velocity[group].T) for group in groups]
    bodies = Bodies(log.ids[heads], log.class_ids[heads], log.size[heads], log.color[heads], np.ones(len(heads)),
                    np.full(len(heads), 40.0))  # fmt: skip
    zero = np.zeros(len(heads))
    cast = Cast(tuple(str(number) for number in bodies.ids), bodies, paths, zero, np.full(len(heads), np.nan))
    first = np.array([log.times[log.key[group[0]]] for group in groups])
    speed = np.array([values[0] for values in velocity])
    wanted = np.array([max(float(np.quantile(values, _QUICK)), 1.0) for values in velocity])
    actors = Actors(
        np.full(len(heads), float(START)), zero, speed, zero, wanted, np.full(len(heads), 3.0),
        np.ones(len(heads), bool), first <= time + 1e-6, zero, zero, np.full(len(heads), np.inf), np.ones(len(heads)),
        zero, zero, np.full(len(heads), NOBODY), zero, zero, zero, *(np.zeros(len(heads), complex),) * 3,
    )  # fmt: skip
    return ReactiveLog(
        cast, place(cast, actors), first, np.array([log.times[log.key[group[-1]]] for group in groups]), length,
        log.position[heads, 2], speed,
    )  # fmt: skip


def _paths(ways: list[NDArray[np.complex128]], yaw: NDArray[np.float64]) -> tuple[Paths, NDArray[np.float64]]:
    """Points every metre along recorded ways, straight on beyond both ends, and the lengths of the ways [m]."""
    points, lengths = np.zeros((len(ways), PATH_POINTS), complex), np.zeros(len(ways))
    for row, way in enumerate(ways):
        kept = [0]  # points that are a metre apart, so that standing does not turn the way
        for index in range(1, len(way)):
            if abs(way[index] - way[kept[-1]]) >= 1.0:
                kept.append(index)
        knots = way[kept]
        axis = np.append(0.0, np.cumsum(np.abs(np.diff(knots))))
        ahead = (knots[-1] - knots[-2]) / abs(knots[-1] - knots[-2]) if len(knots) > 1 else np.exp(1j * yaw[row])
        points[row] = np.interp(_METRES, axis, knots)
        points[row] += np.minimum(_METRES, 0.0) * np.exp(1j * yaw[row]) + np.maximum(_METRES - axis[-1], 0.0) * ahead
        lengths[row] = axis[-1]
    heading = np.diff(points, axis=1, append=2.0 * points[:, -1:] - points[:, -2:-1])
    blank = empty_state(0).paths
    columns = {name: getattr(blank, name) for name in Paths.__dataclass_fields__}
    heading = heading / np.maximum(np.abs(heading), 1e-9)
    return Paths(**(columns | {"points": points, "heading": heading})), lengths


def step(log: ReactiveLog, before: Scene, time: float, dt: float) -> ReactiveLog:
    """The vehicles at `time` [s], `dt` [s] after the scene `before`, which they look at."""
    if not log.cast.names:
        return log
    actors = step_actors(log.cast, log.actors, _objects(log, before), time - dt, dt)
    new = (log.first > before.timestamp + 1e-6) & (log.first <= time + 1e-6)
    gone = (actors.s - START >= log.length) & (time > log.last)
    actors = replace(
        actors,
        s=np.where(log.first > time, float(START), actors.s),
        speed=np.where(log.first > time, log.since, actors.speed),
        present=(actors.present | new) & ~gone & (log.first <= time + 1e-6),
    )
    return replace(log, actors=place_at(log.cast, actors))


def place_at(cast: Cast, actors: Actors) -> Actors:
    """The actors placed anew, with the acceleration that they have."""
    return replace(place(cast, actors), acceleration=actors.acceleration)


def _objects(log: ReactiveLog, scene: Scene) -> Objects:
    """The ego and all recorded tracks that do not react."""
    others = scene.tracks.take(~np.isin(scene.tracks.ids, log.cast.bodies.ids))
    forward = complex(scene.ego.pose[0, 0], scene.ego.pose[1, 0])
    middle = complex(scene.ego.pose[0, 3], scene.ego.pose[1, 3]) + scene.vehicle.centre_offset * forward
    return Objects(
        np.append(others.position[:, 0] + 1j * others.position[:, 1], middle),
        np.append(np.exp(1j * others.yaw), forward),
        np.append(np.hypot(*others.velocity.T), scene.ego.speed),
        0.5 * np.append(others.size[:, 1], scene.vehicle.length),
        0.5 * np.append(others.size[:, 0], scene.vehicle.width),
        np.full(len(others) + 1, _MARGIN),
    )


def reactive_tracks(log: ReactiveLog, recorded: Tracks) -> Tracks:
    """Recorded tracks with those of the vehicles that react in place of their own."""
    kept = recorded.take(~np.isin(recorded.ids, log.cast.bodies.ids))
    rows, actors, bodies = np.flatnonzero(log.actors.present), log.actors, log.cast.bodies
    place, velocity = actors.position[rows], actors.velocity[rows]
    return Tracks(
        np.concatenate((kept.ids, bodies.ids[rows])),
        np.concatenate((kept.class_ids, bodies.class_ids[rows])),
        np.concatenate((kept.position, np.column_stack([place.real, place.imag, log.height[rows]]))),
        np.concatenate((kept.size, bodies.size[rows])),
        np.concatenate((kept.yaw, np.angle(actors.direction[rows]))),
        np.concatenate((kept.velocity, np.column_stack([velocity.real, velocity.imag]))),
        np.concatenate((kept.color, bodies.color[rows])),
        np.concatenate((kept.interpolated, np.ones(len(rows), bool))),
    )
