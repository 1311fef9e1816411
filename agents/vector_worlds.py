"""Worlds that share one batched generator, as stable-baselines3 takes them.

worlds = StableBaselinesWorlds(DriveWorldVectorEnv(8, generator="raycast", action="route"))
PPO("MultiInputPolicy", worlds).learn(100_000)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn

from drivesim.vector_env import DriveWorldVectorEnv
from drivesim.vector_infos import final_info_of_world, info_of_world


class StableBaselinesWorlds(VecEnv):
    """A `VecEnv` of a `DriveWorldVectorEnv` whose mode is "same_step"; ValueError for other modes.

    Where a drive ends, `info["terminal_observation"]` is its last observation and `info["TimeLimit.truncated"]` says
    whether it was cut rather than ended. The rest of an info is that of the drive which the reward belongs to.
    """

    def __init__(self, worlds: DriveWorldVectorEnv) -> None:
        if worlds.autoreset_mode != "same_step":
            raise ValueError(f"worlds: found autoreset_mode {worlds.autoreset_mode!r}, accepted 'same_step'")
        self.worlds = worlds
        self._taken: NDArray = np.zeros(0)
        super().__init__(worlds.num_envs, worlds.single_observation_space, worlds.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begins a drive in every world, with the seeds and options that were set since the last reset."""
        observations, infos = self.worlds.reset(seed=list(self._seeds), options=list(self._options))
        self.reset_infos = [info_of_world(infos, row) for row in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray) -> None:
        """Keeps the actions."""
        self._taken = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Takes the step."""
        observations, rewards, terminations, truncations, batch = self.worlds.step(self._taken)
        ends, infos = terminations | truncations, []
        for row in range(self.num_envs):
            info = info_of_world(batch, row)
            if ends[row]:
                self.reset_infos[row] = info
                info = dict(final_info_of_world(batch, row))
                info["terminal_observation"] = batch["final_observation"][row]
            info["TimeLimit.truncated"] = bool(truncations[row] and not terminations[row])
            infos.append(info)
        return observations, rewards.astype(np.float32), ends, infos

    def close(self) -> None:
        """Closes the worlds."""
        self.worlds.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute that `DriveWorldVectorEnv.call` knows; AttributeError for others."""
        return self.env_method(attr_name, indices=indices)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Raises AttributeError: worlds in a batch have no attributes of their own."""
        raise AttributeError(f"set_attr: found {attr_name!r}, accepted none for worlds in a batch")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list:
        """What `DriveWorldVectorEnv.call` gives for some of the worlds."""
        if method_name == "render_mode":
            return [self.worlds.render_mode for _ in self._get_indices(indices)]
        try:
            found = self.worlds.call(method_name, *method_args, **method_kwargs)
        except ValueError as error:
            raise AttributeError(str(error)) from error
        return [found[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """False: nothing is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[NDArray | None]:
        """The picture of every world."""
        return list(self.worlds.render())
