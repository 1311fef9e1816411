"""Whether a step costs as much late in a drive as early: its time, also against a new environment, and the memory."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import psutil

from drivesim.bench_driver import drive
from drivesim.env import DriveWorldEnv
from drivesim.observations import Observation

WINDOW = 200  # steps that are measured from the early and from the late step on


@dataclass(frozen=True)
class Drift:
    """Changes from an early to a late step of the same drives.

    Two drives pass through different scenes, and what is around decides what a step costs; so `time` comes with its
    standard error, and `age` compares the late steps with the very same ones driven by a new environment.
    """

    early: int
    late: int
    drives: int
    time: float  # [%] of the median step, mean over the drives
    time_error: float  # [%] standard error of that mean, NaN for a single drive
    age: float  # [%] of the late steps against a new environment that was set to the state of the late step
    memory: float  # [%] of the memory in use after a garbage collection, in the first drive


@dataclass
class _Times:
    """Seconds per step of one drive."""

    early: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)  # of a new environment in the late steps


def measure_drift(
    make: Callable[[], DriveWorldEnv], steps: tuple[int, int], drives: int, seed: int, options: Mapping[str, Any]
) -> Drift:
    """Drives `drives` times past the late step. Raises ValueError for steps out of order, RuntimeError if too many
    drives end before."""
    early, late = steps
    if not 0 <= early < early + WINDOW <= late or drives < 1:
        raise ValueError(f"drift: found steps {[early, late]} and {drives} drives, accepted 0 <= early, late at least "
                         f"{WINDOW} steps later, and at least one drive")  # fmt: skip
    times: list[_Times] = []
    memory: dict[int, int] = {}
    env, tried = make(), 0
    while len(times) < drives:
        if tried == 2 * drives:
            raise RuntimeError(
                f"drift: found {tried - len(times)} of {tried} drives that end before step {late + WINDOW}, accepted "
                "at most half of them; take an earlier late step"
            )
        observation, _ = env.reset(seed=seed + tried, options=dict(options))
        tried += 1
        measured = _drive_once(env, make, observation, steps, memory)
        if measured is not None:
            times.append(measured)
        elif not times:
            memory.clear()  # both steps must be those of one drive
    env.close()
    return _summary(steps, times, memory)


def _drive_once(
    env: DriveWorldEnv, make: Callable[[], DriveWorldEnv], observation: Observation, steps: tuple[int, int],
    memory: dict[int, int],
) -> _Times | None:  # fmt: skip
    """Times of one drive, None if it ends early; fills in the memory [byte] of both steps where it is not known."""
    (early, late), times, process = steps, _Times(), psutil.Process()
    twin: DriveWorldEnv | None = None
    for step in range(late + WINDOW):
        if step in steps and step not in memory:
            gc.collect()
            memory[step] = process.memory_info().rss
        if step == late:
            twin = make()
            twin.reset(seed=0)
            twin.set_state(env.get_state())
        action, over = drive(observation, env.scene), False
        for who in (env, twin) if step % 2 else (twin, env):  # in turn, so that neither finds warmer caches
            if who is None:
                continue
            start = perf_counter()
            seen, _, terminated, truncated, _ = who.step(action)
            wall = perf_counter() - start
            if who is env:
                observation, over = seen, terminated or truncated
            column = times.new if who is twin else times.late if step >= late else times.early
            if step >= late or early <= step < early + WINDOW:
                column.append(wall)
        if over:
            return None
    return times


def _summary(steps: tuple[int, int], times: Sequence[_Times], memory: Mapping[int, int]) -> Drift:
    early, late, new = (np.array([np.median(getattr(t, name)) for t in times]) for name in ("early", "late", "new"))
    ratio = late / early
    error = 100.0 * ratio.std(ddof=1) / np.sqrt(len(ratio)) if len(ratio) > 1 else np.nan
    return Drift(
        *steps, len(times), 100.0 * (ratio.mean() - 1.0), float(error), 100.0 * (float((late / new).mean()) - 1.0),
        100.0 * (memory[steps[1]] / memory[steps[0]] - 1.0),
    )  # fmt: skip
