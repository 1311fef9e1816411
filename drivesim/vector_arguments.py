"""What Gymnasium's vector interface takes, read: autoreset modes, seeds, options and masks for N worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

AUTORESET_MODES = ("next_step", "same_step", "disabled")


def mode_name(mode: str | Enum) -> str:
    """One of AUTORESET_MODES; ValueError for others."""
    name = mode.name.lower() if isinstance(mode, Enum) else mode
    if name not in AUTORESET_MODES:
        raise ValueError(f"autoreset_mode: found {mode!r}, accepted {AUTORESET_MODES}, or Gymnasium's AutoresetMode")
    return name


def mode_of_gymnasium(name: str) -> Any:
    """The mode as Gymnasium wants it in `metadata`: its own enumeration where it has one, else the name."""
    modes = getattr(gym.vector, "AutoresetMode", None)
    return name if modes is None else modes[name.upper()]


def seeds_of_worlds(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    """A seed for each world: s, s + 1, ... for a number s, or those of a list; ValueError for another length."""
    if seed is None:
        return [None] * count
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + row for row in range(count)]
    if len(seed) != count:
        raise ValueError(f"seed: found {len(seed)} seeds, accepted an integer or {count} of them")
    return [None if each is None else int(each) for each in seed]


def options_of_worlds(
    options: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None, count: int
) -> tuple[list[dict[str, Any]], Any]:
    """Options for each world and the "reset_mask" among them; ValueError for a list of another length."""
    if options is None or isinstance(options, Mapping):
        given = dict(options or {})
        mask = given.pop("reset_mask", None)
        return [dict(given) for _ in range(count)], mask
    if len(options) != count:
        raise ValueError(f"options: found {len(options)} of them, accepted one mapping for all, or {count} of them")
    return [dict(each or {}) for each in options], None


def checked_mask(mask: Any, count: int) -> NDArray[np.bool_]:
    """The worlds [N] to reset, all of them without a mask; ValueError for anything but booleans, one of them true."""
    if mask is None:
        return np.ones(count, np.bool_)
    found = np.asarray(mask)
    if found.shape != (count,) or found.dtype != np.bool_ or not found.any():
        raise ValueError(f"reset_mask: found {mask!r}, accepted bool [{count}] with at least one True")
    return found
