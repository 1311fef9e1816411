"""Pictures of the previous frame as the cameras would see them now, through known or estimated distance."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
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
    directions = (rays.flatten(1, 3) @ motion[:, :3, :3].transpose(1, 2)).view_as(rays)
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
    k, views, h, w = points.shape[1:5]
    own = torch.arange(views, device=points.device)
    candidates = torch.stack([own, (own - 1) % views, (own + 1) % views], dim=1)  # [V, 3]
    matrix = intrinsics @ extrinsics[..., :3, :3].transpose(-1, -2)
    offset = -matrix @ extrinsics[..., :3, 3:]
    matrix, offset = (each[:, candidates].flatten(0, 1).flatten(1, 2) for each in (matrix, offset))  # [B V, 9, ...]
    planes = points.permute(0, 2, 5, 1, 3, 4).flatten(3).flatten(0, 1)  # [B V, 3, K h w]
    uvw = torch.baddbmm(offset, matrix, planes).unflatten(1, (3, 3))  # [B V, candidate, 3, K h w]
    depth = uvw[:, :, 2]
    uv = uvw[:, :, :2] / depth.clamp_min(1e-3)[:, :, None]
    inside = (depth > 0.1) & ((uv - 0.5).abs().amax(2) < 0.5)
    seen, left = inside.any(1), inside[:, 1]
    first = inside[:, 0] | ~seen
    chosen = torch.where(first[:, None], uv[:, 0], torch.where(left[:, None], uv[:, 1], uv[:, 2]))
    ids = candidates.repeat(len(points), 1)[..., None]  # [B V, 3, 1]
    camera = torch.where(first, ids[:, 0], torch.where(left, ids[:, 1], ids[:, 2]))
    camera, seen = (each.view(-1, views, k, h, w).transpose(1, 2) for each in (camera, seen))
    return camera, chosen.view(-1, views, 2, k, h, w).permute(0, 3, 1, 4, 5, 2), seen


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept may serve in training too
def pixel_centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """(u, v) in [0, 1] of every pixel's centre [h, w, 2]; not to be changed."""
    h, w = size
    v, u = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    return torch.stack([u, v], dim=-1).to(device)


def refine(camera: Tensor, uv: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """Look-ups [..., h, w] and [..., h, w, 2] on a grid finer by `times`; the pixels of a cell share its displacement.

    Displacements vary slowly but for the outlines of things, and there an interpolated one would be wrong for both
    sides.
    """
    h, w = uv.shape[-3], uv.shape[-2]
    across = torch.arange(times * w, device=uv.device) // times
    shift = (uv - pixel_centres((h, w), uv.device)).movedim(-1, 0).index_select(-1, across)
    fine = pixel_centres((times * h, times * w), uv.device).movedim(-1, 0).contiguous()
    fine = fine.view(2, *(1,) * (shift.dim() - 3), h, times, times * w)
    camera = camera.index_select(-1, across)[..., None, :].expand(*camera.shape[:-1], times, times * w)
    return camera.flatten(-3, -2), (shift[..., None, :] + fine).flatten(-3, -2).movedim(0, -1)


def sample_ring(pictures: Tensor, camera: Tensor, uv: Tensor, mode: str = "bicubic") -> Tensor:
    """Samples [B, K, V, C, h, w] of pictures [B, V, C, H, W] at (u, v) of the given cameras.

    Bicubic by default: what is warped again and again stays sharp.
    """
    b, views, c, height, width = pictures.shape
    atlas = pictures.transpose(1, 2).reshape(b, c, views * height, width)
    row = (uv[..., 1] * height).clamp(0.5, height - 0.5) + height * camera.to(uv.dtype)
    x, y = 2.0 * uv[..., 0] - 1.0, row * (2.0 / (views * height)) - 1.0
    grid = torch.view_as_real(torch.complex(x, y))  # interleaves several times faster than stack
    _, k, _, h, w = camera.shape
    flat = grid.reshape(b, k * views * h, w, 2).to(pictures.dtype)
    sampled = grid_sample(atlas, flat, mode=mode, padding_mode="border", align_corners=False)
    return sampled.reshape(b, c, k, views, h, w).permute(0, 2, 3, 1, 4, 5)
