"""The cheapest eyes: draws the conditions themselves, flat colours for map classes and shaded boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drivesim.conditions import LAYOUT_CHANNELS, Conditions, ConditionSpec
from drivesim.generators.interface import Batch, GeneratorSpec
from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES

# Painted in this order, later over earlier.
MAP_COLORS = {
    "walkway": (150, 140, 130), "drivable_area": (70, 72, 78), "carpark_area": (90, 88, 100), "ped_crossing": (190, 190, 200),
    "stop_line": (235, 235, 235), "lane_divider": (225, 225, 225), "road_divider": (235, 190, 60), "road_block": (200, 90, 60),
}  # fmt: skip
OBJECT_COLORS = np.array([
    [255, 158, 0], [255, 99, 71], [233, 150, 70], [255, 127, 80], [255, 140, 0],
    [112, 128, 144], [255, 61, 99], [220, 20, 60], [60, 110, 240], [47, 79, 79],
], np.float32)  # fmt: skip
SKY, GRASS = (176, 196, 214), (112, 132, 96)


class LayoutGenerator:
    """Pictures of the layout [B, T, V, H, W, 3]; stateless."""

    def __init__(self, image_size: tuple[int, int] = (72, 128)) -> None:
        self.spec = GeneratorSpec(tuple(image_size), ConditionSpec(tuple(image_size)))

    def start(self, history: Tensor | None, conditions: Conditions, seeds: Sequence[int]) -> None:
        """Nothing to remember."""

    def step(self, state: None, conditions: Conditions) -> tuple[Tensor, None]:
        """Pictures uint8 [B, T, V, H, W, 3] of the conditions."""
        return torch.from_numpy(paint(conditions.layout.numpy())), None

    def commit(self, state: None) -> None:
        """Nothing to refresh."""

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Raises TypeError: there is nothing to train."""
        raise TypeError("generator 'layout' has no weights and cannot be trained")


def paint(layout: np.ndarray) -> np.ndarray:
    """Colours [..., 3] uint8 of layouts [..., C] uint8 (channels LAYOUT_CHANNELS)."""
    depth = layout[..., LAYOUT_CHANNELS.index("inverse_depth")]
    picture = np.where((depth > 0)[..., None], np.uint8(GRASS), np.uint8(SKY))
    for name, color in MAP_COLORS.items():
        coverage = layout[..., MAP_CLASSES.index(name)]
        where = np.nonzero(coverage)
        part = coverage[where].astype(np.float32)[:, None] / 255.0
        picture[where] = picture[where] * (1 - part) + np.float32(color) * part
    face = layout[..., LAYOUT_CHANNELS.index("face")]
    where = np.nonzero(face)
    boxes = layout[where]
    classes = boxes[:, len(MAP_CLASSES) : len(MAP_CLASSES) + len(OBJECT_CLASSES)].argmax(-1)
    picture[where] = OBJECT_COLORS[classes] * (0.45 + 0.55 * boxes[:, -1:].astype(np.float32) / 255.0)
    return picture
