"""Colours that the first frame shows for each kind of ground and for the sky, and what they tell of later frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from drivesim.conditions import LAYOUT_CHANNELS
from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES

PAINT_CHANNELS = 4  # red, green, blue, ignorance
NEAR = 0.06  # steeper downward rays than this meet the ground within some 25 m and mostly show it
_PRECISION = 1.0  # of the prior, in pixels: colours that fewer pixels have shown are hardly known
_ROUNDS = 3  # of the fit, each with less regard for the ground that the one before did not explain
_SCALE = 0.12  # residual of a colour [of -1, 1] from which on a pixel of the ground counts less than half
_STRIPES = LAYOUT_CHANNELS.index("stripes")


@dataclass(frozen=True)
class Palette:
    """Bayesian linear regression from what a layout says of a pixel to its colour, one for each of B worlds."""

    color: Tensor  # float32 [B, F, 3], mean of the coefficients
    doubt: Tensor  # float32 [B, F, F], their covariance in units of the prior's

    def take(self, worlds: Sequence[int]) -> Palette:
        """The palettes of some worlds, in memory of their own."""
        rows = list(worlds)
        return Palette(self.color[rows], self.doubt[rows])

    def put(self, worlds: Sequence[int], part: Palette) -> None:
        """Writes other palettes over those of some worlds, in place."""
        rows = list(worlds)
        self.color[rows], self.doubt[rows] = part.color, part.doubt

    def where(self, worlds: Tensor, other: Palette) -> Palette:
        """This palette in the worlds of a mask bool [B], the other one elsewhere."""
        chosen = worlds[:, None, None]
        return Palette(torch.where(chosen, self.color, other.color), torch.where(chosen, self.doubt, other.doubt))


def fit_palette(pictures: Tensor, layout: Tensor, rays: Tensor) -> Palette:
    """Palettes of pictures [B, V, 3, H, W] in [-1, 1] of layouts uint8 [B, V, h, w, C] seen along rays [B, V, h, w, 3].

    Boxes do not count, nor what stands on distant ground, and little counts what stands on near ground or lies in the
    shade: pixels far from the fit are reweighted (Cauchy weights, as in robust regression). Colours of classes that the
    pictures lack stay close to that of the ground as a whole (ridge regression; its covariance tells which they are).
    """
    with torch.autocast(pictures.device.type, enabled=False):
        size = (layout.shape[2], layout.shape[3])
        color = adaptive_avg_pool2d(pictures.flatten(0, 1).float(), size).unflatten(0, pictures.shape[:2])
        color = color.permute(0, 1, 3, 4, 2).flatten(1, 3)
        said = _described(layout, rays).flatten(1, 3)
        boxes = layout[..., len(MAP_CLASSES) : len(MAP_CLASSES) + len(OBJECT_CLASSES)].amax(-1) > 0
        height = rays[..., 2]
        counts = (~boxes & ((height < -NEAR) | (height > 0.0))).flatten(1, 3)[..., None]
        ground = (height < 0.0).flatten(1, 3)[..., None]
        prior = _PRECISION * torch.eye(said.shape[-1], device=said.device)
        weight = counts.float()
        for last in (*[False] * _ROUNDS, True):
            weighted = (said * weight).transpose(1, 2)
            doubt = torch.linalg.inv(weighted @ said + prior)
            coefficients = doubt @ (weighted @ color)
            if not last:
                residual = (color - said @ coefficients).square().mean(-1, keepdim=True) / _SCALE**2
                weight = counts / (1.0 + residual * ground)
        return Palette(coefficients, _PRECISION * doubt)


def paint(palette: Palette, layout: Tensor, rays: Tensor) -> Tensor:
    """Planes [B * V, PAINT_CHANNELS, h, w] for layouts uint8 [B, V, h, w, C]: the colours [-1, 1] that the palette
    tells, and how little it knows them (0 well known, 1 never seen)."""
    with torch.autocast(layout.device.type, enabled=False):
        said = _described(layout, rays)
        flat = said.flatten(1, 3)
        color = flat @ palette.color
        ignorance = ((flat @ palette.doubt) * flat).sum(-1, keepdim=True) / flat.square().sum(-1, keepdim=True)
        planes = torch.cat([color.clamp(-1.0, 1.0), ignorance], dim=-1).unflatten(1, said.shape[1:4])
        return planes.flatten(0, 1).permute(0, 3, 1, 2)


def _described(layout: Tensor, rays: Tensor) -> Tensor:
    """What is said of each pixel [B, V, h, w, F]: below the horizon the coverage of the map classes and of stripes,
    one, and the steepness of its ray; above it one and the steepness."""
    assert LAYOUT_CHANNELS[: len(MAP_CLASSES)] == MAP_CLASSES
    height = rays[..., 2:].float()
    below = (height < 0.0).float()
    told = torch.cat([layout[..., : len(MAP_CLASSES)], layout[..., _STRIPES : _STRIPES + 1]], dim=-1)
    ground = torch.cat([told.float() / 255.0, torch.ones_like(height), -height], dim=-1)
    return torch.cat([ground * below, 1.0 - below, (1.0 - below) * height], dim=-1)
