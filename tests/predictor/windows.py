"""Windows of road users on straight roads, to predict on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drivesim.predictor.layout import FAR, PERIOD, STOPS, WAY_POINTS, WAY_SPACING
from drivesim.predictor.network import HISTORY
from drivesim.predictor.windows import CANDIDATES, FUTURE

LENGTH = HISTORY + FUTURE + 1


def window(starts: Sequence[tuple[float, float]], speed: Sequence[float], turn: float = 0.0) -> dict[str, Tensor]:
    """One window [1, ...] in which all drive along x from `starts` (the present places) at constant speeds [m/s] and
    with one curvature [1/m]; everybody's only way is straight ahead."""
    count = len(starts)
    times = PERIOD * (np.arange(LENGTH) - HISTORY)
    motion = np.zeros((LENGTH, count, 5), np.float32)
    for row, ((x, y), v) in enumerate(zip(starts, speed)):
        yaw = turn * v * times
        along = np.where(yaw == 0.0, v * times, np.sin(yaw) / turn if turn else 0.0)
        beside = (1.0 - np.cos(yaw)) / turn if turn else np.zeros(LENGTH)
        motion[:, row] = np.column_stack([x + along, y + beside, yaw, np.full(LENGTH, v), np.ones(LENGTH)])
    points = np.zeros((count, CANDIDATES, WAY_POINTS, 2), np.float32)
    points[..., 0] = WAY_SPACING * np.arange(WAY_POINTS) - 10.0
    points += np.array(starts, np.float32)[:, None, None]
    candidates = np.zeros((count, CANDIDATES), bool)
    candidates[:, 0] = True
    arrays = {
        "motion": motion,
        "body": np.tile(np.array([1.8, 4.2, 0.0], np.float32), (count, 1)),
        "points": points,
        "allowed": np.full((count, CANDIDATES, WAY_POINTS), 14.0, np.float32),
        "stops": np.full((count, CANDIDATES, STOPS), FAR, np.float32),
        "candidates": candidates,
    }
    return {name: torch.from_numpy(value)[None] for name, value in arrays.items()}


def joined(*windows: dict[str, Tensor]) -> dict[str, Tensor]:
    """Windows as one batch."""
    return {name: torch.cat([one[name] for one in windows]) for name in windows[0]}
