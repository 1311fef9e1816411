"""Whether an object keeps its colour over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.15


@dataclass(frozen=True, eq=False)
class SeenColors:
    """Mean colours of objects in some frames, N rows."""

    frame: NDArray[np.int64]  # [N]
    track: NDArray[np.int64]  # [N]
    color: NDArray[np.float64]  # [N, 3], 0..255

    @classmethod
    def joined(cls, parts: list[SeenColors]) -> SeenColors:
        """All rows of several."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3)))
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("frame", "track", "color")))


def seen_colors(
    frame: int, pictures: NDArray[np.uint8], instance: NDArray[np.int64], tracks: NDArray[np.int64], least: int
) -> SeenColors:
    """Mean colours over all pixels of those of `tracks` [K] that cover at least so many; pictures [V, H, W, 3] and the
    true track id of every pixel [V, H, W]."""
    inside = np.isin(instance, tracks)
    ids, place, counts = np.unique(instance[inside], return_inverse=True, return_counts=True)
    values = pictures[inside].astype(np.float64)
    sums = np.stack([np.bincount(place.reshape(-1), values[:, c], len(ids)) for c in range(3)], axis=-1)
    kept = counts >= least
    return SeenColors(np.full(kept.sum(), frame), ids[kept], sums[kept] / counts[kept, None])


def kept_colors(seen: SeenColors, age: int, tolerance: float = TOLERANCE) -> NDArray[np.bool_]:
    """For every object that is seen again exactly `age` frames after it was first seen: whether its colour c then is
    near its first one, |c - c0| <= tolerance |c0|."""
    kept = []
    for track in np.unique(seen.track):
        rows = np.flatnonzero(seen.track == track)
        first = rows[seen.frame[rows].argmin()]
        later = rows[seen.frame[rows] == seen.frame[first] + age]
        if len(later):
            gap = np.linalg.norm(seen.color[later[0]] - seen.color[first])
            kept.append(gap <= tolerance * np.linalg.norm(seen.color[first]))
    return np.array(kept, bool)
