"""What lies ahead of every vehicle on its path, as few array operations over all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.traffic.state import PATH_POINTS, Bodies, Complex, Float, Motion, Paths, row_starts

SAMPLE_SPACING = 3  # [m] between the points of a path that objects are compared with
SAMPLES = 20
RANGE = float(SAMPLE_SPACING * (SAMPLES - 1))  # [m] ahead of the bumper
LEAVING_MARGIN = 0.3  # [m] to people who walk away from the path
_AHEAD = SAMPLE_SPACING * np.arange(SAMPLES)[:, None]
_WIDEST = 1.5 + 0.5 * SAMPLE_SPACING  # [m] half a wide vehicle and half a sample
_SINGLE = 1.0  # [m^2] more than single precision is wrong by in squared distances between places a few 100 m apart


@dataclass(frozen=True, eq=False)
class Objects:
    """Everything that may be in the way, M rows; the first N are the vehicles themselves."""

    position: Complex  # [M] middle of the body
    direction: Complex  # [M] unit vector of the heading
    speed: Float  # [M] [m/s]
    half_length: Float  # [M] [m]
    half_width: Float  # [M] [m]
    margin: Float  # [M] lateral distance that others keep [m]


@dataclass(frozen=True, eq=False)
class Sight:
    """Who sees what in the swept path, P pairs."""

    observer: NDArray[np.int64]  # [P] row of a vehicle
    seen: NDArray[np.int64]  # [P] row of an object
    gap: Float  # [P] along the path from the front bumper [m]
    speed: Float  # [P] of the object along the path [m/s]


@dataclass(frozen=True, eq=False)
class Relation:
    """Objects in the frames of paths, P pairs."""

    along: Float  # from the front bumper to the middle of the object [m]
    lateral: Float  # of its middle, positive to the left [m]
    half_extent: Float  # of the object along the path [m]
    half_breadth: Float  # of the object across the path [m]
    speed: Float  # along the path [m/s]
    lateral_speed: Float  # to the left [m/s]


def look_ahead(bodies: Bodies, paths: Paths, motion: Motion, objects: Objects) -> Sight:
    """Sight of every vehicle."""
    return Sight(
        *in_the_way(
            motion.s, bodies.half_length, bodies.half_width, paths.points, paths.heading, objects.position,
            objects.direction, objects.speed, objects.half_length, objects.half_width, objects.margin,
        )
    )  # fmt: skip


@compiled
def in_the_way(
    s: Float, half_length: Float, half_width: Float, points: Complex, heading: Complex,
    position: Complex, direction: Complex, speed: Float, object_length: Float, object_width: Float, margin: Float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Float, Float]:  # fmt: skip
    """Columns of `Sight` from columns of the bodies [N], paths [N, PATH_POINTS], and objects [M]."""
    front = s + half_length
    index = path_samples(front)
    samples = points.reshape(-1).take(index)  # [K, N]
    reach = np.maximum(margin, 0.0)
    reach += object_length
    reach += object_width
    reach += _WIDEST
    observer, seen = _candidates(samples, position, reach)
    offset = samples.take(observer, axis=1)
    offset -= position.take(seen)
    squared = offset.real * offset.real
    squared += offset.imag * offset.imag  # [K, P]
    nearest = squared.argmin(axis=0)
    near = np.minimum.reduce(squared, axis=0) < (reach * reach).take(seen)
    objects = Objects(position, direction, speed, object_length, object_width, margin)
    relation = relate(points, heading, front, index, objects, observer, seen, nearest)
    clearance = np.abs(relation.lateral)
    clearance -= relation.half_breadth
    clearance -= half_width.take(observer)
    kept = margin.take(seen)
    leaves = relation.lateral * relation.lateral_speed > 0.0
    near &= clearance < np.where(leaves, np.minimum(kept, LEAVING_MARGIN), kept)
    near &= relation.along + relation.half_extent > 0.0
    near &= relation.along < RANGE + 2.0
    rows = near.nonzero()[0]
    gap = (relation.along - relation.half_extent).take(rows)
    return observer.take(rows), seen.take(rows), gap, relation.speed.take(rows)


def path_samples(front: Float) -> NDArray[np.int64]:
    """Flat indices [K, N] of the path points ahead of bumpers [N] [m]."""
    index = np.minimum(front.astype(np.int64) + _AHEAD, PATH_POINTS - 1)
    index += row_starts(len(front), PATH_POINTS)
    return index


def _candidates(samples: Complex, places: Complex, reach: Float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (columns of samples [K, N], places [M]) with some sample within the reach [M] [m] of the place, and a few
    more, in order: one matrix product in single precision around a place nearby. Nobody is in its own way."""
    left, right = np.empty((4, samples.size), np.float32), np.empty((4, len(places)), np.float32)
    flat, places = samples.reshape(-1) - places[0], places - places[0]
    x, y, square, one = left
    x[:], y[:], one[:] = flat.real, flat.imag, 1.0
    np.multiply(x, x, out=square)
    square += y * y
    x, y, one, square = right
    x[:], y[:], one[:] = -2.0 * places.real, -2.0 * places.imag, 1.0
    square[:] = places.real * places.real + places.imag * places.imag - reach * reach
    beyond = (left.T @ right).reshape(*samples.shape, len(places))
    least, count = np.minimum.reduce(beyond, axis=0).reshape(-1), len(places)
    least[: samples.shape[1] * count : count + 1] = np.inf
    return np.divmod((least < _SINGLE).nonzero()[0], count)


def relate(
    points: Complex, heading: Complex, front: Float, index: NDArray[np.int64], objects: Objects,
    observer: NDArray[np.int64], seen: NDArray[np.int64], nearest: NDArray[np.int64],
) -> Relation:  # fmt: skip
    """Objects `seen` [P] in the frames of the path samples `nearest` [P] of the vehicles `observer` [P]."""
    chosen = index.reshape(-1).take(nearest * index.shape[1] + observer)
    frame = heading.reshape(-1).take(chosen)
    c, s = frame.real.copy(), frame.imag.copy()
    relative, facing = objects.position.take(seen), objects.direction.take(seen)
    relative -= points.reshape(-1).take(chosen)
    x, y = relative.real, relative.imag
    along: Float = x * c
    along += y * s
    lateral = y * c - x * s
    x, y = facing.real, facing.imag
    cosine, sine = x * c + y * s, y * c - x * s
    speed = objects.speed.take(seen)
    velocity, sideways = cosine * speed, sine * speed
    np.abs(cosine, out=cosine)
    np.abs(sine, out=sine)
    length, width = objects.half_length.take(seen), objects.half_width.take(seen)
    chosen -= PATH_POINTS * observer
    along += chosen
    along -= front.take(observer)
    return Relation(
        along=along,
        lateral=lateral,
        half_extent=cosine * length + sine * width,
        half_breadth=sine * length + cosine * width,
        speed=velocity,
        lateral_speed=sideways,
    )


def surroundings(bodies: Bodies, paths: Paths, motion: Motion, objects: Objects, row: int) -> Relation:
    """All objects [M] in the frame of the path of one vehicle; those behind in that of its bumper."""
    front = motion.s + bodies.half_length
    index = path_samples(front)
    samples = paths.points.reshape(-1).take(index[:, row])
    offset = objects.position[:, None] - samples
    nearest = (offset.real * offset.real + offset.imag * offset.imag).argmin(axis=-1)
    everything = np.arange(len(objects.position))
    return relate(
        paths.points, paths.heading, front, index, objects, np.full_like(everything, row), everything, nearest
    )
