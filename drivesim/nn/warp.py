"""Pictures of the previous frame as the cameras would see them now, through known or estimated distance."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize, pad

Result = TypeVar("Result")


def _exact(geometry: Callable[..., Result]) -> Callable[..., Result]:
    """Keeps a function of geometry out of mixed precision: half a pixel is lost in bfloat16."""

    @wraps(geometry)
    def wrapped(first: Tensor, *rest: Any) -> Result:
        with torch.autocast(first.device.type, enabled=False):
            return geometry(first, *rest)

    return wrapped


@_exact
def viewing_rays(intrinsics: Tensor, extrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Unit viewing directions [B, V, h, w, 3] in the ego frame; K [B, V, 3, 3] of unit pictures, poses [B, V, 4, 4]."""
    pixel = pad(pixel_centres(size, intrinsics.device), (0, 1), value=1.0).to(intrinsics)
    camera = torch.einsum("bvij,hwj->bvhwi", torch.linalg.inv(intrinsics), pixel)
    return normalize(torch.einsum("bvij,bvhwj->bvhwi", extrinsics[..., :3, :3], camera), dim=-1)


@_exact
def points_along(rays: Tensor, extrinsics: Tensor, motion: Tensor, distance: Tensor) -> Tensor:
    """Points [B, K, V, h, w, 3] in the previous ego frame at K distances [B, K, V, h, w] [m] along the current rays.

    Rays [B, V, h, w, 3] and poses [B, V, 4, 4] of the cameras are in the current ego frame, `motion` [B, 4, 4] leads
    from there to the previous one.
    """
    centres = camera_centres(extrinsics, motion)
    directions = (motion[:, None, None, None, :3, :3] @ rays[..., None])[..., 0]
    return centres[:, None, :, None, None] + distance[..., None] * directions[:, None]


@_exact
def camera_centres(extrinsics: Tensor, motion: Tensor) -> Tensor:
    """Where the cameras are now [B, V, 3], in the previous ego frame."""
    return (motion[:, None, :3, :3] @ extrinsics[..., :3, 3, None])[..., 0] + motion[:, None, :3, 3]


def is_ground(points: Tensor) -> Tensor:
    """Which of the known surface points [..., 3] (NaN where unknown) lie on the ground plane."""
    return points[..., 2].abs() < 0.05


@_exact
def project_to_ring(points: Tensor, intrinsics: Tensor, extrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the ring sees ego points [B, K, V, h, w, 3]: camera [B, K, V, h, w], (u, v) in [0, 1] [..., 2], seen.

    A pixel's own camera is asked first, then its left and its right neighbour.
    """
    views = points.shape[2]
    own = torch.arange(views, device=points.device)
    candidates = torch.stack([own, (own - 1) % views, (own + 1) % views])  # [3, V]
    rotation = extrinsics[..., :3, :3].transpose(-1, -2)
    matrix = intrinsics @ rotation  # [B, V, 3, 3]
    offset = extrinsics[..., :3, 3]
    local = points[:, None] - offset[:, candidates][:, :, None, :, None, None]
    uvw = (matrix[:, candidates][:, :, None, :, None, None] @ local[..., None])[..., 0]  # [B, 3, K, V, h, w, 3]
    depth = uvw[..., 2]
    uv = uvw[..., :2] / depth.clamp_min(1e-3)[..., None]
    inside = (depth > 0.1) & (uv > 0.0).all(-1) & (uv < 1.0).all(-1)
    rank = torch.where(inside[:, 0], 0, torch.where(inside[:, 1], 1, torch.where(inside[:, 2], 2, 0)))
    chosen = uv.gather(1, rank[:, None, ..., None].expand(-1, 1, *uv.shape[2:]))[:, 0]
    camera = candidates[rank, own[:, None, None].expand_as(rank[0, 0])]
    return camera, chosen, inside.any(1)


def pixel_centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """(u, v) in [0, 1] of every pixel's centre [h, w, 2]."""
    h, w = size
    v, u = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    return torch.stack([u, v], dim=-1).to(device)


def refine(camera: Tensor, uv: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """Look-ups [..., h, w] and [..., h, w, 2] on a grid finer by `times`; the pixels of a cell share its displacement.

    Displacements vary slowly but for the outlines of things, and there an interpolated one would be wrong for both
    sides.
    """
    size = (uv.shape[-3], uv.shape[-2])
    shift = uv - pixel_centres(size, uv.device)
    shift = shift.repeat_interleave(times, -3).repeat_interleave(times, -2)
    camera = camera.repeat_interleave(times, -2).repeat_interleave(times, -1)
    return camera, shift + pixel_centres((times * size[0], times * size[1]), uv.device)


def sample_ring(pictures: Tensor, camera: Tensor, uv: Tensor, mode: str = "bicubic") -> Tensor:
    """Samples [B, K, V, C, h, w] of pictures [B, V, C, H, W] at (u, v) of the given cameras.

    Bicubic by default: what is warped again and again stays sharp.
    """
    b, views, c, height, width = pictures.shape
    atlas = pictures.transpose(1, 2).reshape(b, c, views * height, width)
    row = (uv[..., 1] * height).clamp(0.5, height - 0.5) + camera * height
    grid = torch.stack([2.0 * uv[..., 0] - 1.0, 2.0 * row / (views * height) - 1.0], dim=-1)
    _, k, _, h, w = camera.shape
    flat = grid.reshape(b, k * views * h, w, 2).to(pictures.dtype)
    sampled = grid_sample(atlas, flat, mode=mode, padding_mode="border", align_corners=False)
    return sampled.reshape(b, c, k, views, h, w).permute(0, 2, 3, 1, 4, 5)
