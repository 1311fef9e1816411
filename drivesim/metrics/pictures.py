"""How close generated pictures are to the true ones, by region, and how sharp."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def psnr(pictures: NDArray[np.uint8], truth: NDArray[np.uint8], where: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio [dB] of uint8 pictures [..., H, W, 3], over the pixels [..., H, W] of a mask if given.

    NaN where the mask is empty, infinite where the pictures are equal.
    """
    error = (pictures.astype(np.float64) - truth) ** 2
    if where is not None:
        if not where.any():
            return float("nan")
        error = error[where]
    mean = error.mean()
    return float("inf") if mean == 0 else float(10.0 * np.log10(255.0**2 / mean))


def gradient_energy(pictures: NDArray[np.uint8]) -> float:
    """Mean squared horizontal difference of neighbouring pixels of uint8 pictures [..., H, W, 3]."""
    return float((np.diff(pictures.astype(np.float64), axis=-2) ** 2).mean())


def sharpness(pictures: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """RMS horizontal gradient of the pictures relative to that of the truth; 1 is as sharp as the truth."""
    return float(np.sqrt(gradient_energy(pictures) / gradient_energy(truth)))


def ssim(pictures: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Structural similarity (Wang et al. 2004) of uint8 pictures [N, H, W, 3], by torchmetrics with its defaults."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    found, wanted = (torch.from_numpy(np.ascontiguousarray(p)).permute(0, 3, 1, 2).float() for p in (pictures, truth))
    value = structural_similarity_index_measure(found, wanted, data_range=255.0)
    assert isinstance(value, torch.Tensor)  # a tuple only where the whole map is asked for
    return float(value)
