"""What the re-detector learns from: filled cells and seen boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, logsigmoid

from drivesim.redetector.layout import BOX_GROUPS, CELL, CELLS, EXTENT, Boxes
from drivesim.redetector.network import BOX_NUMBERS, Redetector

_SMALLEST_SPREAD = 0.6  # cells, of the peak around the centre of a small box


@dataclass(frozen=True)
class RedetectorObjectiveConfig:
    """Weights of the parts of the loss."""

    cells: float = 1.0
    overlap: float = 1.0  # soft Dice, so that thin classes count as much as wide ones
    heat: float = 1.0
    boxes: float = 0.5


class RedetectorObjective(nn.Module):
    """Loss of a re-detector on batches of `LayoutPictures`."""

    def __init__(self, redetector: Redetector, config: RedetectorObjectiveConfig) -> None:
        super().__init__()
        self.redetector = redetector
        self.config = config

    def loss(self, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Weighted sum of all parts, and the parts."""
        c = self.config
        reading = self.redetector(batch["pictures"], batch["intrinsics"], batch["extrinsics"])
        targets = [box_targets(boxes) for boxes in batch["boxes"]]
        heat, numbers, centres = (torch.stack(parts).to(reading.heat.device) for parts in zip(*targets, strict=True))
        parts = {
            "cells": binary_cross_entropy_with_logits(reading.cells, batch["cells"]),
            "overlap": dice_loss(reading.cells, batch["cells"]),
            "heat": focal_loss(reading.heat, heat),
            "boxes": l1_loss(
                reading.boxes.permute(0, 2, 3, 1)[centres], numbers[centres], reduction="sum"
            ) / max(int(centres.sum()), 1),
        }  # fmt: skip
        loss = sum((getattr(c, name) * value for name, value in parts.items()), torch.zeros(()))
        return loss, {name: value.detach() for name, value in parts.items()}


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - 2 |p t| / (|p| + |t|), p and t summed over the batch and all cells of a class; mean over classes."""
    p = logits.sigmoid()
    axes = (0, 2, 3)
    return (1.0 - (2.0 * (p * target).sum(axes) + 1.0) / ((p + target).sum(axes) + 1.0)).mean()


def focal_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Penalty-reduced focal loss of centre heat maps (Zhou et al. 2019, "Objects as Points", equation 1; alpha 2,
    beta 4), over the number of peaks."""
    peak = heat == 1.0
    p = logits.sigmoid()
    positive = (1.0 - p) ** 2 * logsigmoid(logits) * peak
    negative = (1.0 - heat) ** 4 * p**2 * logsigmoid(-logits) * ~peak
    return -(positive.sum() + negative.sum()) / peak.sum().clamp(min=1)


def box_targets(boxes: Boxes) -> tuple[Tensor, Tensor, Tensor]:
    """Heat map [G, CELLS, CELLS] with a peak of 1 in the cell of every centre, box numbers [CELLS, CELLS, BOX_NUMBERS]
    and the mask [CELLS, CELLS] of cells that hold a centre."""
    heat = np.zeros((len(BOX_GROUPS), CELLS, CELLS), np.float32)
    numbers, centres = np.zeros((CELLS, CELLS, BOX_NUMBERS), np.float32), np.zeros((CELLS, CELLS), bool)
    place = np.clip(((EXTENT - boxes.centre[:, :2]) / CELL).astype(int), 0, CELLS - 1)
    row, column = place.T
    middle = EXTENT - CELL * (place + 0.5)
    grid = np.arange(CELLS)
    spread = np.maximum(_SMALLEST_SPREAD, 0.2 * boxes.size[:, :2].mean(-1) / CELL)
    for group, r, c, s in zip(boxes.group, row, column, spread):
        bump = np.exp(-((grid[:, None] - r) ** 2 + (grid[None] - c) ** 2) / (2.0 * s * s))
        np.maximum(heat[group], bump, out=heat[group])
    heat[boxes.group, row, column] = 1.0
    offset = boxes.centre[:, :2] - middle
    heading = np.stack([np.sin(boxes.yaw), np.cos(boxes.yaw)], axis=-1)
    numbers[row, column] = np.concatenate([offset, boxes.centre[:, 2:], np.log(boxes.size), heading], axis=-1)
    centres[row, column] = True
    return torch.from_numpy(heat), torch.from_numpy(numbers), torch.from_numpy(centres)
