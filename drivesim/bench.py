"""Measures the closed loop: time per stage, steps/s, peak memory, and on request whether they stay flat."""

from __future__ import annotations

import multiprocessing
import platform
import resource
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from drivesim import kernels
from drivesim.bench_drift import Drift, measure_drift
from drivesim.bench_driver import drive
from drivesim.env import DriveWorldEnv
from drivesim.scene import Tracks
from drivesim.timings import Timings

STAGES = tuple(f.name for f in fields(Timings))


@dataclass(frozen=True)
class BenchConfig:
    """What to measure. `drift` holds an early and a late step to compare in `drift_drives` drives, or nothing."""

    steps: int = 240
    warmup: int = 24
    seed: int = 0
    drift: tuple[int, int] | None = None
    drift_drives: int = 8
    env: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)  # of reset


@dataclass(frozen=True)
class StageTime:
    """Time of one stage [ms]."""

    median: float
    p95: float


@dataclass(frozen=True)
class BenchResult:
    """Figures of one generator."""

    generator: str
    steps: int
    steps_per_second: float
    world_steps_per_second: float  # if there were nothing but the world stage: ego, others, map, rewards
    slowest_step: float  # [ms]
    stages: dict[str, StageTime]
    tracks: float  # mean number of road users and objects
    moving_tracks: float  # mean number of those that drive or walk; the others never move
    resets: int
    peak_memory: float  # [MiB] of the process
    peak_gpu_memory: float  # [MiB]
    drift: Drift | None
    kernels: str = ""  # of the world: compiled, or numpy


def benchmark(generator: str | None, config: BenchConfig) -> BenchResult:
    """Figures of one generator, in a process of its own so that its peak memory is nobody else's."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, generator, config).result()


def measure(generator: str | None, config: BenchConfig) -> BenchResult:
    """Drives along the route and measures; a drive that ends early is followed by another, resets are not timed."""
    make = partial(
        DriveWorldEnv, **(dict(config.env) | {"generator": generator, "seconds": None, "action": "physical"})
    )
    samples = _sample(make(), config)
    drift = None
    if config.drift is not None:
        drift = measure_drift(make, config.drift, config.drift_drives, config.seed, config.options)
    return _result(generator or "none", samples, drift)


def _sample(env: DriveWorldEnv, config: BenchConfig) -> _Samples:
    observation, _ = env.reset(seed=config.seed, options=dict(config.options))
    samples, movers = _Samples(), np.zeros(0, np.int64)
    for index in range(-config.warmup, config.steps):
        action = drive(observation, env.scene)
        start = perf_counter()
        observation, _, terminated, truncated, info = env.step(action)
        wall = perf_counter() - start
        movers = moved(env.scene.tracks, movers)
        if index >= 0:
            samples.walls.append(wall)
            samples.timings.append(info["timings"])
            samples.tracks.append(info["metrics"]["tracks"])
            samples.moving_tracks.append(len(movers))
        if terminated or truncated:
            observation, _ = env.reset(options=dict(config.options))
            samples.resets += 1
    env.close()
    samples.peak_memory = _peak_memory()
    return samples


@dataclass
class _Samples:
    """One entry per step."""

    walls: list[float] = field(default_factory=list)  # [s]
    timings: list[Timings] = field(default_factory=list)
    tracks: list[float] = field(default_factory=list)
    moving_tracks: list[int] = field(default_factory=list)
    resets: int = 0
    peak_memory: float = 0.0  # [MiB]


def _result(generator: str, samples: _Samples, drift: Drift | None = None) -> BenchResult:
    return BenchResult(
        generator=generator,
        steps=len(samples.walls),
        steps_per_second=len(samples.walls) / sum(samples.walls),
        world_steps_per_second=len(samples.timings) / sum(timing.world for timing in samples.timings),
        slowest_step=1e3 * max(samples.walls),
        stages=_stages(samples.timings),
        tracks=float(np.mean(samples.tracks)),
        moving_tracks=float(np.mean(samples.moving_tracks)),
        resets=samples.resets,
        peak_memory=samples.peak_memory,
        peak_gpu_memory=torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0,
        drift=drift,
        kernels="compiled" if kernels.in_use() else "numpy",
    )


def moved(tracks: Tracks, before: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids of the tracks that move now or are among those that moved `before`."""
    return tracks.ids[tracks.velocity.any(axis=1) | np.isin(tracks.ids, before)]


def _stages(timings: Iterable[Timings]) -> dict[str, StageTime]:
    table = 1e3 * np.array([list(asdict(timing).values()) for timing in timings])
    return {
        name: StageTime(float(np.median(column)), float(np.percentile(column, 95)))
        for name, column in zip(STAGES, table.T)
        if column.any()
    }


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)


def table(results: Iterable[BenchResult]) -> str:
    """Figures as text: median / p95 [ms] per stage."""
    results = list(results)
    rows: list[list[str]] = [["", *(result.generator for result in results)]]
    rows += [[stage, *(_cell(result.stages.get(stage)) for result in results)] for stage in STAGES]
    rows.append(["steps/s", *(f"{result.steps_per_second:.1f}" for result in results)])
    rows.append(["world steps/s", *(f"{result.world_steps_per_second:.1f}" for result in results)])
    rows.append(["slowest step [ms]", *(f"{result.slowest_step:.1f}" for result in results)])
    rows.append(["peak memory [MiB]", *(f"{result.peak_memory:.0f}" for result in results)])
    rows.append(["tracks", *(f"{result.tracks:.0f}" for result in results)])
    rows.append(["moving tracks", *(f"{result.moving_tracks:.0f}" for result in results)])
    rows.append(["kernels", *(result.kernels or "-" for result in results)])
    if any(result.drift for result in results):
        for name, cell in _DRIFT_ROWS.items():
            rows.append([name, *(cell(result.drift) if result.drift else "-" for result in results)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in rows
    ]
    return "\n".join(["median / p95 [ms]", *lines])


def _cell(time: StageTime | None) -> str:
    return f"{time.median:.2f} / {time.p95:.2f}" if time else "-"


_DRIFT_ROWS: dict[str, Callable[[Drift], str]] = {
    "late / early, same scenes: time": lambda drift: f"{drift.time:+.1f} +- {drift.time_error:.1f} %",
    "late / early, same scene: memory": lambda drift: f"{drift.memory:+.1f} %",
    "late / early, other scenes: time": lambda drift: f"{drift.elsewhere:+.1f} +- {drift.elsewhere_error:.1f} %",
    "late / early, other scenes: saved state": lambda drift: f"{drift.state:+.1f} %",
}


def machine() -> dict[str, Any]:
    """What it was measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": platform.processor() or platform.machine(), "cores": psutil.cpu_count(),
        "threads": torch.get_num_threads(), "gpu": gpu, "python": platform.python_version(), "torch": torch.__version__,
    }  # fmt: skip
