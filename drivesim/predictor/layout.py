"""Layouts as tensors: who is where, and which way each of them is going. Row 0 of every scene is the ego."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PERIOD = 0.25  # [s] from one layout to the next
WAY_POINTS = 64  # points of a way
WAY_SPACING = 2.0  # [m] between them
STOPS = 3  # stop line, end of the junction behind it, end of the way
FAR = 200.0  # [m] what lies farther counts as not there


@dataclass(frozen=True, eq=False)
class Ways:
    """The way that each road user is taking, as points WAY_SPACING apart."""

    points: Tensor  # [B, N, P, 2] [m]
    allowed: Tensor  # [B, N, P] speed that the road allows there [m/s]
    stops: Tensor  # [B, N, STOPS] along the way [m], FAR where there is none
    known: Tensor  # [B, N] bool, whether there is a way at all


@dataclass(frozen=True, eq=False)
class Layouts:
    """B scenes of up to N road users at one instant; positions count from an origin near the scene."""

    position: Tensor  # [B, N, 2] middle of the body [m]
    yaw: Tensor  # [B, N] [rad]
    speed: Tensor  # [B, N] [m/s]
    acceleration: Tensor  # [B, N] of the last period, for the ego of the next one [m/s^2]
    curvature: Tensor  # [B, N] likewise [1/m]
    size: Tensor  # [B, N, 2] width, length [m]
    class_ids: Tensor  # [B, N] index into OBJECT_CLASSES
    present: Tensor  # [B, N] bool
    ways: Ways

    @property
    def direction(self) -> Tensor:
        """Unit vectors of the headings [B, N, 2]."""
        return torch.stack([self.yaw.cos(), self.yaw.sin()], -1)
