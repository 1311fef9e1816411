"""Rasters seen from above with levels of detail, sampled at points of the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pyramid:
    """One-channel raster and its halved copies, packed one after the other."""

    texels: NDArray  # [sum of rows * columns]
    offset: NDArray[np.int32]  # [L] where each level starts
    shape: NDArray[np.int32]  # [L, 2] rows, columns
    resolution: float  # of the first level [m/px]

    @classmethod
    def of_levels(cls, levels: list[NDArray], resolution: float) -> Pyramid:
        """Pack levels [H, W], each half as large as the one before."""
        offset = np.cumsum([0, *(level.size for level in levels)])[:-1].astype(np.int32)
        shape = np.array([level.shape for level in levels], np.int32)
        return cls(np.concatenate([level.ravel() for level in levels]), offset, shape, resolution)

    def at(self, xy: NDArray[np.float32], level: NDArray[np.int32]) -> NDArray:
        """Nearest texel [N] at points [N, 2] [m] relative to the lower corner; outside, the border repeats."""
        scaled = xy * np.float32(1.0 / self.resolution)
        shape = self.shape.take(level, 0)
        x = np.clip(scaled[:, 0].astype(np.int32) >> level, 0, shape[:, 1] - 1)
        y = np.clip(scaled[:, 1].astype(np.int32) >> level, 0, shape[:, 0] - 1)
        return self.texels.take(self.offset.take(level) + y * shape[:, 1] + x)

    def level_of(self, size: NDArray[np.float32]) -> NDArray[np.int32]:
        """Level [N] whose texels are at most as large as `size` [N] [m]."""
        # The exponent of a float is its floored logarithm.
        exponent = np.frexp(size * np.float32(1.0 / self.resolution))[1] - 1
        return np.clip(exponent, 0, len(self.offset) - 1)


def halved(image: NDArray, levels: int) -> list[NDArray]:
    """The image and its averages over 2 x 2, 4 x 4, ... pixels, `levels` in all."""
    images = [image]
    while len(images) < levels:
        rows, columns = images[-1].shape[:2]
        images.append(cv2.resize(images[-1], ((columns + 1) // 2, (rows + 1) // 2), interpolation=cv2.INTER_AREA))
    return images
