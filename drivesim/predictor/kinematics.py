"""How boxes move: along arcs, by a change of speed and a curvature, as vehicles do."""

from __future__ import annotations

import torch
from torch import Tensor

HARDEST_BRAKING = 8.0  # [m/s^2]
HARDEST_ACCELERATION = 4.0  # [m/s^2]
TIGHTEST = 0.28  # [1/m] curvature of vehicles
TIGHTEST_ON_FOOT = 2.0  # [1/m]
_CREEP = 0.05  # [m] of way below which a heading says nothing about a curvature


def advance(
    position: Tensor, yaw: Tensor, speed: Tensor, acceleration: Tensor, curvature: Tensor, dt: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Position [..., 2] [m], yaw [...] [rad] and speed [...] [m/s] after `dt` [s]; nobody rolls backwards."""
    after = (speed + acceleration * dt).clamp(min=0.0)
    way = 0.5 * dt * (speed + after)
    turn = curvature * way
    middle = yaw + 0.5 * turn
    return position + way[..., None] * torch.stack([middle.cos(), middle.sin()], -1), yaw + turn, after


def control_between(
    yaw: Tensor, speed: Tensor, next_yaw: Tensor, next_speed: Tensor, dt: float
) -> tuple[Tensor, Tensor]:
    """Acceleration [m/s^2] and curvature [1/m] that lead from one instant to the next; the inverse of `advance`."""
    way = 0.5 * dt * (speed + next_speed)
    turn = wrapped(next_yaw - yaw)
    return (next_speed - speed) / dt, torch.where(way > _CREEP, turn / way.clamp(min=_CREEP), 0.0)


def wrapped(angle: Tensor) -> Tensor:
    """Angles in [-pi, pi)."""
    return torch.remainder(angle + torch.pi, 2.0 * torch.pi) - torch.pi


def into_frame(offset: Tensor, direction: Tensor) -> Tensor:
    """Offsets [..., 2] in frames whose x axis is `direction` [..., 2]."""
    x, y = offset.unbind(-1)
    c, s = direction.unbind(-1)
    return torch.stack([c * x + s * y, c * y - s * x], -1)
