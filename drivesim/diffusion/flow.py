"""Rectified flow with prediction of the clean sample: x_sigma = (1 - sigma) x_0 + sigma eps, sigma from 1 to 0."""

from __future__ import annotations

import torch
from torch import Tensor


def add_noise(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Point of the straight path between data and noise at sigma [N]."""
    s = sigma.reshape(-1, *(1,) * (clean.ndim - 1)).to(clean.dtype)
    return (1.0 - s) * clean + s * noise


def euler_step(noisy: Tensor, clean: Tensor, sigma: float, following: float) -> Tensor:
    """Euler step of the flow dx/dsigma = (x - x_0) / sigma from sigma to the following noise level."""
    return clean + (following / sigma) * (noisy - clean)


def noise_levels(steps: int, shift: float = 1.5) -> tuple[float, ...]:
    """`steps` noise levels from 1 downwards; shift > 1 spends more of them near pure noise.

    sigma' = shift sigma / (1 + (shift - 1) sigma), the time shift of rectified-flow models.
    Raises ValueError for less than one step.
    """
    if steps < 1:
        raise ValueError(f"steps: found {steps}, accepted 1 or more")
    raw = torch.linspace(1.0, 0.0, steps + 1)[:-1]
    return tuple((shift * raw / (1.0 + (shift - 1.0) * raw)).tolist())
