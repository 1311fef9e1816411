"""The re-detector: a small backbone per camera, a lift by geometry, and convolutions on the ground around the ego."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from drivesim.redetector.layout import BOX_GROUPS, EXTENT, MAP_GROUPS
from drivesim.redetector.lift import cell_centres, lift, points_above
from drivesim.weights_io import load_module

# Per cell: offset of the centre from the middle of the cell (x, y) [m], height of the centre [m], logarithms of width,
# length and height [m], sine and cosine of the heading.
BOX_NUMBERS = 8
_RARE = -4.0  # logit of a box centre before anything is learnt
SHIPPED = Path(__file__).parents[1] / "weights" / "redetector"


@dataclass(frozen=True)
class RedetectorConfig:
    """Sizes of the network."""

    widths: tuple[int, int, int] = (24, 40, 80)  # channels of the backbone at 1/2, 1/4 and 1/8 of the picture
    features: int = 48  # channels that are lifted
    ground: tuple[int, int, int] = (48, 64, 96)  # channels on the ground at cells of 1, 2 and 4 m
    heights: tuple[float, ...] = (0.0, 0.8, 2.0)  # [m] above the ground at which pictures are looked up


@dataclass(frozen=True, eq=False)
class Reading:
    """What the re-detector makes of B sets of pictures; all of it before any non-linearity."""

    cells: Tensor  # float32 [B, M, CELLS, CELLS] logits of MAP_GROUPS
    heat: Tensor  # float32 [B, G, CELLS, CELLS] logits of a box centre of BOX_GROUPS
    boxes: Tensor  # float32 [B, BOX_NUMBERS, CELLS, CELLS]


class _Block(nn.Module):
    """x + conv(relu(conv(relu(norm(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = _conv(channels, channels), _conv(channels, channels)
        nn.init.zeros_(second.weight)
        self.change = nn.Sequential(_norm(channels), nn.ReLU(), first, nn.ReLU(), second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


def _conv(inside: int, outside: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, stride, 1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // 8), channels)


def _head(inside: int, outside: int, start: float) -> nn.Sequential:
    """Two convolutions whose output begins around `start`."""
    last = nn.Conv2d(inside, outside, 1)
    nn.init.constant_(last.bias, start)  # type: ignore[arg-type]
    return nn.Sequential(_conv(inside, inside), nn.ReLU(), last)


class Backbone(nn.Module):
    """One picture at a time: features at a quarter of its size."""

    def __init__(self, config: RedetectorConfig) -> None:
        super().__init__()
        a, b, c = config.widths
        self.fine = nn.Sequential(_conv(3, a, 2), nn.ReLU(), _conv(a, b, 2), _Block(b))
        self.coarse = nn.Sequential(_conv(b, c, 2), _Block(c), _Block(c))
        self.lateral = nn.Conv2d(b, config.features, 1)
        self.down = nn.Conv2d(c, config.features, 1)
        self.out = _Block(config.features)

    def forward(self, pictures: Tensor) -> Tensor:
        """[N, 3, H, W] in -1..1 to [N, C, H / 4, W / 4]."""
        fine = self.fine(pictures)
        coarse = self.down(self.coarse(fine))
        return self.out(self.lateral(fine) + interpolate(coarse, fine.shape[-2:], mode="bilinear"))


class _Ground(nn.Module):
    """A small U-Net over the cells around the ego."""

    def __init__(self, inside: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.enter = nn.Sequential(nn.Conv2d(inside, a, 1), _Block(a))
        self.middle = nn.Sequential(_conv(a, b, 2), _Block(b), _Block(b))
        self.deep = nn.Sequential(_conv(b, c, 2), _Block(c), _Block(c))
        self.up_middle = nn.Conv2d(c, b, 1)
        self.merge = _Block(b)
        self.up = nn.Conv2d(b, a, 1)
        self.leave = nn.Sequential(_Block(a), _norm(a), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        near = self.enter(x)
        middle = self.middle(near)
        deep = interpolate(self.up_middle(self.deep(middle)), scale_factor=2.0, mode="bilinear")
        middle = self.merge(middle + deep)
        return self.leave(near + interpolate(self.up(middle), scale_factor=2.0, mode="bilinear"))


class Redetector(nn.Module):
    """Reads map cells and boxes from pictures of any rig. Holds weights and sizes only."""

    def __init__(self, config: RedetectorConfig) -> None:
        super().__init__()
        self.config = config
        levels = len(config.heights)
        self.backbone = Backbone(config)
        self.ground = _Ground(levels * (config.features + 1) + 3, config.ground)
        self.cells = nn.Conv2d(config.ground[0], len(MAP_GROUPS), 1)
        self.heat = _head(config.ground[0], len(BOX_GROUPS), _RARE)
        self.boxes = _head(config.ground[0], BOX_NUMBERS, 0.0)

    def forward(self, pictures: Tensor, intrinsics: Tensor, extrinsics: Tensor) -> Reading:
        """Pictures uint8 [B, V, H, W, 3]; cameras [B, V, 3, 3] (of pictures with height = width = 1) and [B, V, 4, 4]
        (camera to ego) as in Conditions. Raises ValueError where their shapes do not agree."""
        batch, views = pictures.shape[:2]
        for name, given, tail in (("intrinsics", intrinsics, (3, 3)), ("extrinsics", extrinsics, (4, 4))):
            if given.shape != (batch, views, *tail):
                raise ValueError(f"{name}: found shape {tuple(given.shape)}, accepted {(batch, views, *tail)}")
        features = self.features(pictures)
        points = points_above(self.config.heights, pictures.device)
        with torch.autocast(pictures.device.type, enabled=False):
            lifted = lift(features, points, intrinsics, extrinsics)
        ground = self._on_ground(lifted)
        whole = self.ground(ground.to(features.dtype).contiguous(memory_format=torch.channels_last))
        return Reading(self.cells(whole).float(), self.heat(whole).float(), self.boxes(whole).float())

    def features(self, pictures: Tensor) -> Tensor:
        """Features [B, V, C, H / 4, W / 4] of pictures uint8 [B, V, H, W, 3]."""
        dtype = next(self.parameters()).dtype
        planes = pictures.flatten(0, 1).permute(0, 3, 1, 2).to(dtype) / 127.5 - 1.0
        return self.backbone(planes.contiguous(memory_format=torch.channels_last)).unflatten(0, pictures.shape[:2])

    def _on_ground(self, lifted: Tensor) -> Tensor:
        """Channels [B, *, CELLS, CELLS] of lifted points [B, C, heights * CELLS * CELLS] and the place of each."""
        xy = cell_centres(lifted.device).permute(2, 0, 1) / EXTENT
        place = torch.cat([xy, xy.norm(dim=0, keepdim=True)])
        levels = lifted.unflatten(-1, (len(self.config.heights), *xy.shape[1:])).transpose(1, 2).flatten(1, 2)
        return torch.cat([levels, place.expand(len(levels), *place.shape)], dim=1)


def load_redetector(folder: Path | str | None = None) -> Redetector:
    """The re-detector of a weights folder, by default the shipped one; WeightsError with the reason without one."""
    return _load(Path(folder) if folder is not None else SHIPPED)


@lru_cache(maxsize=2)
def _load(folder: Path) -> Redetector:
    return load_module(folder, "redetector", lambda raw: Redetector(RedetectorConfig(**raw))).eval()
