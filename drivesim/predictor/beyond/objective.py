"""What the map network learns from: the cells that it was not shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from drivesim.predictor.beyond.network import MapNetwork, known_of_classes


@dataclass(frozen=True)
class MapObjectiveConfig:
    """Weights of the losses."""

    cells: float = 1.0  # cross entropy
    overlap: float = 0.3  # soft Dice, so that thin classes count as much as wide ones


class MapObjective(nn.Module):
    """Loss of a map network on patches, see `drivesim.predictor.beyond.patches`."""

    def __init__(self, network: MapNetwork, config: MapObjectiveConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def loss(self, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Weighted sum of both parts over the cells that were not known, and the parts."""
        logits = self.network(batch["cells"], batch["known"]).float()
        unknown = 1.0 - known_of_classes(batch["known"])
        cells = masked_cross_entropy(logits, batch["cells"], unknown)
        overlap = masked_dice(logits, batch["cells"], unknown)
        loss = self.config.cells * cells + self.config.overlap * overlap
        return loss, {"cells": cells.detach(), "overlap": overlap.detach()}


def masked_cross_entropy(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean binary cross entropy [B, C, H, W] over the entries where `mask` is 1; zero where there are none."""
    loss = binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss * mask).sum() / mask.sum().clamp(min=1.0)


def masked_dice(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """1 - (2 |p t| + 1) / (|p| + |t| + 1) over the batch and all entries of a class where `mask` is 1, p the
    probabilities; mean over classes (Milletari et al. 2016, with |p| in place of |p|^2)."""
    p, t = logits.sigmoid() * mask, target * mask
    axes = (0, 2, 3)
    return (1.0 - (2.0 * (p * t).sum(axes) + 1.0) / ((p + t).sum(axes) + 1.0)).mean()


@torch.inference_mode()
def probabilities(network: MapNetwork, cells: Tensor, known: Tensor) -> Tensor:
    """Probability of every class in every cell [B, C, H, W]; what is known as it is."""
    mapped = known_of_classes(known)
    return torch.where(mapped > 0.5, cells, network(cells, known).sigmoid())
