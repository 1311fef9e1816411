"""A generator left to itself along a drive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drivesim.conditions import build_conditions
from drivesim.generators.interface import Generator
from drivesim.scene import Scene


def stream(
    generator: Generator, scenes: Sequence[Scene], first: NDArray[np.uint8], wanted: Iterable[int], seed: int,
    chunk: int = 0,
) -> dict[int, NDArray[np.uint8]]:  # fmt: skip
    """Generated pictures [V, H, W, 3] of the wanted frames of a drive that begins with one true picture, which is
    frame 0. After every `chunk` frames the stream begins anew from its own last picture, as generators of clips do; 0
    for one that remembers."""
    numbers = set(wanted)
    spec = generator.spec

    def begun(index: int, picture: torch.Tensor) -> Any:
        """The state of a stream whose first picture, uint8 [V, H, W, 3], is that of frame `index`."""
        conditions = build_conditions([[scenes[index]]], [None], [scenes[index]], spec.conditions)
        return generator.start(picture[None, None], conditions, [seed + (index << 10)])

    state, anchor = begun(0, torch.from_numpy(first)), 0
    kept = {0: first} if 0 in numbers else {}
    for index in range(1, max(numbers) + 1):
        conditions = build_conditions([[scenes[index]]], [scenes[index - 1]], [scenes[anchor]], spec.conditions)
        frames, state = generator.step(state, conditions)
        state = generator.commit(state)
        if chunk and index % chunk == 0:
            state, anchor = begun(index, frames[0, 0]), index
        if index in numbers:
            kept[index] = frames[0, 0].numpy()
    return kept
