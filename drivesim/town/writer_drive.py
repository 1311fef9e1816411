"""Someone at the wheel while a data set is recorded: follows the route and keeps its distance."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from drivesim.route_frame import locate, points_ahead
from drivesim.scene import Scene
from drivesim.town.rig import nuscenes_rig
from drivesim.vehicle import KinematicBicycle

DT = 1.0 / 12.0  # [s]
SPACING, POINTS = 1.0, 60  # [m] between route points looked at, and their number
CRUISE_SPEED = 10.0  # [m/s]
LATERAL_ACCELERATION = 1.8  # [m/s^2] accepted in bends
ACCELERATION, BRAKING = 1.6, 2.2  # [m/s^2] comfortable
HEADWAY, STANDSTILL_GAP = 1.4, 3.0  # [s], [m]
CORRIDOR = 0.6  # [m] free to both sides of the body


def town_drive(seed: int, image_size: tuple[int, int], traffic: str) -> Iterator[Scene]:
    """Endless scenes at 12 Hz of a drive through the town of a seed."""
    from drivesim.world import TownSource

    source = TownSource(traffic=traffic, rig=nuscenes_rig(image_size))
    world = source.reset(seed, {"town": seed})
    vehicle = KinematicBicycle(world.scene.vehicle)
    while True:
        yield world.scene
        acceleration, steering = controls(world.scene, world.route.points)
        world = source.step(world, vehicle.step(world.scene.ego, acceleration, steering, DT), DT)


def controls(scene: Scene, route: NDArray[np.float64]) -> tuple[float, float]:
    """Acceleration [m/s^2] and front wheel angle [rad] that follow a route [R, 3] among the tracks of a scene."""
    ahead = points_ahead(route, locate(route, scene.ego), scene.ego, POINTS, SPACING)
    return _acceleration(scene, ahead), _steering(scene, ahead)


def _steering(scene: Scene, ahead: NDArray[np.float64]) -> float:
    """Pure pursuit of the route point at the look-ahead distance (Coulter 1992)."""
    distance = np.hypot(ahead[:, 0], ahead[:, 1])
    index = min(int(np.searchsorted(distance, max(4.0, 0.8 * scene.ego.speed))), POINTS - 1)
    return math.atan(2.0 * scene.vehicle.wheelbase * float(ahead[index, 1]) / max(float(distance[index]) ** 2, 1e-6))


def _acceleration(scene: Scene, ahead: NDArray[np.float64]) -> float:
    """Intelligent driver model (Treiber 2000) towards the speed that bends allow, behind the nearest obstacle."""
    speed = max(scene.ego.speed, 0.0)
    free = ACCELERATION * (1.0 - (speed / max(_bend_speed(ahead), 0.5)) ** 4)
    gap, leader_speed = _obstacle(scene, ahead)
    wanted = (
        STANDSTILL_GAP + speed * HEADWAY + speed * (speed - leader_speed) / (2.0 * math.sqrt(ACCELERATION * BRAKING))
    )
    return max(min(free, ACCELERATION) - ACCELERATION * (max(wanted, 0.0) / max(gap, 0.1)) ** 2, -8.0)


def _bend_speed(ahead: NDArray[np.float64]) -> float:
    """Greatest speed [m/s] now from which the bends ahead can be taken with gentle braking."""
    step = np.diff(ahead, axis=0)
    turn = np.abs(np.diff(np.unwrap(np.arctan2(step[:, 1], step[:, 0]))))
    allowed = LATERAL_ACCELERATION * SPACING / np.maximum(turn, 1e-4)
    reached = np.sqrt(allowed + 2.0 * 0.7 * BRAKING * SPACING * np.arange(1, len(allowed) + 1))
    return float(min(CRUISE_SPEED, reached.min()))


def _obstacle(scene: Scene, ahead: NDArray[np.float64]) -> tuple[float, float]:
    """Gap [m] from the bumper to the nearest track on the route, and the speed [m/s] of that track along it."""
    tracks, ego, vehicle = scene.tracks, scene.ego, scene.vehicle
    local = (tracks.position[:, :2] - ego.xy) @ ego.pose[:2, :2]
    near = np.flatnonzero((local[:, 0] > 0.0) & (np.abs(local).max(axis=1, initial=0.0) < SPACING * POINTS))
    if len(near) == 0:
        return math.inf, 0.0
    # Where each will be within a second counts as well, for those that cross.
    drift = tracks.velocity[near] @ ego.pose[:2, :2]
    turn = tracks.yaw[near] - ego.yaw
    gaps = np.full(len(near), np.inf)
    for moment in (0.0, 0.5, 1.0):
        distance = np.linalg.norm(ahead[None] - (local[near] + moment * drift)[:, None], axis=-1)
        point = distance.argmin(axis=1)
        along = np.abs(np.cos(turn)) * tracks.size[near, 1] + np.abs(np.sin(turn)) * tracks.size[near, 0]
        across = np.abs(np.sin(turn)) * tracks.size[near, 1] + np.abs(np.cos(turn)) * tracks.size[near, 0]
        blocks = distance.min(axis=1) < 0.5 * (across + vehicle.width) + CORRIDOR
        gap = (point + 1) * SPACING - 0.5 * along - (vehicle.length - vehicle.rear_overhang)
        gaps = np.minimum(gaps, np.where(blocks, gap, np.inf))
    nearest = int(gaps.argmin())
    return max(float(gaps[nearest]), 0.05), max(float(drift[nearest, 0]), 0.0)
