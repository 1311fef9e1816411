"""The drives that agents train on: towns in turn, scenarios in between, and what became of every one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from drivesim.env import DriveWorldEnv
from drivesim.scenarios.yaml_tree import ScenarioError
from drivesim.state_vector import FAR, FAST, GAPS, INSTANTS, SPEEDS
from drivesim.world import EVALUATION_TOWNS

ACTION, OBSERVATION = "route", ("state_vector",)
_STANDSTILL = 2.0  # [m] that should be left
_TRIES = 20  # scenarios that a town may have no place for before a free drive is taken instead


@dataclass(frozen=True)
class WorldConfig:
    """Where agents learn to drive. See agents/configs/world/town.yaml."""

    towns: int = 400
    drives_per_town: int = 8
    seconds: float = 30.0
    scenarios: tuple[str, ...] = ()
    scenario_share: float = 0.0
    reward: Mapping[str, float] = field(default_factory=dict)
    danger: float = 0.0
    failure: float = 0.0
    unrest: float = 0.0
    hold: int = 1
    reward_scale: float = 0.1
    density: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.towns <= EVALUATION_TOWNS:
            raise ValueError(f"world.towns: found {self.towns}, accepted 1 to {EVALUATION_TOWNS}: "
                             "the others are for evaluation")  # fmt: skip
        if not 0.0 <= self.scenario_share <= 1.0:
            raise ValueError(f"world.scenario_share: found {self.scenario_share}, accepted 0 to 1")
        if self.scenario_share > 0.0 and not self.scenarios:
            raise ValueError("world.scenarios: found none, accepted at least one with a scenario_share above 0")
        if self.hold < 1:
            raise ValueError(f"world.hold: found {self.hold}, accepted at least 1")


class TrainingDrives(gym.Wrapper):
    """Chooses the place of every drive and tells at its end, in `info["drive"]`, what became of it."""

    def __init__(self, env: gym.Env, config: WorldConfig, seed: int) -> None:
        super().__init__(env)
        self.config, self._random, self._driven, self._town = config, random.Random(seed), 0, 0
        self._before: NDArray | None = None  # the last action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The next drive. Seeds say where drives begin, not in which town."""
        self._before = None
        if self._driven % self.config.drives_per_town == 0:
            self._town = self._random.randrange(self.config.towns)
        self._driven += 1
        drive_seed = self._random.randrange(2**31) if seed is None else seed
        for _ in range(_TRIES):
            if self._random.random() >= self.config.scenario_share:
                break
            played = {"scenario": self._random.choice(self.config.scenarios), "variant": "random", "town": self._town}
            try:
                return self.env.reset(seed=drive_seed, options=played | (options or {}))
            except ScenarioError:  # not every town has a place for every scenario
                drive_seed = self._random.randrange(2**31)
        return self.env.reset(seed=drive_seed, options={"town": self._town} | (options or {}))

    def step(self, action: ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """As the environment for as long as an action is held, with scaled reward and light info."""
        wanted = np.clip(action, -1.0, 1.0)
        change = 0.0 if self._before is None else float(np.abs(wanted - self._before).sum())
        total, self._before = -self.config.unrest * change, wanted
        for _ in range(self.config.hold):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward) - self.config.danger * danger(observation)
            if terminated or truncated:
                break
        light: dict[str, Any] = {}
        if terminated or truncated:
            faults = any(hit["at_fault"] for hit in info["events"]["collisions"])
            ended_badly = bool(info["events"]["collisions"] or info["events"]["off_road"])
            failed = info["events"].get("scenario") == "failure"
            total -= self.config.failure * float(failed and not ended_badly)
            light["drive"] = {
                "distance": info["metrics"]["distance"],
                "seconds": info["metrics"]["time"],
                "fault": float(faults or info["events"]["off_road"]),
                "hit": float(bool(info["events"]["collisions"]) and not faults),
                "passed": float(not (failed or ended_badly)),
            }
        return observation, self.config.reward_scale * total, terminated, truncated, light


def danger(observation: Mapping[str, NDArray]) -> float:
    """0 to 1: how far the braking that what is in the way asks for exceeds 2 m/s^2, 1 from 6 m/s^2 on.

    Collisions are rare; this tells of every step of the way to one. 0 without a state vector.
    """
    state = observation.get(OBSERVATION[0])
    if state is None:
        return 0.0
    speed, gap = FAST * float(state[0]), np.where(state[GAPS] < 1.0, FAR * state[GAPS], np.inf)
    closing = max(speed - FAST * float(state[SPEEDS][0]), 0.0)
    now = 0.5 * closing**2 / max(float(gap[0]) - _STANDSTILL, 0.5)
    later = 2.0 * (speed * INSTANTS[1:] - np.maximum(gap[1:] - 0.5 * _STANDSTILL, 0.0)) / INSTANTS[1:] ** 2
    return float(np.clip((max(now, later.max()) - 2.0) / 4.0, 0.0, 1.0))


def make_drives(
    config: WorldConfig, seed: int, observation: tuple[str, ...] = OBSERVATION, action: str = ACTION
) -> TrainingDrives:
    """One world to train in."""
    env = DriveWorldEnv(
        generator=None, action=action, observation=observation, seconds=config.seconds, reward=dict(config.reward),
        source_options={"density": config.density},
    )  # fmt: skip
    return TrainingDrives(env, config, seed)


def world_config(settings: Mapping[str, Any]) -> WorldConfig:
    """The configuration of plain settings; ValueError for unknown names."""
    unknown = sorted(set(settings) - set(WorldConfig.__dataclass_fields__))
    if unknown:
        raise ValueError(f"world: found unknown {unknown}, accepted {sorted(WorldConfig.__dataclass_fields__)}")
    plain: dict[str, Any] = {k: tuple(v) if k == "scenarios" else v for k, v in settings.items()}
    return WorldConfig(**plain)


def factories(config: WorldConfig, count: int, seed: int) -> list[Callable[[], gym.Env]]:
    """Makers of `count` worlds that drive different routes."""
    seeds = np.random.SeedSequence(seed).generate_state(count).tolist()
    return [partial(make_drives, config, seed) for seed in seeds]
