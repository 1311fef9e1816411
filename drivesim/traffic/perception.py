"""What lies ahead of every vehicle on its path, as few array operations over all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.traffic.state import PATH_POINTS, Bodies, Complex, Float, Motion, Paths, row_starts

SAMPLE_SPACING = 3  # [m] between the points of a path that objects are compared with
SAMPLES = 20
RANGE = float(SAMPLE_SPACING * (SAMPLES - 1))  # [m] ahead of the bumper
LEAVING_MARGIN = 0.3  # [m] to people who walk away from the path
_AHEAD = SAMPLE_SPACING * np.arange(SAMPLES)[:, None]
_WIDEST = 1.5 + 0.5 * SAMPLE_SPACING  # [m] half a wide vehicle and half a sample


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


def look_ahead(bodies: Bodies, paths: Paths, motion: Motion, objects: Objects, origin: complex) -> Sight:
    """Sight of every vehicle; `origin` is a place nearby, to keep single precision exact enough for the search."""
    front = motion.s + bodies.half_length
    index = path_samples(front)
    samples = paths.points.reshape(-1).take(index)  # [K, N]
    squared = _beyond_reach(samples, objects, origin)  # [K, N, M]
    least, count = np.minimum.reduce(squared, axis=0).reshape(-1), len(objects.position)
    least[: len(front) * count : count + 1] = 1.0  # nobody is in its own way
    pairs = (least < 0.0).nonzero()[0]
    observer, seen = np.divmod(pairs, count)
    nearest = squared.reshape(SAMPLES, -1).take(pairs, axis=1).argmin(axis=0)
    relation = relate(paths, front, index, objects, observer, seen, nearest)
    clearance = np.abs(relation.lateral)
    clearance -= relation.half_breadth
    clearance -= bodies.half_width.take(observer)
    margin = objects.margin.take(seen)
    leaves = relation.lateral * relation.lateral_speed > 0.0
    hit = clearance < np.where(leaves, np.minimum(margin, LEAVING_MARGIN), margin)
    hit &= relation.along + relation.half_extent > 0.0
    hit &= relation.along < RANGE + 2.0
    rows = hit.nonzero()[0]
    gap = (relation.along - relation.half_extent).take(rows)
    return Sight(observer.take(rows), seen.take(rows), gap, relation.speed.take(rows))


def path_samples(front: Float) -> NDArray[np.int64]:
    """Flat indices [K, N] of the path points ahead of bumpers [N] [m]."""
    index = np.minimum(front.astype(np.int64) + _AHEAD, PATH_POINTS - 1)
    index += row_starts(len(front), PATH_POINTS)
    return index


def _beyond_reach(samples: Complex, objects: Objects, origin: complex) -> NDArray[np.float32]:
    """Squared distance [K, N, M] between path samples [K, N] and objects [M], less the squared reach of the object."""
    left, right = np.empty((4, samples.size), np.float32), np.empty((4, len(objects.position)), np.float32)
    flat, places = samples.reshape(-1) - origin, objects.position - origin
    x, y, square, one = left
    x[:], y[:], one[:] = flat.real, flat.imag, 1.0
    np.multiply(x, x, out=square)
    square += y * y
    reach = np.maximum(objects.margin, 0.0)
    reach += objects.half_length
    reach += objects.half_width
    reach += _WIDEST
    x, y, one, square = right
    x[:], y[:], one[:] = -2.0 * places.real, -2.0 * places.imag, 1.0
    square[:] = places.real * places.real + places.imag * places.imag - reach * reach
    return (left.T @ right).reshape(*samples.shape, len(places))


def relate(
    paths: Paths, front: Float, index: NDArray[np.int64], objects: Objects,
    observer: NDArray[np.int64], seen: NDArray[np.int64], nearest: NDArray[np.int64],
) -> Relation:  # fmt: skip
    """Objects `seen` [P] in the frames of the path samples `nearest` [P] of the vehicles `observer` [P]."""
    chosen = index.reshape(-1).take(nearest * index.shape[1] + observer)
    frame = paths.heading.reshape(-1).take(chosen).conj()
    relative = objects.position.take(seen)
    relative -= paths.points.reshape(-1).take(chosen)
    relative *= frame
    facing = objects.direction.take(seen)
    facing *= frame
    cosine, sine = np.abs(facing.real), np.abs(facing.imag)
    length, width = objects.half_length.take(seen), objects.half_width.take(seen)
    velocity = facing * objects.speed.take(seen)
    chosen -= PATH_POINTS * observer
    along = relative.real + chosen
    along -= front.take(observer)
    return Relation(
        along=along,
        lateral=relative.imag,
        half_extent=cosine * length + sine * width,
        half_breadth=sine * length + cosine * width,
        speed=velocity.real,
        lateral_speed=velocity.imag,
    )


def surroundings(bodies: Bodies, paths: Paths, motion: Motion, objects: Objects, row: int) -> Relation:
    """All objects [M] in the frame of the path of one vehicle; those behind in that of its bumper."""
    front = motion.s + bodies.half_length
    index = path_samples(front)
    samples = paths.points.reshape(-1).take(index[:, row])
    nearest = np.abs(objects.position[:, None] - samples).argmin(axis=-1)
    everything = np.arange(len(objects.position))
    return relate(paths, front, index, objects, np.full_like(everything, row), everything, nearest)
