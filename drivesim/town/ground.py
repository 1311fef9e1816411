"""Appearance of the ground plane: the painted map as a texture with levels of detail."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.scene import HdMap
from drivesim.town.paint import GRASS, PALETTE, paint_map
from drivesim.town.pyramid import Pyramid, level_shapes

RESOLUTION = 0.1  # of the finest level [m/px]
LEVELS = 7  # of coloured texture
STRIP = 128  # rows that are coloured at once, so that they stay in the cache of the processor
# Where four samples lie in the footprint of a pixel: along its long axis, across it.
TAPS = ((-0.375, 0.125), (-0.125, -0.375), (0.125, 0.375), (0.375, -0.125))
PACKED_PALETTE = np.zeros(256, np.uint32)
PACKED_PALETTE[: len(PALETTE)] = np.pad(PALETTE, ((0, 0), (0, 1)), constant_values=255).view(np.uint32).ravel()


@dataclass(frozen=True)
class GroundTexture:
    """Paint classes and colours of one map; points are relative to its lower corner."""

    paint: Pyramid  # uint8 classes, one level
    colors: Pyramid  # uint32 packed RGBA, from twice the resolution on

    @classmethod
    def of_map(cls, hd_map: HdMap) -> GroundTexture:
        """Draw the layers of a map."""
        paint = paint_map(hd_map, RESOLUTION)
        paint[[0, -1], :], paint[:, [0, -1]] = GRASS, GRASS  # what lies outside repeats the border
        return cls(Pyramid.of_levels([paint], RESOLUTION), _color_pyramid(paint))

    def paint_at(self, xy: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Paint class [N] at points [2, N] [m]."""
        return self.paint.at(xy)

    def sample(
        self, xy: NDArray[np.float32], along: NDArray[np.float32], across: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Mean colour [3, N] in 0..1 over parallelograms around points [2, N] with the given sides [2, N] [m]."""
        paint, colors = self.paint, self.colors
        return mean_colors(
            xy, along, across, paint.texels, paint.shape, PACKED_PALETTE, colors.texels, colors.offset, colors.shape
        )


@compiled
def footprints(
    direction: NDArray[np.float32], norm: NDArray[np.float32], size: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What pixels of `size` [N] [m] show of the ground in directions [3, N] of lengths `norm` [N].

    Sine of the grazing angle [N] and the sides [2, N] [m] of a parallelogram, along the direction and across it.
    """
    grazing = np.maximum(-direction[2] / norm, np.float32(1e-3))
    ahead = direction[:2] / np.maximum(np.hypot(direction[0], direction[1]), np.float32(1e-6))
    return grazing, ahead * (size / grazing), np.stack([-ahead[1], ahead[0]]) * size


@compiled
def mean_colors(
    xy: NDArray[np.float32],
    along: NDArray[np.float32],
    across: NDArray[np.float32],
    paint: NDArray[np.uint8],
    paint_shape: NDArray[np.int32],
    palette: NDArray[np.uint32],
    colors: NDArray[np.uint32],
    offset: NDArray[np.int32],
    shape: NDArray[np.int32],
) -> NDArray[np.float32]:
    """As `GroundTexture.sample`, of texels and shapes of its pyramids; `palette` holds the colours of the paints."""
    fine_pyramid = Pyramid(paint, np.zeros(1, np.int32), paint_shape, RESOLUTION)
    coarse_pyramid = Pyramid(colors, offset, shape, 2.0 * RESOLUTION)
    size = np.maximum(np.hypot(*across), np.float32(0.25) * np.hypot(*along))
    is_fine = size < np.float32(2.0 * RESOLUTION)
    fine, coarse = np.flatnonzero(is_fine), np.flatnonzero(~is_fine)
    level = coarse_pyramid.level_of(size.take(coarse))
    total = np.zeros((xy.shape[1], 4), np.uint16)
    packed = np.empty(xy.shape[1], np.uint32)
    for a, b in TAPS:
        points = xy + (np.float32(a) * along + np.float32(b) * across)
        packed[fine] = palette.take(fine_pyramid.at(points.take(fine, 1)))
        packed[coarse] = coarse_pyramid.at(points.take(coarse, 1), level)
        total += packed.view(np.uint8).reshape(-1, 4)
    return np.ascontiguousarray(total.T[:3]) * np.float32(1.0 / (255 * len(TAPS)))


def _color_pyramid(paint: NDArray[np.uint8]) -> Pyramid:
    """Colours of half the resolution and coarser: every texel is the mean of 2 x 2, 4 x 4, ... paint pixels."""
    shapes = level_shapes((paint.shape[0], paint.shape[1]), LEVELS + 1)[1:]
    texels = np.empty(sum(rows * columns for rows, columns in shapes), np.uint32)
    pyramid_views, start = [], 0
    for rows, columns in shapes:
        pyramid_views.append(texels[start : start + rows * columns].view(np.uint8).reshape(rows, columns, 4))
        start += rows * columns
    _color_halved(paint, pyramid_views[0])
    for finer, coarser in zip(pyramid_views, pyramid_views[1:], strict=False):
        cv2.resize(finer, coarser.shape[1::-1], dst=coarser, interpolation=cv2.INTER_AREA)
    offset = np.cumsum([0, *(rows * columns for rows, columns in shapes)])[:-1].astype(np.int32)
    return Pyramid(texels, offset, np.ascontiguousarray(np.array(shapes, np.int32).T), 2.0 * RESOLUTION)


def _color_halved(paint: NDArray[np.uint8], half: NDArray[np.uint8]) -> None:
    """Write the colours of a paint raster [H, W] into an RGBA image of half its size."""
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(PALETTE), 0] = PALETTE
    for start in range(0, len(paint), STRIP):
        colors = cv2.applyColorMap(paint[start : start + STRIP], table)
        target = half[start // 2 : (start + STRIP) // 2]
        mean = cv2.resize(colors, target.shape[1::-1], interpolation=cv2.INTER_AREA)
        cv2.cvtColor(mean, cv2.COLOR_RGB2RGBA, dst=target)
