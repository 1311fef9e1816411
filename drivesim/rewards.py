"""Reward: named terms, each with a fixed range and sign, and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from drivesim.events import Events

REFERENCE_SPEED = 10.0  # [m/s], progress at this speed earns the full term
# Limits beyond which nuPlan (Caesar et al. 2021) calls a drive uncomfortable.
MAX_ACCELERATION = 2.40  # [m/s^2]
MAX_BRAKING = 4.05  # [m/s^2]
MAX_LATERAL_ACCELERATION = 4.89  # [m/s^2]
MAX_JERK = 8.37  # [m/s^3]
MAX_YAW_RATE = 0.95  # [rad/s]


@dataclass(frozen=True)
class RewardWeights:
    """Weight of every term in the sum."""

    progress: float = 1.0
    lane_keeping: float = 0.2
    comfort: float = 0.1
    collision: float = 10.0
    off_road: float = 10.0

    @classmethod
    def of(cls, weights: Mapping[str, float] | None) -> RewardWeights:
        """The default weights with those of `weights` replaced; ValueError on an unknown name."""
        accepted = [field.name for field in fields(cls)]
        unknown = sorted(set(weights or {}) - set(accepted))
        if unknown:
            raise ValueError(f"reward: found unknown terms {unknown}, accepted {accepted}")
        return cls(**{name: float(value) for name, value in (weights or {}).items()})


@dataclass(frozen=True)
class Motion:
    """What the ego did during one control step, as the reward sees it."""

    duration: float  # [s]
    progress: float  # [m] along the route
    lane_offset: float  # [m] from the route, positive to its left
    lane_width: float  # [m]
    speed: float  # [m/s]
    acceleration: float  # [m/s^2]
    jerk: float  # [m/s^3]
    yaw_rate: float  # [rad/s]


def reward_terms(motion: Motion, events: Events) -> dict[str, float]:
    """Unweighted terms: progress in [-1, 1]; lane_keeping, comfort, collision and off_road in [-1, 0]."""
    earned = motion.progress / (REFERENCE_SPEED * motion.duration)
    return {
        "progress": min(max(earned, -1.0), 1.0),
        "lane_keeping": 0.0 - min(1.0, abs(motion.lane_offset) / (0.5 * motion.lane_width)),
        "comfort": 0.0 - discomfort(motion),
        "collision": -1.0 if events.collisions else 0.0,
        "off_road": -1.0 if events.off_road else 0.0,
    }


def discomfort(motion: Motion) -> float:
    """Share of the four comfort limits (longitudinal, lateral, jerk, yaw rate) that the motion breaks."""
    broken = (
        not -MAX_BRAKING <= motion.acceleration <= MAX_ACCELERATION,
        abs(motion.speed * motion.yaw_rate) > MAX_LATERAL_ACCELERATION,
        abs(motion.jerk) > MAX_JERK,
        abs(motion.yaw_rate) > MAX_YAW_RATE,
    )
    return sum(broken) / len(broken)


def weighted_sum(terms: Mapping[str, float], weights: RewardWeights) -> float:
    """The reward of one step."""
    return float(sum(getattr(weights, name) * value for name, value in terms.items()))
