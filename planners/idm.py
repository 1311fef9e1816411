"""Follows the route at the speed limit and keeps its distance: the intelligent driver model (Treiber et al. 2000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.obstacles import Obstacles, occupancy
from planners.route_geometry import Path, pure_pursuit, route_path, speed_profile


@dataclass(frozen=True)
class IdmConfig:
    """Constants of the model; the defaults are those of PDM-Closed (Dauner et al. 2023)."""

    acceleration: float = 1.5  # [m/s^2]
    braking: float = 3.0  # [m/s^2], comfortable
    headway: float = 1.5  # [s]
    standstill_gap: float = 1.0  # [m]
    exponent: float = 10.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0.0:
                raise ValueError(f"{name}: found {value}, accepted a positive number")


def idm_acceleration(
    config: IdmConfig,
    speed: NDArray | float,
    target: NDArray | float,
    gap: NDArray | float,
    lead_speed: NDArray | float,
) -> NDArray:
    """Acceleration [...] [m/s^2], equations 2 and 3 of the paper; `gap` [m] is infinite without a leader.

    Above its target it brakes with the comfortable rate at most. A leader sets no such bound: a gap that is nearly
    closed asks for more than any brake can do.
    """
    approach = speed * (np.asarray(speed) - lead_speed) / (2.0 * np.sqrt(config.acceleration * config.braking))
    wished = config.standstill_gap + np.maximum(0.0, config.headway * speed + approach)
    fast = np.minimum(speed / np.maximum(target, 0.1), 100.0) ** config.exponent
    free = np.minimum(fast, 1.0 + config.braking / config.acceleration)
    return config.acceleration * (1.0 - free - (wished / np.maximum(gap, 0.01)) ** 2)


@dataclass(frozen=True)
class IdmPlannerConfig:
    """How the planner drives besides its car following."""

    fallback_speed: float = 15.0  # [m/s], where no limit is known
    lateral_acceleration: float = 2.5  # [m/s^2], accepted in bends
    easy_braking: float = 1.5  # [m/s^2] before bends and lower limits
    max_braking: float = 7.0  # [m/s^2]
    clearance: float = 0.2  # [m] to both sides of the body
    shortest_look_ahead: float = 4.0  # [m]
    look_ahead: float = 0.8  # [s]


class IdmPlanner:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad])."""

    action = "physical"
    observation = ("boxes", "centre_line")

    def __init__(self, **settings: float) -> None:
        names = IdmConfig.__dataclass_fields__
        self.model = IdmConfig(**{name: value for name, value in settings.items() if name in names})
        self.config = IdmPlannerConfig(**{name: value for name, value in settings.items() if name not in names})

    def reset(self, info: Mapping[str, Any]) -> None:
        """Nothing to remember between drives."""

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [2] for the present observation."""
        return self.drive(observation)

    def drive(
        self, observation: Mapping[str, NDArray], share: float = 1.0, heed_leader: bool = True
    ) -> NDArray[np.float32]:
        """Action [2] at a share of the speed that the road allows, with or without regard to the leader."""
        config, ego = self.config, observation["ego"].astype(float)
        speed, wheelbase = float(ego[0]), float(ego[6])
        path, limits = route_path(observation["centre_line"].astype(float))
        profile = speed_profile(path, limits, config.fallback_speed, config.lateral_acceleration, config.easy_braking)
        gap, lead_speed = np.inf, 0.0
        if heed_leader:
            gap, lead_speed = leader(path, Obstacles.of(observation["boxes"]), ego, config.clearance)
        target = share * float(path.values_at(np.array(0.5 * speed), profile))
        wanted = float(idm_acceleration(self.model, speed, target, gap, lead_speed))
        reach = max(config.shortest_look_ahead, config.look_ahead * speed)
        steering = pure_pursuit(path.points, reach, wheelbase)
        return np.array([max(wanted, -config.max_braking), steering], np.float32)


def leader(path: Path, obstacles: Obstacles, ego: NDArray, clearance: float) -> tuple[float, float]:
    """Gap [m] from the front bumper to the nearest obstacle in the strip that the body will sweep, and its speed along
    the path [m/s]; infinity and 0 where there is none. `ego` [7] is the observation."""
    front = front_overhang(ego)
    taken = occupancy(path, obstacles, np.zeros(1))
    ahead = taken.blocks(0.0, 0.5 * float(ego[5]) + clearance) & (taken.end > front) & (taken.begin < path.length)
    gaps = np.where(ahead, np.maximum(taken.begin - front, 0.0), np.inf)[0]
    if not np.isfinite(gaps).any():
        return np.inf, 0.0
    nearest = int(gaps.argmin())
    return float(gaps[nearest]), float(taken.speed[0, nearest])


def front_overhang(ego: NDArray) -> float:
    """From the rear axle to the front bumper [m], overhangs taken as equal; `ego` [7] is the observation."""
    return 0.5 * float(ego[4] + ego[6])
