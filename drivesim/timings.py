"""How long the stages of a step took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch


@dataclass(frozen=True)
class Timings:
    """Seconds per stage of one step. Two timings always compare equal: they are no part of what happened.

    `warp`, `denoise` and `decode` are shares of `generate`, where the generator tells them apart; `commit` comes after
    the pictures are out.
    """

    world: float = field(default=0.0, compare=False)
    conditions: float = field(default=0.0, compare=False)
    generate: float = field(default=0.0, compare=False)
    warp: float = field(default=0.0, compare=False)
    denoise: float = field(default=0.0, compare=False)
    decode: float = field(default=0.0, compare=False)
    observe: float = field(default=0.0, compare=False)
    commit: float = field(default=0.0, compare=False)
    total: float = field(default=0.0, compare=False)


class Stopwatch:
    """Collects laps; on a GPU every lap waits for the work that was queued in it."""

    def __init__(self) -> None:
        self._synchronise = torch.cuda.is_initialized()
        self._start = self._last = perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Time since the last lap belongs to `stage`."""
        if self._synchronise:
            torch.cuda.synchronize()
        now = perf_counter()
        self._laps[stage] = self._laps.get(stage, 0.0) + now - self._last
        self._last = now

    def timings(self, parts: Mapping[str, float] | None = None) -> Timings:
        """All laps, with what a generator measured itself."""
        timings = Timings(**self._laps, total=self._last - self._start)
        known = {name: parts[name] for name in ("warp", "denoise", "decode") if name in parts} if parts else {}
        return replace(timings, **known) if known else timings
