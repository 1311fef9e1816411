"""Vehicles: car following, stop lines, obstacles, and motion along the paths."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.scene import EgoState, VehicleShape
from drivesim.traffic.idm import DriverModel, acceleration, stopping_acceleration, wanted_gap
from drivesim.traffic.intent import PAST_LINE
from drivesim.traffic.perception import Objects, Sight
from drivesim.traffic.state import (
    CROSSING,
    PATH_JUNCTIONS,
    PATH_POINTS,
    Bodies,
    Complex,
    Float,
    Motion,
    Paths,
    TrafficState,
    lengths,
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


@lru_cache(maxsize=256)  # of many worlds in turn
def _half_sizes(bodies: Bodies, people: Bodies, length: float, width: float) -> tuple[Float, Float]:
    """Half lengths and half widths of vehicles, the ego and people; they change only when somebody comes or goes."""
    return (
        np.concatenate((bodies.half_length, (0.5 * length,), people.half_length)),
        np.concatenate((bodies.half_width, (0.5 * width,), people.half_width)),
    )


def objects_of(state: TrafficState, ego: EgoState, shape: VehicleShape, scripted: Objects | None = None) -> Objects:
    """Everything that vehicles may have to stop for: vehicles, the ego, what is scripted, then walkers."""
    motion, walkers, (middle, direction) = state.motion, state.walkers, ego_object(ego, shape)
    columns = assembled(
        motion.position, motion.direction, motion.speed, middle, direction, ego.speed, walkers.position,
        walkers.direction, walkers.velocity, walkers.phase,
    )  # fmt: skip
    place, facing, speed, margin = columns
    half_length, half_width = _half_sizes(state.bodies, walkers.bodies, shape.length, shape.width)
    there = Objects(place, facing, speed, half_length, half_width, margin)
    return there if scripted is None else inserted(there, len(motion.s) + 1, scripted)


@compiled
def assembled(
    position: Complex, direction: Complex, speed: Float, ego: complex, ego_direction: complex, ego_speed: float,
    people: Complex, facing: Complex, velocity: Complex, phase: NDArray[np.int64],
) -> tuple[Complex, Complex, Float, Float]:  # fmt: skip
    """`position`, `direction`, `speed` and `margin` of `Objects` from columns of vehicles and people."""
    pace = lengths(velocity)
    crosses = (phase == CROSSING) & (pace > STANDING)  # who stands in the road lets others pass
    margins = np.where(crosses, _CROSSING_MARGIN, _WALKER_MARGIN)
    return (
        np.concatenate((position, (ego,), people)),
        np.concatenate((direction, (ego_direction,), facing)),
        np.concatenate((speed, (ego_speed,), pace)),
        np.concatenate((np.full(len(speed), _VEHICLE_MARGIN), (_EGO_MARGIN,), margins)),
    )


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


@compiled
def next_junction(entry: Float, clear: Float, s: Float, half_length: Float) -> tuple[Float, Float]:
    """Stop line and end [N] [m] of the junction that each vehicle is in or comes to next, of all on its path [N, J]."""
    row = (clear > (s - half_length)[:, None]).argmax(axis=1)
    row += row_starts(len(s), PATH_JUNCTIONS)
    return entry.reshape(-1).take(row), clear.reshape(-1).take(row)


@compiled
def stop_lines(
    s: Float, half_length: Float, entry: Float, clear: Float, granted: Float, hold: Float, blocked: Float, end: Float
) -> Float:
    """Where each vehicle must stop [N] [m]: stop line without a grant, obstacle, end of the road."""
    may_pass = (granted >= clear - 0.5) | (entry - (s + half_length) < PAST_LINE)
    line = np.where(may_pass, hold, entry)
    np.minimum(line, blocked, out=line)
    return np.minimum(line, end, out=line)


def wanted_speed(s: Float, eagerness: Float, top_speed: Float, allowed: Float) -> Float:
    """Speed [N] [m/s] that drivers would have on a free road; `allowed` [N, PATH_POINTS] is that of their paths."""
    rows = row_starts(len(s), PATH_POINTS)
    return np.minimum(allowed.reshape(-1).take(rows + s.astype(np.int64)) * eagerness, top_speed)


def choose_acceleration(model: DriverModel, state: TrafficState, sight: Sight, stop: Float) -> Float:
    """Acceleration [N] [m/s^2]; `stop` [N] [m] is where each vehicle's bumper must not pass, inf without."""
    motion, bodies = state.motion, state.bodies
    return accelerations(
        (model.acceleration, model.braking, model.hardest_braking, model.headway, model.standstill_gap),
        motion.s, motion.speed, bodies.half_length, bodies.eagerness, bodies.top_speed, state.paths.speed,
        sight.observer, sight.seen, sight.gap, sight.speed, stop,
    )  # fmt: skip


@compiled
def accelerations(
    model: tuple[float, ...], s: Float, speed: Float, half_length: Float, eagerness: Float, top_speed: Float,
    allowed: Float, observer: NDArray[np.int64], seen: NDArray[np.int64], gap: Float, seen_speed: Float, stop: Float,
) -> Float:  # fmt: skip
    """`choose_acceleration` with the fields of a `DriverModel` and columns of bodies, motion, paths and sight."""
    driver = DriverModel(*model)
    crowding = np.zeros(len(s))
    if len(observer):
        gap = gap - _WALKER_GAP * (seen > len(s))
        wanted = wanted_gap(driver, speed.take(observer), np.maximum(seen_speed, 0.0))
        np.maximum.at(crowding, observer, wanted / np.maximum(gap, 0.1))
    rate = acceleration(driver, speed, wanted_speed(s, eagerness, top_speed, allowed), crowding)
    rate = np.minimum(rate, stopping_acceleration(speed, stop - s - half_length))
    return np.maximum(rate, -driver.hardest_braking)


def advance(half_length: Float, paths: Paths, motion: Motion, dt: float) -> Motion:
    """Motion after `dt` [s] of the present acceleration; no vehicle rolls backwards."""
    s, speed, change, position, direction, waiting = moved(
        half_length, paths.points, motion.s, motion.speed, motion.acceleration, motion.waiting, dt
    )
    return Motion(s, speed, change, position, direction, motion.granted, motion.hold, waiting)


@compiled
def moved(
    half_length: Float, points: Complex, s: Float, speed: Float, acceleration: Float, waiting: Float, dt: float
) -> tuple[Float, Float, Float, Complex, Complex, Float]:
    """`s`, `speed`, `acceleration`, `position`, `direction` and `waiting` of `Motion` after `dt` [s]."""
    pace = acceleration * dt
    pace += speed
    np.maximum(pace, 0.0, out=pace)
    along = speed + pace
    along *= 0.5 * dt
    along += s
    np.minimum(along, PATH_POINTS - 12.0, out=along)
    position, direction = body_pose(half_length, points, along)
    standing = waiting + dt
    standing *= pace < STANDING
    change = pace - speed
    change *= 1.0 / dt
    return along, pace, change, position, direction, standing


def body_pose(half_length: Float, points: Complex, s: Float) -> tuple[Complex, Complex]:
    """Middle [N] and heading [N] of bodies whose two axles are on the path [N, PATH_POINTS]."""
    axles = np.empty((2, len(s)))
    reach = (2.0 * AXLE_SHARE) * half_length
    np.maximum(s - reach, 0.0, out=axles[0])
    np.add(s, reach, out=axles[1])
    whole = axles.astype(np.int64)
    axles -= whole
    whole += row_starts(len(s), PATH_POINTS)
    flat = points.reshape(-1)
    before = flat.take(whole)
    whole += 1
    after = flat.take(whole)
    after -= before
    parts = after.view(np.float64).reshape(2, -1, 2)
    parts *= axles[..., None]
    after += before
    rear, front = after
    along = front - rear
    middle = front + rear
    middle *= 0.5
    length, parts = lengths(along), along.view(np.float64).reshape(-1, 2)
    parts /= length[:, None]
    return middle, along
