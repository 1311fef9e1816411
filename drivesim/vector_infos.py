"""Infos of many worlds as one dictionary, in the format of the installed Gymnasium, and those of one world back.

Gymnasium 0.29 keeps an inner dictionary as one object per world, from 1.0 on it is a dictionary of arrays itself.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

from drivesim.observations import Observation
from drivesim.simulation import Info

FINAL = ("final_observation", "final_obs")  # what Gymnasium 0.29 and 1.0 call the last observation of a drive
_NEWER = hasattr(gym.vector, "AutoresetMode")


def add_final(env: VectorEnv, infos: Info, observation: Observation, info: Info, world: int) -> Info:
    """Notes how the drive of a world ended, its last observation under both names."""
    ours, theirs = FINAL[::-1] if _NEWER else FINAL
    infos = env._add_info(infos, {ours: observation, "final_info": info}, world)
    infos[theirs], infos[f"_{theirs}"] = infos[ours], infos[f"_{ours}"]
    return infos


def info_of_world(infos: Info, world: int) -> Info:
    """The info of one world, as `DriveWorldEnv` gives it, without that of a drive which has just ended."""
    return _taken({name: value for name, value in infos.items() if name not in (*FINAL, "final_info")}, world)


def final_info_of_world(infos: Info, world: int) -> Info:
    """The last info of the drive of a world that has just ended; KeyError if none has."""
    found = infos["final_info"]
    return found[world] if isinstance(found, np.ndarray) else _taken(found, world)


def _taken(infos: Info, world: int) -> Info:
    present = [name for name in infos if f"_{name}" in infos and infos[f"_{name}"][world]]
    taken: dict[str, Any] = {}
    for name in present:
        value = infos[name]
        taken[name] = _taken(value, world) if isinstance(value, dict) else value[world]
    return taken
