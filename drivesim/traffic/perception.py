"""What lies ahead of every vehicle on its path, as one array operation over all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.traffic.state import PATH_POINTS, Bodies, Complex, Float, Motion, Paths

SAMPLE_SPACING = 3  # [m] between the points of a path that pairs are compared at
SAMPLES = 20
RANGE = float(SAMPLE_SPACING * (SAMPLES - 1))  # [m] ahead of the bumper
_AHEAD = SAMPLE_SPACING * np.arange(SAMPLES)


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
    """Objects [M] as seen from the vehicles [N] in the frames of their paths, arrays [M, N]."""

    gap: Float  # from the front bumper along the path to the object [m]
    lateral: Float  # of the object's middle, positive to the left [m]
    along: Float  # from the front bumper to the object's middle [m]
    clearance: Float  # sideways between the bodies [m]
    speed: Float  # of the object along the path [m/s]
    lateral_speed: Float  # of the object, positive to the left [m/s]
    hit: NDArray[np.bool_]  # in the swept path


def look_ahead(bodies: Bodies, paths: Paths, motion: Motion, objects: Objects, origin: complex) -> Sight:
    """Sight of every vehicle; `origin` is a place nearby, to keep single precision exact enough for the search."""
    count = len(motion.s)
    front = motion.s + bodies.half_length
    first = front.astype(np.int64)
    index = np.minimum(first[:, None] + _AHEAD, PATH_POINTS - 1)
    index += PATH_POINTS * np.arange(count)[:, None]
    samples = paths.points.reshape(-1).take(index)  # [N, K]
    nearest = _nearest_sample(samples - origin, objects.position - origin)
    chosen = index.reshape(-1).take(nearest + SAMPLES * np.arange(count))  # [M, N]
    heading = paths.heading.reshape(-1).take(chosen).conj()
    relative = (objects.position[:, None] - paths.points.reshape(-1).take(chosen)) * heading
    facing = objects.direction[:, None] * heading
    cosine, sine = np.abs(facing.real), np.abs(facing.imag)
    length, width = objects.half_length[:, None], objects.half_width[:, None]
    extent = cosine * length + sine * width
    along = relative.real + (nearest * float(SAMPLE_SPACING) + (first - front))
    clearance = np.abs(relative.imag) - (sine * length + cosine * width) - bodies.half_width
    hit = (clearance < objects.margin[:, None]) & (along + extent > 0.0) & (along < RANGE + 2.0)
    np.fill_diagonal(hit, False)
    velocity = facing * objects.speed[:, None]
    return Sight(along - extent, relative.imag, along, clearance, velocity.real, velocity.imag, hit)


def _nearest_sample(samples: Complex, places: Complex) -> NDArray[np.int64]:
    """Index [M, N] of the sample of each path [N, K] that is nearest to each place [M]."""
    count, size = samples.shape
    right = np.empty((3, count * size), np.float32)
    flat = samples.reshape(-1)
    right[0], right[1] = flat.real, flat.imag
    right[2] = right[0] * right[0] + right[1] * right[1]
    left = np.ones((len(places), 3), np.float32)
    left[:, 0], left[:, 1] = -2.0 * places.real, -2.0 * places.imag
    return (left @ right).reshape(len(places), count, size).argmin(axis=-1)
