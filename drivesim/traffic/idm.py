"""Intelligent Driver Model (Treiber, Hennecke, Helbing 2000) over arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from drivesim.traffic.state import Float

_AT_THE_LINE = 0.3  # [m]
_CREEP_BRAKING = 2.0  # [m/s^2]


@dataclass(frozen=True)
class DriverModel:
    """How vehicles keep their speed and distance."""

    acceleration: float = 1.8  # [m/s^2]
    braking: float = 2.2  # comfortable [m/s^2]
    hardest_braking: float = 8.0  # [m/s^2]
    headway: float = 1.2  # [s]
    standstill_gap: float = 2.0  # [m]


def wanted_gap(model: DriverModel, speed: Float, leader_speed: Float) -> Float:
    """Gap s* [m] that a driver wants at `speed` behind `leader_speed` [m/s]; equation (3) of the paper."""
    approach = speed * (speed - leader_speed) * (0.5 / math.sqrt(model.acceleration * model.braking))
    return model.standstill_gap + np.maximum(speed * model.headway + approach, 0.0)


def acceleration(model: DriverModel, speed: Float, wanted_speed: Float, crowding: Float) -> Float:
    """Acceleration [m/s^2], equation (2), `crowding` being s* / gap to the most restrictive leader (0 without).

    Above the wanted speed the free term is bounded, so that a new lower limit does not make drivers brake hard.
    """
    ratio = speed / np.maximum(wanted_speed, 0.1)
    square = ratio * ratio
    free = np.maximum(1.0 - square * square, -1.2)
    return np.maximum(model.acceleration * (free - crowding * crowding), -model.hardest_braking)


def equilibrium_gap(model: DriverModel, speed: float, wanted_speed: float) -> float:
    """Gap [m] at which a platoon keeps its speed."""
    return (model.standstill_gap + speed * model.headway) / math.sqrt(1.0 - (speed / wanted_speed) ** 4)


def stopping_acceleration(speed: Float, distance: Float, threshold: float = 1.4) -> Float:
    """Acceleration [m/s^2] that ends at rest after `distance` [m]; inf as long as gentler than `threshold` [m/s^2]."""
    needed = speed * speed / (2.0 * np.maximum(distance, 0.05))
    needed = np.where(needed > threshold, -needed, np.inf)
    return np.where(distance < _AT_THE_LINE, np.minimum(needed, -_CREEP_BRAKING), needed)
