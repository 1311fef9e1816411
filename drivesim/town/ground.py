"""Appearance of the ground plane: the painted map as a texture with levels of detail."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.scene import HdMap
from drivesim.town.paint import GRASS, PALETTE, paint_map
from drivesim.town.pyramid import Pyramid, halved

RESOLUTION = 0.1  # of the finest level [m/px]
LEVELS = 7  # of coloured texture
STRIP = 256  # rows that are coloured at once, so that they stay in the cache of the processor
# Where four samples lie in the footprint of a pixel: along its long axis, across it.
TAPS = np.array([[-0.375, 0.125], [-0.125, -0.375], [0.125, 0.375], [0.375, -0.125]], np.float32)
PACKED_PALETTE = np.zeros(256, np.uint32)
PACKED_PALETTE[: len(PALETTE)] = np.pad(PALETTE, ((0, 0), (0, 1)), constant_values=255).view(np.uint32).ravel()


@dataclass(frozen=True)
class GroundTexture:
    """Paint classes at full resolution and colours of all coarser levels of one map; points relative to its lower corner."""

    paint: Pyramid  # uint8 classes, one level
    colors: Pyramid  # uint32 packed RGBA, from twice the resolution on

    @classmethod
    def of_map(cls, hd_map: HdMap) -> GroundTexture:
        """Draw the layers of a map."""
        paint = paint_map(hd_map, RESOLUTION)
        paint[[0, -1], :], paint[:, [0, -1]] = GRASS, GRASS  # what lies outside repeats the border
        levels = [cv2.cvtColor(level, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0] for level in halved(_coloured(paint), LEVELS)]
        return cls(Pyramid.of_levels([paint], RESOLUTION), Pyramid.of_levels(levels, 2.0 * RESOLUTION))

    def paint_at(self, xy: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Paint class [N] at points [N, 2] [m]."""
        return self.paint.at(xy, np.zeros(len(xy), np.int32))

    def sample(self, xy: NDArray[np.float32], along: NDArray[np.float32], across: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean colour [N, 3] in 0..1 over parallelograms around points [N, 2] with sides `along`, `across` [N, 2] [m]."""
        size = np.maximum(np.hypot(across[:, 0], across[:, 1]), 0.25 * np.hypot(along[:, 0], along[:, 1]))
        is_fine = size < 2.0 * RESOLUTION
        fine, coarse = np.flatnonzero(is_fine), np.flatnonzero(~is_fine)
        level = self.colors.level_of(size.take(coarse))
        total = np.zeros((len(xy), 4), np.uint16)
        packed = np.empty(len(xy), np.uint32)
        for a, b in TAPS:
            points = xy + a * along + b * across
            packed[fine] = PACKED_PALETTE.take(self.paint_at(points.take(fine, 0)))
            packed[coarse] = self.colors.at(points.take(coarse, 0), level)
            total += packed.view(np.uint8).reshape(-1, 4)
        return total[:, :3] * np.float32(1.0 / (255 * len(TAPS)))


def _coloured(paint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB image of half the resolution, every pixel the mean colour of 2 x 2 paint pixels."""
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(PALETTE), 0] = PALETTE
    rows, columns = paint.shape
    half = np.empty(((rows + 1) // 2, (columns + 1) // 2, 3), np.uint8)
    for start in range(0, rows, STRIP):
        colors = cv2.applyColorMap(paint[start : start + STRIP], table)
        target = half[start // 2 : (start + STRIP) // 2]
        cv2.resize(colors, target.shape[1::-1], dst=target, interpolation=cv2.INTER_AREA)
    return half
