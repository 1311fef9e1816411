"""Whether a step costs as much late in a drive as early: its time and the memory.

What a step costs is decided by what is around, and a drive is somewhere else later on. So the late steps are compared
with the very same steps driven by an environment for which they are early ones: it was handed the state of the drive as
many steps before as are called early. Late against early steps of the same drive are told beside it, over many drives.
"""

from __future__ import annotations

import gc
import multiprocessing
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from drivesim.bench_driver import drive
from drivesim.env import DriveWorldEnv

WINDOW = 200  # steps that are measured from the early and from the late step on
_T = TypeVar("_T")
Maker = Callable[[], DriveWorldEnv]


@dataclass(frozen=True)
class Drift:
    """Changes from an early to a late step."""

    early: int
    late: int
    drives: int
    time: float  # [%] of the median step, in the same scenes, mean over the drives
    time_error: float  # [%] standard error of that mean, NaN for a single drive
    memory: float  # [%] of the process's memory after a garbage collection, in the same scene of the first drive
    elsewhere: float  # [%] of the median step against the early steps of the same drive, in other scenes
    elsewhere_error: float  # [%]
    state: float  # [%] of the bytes of a saved state against the early one of the same drive, in other scenes


@dataclass
class _Drive:
    """What was measured in one drive."""

    early: list[float] = field(default_factory=list)  # [s] per step
    late: list[float] = field(default_factory=list)  # [s]
    young: list[float] = field(default_factory=list)  # [s], of the environment for which the late steps are early
    states: list[int] = field(default_factory=list)  # [byte] of the saved state, early and late


def measure_drift(make: Maker, steps: tuple[int, int], drives: int, seed: int, options: Mapping[str, Any]) -> Drift:
    """Drives `drives` times past the late step. Raises ValueError for steps out of order, RuntimeError if too many
    drives end before. `make` must be picklable: memory is measured in new processes."""
    early, late = steps
    if not 0 <= early < early + WINDOW <= late or drives < 1:
        raise ValueError(f"drift: found steps {[early, late]} and {drives} drives, accepted 0 <= early, late at least "
                         f"{WINDOW} steps later, and at least one drive")  # fmt: skip
    measured: list[_Drive] = []
    seeds: list[int] = []
    env, tried = make(), 0
    while len(measured) < drives:
        if tried == 2 * drives:
            raise RuntimeError(
                f"drift: found {tried - len(measured)} of {tried} drives that end before step {late + WINDOW}, "
                "accepted at most half of them; take an earlier late step"
            )
        one = _drive_once(env, make, steps, seed + tried, options)
        if one is not None:
            measured.append(one)
            seeds.append(seed + tried)
        tried += 1
    env.close()
    return _summary(steps, measured, _memory_change(make, steps, seeds[0], options))


def _drive_once(
    env: DriveWorldEnv, make: Maker, steps: tuple[int, int], seed: int, options: Mapping[str, Any]
) -> _Drive | None:
    """Figures of one drive, None if it ends early."""
    (early, late), result = steps, _Drive()
    observation, _ = env.reset(seed=seed, options=dict(options))
    young: DriveWorldEnv | None = None
    for step in range(late + WINDOW):
        if step in steps:
            result.states.append(len(pickle.dumps(env.get_state())))
        if step == late - early:
            young = _handed_over(make, env.get_state())
        action, over = drive(observation, env.scene), False
        for who in (env, young) if step % 2 else (young, env):  # in turn, so that neither finds warmer caches
            if who is None:
                continue
            start = perf_counter()
            seen, _, terminated, truncated, _ = who.step(action)
            wall = perf_counter() - start
            if who is env:
                observation, over = seen, terminated or truncated
            if step >= late:
                (result.young if who is young else result.late).append(wall)
            elif early <= step < early + WINDOW and who is env:
                result.early.append(wall)
        if over:
            return None
    return result


def _handed_over(make: Maker, state: Any) -> DriveWorldEnv:
    """A new environment that goes on from a state."""
    env = make()
    env.reset(seed=0)
    env.set_state(state)
    return env


def _summary(steps: tuple[int, int], drives: Sequence[_Drive], memory: float) -> Drift:
    early, late, young = (
        np.array([np.median(getattr(d, name)) for d in drives]) for name in ("early", "late", "young")
    )
    states = np.array([one.states for one in drives], float)
    time, elsewhere = _change(late / young), _change(late / early)
    return Drift(*steps, len(drives), *time, memory, *elsewhere, _change(states[:, 1] / states[:, 0])[0])


def _change(ratio: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard error [%] of ratios less one."""
    error = ratio.std(ddof=1) / np.sqrt(len(ratio)) if len(ratio) > 1 else np.nan
    return 100.0 * float(ratio.mean() - 1.0), 100.0 * float(error)


def _memory_change(make: Maker, steps: tuple[int, int], seed: int, options: Mapping[str, Any]) -> float:
    """Change [%] of a process's memory at the late step against that of one for which the step is early."""
    old, state, actions = _alone(_drive_late, make, steps, seed, options)
    return 100.0 * (old / _alone(_go_on, make, state, actions) - 1.0)


def _alone(function: Callable[..., _T], *arguments: Any) -> _T:
    """What a function returns in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def _drive_late(
    make: Maker, steps: tuple[int, int], seed: int, options: Mapping[str, Any]
) -> tuple[int, bytes, list[NDArray[np.float32]]]:
    """Memory [byte] of this process at the late step, the state `early` steps before, and the actions from there."""
    (early, late), env = steps, make()
    state, actions = b"", []
    observation, _ = env.reset(seed=seed, options=dict(options))
    for step in range(late):
        if step == late - early:
            state = pickle.dumps(env.get_state())
        action = drive(observation, env.scene)
        if step >= late - early:
            actions.append(action)
        observation, *_ = env.step(action)
    return _memory(), state or pickle.dumps(env.get_state()), actions


def _go_on(make: Maker, state: bytes, actions: Sequence[NDArray[np.float32]]) -> int:
    """Memory [byte] of this process after the actions."""
    env = _handed_over(make, pickle.loads(state))  # made by `_drive_late`
    for action in actions:
        env.step(action)
    return _memory()


def _memory() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss
