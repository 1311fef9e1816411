"""What `gymnasium.make_vec` calls for each id.

Gymnasium 0.29 hands it neither the settings of the id nor those of the call but only `vector_kwargs`, so every id has a
function of its own, and `make_vec` of settings that would be lost is refused.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from drivesim.registration import ENV_IDS
from drivesim.vector_env import DriveWorldVectorEnv


class RegisteredVectorEnv(DriveWorldVectorEnv):
    """Made from an id: Gymnasium tells it afterwards, in `spec`, what was asked for."""

    _spec: Any = None

    def __init__(self, num_envs: int = 1, max_episode_steps: int | None = None, **settings: Any) -> None:
        if max_episode_steps is not None:
            raise ValueError(f"max_episode_steps: found {max_episode_steps}, accepted None; `seconds` limits drives")
        self._given = settings
        super().__init__(num_envs, **settings)

    @property
    def spec(self) -> Any:
        """The specification, as Gymnasium keeps it."""
        return self._spec

    @spec.setter
    def spec(self, spec: Any) -> None:
        own = {"num_envs": self.num_envs, "vectorization_mode": "vector_entry_point", **ENV_IDS.get(spec.id, {})}
        known = (own, self._given)
        lost = {k: v for k, v in spec.kwargs.items() if not any(k in each and each[k] == v for each in known)}
        if lost:
            raise ValueError(
                f"make_vec: found {lost} beside vectorization_mode, which this version of Gymnasium does not pass on; "
                "accepted in vector_kwargs"
            )
        self._spec = spec


stage = partial(RegisteredVectorEnv, generator="stage")
layout = partial(RegisteredVectorEnv, generator="layout")
raycast = partial(RegisteredVectorEnv, generator="raycast")
state = partial(RegisteredVectorEnv, generator=None)
