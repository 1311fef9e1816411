"""The Gymnasium ids. Imports wait: Gymnasium loads this module while it is being imported itself."""

from __future__ import annotations

# Every id with the settings that set it apart; all other settings of `DriveWorldEnv` may be passed to `gymnasium.make`.
ENV_IDS: dict[str, dict[str, str | None]] = {
    "DriveWorld-v0": {"generator": "stage"},
    "DriveWorldLayout-v0": {"generator": "layout"},
    "DriveWorldRaycast-v0": {"generator": "raycast"},
    "DriveWorldState-v0": {"generator": None},
}


def register_ids() -> None:
    """Registers the ids; Gymnasium calls it by itself, through the entry point group `gymnasium.envs`."""
    from gymnasium.envs.registration import register, registry

    for name, settings in ENV_IDS.items():
        if name not in registry:
            many = f"drivesim.vector_ids:{settings['generator'] or 'state'}"
            register(name, entry_point="drivesim.env:DriveWorldEnv", vector_entry_point=many, kwargs=dict(settings))
