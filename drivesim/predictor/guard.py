"""What no prediction may do: run into what is in the way or into somebody whose way crosses, or stand without a reason.

Stated rules. Who would have to brake hard for what stands or drives in its lane brakes. Who, with everybody keeping to
their ways, would soon drive its front into another body brakes; of two who would drive into each other the one with the
higher number does. And who follows a lane slowly with nothing ahead speeds up gently: to go on standing is what is seen
most often of those who stand, and a network that learnt this forgets to set off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.kinematics import HARDEST_BRAKING
from drivesim.traffic.perception import Objects, Sight
from drivesim.traffic.state import PATH_POINTS, Complex, Float, TrafficState, row_starts

_EMERGENCY = 2.0  # [m/s^2] from which braking is no longer left to the network
_ROOM = 1.0  # [m] that are left when it ends
_CRAWL, _FREE, _GENTLY = 2.5, 6.0, 0.9  # [m/s], [m] of free lane, [m/s^2] of those who stand without a reason
_TIMES = 0.25 * np.arange(1, 11)  # [s] ahead
_BESIDE, _BEFORE = 0.25, 0.6  # [m] that fronts keep from the bodies of others


def braking_for_lane(traffic: TrafficState, sight: Sight) -> Float:
    """Most acceleration [N] [m/s^2] that leaves room to what is in the way; inf where that is left to the driver."""
    motion = traffic.motion
    speed = motion.speed[sight.observer]
    theirs = np.clip(sight.speed, 0.0, speed)
    needed = (speed - theirs) ** 2 / (2.0 * np.maximum(sight.gap - _ROOM, 0.1))
    needed = np.where((needed > _EMERGENCY) | (sight.gap < _ROOM), np.maximum(needed, 1.0), -np.inf)
    most = np.full(len(motion.s), np.inf)
    np.minimum.at(most, sight.observer, -np.minimum(needed, HARDEST_BRAKING))
    return most


def setting_off(traffic: TrafficState, sight: Sight, guided: NDArray[np.bool_]) -> Float:
    """Least acceleration [N] [m/s^2] of those who crawl along a lane with nothing ahead; -inf for all others."""
    motion, paths = traffic.motion, traffic.paths
    free = np.minimum(paths.end, paths.blocked) - motion.s - traffic.bodies.half_length
    np.minimum.at(free, sight.observer, sight.gap)
    return np.where(guided & (motion.speed < _CRAWL) & (free > _FREE), _GENTLY, -np.inf)


def braking_for_crossings(traffic: TrafficState, objects: Objects, guided: NDArray[np.bool_]) -> Float:
    """Most acceleration [N] [m/s^2] with which nobody drives into a body that crosses; inf where nobody does.

    `objects` holds the N vehicles first. Those who are not `guided` [N] by a lane are taken to go straight on.
    """
    count, motion = len(traffic.motion.s), traffic.motion
    way = _way(motion.speed, motion.acceleration)  # [T, N]
    middle, facing = _on_paths(traffic, motion.s + way, guided, way)
    front, ahead = _on_paths(traffic, motion.s + way + traffic.bodies.half_length, guided,
                             way + traffic.bodies.half_length)  # fmt: skip
    others = objects.position[count:] + objects.speed[count:] * objects.direction[count:] * _TIMES[:, None]
    place = np.concatenate([middle, others], 1)
    turned = np.concatenate([facing, np.broadcast_to(objects.direction[count:], others.shape)], 1)
    half_width = traffic.bodies.half_width
    touches = np.zeros((len(_TIMES), count, place.shape[1]), bool)
    inside = np.zeros((count, place.shape[1]), bool)
    for side in (-1.0, 0.0, 1.0):
        corner = front + side * 1j * half_width * ahead
        touches |= _within(corner, place, turned, objects, _BEFORE, _BESIDE)
        now = motion.position + motion.direction * (traffic.bodies.half_length + side * 1j * half_width)
        inside |= _within(now[None], objects.position[None], objects.direction[None], objects, 0.0, 0.0)[0]
    touches &= ~inside  # whom braking comes too late for must be able to part
    touches[:, np.arange(count), np.arange(count)] = False
    meets = touches.any(0)
    mutual = meets[:, :count] & meets[:, :count].T
    first = traffic.bodies.ids[:, None] < traffic.bodies.ids
    meets[:, :count] &= ~(mutual & first)
    when = np.where(meets, touches.argmax(0), len(_TIMES)).min(1)
    room = np.maximum(way[np.minimum(when, len(_TIMES) - 1), np.arange(count)] - _ROOM, 0.1)
    needed = np.clip(motion.speed**2 / (2.0 * room), 0.5, HARDEST_BRAKING)
    return np.where(when < len(_TIMES), -needed, np.inf)


def _way(speed: Float, acceleration: Float) -> Float:
    """Distances [T, N] [m] driven by the times ahead; who brakes stays where it stops."""
    until = np.where(acceleration < -1e-3, speed / np.maximum(-acceleration, 1e-3), np.inf)
    time = np.minimum(_TIMES[:, None], until)
    return speed * time + 0.5 * acceleration * time * time


def _on_paths(traffic: TrafficState, s: Float, guided: NDArray[np.bool_], way: Float) -> tuple[Complex, Complex]:
    """Places and headings [T, N] at distances along the paths, with the present offset from them; for those without a
    lane, straight on."""
    paths, motion = traffic.paths, traffic.motion
    rows = row_starts(len(motion.s), PATH_POINTS)
    points, heading = paths.points.reshape(-1), paths.heading.reshape(-1)

    def at(s: Float) -> tuple[Complex, Complex]:
        index = np.clip(s, 0.0, PATH_POINTS - 1.0)
        whole = index.astype(np.int64)
        return points.take(rows + whole) + (index - whole) * heading.take(rows + whole), heading.take(rows + whole)

    here, along = at(motion.s)
    beside = ((motion.position - here) * along.conj()).imag
    place, facing = at(s)
    place = place + 1j * beside * facing
    straight = motion.position + way * motion.direction
    return np.where(guided, place, straight), np.where(guided, facing, motion.direction)


def _within(
    points: Complex, place: Complex, facing: Complex, objects: Objects, before: float, beside: float
) -> NDArray[np.bool_]:
    """Whether points [T, N] lie in the bodies [T, M] at places, grown by a distance before and beside [m] [T, N, M]."""
    local = (points[:, :, None] - place[:, None]) * facing[:, None].conj()
    close = np.abs(local.real) < objects.half_length + before
    close &= np.abs(local.imag) < objects.half_width + beside
    return close
