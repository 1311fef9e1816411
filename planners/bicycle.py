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
    wheel = np.clip(np.clip(steering, before - turn, before + turn), -_LIMITS.max_steering, _LIMITS.max_steering)
    rate = np.clip(acceleration, -_LIMITS.max_braking, _LIMITS.max_acceleration)
    end = np.clip(speed + rate * dt, _LIMITS.min_speed, _LIMITS.max_speed)
    changing = np.where(np.abs(rate) > 1e-9, (end - speed) / np.where(np.abs(rate) > 1e-9, rate, 1.0), dt)
    travel = 0.5 * (speed + end) * changing + end * (dt - changing)
    half = 0.5 * travel * np.tan(wheel) / wheelbase
    chord = travel * np.sinc(half / np.pi)
    middle = state[..., HEADING] + half
    return np.stack(
        [state[..., BX] + chord * np.cos(middle), state[..., BY] + chord * np.sin(middle),
         state[..., HEADING] + 2.0 * half, end, wheel],
        axis=-1,
    )  # fmt: skip
