"""How well map cells were found: intersection over union."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def overlap_counts(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Cells of the intersection and of the union [..., M, 2] of masks [..., M, H, W].

    Raises ValueError where the shapes differ.
    """
    if found.shape != wanted.shape:
        raise ValueError(f"found: found shape {found.shape}, accepted that of the wanted cells {wanted.shape}")
    return np.stack([(found & wanted).sum((-2, -1)), (found | wanted).sum((-2, -1))], axis=-1)


def intersection_over_union(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU [M] of counts [..., M, 2], added up before they are divided; NaN where a class is nowhere."""
    total = counts.reshape(-1, *counts.shape[-2:]).sum(0).astype(np.float64)
    return np.divide(total[:, 0], total[:, 1], out=np.full(len(total), np.nan), where=total[:, 1] > 0)


def mean_intersection_over_union(counts: NDArray[np.int64]) -> float:
    """Mean over the classes that are anywhere (mIoU); NaN where none is."""
    values = intersection_over_union(counts)
    return float(values[~np.isnan(values)].mean()) if (~np.isnan(values)).any() else float("nan")
