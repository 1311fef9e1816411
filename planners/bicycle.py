"""The kinematic bicycle of the environment's vehicle, over arrays: many rollouts at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.vehicle import VehicleLimits

# Columns of states [..., 5] in the ego frame: rear axle x, y [m], heading [rad], speed [m/s], front wheel angle [rad].
BX, BY, HEADING, SPEED, STEERING = range(5)
_LIMITS = VehicleLimits()


def start_state(ego: NDArray) -> NDArray:
    """State [5] of the ego now, from the `ego` observation [7]."""
    return np.array([0.0, 0.0, 0.0, ego[0], ego[3]])


def bicycle_step(state: NDArray, acceleration: NDArray, steering: NDArray, wheelbase: float, dt: float) -> NDArray:
    """States [..., 5] after `dt` [s] of accelerations [...] [m/s^2] and front wheel angles [...] [rad].

    As `drivesim.vehicle.KinematicBicycle`: commands are cut to the vehicle's limits, the rear axle moves on an arc,
    speed is linear in time until it reaches a bound.
    """
    speed, before = state[..., SPEED], state[..., STEERING]
    turn = _LIMITS.max_steering_rate * dt
    wheel = np.minimum(np.maximum(steering, before - turn), before + turn)
    wheel = np.minimum(np.maximum(wheel, -_LIMITS.max_steering), _LIMITS.max_steering)
    rate = np.minimum(np.maximum(acceleration, -_LIMITS.max_braking), _LIMITS.max_acceleration)
    free = speed + rate * dt
    end = np.minimum(np.maximum(free, _LIMITS.min_speed), _LIMITS.max_speed)
    # Speed changes for the share of the step that it takes to reach its bound.
    share = np.where(free == end, 1.0, (end - speed) / np.where(free == end, 1.0, free - speed))
    travel = dt * (0.5 * (speed + end) * share + end * (1.0 - share))
    half = travel * np.tan(wheel) * (0.5 / wheelbase)
    chord = travel * np.sinc(half * (1.0 / np.pi))
    middle = state[..., HEADING] + half
    after = np.empty_like(state)
    after[..., BX] = state[..., BX] + chord * np.cos(middle)
    after[..., BY] = state[..., BY] + chord * np.sin(middle)
    after[..., HEADING] = middle + half
    after[..., SPEED], after[..., STEERING] = end, wheel
    return after
