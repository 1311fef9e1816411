"""Simulation steps per second of this world without pictures and of highway-env, in turns in one process.

    make compare
    PYTHONPATH=build/compare python -m examples.compare_highway_env densities=[10,30,60] rounds=40 out=highway_env.json

Both simulate the same number of vehicles 12 times per second of their time. *Simulation* compares the world stage of a
step here (ego, others, map, rewards) with steps of highway-env that observes and decides once in twelve of them, its
default of 1 Hz. *env.step* compares whole steps where both observe and decide every time. People on foot and everything
that is parked come on top here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.command_line import settings_of
from drivesim import kernels
from drivesim.bench import machine
from drivesim.bench_driver import drive
from drivesim.env import DriveWorldEnv

FREQUENCY = 12  # simulation steps per second, of both
_IDLE = 1  # highway-env: keep lane and speed


@dataclass
class CompareConfig:
    """How many road users around the ego, and how long to measure."""

    densities: list[int] = field(default_factory=lambda: [10, 30, 60])
    id: str = "highway-v0"  # or highway-fast-v0, which looks for collisions of the ego alone
    rounds: int = 40
    steps: int = 48  # of this world in a round; highway-env, which is slower, makes 12 and 4
    warmup: int = 2  # rounds
    seed: int = 0
    town: int = 900_000
    out: str = "highway_env.json"


@dataclass(frozen=True)
class Rates:
    """Steps per second: medians over the rounds."""

    drivesim: float
    highway_env: float
    times: float  # as fast as highway-env, median over the rounds
    times_in_all: float  # the same from the time that all rounds took together


@dataclass(frozen=True)
class Comparison:
    """Figures for one number of vehicles."""

    vehicles: int  # the ego included; mean over the drive here, all the time in highway-env
    walkers: float  # mean number of people on foot here
    simulation: Rates
    env_step: Rates


class Town:
    """This world, driven by the driver of measurements; the same seed gives the same drive again."""

    def __init__(self, config: CompareConfig, density: int) -> None:
        self.env = DriveWorldEnv(
            generator=None, action="physical", observation=("ego", "route", "boxes"), seconds=None,
            source_options={"density": density}, reset_options={"town": config.town},
        )  # fmt: skip
        self.steps = config.steps
        self.counts: list[tuple[int, int]] = []  # vehicles, walkers
        self._seen, _ = self.env.reset(seed=config.seed)

    def round(self) -> tuple[float, float]:
        """Seconds that simulation and `env.step` take per step; drives that end are followed by others, not counted."""
        world = whole = 0.0
        for _ in range(self.steps):
            action = drive(self._seen, self.env.scene)
            begin = perf_counter()
            self._seen, _, terminated, truncated, info = self.env.step(action)
            whole += perf_counter() - begin
            world += info["timings"].world
            traffic = self.env.get_state().world.traffic  # type: ignore[attr-defined]
            self.counts.append((1 + len(traffic.motion.s), len(traffic.walkers.position)))
            if terminated or truncated:
                self._seen, _ = self.env.reset()
        return world / self.steps, whole / self.steps


class Highway:
    """highway-env with its own defaults but for frequencies and number of vehicles; the ego keeps lane and speed."""

    def __init__(self, config: CompareConfig, vehicles: int, decisions: int, steps: int) -> None:
        settings = {"vehicles_count": vehicles - 1, "simulation_frequency": FREQUENCY, "policy_frequency": decisions,
                    "lanes_count": 4, "duration": 1e9}  # fmt: skip
        self.env: gym.Env[Any, Any] = gym.make(config.id, config=settings)
        self.env.reset(seed=config.seed)
        self.steps = steps  # of a round
        self.simulated = FREQUENCY // decisions  # simulation steps in each of them

    def round(self) -> float:
        """Seconds per simulation step; drives that end are followed by others, which is not counted."""
        taken = 0.0
        for _ in range(self.steps):
            begin = perf_counter()
            _, _, terminated, truncated, _ = self.env.step(_IDLE)
            taken += perf_counter() - begin
            if terminated or truncated:
                self.env.reset()
        return taken / self.steps / self.simulated


def compare(config: CompareConfig, density: int) -> Comparison:
    """Counts the vehicles of a drive, then drives it again against highway-env with as many."""
    first, count = Town(config, density), config.warmup + config.rounds
    for _ in range(count):
        first.round()
    vehicles, walkers = np.mean(first.counts, axis=0).tolist()
    ours = Town(config, density)
    theirs = [Highway(config, round(vehicles), *pace) for pace in ((1, 1), (FREQUENCY, 4))]
    rounds = np.array([[*ours.round(), *(each.round() for each in theirs)] for _ in range(count)])[config.warmup :]
    return Comparison(round(vehicles), walkers, rates(rounds[:, [0, 2]]), rates(rounds[:, [1, 3]]))


def rates(seconds: NDArray[np.float64]) -> Rates:
    """Figures from seconds per step [R, 2], here and in highway-env."""
    ours, theirs = np.median(1.0 / seconds, axis=0).tolist()
    ours_in_all, theirs_in_all = seconds.sum(axis=0).tolist()
    return Rates(ours, theirs, float(np.median(seconds[:, 1] / seconds[:, 0])), theirs_in_all / ours_in_all)


def table(results: Sequence[Comparison]) -> str:
    """Figures as text: a line for every number of vehicles and kind of step."""
    rows = [["vehicles", "steps/s of", "drivesim", "highway-env", "times", "in all"]]
    for result in results:
        for name, found in (("simulation", result.simulation), ("env.step", result.env_step)):
            rows.append([str(result.vehicles), name, f"{found.drivesim:.0f}", f"{found.highway_env:.1f}",
                         f"{found.times:.1f}", f"{found.times_in_all:.1f}"])  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)


def main(config: CompareConfig) -> list[Comparison]:
    """Measures, prints the table and writes the figures as JSON. Raises ImportError without highway-env."""
    import highway_env  # noqa: F401 - its import registers the ids

    results = [compare(config, density) for density in config.densities]
    print(table(results))
    about = machine() | {"kernels": "compiled" if kernels.in_use() else "numpy", "highway_env": version("highway-env")}
    content = {"machine": about, "settings": asdict(config), "results": [asdict(result) for result in results]}
    out = Path(config.out)
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(out)
    return results


if __name__ == "__main__":
    main(settings_of(CompareConfig))
