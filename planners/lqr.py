"""Linear-quadratic tracking of time-parametrised paths, as nuPlan's controller does it, over many plans at once.

Speed and path are tracked apart. Both regulators hold their input constant over a horizon of N steps, which turns the
Riccati recursion into one least-squares step (constants: PDM-Closed, Dauner et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import wrap_angle
from planners.bicycle import BX, BY, HEADING, SPEED, STEERING


@dataclass(frozen=True)
class LqrConfig:
    """Weights and horizon."""

    speed_weight: float = 10.0
    acceleration_weight: float = 1.0
    lateral_weight: float = 1.0
    heading_weight: float = 10.0
    steering_rate_weight: float = 1.0
    horizon: int = 10  # steps
    dt: float = 0.1  # [s] of a step
    stopping_speed: float = 0.2  # [m/s], below which both the ego and its reference count as standing
    stopping_gain: float = 0.5  # [1/s] from speed to braking then

    @cached_property
    def times(self) -> NDArray:
        """Beginnings of the steps [N] [s]."""
        return self.dt * np.arange(self.horizon)

    @cached_property
    def before(self) -> NDArray:
        """Matrix [N, N] that sums a row over the steps before each."""
        return np.triu(np.ones((self.horizon, self.horizon)), 1)


def track(config: LqrConfig, state: NDArray, reference: NDArray, wheelbase: float) -> tuple[NDArray, NDArray]:
    """Acceleration [P] [m/s^2] and steering rate [P] [rad/s] for states [P, 5] that are to follow `reference`.

    `reference` [P, horizon + 1, 5] holds x, y [m], heading [rad], speed [m/s] and curvature [1/m], from now on.
    """
    now, end = reference[:, 0], reference[:, -1]
    duration = config.horizon * config.dt
    gain = config.speed_weight * duration / (config.speed_weight * duration**2 + config.acceleration_weight)
    acceleration = gain * (end[:, 3] - state[:, SPEED])
    standing = (state[:, SPEED] < config.stopping_speed) & (end[:, 3] < config.stopping_speed)
    acceleration = np.where(standing, config.stopping_gain * (end[:, 3] - state[:, SPEED]), acceleration)
    rate = _steering_rate(config, state, now, reference[:, :-1, 4], acceleration, wheelbase)
    return acceleration, np.where(standing, 0.0, rate)


def _steering_rate(
    config: LqrConfig, state: NDArray, now: NDArray, curvature: NDArray, acceleration: NDArray, wheelbase: float
) -> NDArray:
    """Constant steering rate [P] that minimises the error at the end of the horizon.

    Errors obey e' = v psi, psi' = v (delta / L - kappa), delta' = rate, here in explicit Euler steps; the end is affine
    in the rate, and both parts are sums over the horizon.
    """
    dx, dy = state[:, BX] - now[:, 0], state[:, BY] - now[:, 1]
    lateral = np.cos(now[:, 2]) * dy - np.sin(now[:, 2]) * dx
    heading = wrap_angle(state[:, HEADING] - now[:, 2])
    travel = config.dt * np.maximum(state[:, SPEED, None] + acceleration[:, None] * config.times, 0.0)  # [P, N]
    turns = np.empty((2, *travel.shape))  # of the heading in every step: without steering, and per unit of its rate
    np.multiply(travel, state[:, STEERING, None] / wheelbase - curvature, out=turns[0])
    np.multiply(travel, config.times / wheelbase, out=turns[1])
    # psi before step k is psi_0 plus the turns of the steps before k.
    drift_free, lateral_forced = np.einsum("pn,cpn->cp", travel, turns @ config.before)
    turn_free, heading_forced = turns.sum(-1)
    lateral_free = lateral + heading * travel.sum(1) + drift_free
    heading_free = heading + turn_free
    q_e, q_psi, r = config.lateral_weight, config.heading_weight, config.steering_rate_weight
    return -(q_e * lateral_forced * lateral_free + q_psi * heading_forced * heading_free) / (
        q_e * lateral_forced**2 + q_psi * heading_forced**2 + r
    )
