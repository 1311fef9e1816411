"""Vehicles: car following, stop lines, obstacles, and motion along the paths."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from drivesim.scene import EgoState, VehicleShape
from drivesim.traffic.idm import DriverModel, acceleration, stopping_acceleration, wanted_gap
from drivesim.traffic.perception import Objects, Sight
from drivesim.traffic.state import (
    CROSSING,
    PATH_POINTS,
    Bodies,
    Complex,
    Float,
    Motion,
    Paths,
    TrafficState,
    row_starts,
)

AXLE_SHARE = 0.3  # of the length from the middle to each axle
STANDING = 0.3  # [m/s] below which a vehicle counts as waiting
_VEHICLE_MARGIN, _EGO_MARGIN, _WALKER_MARGIN, _CROSSING_MARGIN = 0.25, 0.35, 0.1, 2.2  # [m]
_WALKER_GAP = 1.0  # [m] more distance to people
_DEADLOCK = 5.0  # [s] of mutual waiting


def ego_object(ego: EgoState, shape: VehicleShape) -> tuple[complex, complex]:
    """Middle of the ego body and unit vector of its heading."""
    (c, _, _, x), (s, _, _, y) = ego.pose[:2].tolist()
    direction = complex(c, s)
    return complex(x, y) + shape.centre_offset * direction, direction


@lru_cache(maxsize=32)
def _half_sizes(bodies: Bodies, people: Bodies, length: float, width: float) -> tuple[Float, Float]:
    """Half lengths and half widths of vehicles, the ego and people; they change only when somebody comes or goes."""
    return (
        np.concatenate((bodies.half_length, (0.5 * length,), people.half_length)),
        np.concatenate((bodies.half_width, (0.5 * width,), people.half_width)),
    )


def objects_of(state: TrafficState, ego: EgoState, shape: VehicleShape, scripted: Objects | None = None) -> Objects:
    """Everything that vehicles may have to stop for: vehicles, the ego, what is scripted, then walkers."""
    motion, walkers = state.motion, state.walkers
    vehicles, count = len(motion.s), len(state) + 1
    people = slice(vehicles + 1, count)
    (place, facing), (speed, margin) = np.empty((2, count), np.complex128), np.empty((2, count))
    place[:vehicles], facing[:vehicles] = motion.position, motion.direction
    place[vehicles], facing[vehicles] = ego_object(ego, shape)
    place[people], facing[people] = walkers.position, walkers.direction
    speed[:vehicles], speed[vehicles] = motion.speed, ego.speed
    pace = np.abs(walkers.velocity, out=speed[people])
    crosses = (walkers.phase == CROSSING) & (pace > STANDING)  # who stands in the road lets others pass
    margin[:vehicles], margin[vehicles] = _VEHICLE_MARGIN, _EGO_MARGIN
    margin[people] = _WALKER_MARGIN + (_CROSSING_MARGIN - _WALKER_MARGIN) * crosses
    half_length, half_width = _half_sizes(state.bodies, walkers.bodies, shape.length, shape.width)
    there = Objects(place, facing, speed, half_length, half_width, margin)
    return there if scripted is None else inserted(there, vehicles + 1, scripted)


def inserted(objects: Objects, row: int, others: Objects) -> Objects:
    """Objects with others from a row on."""
    pairs = ((getattr(objects, name), getattr(others, name)) for name in Objects.__dataclass_fields__)
    return Objects(*(np.concatenate((one[:row], other, one[row:])) for one, other in pairs))


def untangle(sight: Sight, waiting: Float) -> Sight:
    """Sight in which, of two vehicles that have long stood in each other's way, one no longer sees the other."""
    stuck = waiting > _DEADLOCK
    if np.count_nonzero(stuck) < 2:
        return sight
    pairs = set(zip(sight.observer.tolist(), sight.seen.tolist()))
    blind = {(a, b) for a, b in pairs if a < b < len(waiting) and (b, a) in pairs and stuck[a] and stuck[b]}
    if not blind:
        return sight
    keep = np.array([pair not in blind for pair in zip(sight.observer.tolist(), sight.seen.tolist())])
    return Sight(sight.observer[keep], sight.seen[keep], sight.gap[keep], sight.speed[keep])


def next_junction(paths: Paths, s: Float, half_length: Float) -> tuple[Float, Float]:
    """Stop line and end [N] [m] of the junction that each vehicle is in or comes to next."""
    row = (paths.clear > (s - half_length)[:, None]).argmax(axis=1)
    row += row_starts(len(s), paths.clear.shape[1])
    return paths.entry.reshape(-1).take(row), paths.clear.reshape(-1).take(row)


def wanted_speed(state: TrafficState) -> Float:
    """Speed [N] [m/s] that drivers would have on a free road."""
    rows = row_starts(len(state.motion.s), PATH_POINTS)
    allowed = state.paths.speed.reshape(-1).take(rows + state.motion.s.astype(np.int64))
    return np.minimum(allowed * state.bodies.eagerness, state.bodies.top_speed)


def choose_acceleration(model: DriverModel, state: TrafficState, sight: Sight, stop: Float) -> Float:
    """Acceleration [N] [m/s^2]; `stop` [N] [m] is where each vehicle's bumper must not pass, inf without."""
    motion, vehicles = state.motion, len(state.motion.s)
    speed = motion.speed
    crowding = np.zeros(vehicles)
    if len(sight.observer):
        gap = sight.gap - _WALKER_GAP * (sight.seen > vehicles)
        wanted = wanted_gap(model, speed.take(sight.observer), np.maximum(sight.speed, 0.0))
        np.maximum.at(crowding, sight.observer, wanted / np.maximum(gap, 0.1))
    rate = acceleration(model, speed, wanted_speed(state), crowding)
    rate = np.minimum(rate, stopping_acceleration(speed, stop - motion.s - state.bodies.half_length))
    return np.maximum(rate, -model.hardest_braking)


def advance(half_length: Float, paths: Paths, motion: Motion, dt: float) -> Motion:
    """Motion after `dt` [s] of the present acceleration; no vehicle rolls backwards."""
    speed = motion.acceleration * dt
    speed += motion.speed
    np.maximum(speed, 0.0, out=speed)
    s = motion.speed + speed
    s *= 0.5 * dt
    s += motion.s
    np.minimum(s, PATH_POINTS - 12.0, out=s)
    position, direction = body_pose(half_length, paths, s)
    waiting = motion.waiting + dt
    waiting *= speed < STANDING
    change = speed - motion.speed
    change *= 1.0 / dt
    return Motion(s, speed, change, position, direction, motion.granted, motion.hold, waiting)


def body_pose(half_length: Float, paths: Paths, s: Float) -> tuple[Complex, Complex]:
    """Middle [N] and heading [N] of bodies whose two axles are on the path."""
    axles = np.empty((2, len(s)))
    reach = (2.0 * AXLE_SHARE) * half_length
    np.maximum(s - reach, 0.0, out=axles[0])
    np.add(s, reach, out=axles[1])
    whole = axles.astype(np.int64)
    axles -= whole
    whole += row_starts(len(s), PATH_POINTS)
    points = paths.points.reshape(-1)
    before = points.take(whole)
    whole += 1
    after = points.take(whole)
    after -= before
    after *= axles
    after += before
    rear, front = after
    along = front - rear
    middle = front + rear
    middle *= 0.5
    along /= np.abs(along)
    return middle, along
