"""Disturbances of what a driver does, so that recorded drives hold recoveries.

Noise is injected into the executed action while the driver's own action is what is kept as the example to follow, as
in DART (Laskey et al. 2017). It comes in bursts, as a drift towards the kerb does, not as white noise, which a car
would smooth away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import EgoState, VehicleShape
from drivesim.vehicle import VehicleLimits

DISTURBED_ACTIONS = ("normalized", "physical")


@dataclass(frozen=True)
class DisturbanceConfig:
    """How drives are disturbed; strength 0 leaves them as they are."""

    strength: float = 0.0  # factor on both accelerations
    lateral: float = 1.3  # [m/s^2], standard deviation
    along: float = 1.0  # [m/s^2], standard deviation
    calm: float = 3.5  # [s], mean time between bursts
    burst: tuple[float, float] = (0.25, 0.8)  # [s], shortest and longest
    most_steering: float = 0.2  # [rad]


class Disturbance:
    """Disturbs the actions of one drive; `active` says whether the last one was disturbed.

    Raises ValueError for a negative strength, or for an action type that has no pedal and wheel.
    """

    def __init__(self, config: DisturbanceConfig, action: str, dt: float, seed: int) -> None:
        if config.strength < 0.0:
            raise ValueError(f"disturbance: found {config.strength}, accepted 0 or more")
        if config.strength > 0.0 and action not in DISTURBED_ACTIONS:
            raise ValueError(
                f"disturbance: found {config.strength} with a policy of action {action!r}, accepted 0, or a policy of "
                f"{DISTURBED_ACTIONS}"
            )
        self.config, self.action, self.dt = config, action, dt
        self._random = np.random.default_rng(np.random.SeedSequence([seed, 5]))
        self._left = 0
        self._pushes = (0.0, 0.0)
        self.active = False

    def __call__(self, action: NDArray, ego: EgoState, shape: VehicleShape) -> NDArray:
        """What is executed instead of `action`: the same outside of bursts."""
        if self.config.strength == 0.0:
            return action
        if self._left == 0 and self._random.random() < self.dt / self.config.calm:
            self._begin()
        self.active = self._left > 0
        if not self.active:
            return action
        self._left -= 1
        return self._pushed(np.asarray(action, np.float64), ego, shape).astype(np.float32)

    def _begin(self) -> None:
        config = self.config
        low, high = config.burst
        self._left = max(1, round(self._random.uniform(low, high) / self.dt))
        along, lateral = self._random.normal(0.0, config.strength, 2) * (config.along, config.lateral)
        self._pushes = (float(along), float(lateral))

    def _pushed(self, action: NDArray, ego: EgoState, shape: VehicleShape) -> NDArray:
        """Acceleration and wheel angle moved by the pushes of the burst."""
        along, lateral = self._pushes
        bend = lateral / max(ego.speed, 2.0) ** 2  # [1/m]
        steering = float(
            np.clip(np.arctan(bend * shape.wheelbase), -self.config.most_steering, self.config.most_steering)
        )
        if self.action == "physical":
            return action + (along, steering)
        limits = VehicleLimits()
        strongest = limits.max_acceleration if along > 0.0 else limits.max_braking
        return np.clip(action + (along / strongest, steering / limits.max_steering), -1.0, 1.0)
