"""Fréchet distance between the features of two sets of pictures or of videos (Heusel et al. 2017, equation 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VIDEO_FRAMES = 16


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of features [N, D] and [M, D], as if they were normally distributed.

    With few samples both sets look farther apart than they are: compare only figures of equally many samples.
    Raises ValueError for fewer than two samples or different D.
    """
    for name, features in (("first", first), ("second", second)):
        if features.ndim != 2 or len(features) < 2 or features.shape[1] != first.shape[1]:
            raise ValueError(f"{name}: found shape {features.shape}, accepted (N >= 2, D) with one D")
    a, b = first.astype(np.float64), second.astype(np.float64)
    one, two = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (a, b))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(min=0.0)).sum()
    gap = a.mean(0) - b.mean(0)
    return float(max(gap @ gap + np.trace(one) + np.trace(two) - 2.0 * mixed, 0.0))


def video_features(features: NDArray[np.floating]) -> NDArray[np.floating]:
    """Features of videos [N, 2 C] from those of their frames [N, T, C]: their mean over time, then the root mean square
    of their change from one frame to the next. Raises ValueError for fewer than two frames."""
    if features.ndim != 3 or features.shape[1] < 2:
        raise ValueError(f"features: found shape {features.shape}, accepted (N, T >= 2, C)")
    change = np.sqrt((np.diff(features, axis=1) ** 2).mean(1))
    return np.concatenate([features.mean(1), change], axis=-1)
