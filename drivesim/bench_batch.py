"""What worlds cost together: pictures per second of a batch against those of single worlds, and memory per world."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from drivesim.bench_driver import drive
from drivesim.env_settings import make_generator
from drivesim.generators.interface import Generator
from drivesim.scene import CAMERAS
from drivesim.vector_env import DriveWorldVectorEnv


@dataclass(frozen=True)
class BatchResult:
    """Figures of one generator for one number of worlds in a batch."""

    generator: str
    worlds: int
    world_steps_per_second: float  # N times the steps of the batch
    pictures_per_second: float  # of all cameras; 0 without generator
    gain: float  # in world steps per second over the first number of worlds, median over the rounds
    processor_gain: float  # the same per second of processor time, which other work on the machine hardly touches
    memory: float  # [MiB] of the process after the warm-up
    memory_per_world: float  # [MiB] that every world more than the first number of them takes, NaN for these


@dataclass(frozen=True)
class BatchConfig:
    """Numbers of `worlds`, all of which divide the largest one, and how to measure each."""

    worlds: tuple[int, ...]
    steps: int = 240  # of all worlds together
    warmup: int = 24  # of each world
    seed: int = 0
    env: Mapping[str, Any] | None = None
    options: Mapping[str, Any] | None = (
        None  # of reset; a town is that of the first world, the others get the next ones
    )

    def __post_init__(self) -> None:
        if not self.worlds or min(self.worlds) < 1 or any(max(self.worlds) % count for count in self.worlds):
            raise ValueError(f"worlds: found {list(self.worlds)}, accepted numbers that all divide the largest")


class Group:
    """Worlds `first` to `first + count` in one batch, driven by the driver of measurements."""

    def __init__(self, generator: Generator | str | None, config: BatchConfig, first: int, count: int) -> None:
        self.env = DriveWorldVectorEnv(
            count, **_settings(config, generator), seconds=None, action="physical", autoreset_mode="disabled"
        )
        self._rows = range(first, first + count)
        self._options = [_options(config, row) for row in self._rows]
        self._seen, _ = self.env.reset(seed=[config.seed + row for row in self._rows], options=self._options)

    def step(self) -> NDArray[np.float64]:
        """Seconds [2] on the clock and of processor time that a step of all worlds takes.

        Drives that end are followed by others, which is not counted.
        """
        scenes = self.env.call("scene")
        actions = np.stack([drive(_of_world(self._seen, row), scene) for row, scene in enumerate(scenes)])
        begin = np.array([perf_counter(), process_time()])
        self._seen, _, terminations, truncations, _ = self.env.step(actions)
        taken = np.array([perf_counter(), process_time()]) - begin
        ends = terminations | truncations
        if ends.any():
            self._seen, _ = self.env.reset(options=self._options, reset_mask=ends)
        return taken


def benchmark_batches(generator: str | None, config: BatchConfig) -> list[BatchResult]:
    """Figures of one generator for every number of worlds.

    The same worlds are driven once in turns of each size, and memory is measured in processes of its own.
    """
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rounds = pool.apply(time_rounds, (generator, config))
        memory = [pool.apply(memory_of, (generator, config, count)) for count in config.worlds]
    return summary(generator or "none", config.worlds, rounds, memory)


def time_rounds(generator: str | None, config: BatchConfig) -> NDArray[np.float64]:
    """Seconds [R, K, 2], as of `Group.step`, in which each of the K sizes moves all worlds by one step."""
    settings, most = dict(config.env or {}), max(config.worlds)
    shared = make_generator(generator, settings.get("image_size"), settings.get("generator_options") or {})
    sizes = [[Group(shared, config, first, count) for first in range(0, most, count)] for count in config.worlds]
    rounds = [
        [np.sum([group.step() for group in groups], axis=0) for groups in sizes]
        for _ in range(config.warmup + max(config.steps // most, 1))
    ]
    return np.array(rounds[config.warmup :])


def memory_of(generator: str | None, config: BatchConfig, count: int) -> float:
    """MiB of this process with so many worlds in one batch after the warm-up."""
    group = Group(generator, config, 0, count)
    for _ in range(config.warmup):
        group.step()
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def summary(
    generator: str, worlds: Sequence[int], rounds: NDArray[np.float64], memory: Sequence[float]
) -> list[BatchResult]:
    """Figures from seconds [R, K, 2] per round and MiB [K]."""
    most, cameras = max(worlds), 0 if generator == "none" else len(CAMERAS)
    results = []
    for column, (count, used) in enumerate(zip(worlds, memory, strict=True)):
        rate = most / float(np.median(rounds[:, column, 0]))
        gain, processor_gain = np.median(rounds[:, 0] / rounds[:, column], axis=0).tolist()
        more = (used - memory[0]) / (count - worlds[0]) if count != worlds[0] else np.nan
        results.append(BatchResult(generator, count, rate, cameras * rate, gain, processor_gain, used, more))
    return results


def batch_table(results: Iterable[BatchResult]) -> str:
    """Figures as text, a line for every generator and number of worlds."""
    rows = [["generator", "worlds", "pictures/s", "world steps/s", "gain", "gain (processor time)", "memory [MiB]",
             "per world [MiB]"]]  # fmt: skip
    for r in results:
        pictures = f"{r.pictures_per_second:.0f}" if r.pictures_per_second else "-"
        more = "-" if np.isnan(r.memory_per_world) else f"{r.memory_per_world:.1f}"
        rows.append([r.generator, str(r.worlds), pictures, f"{r.world_steps_per_second:.1f}", f"{r.gain:.2f}",
                     f"{r.processor_gain:.2f}", f"{r.memory:.0f}", more])  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)


def _settings(config: BatchConfig, generator: Generator | str | None) -> dict[str, Any]:
    settings = dict(config.env or {}) | {"generator": generator}
    if not isinstance(generator, str):
        settings["generator_options"] = None
    return {name: value for name, value in settings.items() if name not in ("seconds", "action")}


def _options(config: BatchConfig, row: int) -> dict[str, Any]:
    options = dict(config.options or {})
    return options | {"town": options["town"] + row} if options.get("town") is not None else options


def _of_world(observation: Mapping[str, NDArray], row: int) -> dict[str, NDArray]:
    return {name: values[row] for name, values in observation.items()}
