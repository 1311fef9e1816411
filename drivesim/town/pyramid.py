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
    shape: NDArray[np.int32]  # [2, L] rows, columns
    resolution: float  # of the first level [m/px]

    @classmethod
    def of_levels(cls, levels: list[NDArray], resolution: float) -> Pyramid:
        """Pack levels [H, W], each half as large as the one before."""
        offset = np.cumsum([0, *(level.size for level in levels)])[:-1].astype(np.int32)
        shape = np.array([level.shape for level in levels], np.int32).T
        texels = levels[0].ravel() if len(levels) == 1 else np.concatenate([level.ravel() for level in levels])
        return cls(texels, offset, np.ascontiguousarray(shape), resolution)

    def at(self, xy: NDArray[np.float32], level: NDArray[np.int32] | None = None) -> NDArray:
        """Nearest texel [N] at points [2, N] [m] relative to the lower corner, finest level where none is given;
        outside, the border repeats."""
        x, y = (xy * np.float32(1.0 / self.resolution)).astype(np.int32)
        if level is None:
            rows, columns = (int(count) for count in self.shape[:, 0])
            return self.texels.take(
                np.minimum(np.maximum(y, 0), rows - 1) * columns + np.minimum(np.maximum(x, 0), columns - 1)
            )
        rows, columns = self.shape.take(level, 1)
        x = np.minimum(np.maximum(x >> level, 0), columns - 1)
        y = np.minimum(np.maximum(y >> level, 0), rows - 1)
        return self.texels.take(self.offset.take(level) + y * columns + x)

    def level_of(self, size: NDArray[np.float32]) -> NDArray[np.int32]:
        """Level [N] whose texels are at most as large as `size` [N] [m]."""
        exponent = np.frexp(size * np.float32(1.0 / self.resolution))[1] - 1  # the floored logarithm
        return np.minimum(np.maximum(exponent, 0), len(self.offset) - 1)


def level_shapes(shape: tuple[int, int], levels: int) -> list[tuple[int, int]]:
    """Shapes of an image and of its averages over 2 x 2, 4 x 4, ... pixels."""
    shapes = [shape]
    while len(shapes) < levels:
        shapes.append(((shapes[-1][0] + 1) // 2, (shapes[-1][1] + 1) // 2))
    return shapes


def halved(image: NDArray, levels: int) -> list[NDArray]:
    """The image and its averages over 2 x 2, 4 x 4, ... pixels, `levels` in all."""
    images = [image]
    for rows, columns in level_shapes((image.shape[0], image.shape[1]), levels)[1:]:
        images.append(cv2.resize(images[-1], (columns, rows), interpolation=cv2.INTER_AREA))
    return images
