"""A driving world to act in: `gymnasium.make("DriveWorld-v0")`. See README.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from drivesim.registration import ENV_IDS, register_ids

if TYPE_CHECKING:
    from drivesim.env import DriveWorldEnv, EnvState
    from drivesim.policy import Policy, WorldPolicy, load_policy
    from drivesim.rollout import Trace, run
    from drivesim.vector_env import DriveWorldVectorEnv

__version__ = "0.1.0"
__all__ = [
    "ENV_IDS",
    "DriveWorldEnv",
    "DriveWorldVectorEnv",
    "EnvState",
    "Policy",
    "Trace",
    "WorldPolicy",
    "load_policy",
    "register_ids",
    "run",
]

_HOMES = {
    "DriveWorldEnv": "env", "DriveWorldVectorEnv": "vector_env", "EnvState": "env", "Policy": "policy",
    "Trace": "rollout", "WorldPolicy": "policy",
    "load_policy": "policy", "run": "rollout",
}  # fmt: skip


def __getattr__(name: str) -> object:
    # Gymnasium imports this package whenever it is imported itself, so torch and the rest wait for their first use.
    if name in _HOMES:
        return getattr(import_module(f"drivesim.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'drivesim' has no attribute {name!r}")


register_ids()
