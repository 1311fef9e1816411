"""The ego as a kinematic bicycle on its rear axle: one exact step, its inverse, and a tracker of trajectories."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.scene import EgoState, VehicleShape

_STANDING = 1e-6  # [m] of travel below which the pose says nothing about the steering
_UNCLEAR = 1e-3  # [m] to a waypoint below which it says nothing about the steering


@dataclass(frozen=True)
class VehicleLimits:
    """What the vehicle can do. Commands beyond are cut."""

    max_acceleration: float = 3.0  # [m/s^2]
    max_braking: float = 8.0  # [m/s^2]
    max_steering: float = 0.6  # front wheel angle [rad]
    max_steering_rate: float = 0.9  # [rad/s]
    max_speed: float = 30.0  # [m/s]
    min_speed: float = 0.0  # [m/s], negative to allow reverse


@dataclass(frozen=True)
class KinematicBicycle:
    """Rear axle on an arc of curvature tan(steering) / wheelbase (Rajamani 2012, section 2.2), speed linear in time.

    Over one step acceleration and steering are constant, so pose and speed are integrated in closed form.
    """

    shape: VehicleShape = VehicleShape()
    limits: VehicleLimits = VehicleLimits()

    def step(self, ego: EgoState, acceleration: float, steering: float, dt: float) -> EgoState:
        """The ego after `dt` [s] of acceleration [m/s^2] and front wheel angle [rad], each cut to the limits.

        The new pose is level, at the z of the old one. Raises ValueError on a command that is not finite.
        """
        if not (math.isfinite(acceleration) and math.isfinite(steering)):
            raise ValueError(f"action: found acceleration {acceleration}, steering {steering}, accepted finite numbers")
        limits = self.limits
        steering = self.reachable_steering(ego.steering, steering, dt)
        acceleration = min(max(acceleration, -limits.max_braking), limits.max_acceleration)
        speed, travel = self._drive(ego.speed, acceleration, dt)
        curvature = math.tan(steering) / self.shape.wheelbase
        return EgoState(
            along_arc(np.ascontiguousarray(ego.pose), travel, curvature),
            speed=speed,
            acceleration=(speed - ego.speed) / dt,
            steering=steering,
            yaw_rate=speed * curvature,
        )

    def reachable_steering(self, current: float, wanted: float, dt: float) -> float:
        """Front wheel angle [rad] nearest to `wanted` that angle and rate limits allow after `dt` [s]."""
        limits = self.limits
        reach = limits.max_steering_rate * dt
        wanted = min(max(wanted, current - reach), current + reach)
        return min(max(wanted, -limits.max_steering), limits.max_steering)

    def _drive(self, speed: float, acceleration: float, dt: float) -> tuple[float, float]:
        """Speed [m/s] after and travel [m] during dt; acceleration ends where a speed limit is met."""
        low, high = min(self.limits.min_speed, speed), max(self.limits.max_speed, speed)
        end = speed + acceleration * dt
        bound = min(max(end, low), high)
        if bound == end:
            return end, (speed + 0.5 * acceleration * dt) * dt
        duration = (bound - speed) / acceleration
        return bound, 0.5 * (speed + bound) * duration + bound * (dt - duration)

    def inverse(self, before: EgoState, after: EgoState, dt: float) -> tuple[float, float]:
        """Acceleration [m/s^2] and front wheel angle [rad] that `step` needs from `before` to `after`.

        Exact for what `step` made; the speeds give the acceleration and the poses the steering. Where the vehicle
        stood, the poses say nothing and `after.steering` is returned.
        """
        turn = _wrap(after.yaw - before.yaw)
        dx, dy = float(after.pose[0, 3] - before.pose[0, 3]), float(after.pose[1, 3] - before.pose[1, 3])
        c, s = float(before.pose[0, 0]), float(before.pose[1, 0])
        travel = math.copysign(math.hypot(dx, dy), c * dx + s * dy) / _sinc(0.5 * turn)
        acceleration = (after.speed - before.speed) / dt
        if after.speed == self.limits.min_speed == 0.0 and 0.0 < travel < 0.5 * before.speed * dt:
            acceleration = -0.5 * before.speed**2 / travel  # it came to rest within the step
        if abs(travel) < _STANDING:
            return acceleration, after.steering
        return acceleration, math.atan(self.shape.wheelbase * turn / travel)

    def track(self, ego: EgoState, waypoints: NDArray[np.floating], duration: float) -> tuple[float, float]:
        """Acceleration [m/s^2] and front wheel angle [rad] whose constant use comes closest to waypoints.

        `waypoints` [K, 3] are x, y [m] and yaw [rad] in the ego frame, at equal time steps that end after `duration`
        [s]. Least squares on travelled distance and on curvature; exact for waypoints on an arc that `step` can drive.
        Raises ValueError on another shape or numbers that are not finite.
        """
        points = np.asarray(waypoints, np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0 or not np.isfinite(points).all():
            raise ValueError(f"waypoints: found shape {points.shape}, accepted finite numbers of shape (K, 3), K >= 1")
        distance = distance_weight = bend = bend_weight = 0.0
        for k, (x, y, yaw) in enumerate(points.tolist(), 1):
            time, chord, turn = duration * k / len(points), math.hypot(x, y), _wrap(yaw)
            travel = math.copysign(chord / max(_sinc(0.5 * turn), 0.5), x)
            gain = 0.5 * time * time
            distance += gain * (travel - ego.speed * time)
            distance_weight += gain * gain
            if chord > _UNCLEAR:
                # An arc through (x, y), tangent to the x axis, has curvature 2 y / chord^2; it turns by yaw on its way.
                bend += chord * chord * 0.5 * (2.0 * y / (chord * chord) + turn / travel)
                bend_weight += chord * chord
        acceleration = distance / distance_weight
        if bend_weight == 0.0:
            return acceleration, ego.steering
        return acceleration, math.atan(self.shape.wheelbase * bend / bend_weight)


@compiled
def along_arc(pose: NDArray[np.float64], travel: float, curvature: float) -> NDArray[np.float64]:
    """Flat pose [4, 4] after `travel` [m] on an arc of `curvature` [1/m]."""
    x, y, z = pose[:3, 3].tolist()
    yaw = math.atan2(float(pose[1, 0]), float(pose[0, 0]))
    half = 0.5 * curvature * travel
    chord = travel * _sinc(half)
    x += chord * math.cos(yaw + half)
    y += chord * math.sin(yaw + half)
    c, s = math.cos(yaw + 2.0 * half), math.sin(yaw + 2.0 * half)
    return np.array(((c, -s, 0.0, x), (s, c, 0.0, y), (0.0, 0.0, 1.0, z), (0.0, 0.0, 0.0, 1.0)))


def _sinc(angle: float) -> float:
    """sin(angle) / angle, 1 at 0."""
    return math.sin(angle) / angle if abs(angle) > 1e-8 else 1.0


def _wrap(angle: float) -> float:
    """Angle [rad] in [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi
