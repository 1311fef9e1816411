"""The cheapest eyes: draws the conditions themselves, flat colours for map classes and shaded boxes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.conditions import LAYOUT_CHANNELS, Conditions, ConditionSpec
from drivesim.generators.interface import Batch, GeneratorSpec
from drivesim.scene import MAP_CLASSES

# Painted in this order, later over earlier.
MAP_COLORS = {
    "walkway": (150, 140, 130), "drivable_area": (70, 72, 78), "carpark_area": (90, 88, 100),
    "ped_crossing": (190, 190, 200), "stop_line": (235, 235, 235), "lane_divider": (225, 225, 225),
    "road_divider": (235, 190, 60), "road_block": (200, 90, 60),
}  # fmt: skip
OBJECT_COLORS = np.array([
    [255, 158, 0], [255, 99, 71], [233, 150, 70], [255, 127, 80], [255, 140, 0],
    [112, 128, 144], [255, 61, 99], [220, 20, 60], [60, 110, 240], [47, 79, 79],
], np.float32)  # fmt: skip
_PIXEL = np.dtype({
    "names": ["map", "classes", "last_classes", "depth", "face"],
    "formats": ["u8", "u8", "u2", "u1", "u1"],
    "offsets": list(map(LAYOUT_CHANNELS.index, ("drivable_area", "car", "pedestrian", "inverse_depth", "face"))),
    "itemsize": len(LAYOUT_CHANNELS),
})  # fmt: skip
SKY, GRASS = (176, 196, 214), (112, 132, 96)


class LayoutGenerator:
    """Pictures of the layout [B, T, V, H, W, 3]; stateless."""

    def __init__(self, image_size: tuple[int, int] = (72, 128)) -> None:
        size = (int(image_size[0]), int(image_size[1]))
        self.spec = GeneratorSpec(size, ConditionSpec(size))

    def start(self, history: Tensor | None, conditions: Conditions, seeds: Sequence[int]) -> None:
        """Nothing to remember."""

    def step(self, state: None, conditions: Conditions) -> tuple[Tensor, None]:
        """Pictures uint8 [B, T, V, H, W, 3] of the conditions."""
        return torch.from_numpy(paint(conditions.layout.numpy())), None

    def commit(self, state: None) -> None:
        """Nothing to refresh."""

    def take(self, state: None, worlds: Sequence[int]) -> None:
        """Nothing to copy."""

    def put(self, state: None, worlds: Sequence[int], part: None) -> None:
        """Nothing to replace."""

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Raises TypeError: there is nothing to train."""
        raise TypeError("generator 'layout' has no weights and cannot be trained")


def paint(layout: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours [..., 3] of layouts [..., C] (channels LAYOUT_CHANNELS).

    Coverage is rounded to thirds, so that the eight classes of a pixel are one place in a table of colours.
    """
    pixels = np.ascontiguousarray(layout).view(_PIXEL)[..., 0]
    lines = pixels.reshape(-1, pixels.shape[-1])
    is_ground = lines["depth"] != 0
    sky = _word(np.array(SKY))
    grid = np.full(lines.shape, sky)
    rows = np.flatnonzero(is_ground.any(axis=1))
    grid[rows] = np.where(is_ground[rows], _ground_colors().take(_coverage_codes(lines["map"][rows])), sky)
    flat, colors = pixels.reshape(-1), grid.reshape(-1)
    boxes = np.flatnonzero(flat["face"] != 0)
    colors[boxes] = _box_colors()[_classes(flat["classes"][boxes], flat["last_classes"][boxes]), flat["face"][boxes]]
    picture = np.empty((*pixels.shape, 3), np.uint8)
    cv2.cvtColor(grid.view(np.uint8).reshape(*grid.shape, 4), cv2.COLOR_RGBA2RGB, dst=picture.reshape(*grid.shape, 3))
    return picture


def _coverage_codes(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Coverage of eight classes (bytes 0..255 of a word) in thirds, two bits per class, as a number of 16 bits."""
    thirds = words >> np.uint64(2)
    thirds &= np.uint64(0x3F3F3F3F3F3F3F3F)
    np.subtract(words, thirds, out=thirds)
    thirds += np.uint64(0x2020202020202020)  # so that the two upper bits of every byte are round(3 / 255 * coverage)
    thirds >>= np.uint64(6)
    thirds &= np.uint64(0x0303030303030303)
    thirds |= thirds >> np.uint64(6)
    thirds &= np.uint64(0x000F000F000F000F)
    thirds *= np.uint64(0x0001001001001000)  # moves four bits each from 0, 16, 32, 48 to 48, 52, 56, 60
    thirds >>= np.uint64(48)
    return thirds.view(np.int64)


def _classes(first: NDArray[np.uint64], last: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Which byte of ten is set: one of eight in `first`, else one of two in `last`."""
    ones = first & np.uint64(0x0101010101010101)
    ones *= np.uint64(0x0102030405060708)  # byte k times 256**(7 - k) (k + 1): the topmost byte is the sum
    ones >>= np.uint64(56)
    return np.where(ones == 0, np.uint64(8) + (last >> np.uint16(15)), ones - np.uint64(1))


def _word(color: NDArray) -> NDArray[np.uint32]:
    """RGB [..., 3] (0..255) as words [...] with the bytes R, G, B, 0 in memory."""
    padded = np.zeros((*color.shape[:-1], 4), np.uint8)
    padded[..., :3] = color
    return padded.view(np.uint32)[..., 0]


@cache
def _ground_colors() -> NDArray[np.uint32]:
    """Colour words of all `_coverage_codes` [65536]."""
    codes = np.arange(1 << 16)
    color = np.broadcast_to(np.array(GRASS, np.float32), (len(codes), 3))
    for name, over in MAP_COLORS.items():
        part = ((codes >> 2 * MAP_CLASSES.index(name)) & 3)[:, None] / 3.0
        color = color * (1.0 - part) + np.array(over) * part
    return _word(color)


@cache
def _box_colors() -> NDArray[np.uint32]:
    """Colour words of all classes and face codes [10, 256]."""
    return _word(OBJECT_COLORS[:, None] * (0.45 + 0.55 * np.arange(256)[:, None] / 255.0))
