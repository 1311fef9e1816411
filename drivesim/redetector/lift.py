"""From pictures to the ground around the ego by geometry alone: points above every cell look up what cameras show there
(inverse perspective mapping at several heights, as in SimpleBEV, Harley et al. 2023, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from drivesim.redetector.layout import CELL, CELLS, EXTENT

NEAREST = 0.3  # [m] depth before which nothing is looked up


def cell_centres(device: torch.device) -> Tensor:
    """Ego coordinates (x, y) [CELLS, CELLS, 2] [m] of the middles of all cells."""
    ahead = EXTENT - CELL * (torch.arange(CELLS, device=device, dtype=torch.float32) + 0.5)
    return torch.stack(torch.meshgrid(ahead, ahead, indexing="ij"), dim=-1)


def points_above(heights: tuple[float, ...], device: torch.device) -> Tensor:
    """Points [len(heights) * CELLS * CELLS, 3] [m] of the ego frame, all cells of the first height first."""
    xy = cell_centres(device).reshape(-1, 2)
    levels = [torch.cat([xy, torch.full_like(xy[:, :1], height)], dim=-1) for height in heights]
    return torch.cat(levels)


def projections(points: Tensor, intrinsics: Tensor, extrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Places (u, v) in [0, 1] [B, V, P, 2] of ego points [P, 3] in cameras [B, V, ...] (pictures of height = width =
    1), and how far inside the picture they are [B, V, P], negative outside and behind."""
    rotation, position = extrinsics[..., :3, :3], extrinsics[..., :3, 3]
    camera = (points - position[..., None, :]) @ rotation
    pixels = camera @ intrinsics.transpose(-1, -2)
    depth = camera[..., 2]
    places = pixels[..., :2] / depth.clamp(min=NEAREST)[..., None]
    inside = torch.minimum(places, 1.0 - places).amin(-1)
    return places, torch.where(depth > NEAREST, inside, -1.0)


def lift(features: Tensor, points: Tensor, intrinsics: Tensor, extrinsics: Tensor) -> Tensor:
    """Features [B, V, C, h, w] at ego points [P, 3], bilinear, from the camera that shows a point farthest from its
    rim; zero where none does. [B, C + 1, P], the last channel says whether one does."""
    batch, views, channels, height, width = features.shape
    places, inside = projections(points, intrinsics.float(), extrinsics.float())
    best, view = inside.max(dim=1)  # [B, P]
    shown = (best > 0.0).float()[:, None]
    place = places.gather(1, view[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]
    # All pictures in one column, so that one look-up serves all cameras; half a pixel from the rim nothing bleeds over.
    column = (place[..., 0] * width).clamp(0.5, width - 0.5) / width
    row = (place[..., 1] * height).clamp(0.5, height - 0.5) / height
    grid = 2.0 * torch.stack([column, (row + view) / views], dim=-1) - 1.0
    tower = features.float().transpose(1, 2).reshape(batch, channels, views * height, width)
    values = grid_sample(tower, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False)[:, :, 0]
    return torch.cat([values * shown, shown], dim=1)
