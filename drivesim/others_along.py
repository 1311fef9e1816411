"""The others in the frame of the route, now and in the next seconds: how far along it (s), how far to its left (d)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.road_ahead import RoadAhead
from drivesim.scene import OBJECT_CLASSES, Scene, VehicleShape

RANGE = 80.0  # [m] within which others are seen, as by `boxes`
INSTANTS = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])  # [s] ahead, others at constant velocity
VULNERABLE = np.isin(OBJECT_CLASSES, ("pedestrian", "bicycle", "motorcycle"))  # [10]
_LATER = len(INSTANTS) - 1


@dataclass(frozen=True, eq=False)
class OthersAlong:
    """N others at T instants in the frame of the route, s counted from the ego's front bumper.

    Who stands is in one place at all instants, so places are counted apart: first the N now, then those of the ones
    that move, instant by instant; P in all.
    """

    s: NDArray[np.float64]  # [P] middle [m]
    d: NDArray[np.float64]  # [P] [m]
    half_length: NDArray[np.float64]  # [P] along the route [m]
    half_width: NDArray[np.float64]  # [P] across it [m]
    along: NDArray[np.float64]  # [P] speed along the route [m/s]
    across: NDArray[np.float64]  # [P] to its left [m/s]
    at: NDArray[np.int64]  # [T, N] place of everyone at every instant
    vulnerable: NDArray[np.bool_]  # [N]

    def places_until(self, instants: int) -> int:
        """How many of the places, which come first, are those of the first so many instants."""
        count = len(self.vulnerable)
        return count + (len(self.s) - count) // _LATER * (instants - 1)


def others_along(scene: Scene, road: RoadAhead) -> OthersAlong:
    """Others within RANGE in the frame of the route."""
    tracks, ego = scene.tracks, scene.ego
    offset = tracks.position[:, :2] - ego.xy
    x, y = offset.T
    near = np.flatnonzero(x * x + y * y < RANGE * RANGE)
    rotation = ego.pose[:2, :2]
    xy, velocity = offset.take(near, 0) @ rotation, tracks.velocity.take(near, 0) @ rotation
    owner, at = _places(velocity)
    velocity_x, velocity_y = velocity.take(owner, 0).T
    place_x, place_y = xy.take(owner, 0).T.copy()
    time = INSTANTS[1:].repeat((len(owner) - len(near)) // _LATER)
    place_x[len(near) :] += time * velocity_x[len(near) :]
    place_y[len(near) :] += time * velocity_y[len(near) :]
    row = _nearest_rows(place_x, place_y, road.line)
    line_x, line_y, heading = road.line[:, :3].T.copy()
    c, s = np.cos(heading).take(row), np.sin(heading).take(row)
    dx, dy = place_x - line_x.take(row), place_y - line_y.take(row)
    turned = (tracks.yaw.take(near) - ego.yaw).take(owner) - heading.take(row)
    cosine, sine = np.abs(np.cos(turned)), np.abs(np.sin(turned))
    width, length = (0.5 * tracks.size.take(near.take(owner), 0)[:, :2]).T
    return OthersAlong(
        road.along.take(row) + c * dx + s * dy - _front(scene.vehicle), c * dy - s * dx,
        cosine * length + sine * width, sine * length + cosine * width,
        c * velocity_x + s * velocity_y, c * velocity_y - s * velocity_x,
        at, VULNERABLE.take(tracks.class_ids.take(near)),
    )  # fmt: skip


def _places(velocity: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Owner [P] of every place, and place [T, N] of everyone at every instant, of others with velocities [N, 2]."""
    count = len(velocity)
    moving = np.flatnonzero((velocity[:, 0] != 0.0) | (velocity[:, 1] != 0.0))
    at = np.empty((len(INSTANTS), count), np.int64)
    at[:] = everyone = np.arange(count)
    at[1:, moving] = count + np.arange(_LATER * len(moving)).reshape(_LATER, -1)
    return np.concatenate([everyone, *[moving] * _LATER]), at


def _nearest_rows(x: NDArray[np.float64], y: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row [P] of the point of a line [K, 2 or more] nearest to every place."""
    squared, other = x[:, None] - line[:, 0], y[:, None] - line[:, 1]
    squared *= squared
    other *= other
    squared += other
    return squared.argmin(axis=1)


def _front(shape: VehicleShape) -> float:
    """From the rear axle to the front bumper [m]."""
    return shape.length - shape.rear_overhang
