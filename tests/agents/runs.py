"""Trainings of a moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.hydra_run import run_command

TINY = ("world=debug", "envs=2", "width=8", "seed=3")


def train_tiny(module: ModuleType, out: Path, *overrides: str) -> None:
    """Runs the training command of a module in a debug world."""
    run_command(module, module.__name__, f"out={out}", *TINY, *overrides)


class Pedals:
    """A policy whose actions are not physical."""

    action = "normalized"
    observation: tuple[str, ...] = ()

    def reset(self, info: Mapping[str, Any]) -> None:
        """Nothing to remember."""

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Neither pedal nor wheel."""
        return np.zeros(2, np.float32)
