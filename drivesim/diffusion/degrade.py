"""Degradations of condition frames: a generator must learn to live with its own imperfect pictures (STAGE, IV.C)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
def _dct_matrix(size: int) -> Tensor:
    """Orthonormal DCT-II matrix [size, size]; its transpose is its inverse."""
    k = torch.arange(size, dtype=torch.float64)[:, None]
    n = torch.arange(size, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi * (n + 0.5) * k / size) * math.sqrt(2.0 / size)
    matrix[0] /= math.sqrt(2.0)
    return matrix.float()


def dct_filter(pictures: Tensor, keep: Tensor) -> Tensor:
    """Keeps the share `keep` [N] of low DCT frequencies along both axes of pictures [N, ..., h, w]."""
    h, w = pictures.shape[-2:]
    rows, columns = _dct_matrix(h).to(pictures), _dct_matrix(w).to(pictures)
    with torch.autocast(pictures.device.type, enabled=False):
        spectrum = rows @ pictures @ columns.T
    frequency = torch.maximum(
        torch.arange(h, device=pictures.device)[:, None] / h, torch.arange(w, device=pictures.device) / w
    )
    mask = frequency < keep.reshape(-1, *(1,) * (pictures.ndim - 1))
    with torch.autocast(pictures.device.type, enabled=False):
        return rows.T @ (spectrum * mask) @ columns
