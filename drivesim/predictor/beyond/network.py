"""The network that completes a map: from what is mapped of a patch to the classes of all of its cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle, relu

from drivesim.predictor.beyond.grid import CLASSES, ROAD
from drivesim.weights_io import load_module

SHIPPED = Path(__file__).resolve().parents[2] / "weights" / "predictor_map"
_DILATIONS = (1, 2, 3, 1)


@dataclass(frozen=True)
class MapNetworkConfig:
    """Channels at cells of 2, 4 and 8 m."""

    widths: tuple[int, int, int] = (24, 48, 80)


class _Block(nn.Module):
    """relu(norm(conv(x)))."""

    def __init__(self, inside: int, outside: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, stride, dilation, dilation)
        self.norm = nn.GroupNorm(8, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Input [B, C, H, W]."""
        return relu(self.norm(self.conv(x)))


class MapNetwork(nn.Module):
    """Logits [B, C, H, W] of CLASSES from known cells; H and W divisible by 8.

    `cells` [B, C, H, W] are the classes, `known` [B, 2, H, W] says where the drivable area and where everything else is
    mapped; what `cells` hold elsewhere is not looked at.
    """

    def __init__(self, config: MapNetworkConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths
        self.enter = nn.Sequential(_Block(4 * (len(CLASSES) + 2), fine), _Block(fine, fine))
        self.down = nn.Sequential(_Block(fine, middle, 2), _Block(middle, middle))
        self.deep = nn.ModuleList(
            [_Block(middle, coarse, 2), *(_Block(coarse, coarse, 1, dilation) for dilation in _DILATIONS)]
        )
        self.up = nn.Sequential(_Block(coarse + middle, middle), _Block(middle, middle))
        self.leave = nn.Sequential(_Block(middle + fine, fine), nn.Conv2d(fine, 4 * len(CLASSES), 3, 1, 1))

    def forward(self, cells: Tensor, known: Tensor) -> Tensor:
        """Logits [B, C, H, W] for `cells` [B, C, H, W] and `known` [B, 2, H, W]."""
        x = torch.cat([cells * known_of_classes(known), known], 1)
        fine = self.enter(pixel_unshuffle(x, 2))
        middle = self.down(fine)
        first, *others = self.deep
        deep = first(middle)
        for block in others:
            deep = deep + block(deep)
        middle = self.up(torch.cat([interpolate(deep, scale_factor=2.0), middle], 1))
        return pixel_shuffle(self.leave(torch.cat([interpolate(middle, scale_factor=2.0), fine], 1)), 2)


def known_of_classes(known: Tensor) -> Tensor:
    """Where each class is mapped [B, C, H, W], from `known` [B, 2, H, W]."""
    index = torch.ones(len(CLASSES), dtype=torch.long, device=known.device)
    index[ROAD] = 0
    return known[:, index]


def load_map_network(folder: str | Path) -> MapNetwork:
    """The network of a weights folder; WeightsError with the reason if there is none."""
    return load_module(Path(folder), "predictor_map", lambda raw: MapNetwork(MapNetworkConfig(**raw))).eval()


@lru_cache(maxsize=4)
def _loaded(folder: Path) -> MapNetwork:
    return load_map_network(folder).requires_grad_(False)


def shipped_map_network(weights: str | Path | None = None) -> MapNetwork:
    """The network of a weights folder, by default the shipped one; loaded once. WeightsError if there is none."""
    return _loaded(SHIPPED if weights is None else Path(weights).resolve())
