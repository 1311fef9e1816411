"""A generator left to itself along a drive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from drivesim.conditions import build_conditions
from drivesim.generators.interface import Generator
from drivesim.scene import Scene


def stream(
    generator: Generator, scenes: Sequence[Scene], first: NDArray[np.uint8], wanted: Iterable[int], seed: int
) -> dict[int, NDArray[np.uint8]]:
    """Generated pictures [V, H, W, 3] of the wanted frames of a drive that begins with one true picture, which is
    frame 0."""
    numbers = set(wanted)
    spec = generator.spec
    conditions = build_conditions([[scenes[0]]], [None], [scenes[0]], spec.conditions)
    state = generator.start(torch.from_numpy(first)[None, None], conditions, [seed])
    kept = {0: first} if 0 in numbers else {}
    for index in range(1, max(numbers) + 1):
        conditions = build_conditions([[scenes[index]]], [scenes[index - 1]], [scenes[0]], spec.conditions)
        frames, state = generator.step(state, conditions)
        state = generator.commit(state)
        if index in numbers:
            kept[index] = frames[0, 0].numpy()
    return kept
