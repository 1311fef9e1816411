"""Many driving worlds behind Gymnasium's vector interface: every step draws the pictures of all of them together."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from drivesim.env import SEEDS, DriveWorldEnv
from drivesim.env_state import EnvState
from drivesim.observations import Observation
from drivesim.simulation import Info, Outcome
from drivesim.sources import check_options
from drivesim.vector_arguments import (
    checked_mask,
    mode_name,
    mode_of_gymnasium,
    options_of_worlds,
    seeds_of_worlds,
)
from drivesim.vector_infos import add_final

Batch = tuple[Observation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Info]
_SHOWN = ("frames", "picture", "render", "render_mode", "road", "route", "scene", "settings", "step_seconds", "time")


class DriveWorldVectorEnv(gym.vector.VectorEnv):
    """`num_envs` driving worlds [N] with the settings of `DriveWorldEnv`, whose parts and weights they share.

    `autoreset_mode` is "next_step", "same_step", "disabled", or the member of `gymnasium.vector.AutoresetMode` where
    that exists. With `copy=False` later calls write over the observations that were handed out. A world in a batch sees
    what it would see alone. Raises ValueError as `DriveWorldEnv` does.
    """

    metadata: dict[str, Any] = dict(DriveWorldEnv.metadata)

    def __init__(
        self, num_envs: int = 1, *, autoreset_mode: str | Enum = "same_step", copy: bool = True, **settings: Any
    ) -> None:
        self.closed = True  # there is nothing to close before all is there
        if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or num_envs < 1:
            raise ValueError(f"num_envs: found {num_envs!r}, accepted an integer >= 1")
        self.autoreset_mode = mode_name(autoreset_mode)
        self._single = DriveWorldEnv(**settings)
        self.metadata = self.metadata | {"autoreset_mode": mode_of_gymnasium(self.autoreset_mode)}
        self.num_envs, self.copy = int(num_envs), copy
        self.render_mode = self._single.render_mode
        self.single_observation_space = self._single.observation_space
        self.single_action_space = self._single.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.is_vector_env, self.viewer = True, None
        self._states: list[EnvState | None] = [None] * self.num_envs
        self._memory: Any = None  # of the generator, all worlds in one
        self._random: list[np.random.Generator | None] = [None] * self.num_envs
        self._buffer = self._empty()
        self._actions: Any = None
        self.closed = False

    # Gymnasium.

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None = None,
        reset_mask: NDArray[np.bool_] | None = None,
    ) -> tuple[Observation, Info]:  # type: ignore[override]  # fmt: skip
        """Begins a drive in every world, or in those of `reset_mask` bool [N]; the others go on untouched.

        A seed s gives world i the seed s + i; a list gives each its own. Options are those of `DriveWorldEnv.reset`,
        one mapping for all worlds or one per world; the mask may also be among them, as in Gymnasium 1.1. Observations
        are those of all worlds, infos those of the new drives. Raises ValueError for options that the source does not
        accept; all drives then go on.
        """
        given, mask = options_of_worlds(options, self.num_envs)
        rows = np.flatnonzero(checked_mask(mask if reset_mask is None else reset_mask, self.num_envs)).tolist()
        seeds = seeds_of_worlds(seed, self.num_envs)
        self._running("reset of some worlds", [row for row in range(self.num_envs) if row not in rows])
        begun = self._begin(rows, [seeds[row] for row in rows], [given[row] for row in rows])
        infos: Info = {}
        for row in rows:
            infos = self._add_info(infos, begun[row][1], row)
        return self._stacked({row: observation for row, (observation, _) in begun.items()}), infos

    def step(self, actions: ArrayLike) -> Batch:  # type: ignore[override]
        """One control step of every world. What happens after the end of a drive is the matter of the mode.

        "same_step": the next drive begins at once, and the last observation and info of the one that ended are in
        `infos["final_observation"]` (as Gymnasium 0.29 calls it; "final_obs", as 1.0 does, is the same array) and
        `infos["final_info"]`. "next_step": the next call begins it, whatever that world's action is, with a reward of
        0. "disabled": the caller resets with a mask. Raises ResetNeeded for drives that are over then, ValueError for
        bad actions; nothing has changed.
        """
        states = self._running("step")
        if len(actions) != self.num_envs:  # type: ignore[arg-type]
            raise ValueError(f"actions: found {len(actions)} of them, accepted {self.num_envs}")  # type: ignore[arg-type]
        over = [row for row, state in enumerate(states) if state.over]
        renewed = over if self.autoreset_mode == "next_step" else []
        moving = {row: actions[row] for row in range(self.num_envs) if row not in renewed}  # type: ignore[index]
        outcomes: dict[int, Outcome] = {}
        if moving:
            outcomes, self._memory = self._single.simulation.step(states, self._memory, moving)
        rewards, ends = np.zeros(self.num_envs), np.zeros((2, self.num_envs), np.bool_)
        for row, outcome in outcomes.items():
            rewards[row], ends[:, row] = outcome.reward, (outcome.terminated, outcome.truncated)
        if self.autoreset_mode == "same_step":
            renewed = np.flatnonzero(ends.any(axis=0)).tolist()
        begun = self._begin(renewed, [None] * len(renewed), [{}] * len(renewed))
        infos: Info = {}
        seen: dict[int, Observation] = {}
        for row in range(self.num_envs):
            observation, info = begun[row] if row in begun else (outcomes[row].observation, outcomes[row].info)
            seen[row] = observation
            infos = self._add_info(infos, info, row)
            if row in begun and row in outcomes:
                infos = add_final(self, infos, outcomes[row].observation, outcomes[row].info, row)
        if self.render_mode == "human":
            self.render()
        return self._stacked(seen), rewards, ends[0], ends[1], infos

    def step_async(self, actions: ArrayLike) -> None:
        """Keeps the actions for `step_wait`, as the wrappers of Gymnasium 0.29 want it."""
        self._actions = actions

    def step_wait(self, **kwargs: Any) -> Batch:
        """The step with the kept actions."""
        return self.step(self._actions)

    def reset_wait(self, seed: Any = None, options: Any = None) -> tuple[Observation, Info]:  # type: ignore[override]
        """The reset, as the wrappers of Gymnasium 0.29 want it."""
        return self.reset(seed=seed, options=options)

    def render(self) -> tuple[NDArray[np.uint8] | None, ...]:  # type: ignore[override]
        """The picture of every world [484, 1152, 3] for "rgb_array"; "human" shows the first one."""
        if self.render_mode == "human":
            self._single._state = self._running("render")[0]
            self._single.render()
            self._single._state = None
            return (None,)
        return tuple(self._look(row).render() for row in range(self.num_envs))

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:  # type: ignore[override]
        """An attribute of every world, called if it can be. ValueError for one that would change worlds one by one."""
        if name not in _SHOWN:
            raise ValueError(f"call: found {name!r}, accepted {_SHOWN}")
        results = []
        for row in range(self.num_envs):
            found = getattr(self._look(row), name)
            results.append(found(*args, **kwargs) if callable(found) else found)
        return tuple(results)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of every world."""
        return self.call(name)

    def close_extras(self, **kwargs: Any) -> None:
        """Forgets all worlds; called by `close`."""
        self._single.close()
        self._states, self._memory = [None] * self.num_envs, None

    # Worlds are values.

    def get_state(self, world: int | None = None) -> Any:
        """A copy of all that decides what happens next: a list with an `EnvState` per world, or that of one world.

        `DriveWorldEnv` and this class read each other's states.
        """
        if world is None:
            return [self.get_state(row) for row in range(self.num_envs)]
        row = self._row(world)
        state, generator = self._running("get_state", [row])[row].copy(), self._single.generator
        state.generator = None if generator is None else generator.take(self._memory, [row])
        return state

    def set_state(self, state: EnvState | Sequence[EnvState], world: int | None = None) -> None:
        """Continues all worlds from a list of states, or one world from one; the others do not notice.

        They come from environments with the same settings. Raises ValueError for anything but an EnvState per world.
        """
        rows = list(range(self.num_envs)) if world is None else [self._row(world)]
        states = list(state) if world is None and isinstance(state, Sequence) else [state]
        if len(states) != len(rows) or not all(isinstance(each, EnvState) for each in states):
            names = [type(each).__name__ for each in states]
            raise ValueError(f"set_state: found {names}, accepted an EnvState for each of {len(rows)} worlds")
        if world is not None:
            self._running("set_state of one world")
        for row, each in zip(rows, states):
            assert isinstance(each, EnvState)
            self._take_over(row, each.copy())

    def branch(self, world: int) -> DriveWorldEnv:
        """A single environment in the state of one world, which then goes its own way."""
        twin = self._single.copy()
        twin.set_state(self.get_state(world))
        return twin

    # Its parts.

    def _begin(
        self, rows: list[int], seeds: Sequence[int | None], options: Sequence[Mapping[str, Any]]
    ) -> dict[int, tuple[Observation, Info]]:
        """New drives in some worlds: what is first seen of each."""
        if not rows:
            return {}
        simulation = self._single.simulation
        chosen = [self._single.reset_options | check_options(dict(given)) for given in options]
        random = [self._generator_of(row, seed) for row, seed in zip(rows, seeds)]
        drawn = [int(generator.integers(SEEDS)) for generator in random]
        for seed, given in zip(drawn, chosen):
            simulation.source.check(seed, given)  # while the last drives can still go on
        for row, generator in zip(rows, random):
            self._random[row], self._states[row] = generator, None
        states, memory, seen = simulation.begin(drawn, chosen, random)
        if len(rows) < self.num_envs and simulation.generator is not None:
            memory = simulation.generator.put(self._memory, rows, memory)
        self._memory = memory
        for row, state in zip(rows, states):
            self._states[row] = state
        return dict(zip(rows, seen))

    def _generator_of(self, row: int, seed: int | None) -> np.random.Generator:
        """What seeds of drives are drawn from: that of the world, unless there is none or it is seeded anew."""
        last = self._random[row]
        return copy.deepcopy(last) if seed is None and last is not None else seeding.np_random(seed)[0]

    def _take_over(self, row: int, state: EnvState) -> None:
        generator, memory = self._single.generator, state.generator
        if generator is not None:
            if self._memory is None:
                self._memory = generator.take(memory, [0] * self.num_envs)
            self._memory = generator.put(self._memory, [row], memory)
        state.generator = None
        self._states[row], self._random[row] = state, state.random

    def _running(self, what: str, rows: Sequence[int] | None = None) -> list[EnvState]:
        """The states; ResetNeeded if one of those in `rows`, by default of all, is not there."""
        missing = [row for row in (range(self.num_envs) if rows is None else rows) if self._states[row] is None]
        if missing:
            raise ResetNeeded(f"{what}: found worlds {missing} before their first reset; accepted after reset()")
        return self._states  # type: ignore[return-value]

    def _look(self, row: int) -> DriveWorldEnv:
        """A single environment that shows one world, for reading only."""
        twin = copy.copy(self._single)  # the world does not outlive its drive in it
        twin._state = self._running("call", [row])[row]
        return twin

    def _empty(self) -> Observation:
        spaces: Any = self.single_observation_space
        return {name: np.empty((self.num_envs, *box.shape), box.dtype) for name, box in spaces.items()}

    def _stacked(self, seen: Mapping[int, Observation]) -> Observation:
        """Observations [N, ...] of all worlds; those that nobody looked at yet are looked at."""
        batch = self._empty() if self.copy else self._buffer
        for row, state in enumerate(self._running("observe")):
            observation = seen[row] if row in seen else self._single.simulation.observe(state)
            for name, values in batch.items():
                values[row] = observation[name]
        return batch

    def _row(self, world: int) -> int:
        if isinstance(world, bool) or not isinstance(world, (int, np.integer)) or not 0 <= world < self.num_envs:
            raise ValueError(f"world: found {world!r}, accepted 0 to {self.num_envs - 1}")
        return int(world)
