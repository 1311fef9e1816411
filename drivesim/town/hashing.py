"""Integer hashing: every random choice of the town is a pure function of the seed and of what it is about."""

from __future__ import annotations

import numpy as np

_MASK = (1 << 64) - 1
_GRID_OFFSET = 1 << 23


def mix(*key: int) -> int:
    """64-bit hash of integers (splitmix64 finaliser chained over the key)."""
    state = 0x9E3779B97F4A7C15
    for part in key:
        state = ((state ^ (part & _MASK)) * 0xBF58476D1CE4E5B9 + 0x9E3779B97F4A7C15) & _MASK
        state ^= state >> 30
        state = (state * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def unit(*key: int) -> float:
    """Hash of integers as a number in [0, 1)."""
    return (mix(*key) >> 11) * 2.0**-53


def between(low: float, high: float, *key: int) -> float:
    """Hash of integers as a number in [low, high)."""
    return low + (high - low) * unit(*key)


def generator(*key: int) -> np.random.Generator:
    """Random generator whose stream depends on the key alone."""
    return np.random.Generator(np.random.PCG64(mix(*key)))


def pack_id(i: int, j: int, slot: int) -> int:
    """Unique positive int64 of lattice cell (i, j), |i|, |j| < 2**23, and slot in [0, 2**14)."""
    if not (abs(i) < _GRID_OFFSET and abs(j) < _GRID_OFFSET and 0 <= slot < 1 << 14):
        raise ValueError(
            f"pack_id: found cell ({i}, {j}), slot {slot}, accepted |i|, |j| < 2**23 and 0 <= slot < 2**14"
        )
    return ((i + _GRID_OFFSET) << 38) | ((j + _GRID_OFFSET) << 14) | slot
