"""One step of all vehicles: car following, stop lines, obstacles, and motion along the paths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import EgoState, VehicleShape
from drivesim.traffic.idm import DriverModel, acceleration, stopping_acceleration, wanted_gap
from drivesim.traffic.paths import path_position
from drivesim.traffic.perception import Objects, Sight
from drivesim.traffic.state import CROSSING, PATH_POINTS, Float, Motion, Paths, TrafficState

AXLE_SHARE = 0.3  # of the length from the middle to each axle
STANDING = 0.3  # [m/s] below which a vehicle counts as waiting
_VEHICLE_MARGIN, _EGO_MARGIN, _WALKER_MARGIN, _CROSSING_MARGIN = 0.25, 0.35, 0.1, 2.2  # [m]
_DEADLOCK = 5.0  # [s] of mutual waiting
_WALKER_GAP = 1.0  # [m] more distance to people


def ego_object(ego: EgoState, shape: VehicleShape) -> tuple[complex, complex]:
    """Middle of the ego body and unit vector of its heading."""
    direction = complex(ego.pose[0, 0], ego.pose[1, 0])
    return complex(ego.pose[0, 3], ego.pose[1, 3]) + shape.centre_offset * direction, direction


def objects_of(state: TrafficState, ego: EgoState, shape: VehicleShape) -> Objects:
    """Everything that vehicles may have to stop for: vehicles, then the ego, then walkers."""
    bodies, motion, walkers = state.bodies, state.motion, state.walkers
    position, direction = ego_object(ego, shape)
    vehicles, people = len(motion.s), len(walkers.position)
    margin = np.empty(vehicles + 1 + people)
    margin[:vehicles], margin[vehicles] = _VEHICLE_MARGIN, _EGO_MARGIN
    margin[vehicles + 1 :] = np.where(walkers.phase == CROSSING, _CROSSING_MARGIN, _WALKER_MARGIN)
    return Objects(
        np.concatenate([motion.position, [position], walkers.position]),
        np.concatenate([motion.direction, [direction], walkers.direction]),
        np.concatenate([motion.speed, [ego.speed], np.abs(walkers.velocity)]),
        np.concatenate([bodies.half_length, [0.5 * shape.length], walkers.bodies.half_length]),
        np.concatenate([bodies.half_width, [0.5 * shape.width], walkers.bodies.half_width]),
        margin,
    )


def let_pass_who_leaves(sight: Sight, walkers_from: int) -> None:
    """People who walk away from a path no longer hold its driver back; changes the rows of walkers in `sight.hit`."""
    away = sight.lateral[walkers_from:] * sight.lateral_speed[walkers_from:] > 0.0
    sight.hit[walkers_from:] &= ~(away & (sight.clearance[walkers_from:] > 0.3))
    sight.gap[walkers_from:] -= _WALKER_GAP


def untangle(sight: Sight, waiting: Float) -> None:
    """Of two vehicles that have long stood in each other's way one goes on; changes `sight.hit`."""
    count = len(waiting)
    stuck = np.flatnonzero(waiting > _DEADLOCK)
    if stuck.size < 2:
        return
    hit = sight.hit[:count, :count]
    mutual = np.triu(hit & hit.T)
    others, drivers = np.nonzero(mutual)
    both = (waiting[others] > _DEADLOCK) & (waiting[drivers] > _DEADLOCK)
    hit[others[both], drivers[both]] = False


def next_junction(paths: Paths, s: Float, half_length: Float) -> tuple[Float, Float]:
    """Stop line and end [N] [m] of the junction that each vehicle is in or comes to next."""
    rear = s - half_length
    row = np.argmax(paths.clear > rear[:, None], axis=1) + paths.clear.shape[1] * np.arange(len(s))
    return paths.entry.reshape(-1).take(row), paths.clear.reshape(-1).take(row)


def drive(model: DriverModel, state: TrafficState, sight: Sight, stop: Float, dt: float) -> Motion:
    """Motion after `dt` [s]; `stop` [N] [m] is where each vehicle's bumper must not pass, inf without."""
    bodies, paths, motion = state.bodies, state.paths, state.motion
    speed = motion.speed
    rows = PATH_POINTS * np.arange(len(speed))
    allowed = paths.speed.reshape(-1).take(rows + motion.s.astype(np.int64))
    wanted = np.minimum(allowed * bodies.eagerness, bodies.top_speed)
    crowding = wanted_gap(model, speed, np.maximum(sight.speed, 0.0)) / np.maximum(sight.gap, 0.1)
    crowding = np.where(sight.hit, crowding, 0.0).max(axis=0, initial=0.0)
    rate = acceleration(model, speed, wanted, crowding)
    rate = np.minimum(rate, stopping_acceleration(speed, stop - motion.s - bodies.half_length))
    rate = np.maximum(rate, -model.hardest_braking)
    return advance(bodies.half_length, paths, motion, rate, rows, dt)


def advance(
    half_length: Float, paths: Paths, motion: Motion, rate: Float, rows: NDArray[np.int64], dt: float
) -> Motion:
    """Motion after `dt` [s] of accelerations `rate` [N]; no vehicle rolls backwards."""
    speed = np.maximum(motion.speed + rate * dt, 0.0)
    s = np.minimum(motion.s + 0.5 * (motion.speed + speed) * dt, PATH_POINTS - 12.0)
    position, direction = body_pose(half_length, paths, s, rows)
    waiting = np.where(speed < STANDING, motion.waiting + dt, 0.0)
    return Motion(s, speed, (speed - motion.speed) / dt, position, direction, motion.granted, motion.hold, waiting)


def body_pose(half_length: Float, paths: Paths, s: Float, rows: NDArray[np.int64]) -> tuple:
    """Middle and heading of bodies whose two axles are on the path."""
    reach = 2.0 * AXLE_SHARE * half_length
    rear = path_position(paths, rows, np.maximum(s - reach, 0.0))
    front = path_position(paths, rows, s + reach)
    along = front - rear
    return 0.5 * (front + rear), along / np.abs(along)
