"""Draws only every n-th picture of a drive: recordings that keep no more than that are so much cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from drivesim.conditions import Conditions
from drivesim.generators.interface import Batch, Generator

STATELESS = ("layout", "raycast")


@dataclass(frozen=True)
class LastPictures:
    """How many steps were taken, and the pictures [B, T, V, H, W, 3] that are shown until the next are drawn."""

    steps: int
    frames: Tensor | None = None


class SparsePictures:
    """A stateless generator at every `every`-th step from the first on; in between its last pictures stay."""

    def __init__(self, generator: Generator, every: int) -> None:
        self.spec, self._generator, self._every = generator.spec, generator, every

    def start(self, history: Tensor | None, conditions: Conditions, seeds: Sequence[int]) -> LastPictures:
        """Nothing drawn yet."""
        return LastPictures(0)

    def step(self, state: LastPictures, conditions: Conditions) -> tuple[Tensor, LastPictures]:
        """New pictures, or the last ones."""
        frames = state.frames
        if frames is None or state.steps % self._every == 0:
            frames, _ = self._generator.step(None, conditions)
        return frames, LastPictures(state.steps + 1, frames)

    def commit(self, state: LastPictures) -> LastPictures:
        """As it is."""
        return state

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Raises TypeError: there is nothing to train."""
        raise TypeError("SparsePictures has no weights and cannot be trained")
