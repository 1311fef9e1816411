"""A driving world to act in: `gymnasium.make("DriveWorld-v0")`. See README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gymnasium.envs.registration import register, registry

if TYPE_CHECKING:
    from drivesim.env import DriveWorldEnv, EnvState
    from drivesim.rollout import Policy, Trace, run

__version__ = "0.1.0"
__all__ = ["ENV_IDS", "DriveWorldEnv", "EnvState", "Policy", "Trace", "register_ids", "run"]

# Every id with the settings that set it apart; all other settings of `DriveWorldEnv` may be passed to `gymnasium.make`.
ENV_IDS: dict[str, dict[str, str | None]] = {
    "DriveWorld-v0": {"generator": "stage"},
    "DriveWorldLayout-v0": {"generator": "layout"},
    "DriveWorldRaycast-v0": {"generator": "raycast"},
    "DriveWorldState-v0": {"generator": None},
}

_HOMES = {"DriveWorldEnv": "env", "EnvState": "env", "Policy": "rollout", "Trace": "rollout", "run": "rollout"}


def register_ids() -> None:
    """Registers the Gymnasium ids. Gymnasium calls it by itself, through the entry point group `gymnasium.envs`."""
    for name, settings in ENV_IDS.items():
        if name not in registry:
            register(name, entry_point="drivesim.env:DriveWorldEnv", kwargs=dict(settings))


def __getattr__(name: str) -> object:
    # Gymnasium imports this package whenever it is imported itself, so torch and the rest wait for their first use.
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"drivesim.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'drivesim' has no attribute {name!r}")


register_ids()
