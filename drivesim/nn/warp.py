"""Pictures of the previous frame as the cameras would see them now, through known or assumed depth."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize


def viewing_rays(intrinsics: Tensor, extrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Unit viewing directions [B, V, h, w, 3] in the ego frame; K [B, V, 3, 3] of unit pictures, poses [B, V, 4, 4]."""
    h, w = size
    v, u = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    pixel = torch.stack([u, v, torch.ones_like(u)], dim=-1).to(intrinsics)
    camera = torch.einsum("bvij,hwj->bvhwi", torch.linalg.inv(intrinsics), pixel)
    return normalize(torch.einsum("bvij,bvhwj->bvhwi", extrinsics[..., :3, :3], camera), dim=-1)


def surface_hypotheses(
    rays: Tensor, extrinsics: Tensor, motion: Tensor, known: Tensor, distances: tuple[float, ...]
) -> Tensor:
    """Points [B, K, V, h, w, 3] in the previous ego frame that the pixels may show: one guess per distance [m].

    `known` [B, V, h, w, 3] is the surface that the layout tells of (NaN where it tells nothing). Boxes are believed by
    all guesses. Ground is believed by the first guess alone: the others put something upright in front of it.
    """
    reach = rays.new_tensor(distances)[:, None, None, None, None]
    centres = _moved(extrinsics[:, None, :, None, None, :3, 3], motion)  # [B, 1, V, 1, 1, 3]
    directions = (motion[:, None, None, None, None, :3, :3] @ rays[:, None, ..., None])[..., 0]
    known = known[:, None]
    ground = known[..., 2:].abs() < 0.05
    limit = (known - centres).norm(dim=-1, keepdim=True).nan_to_num(nan=torch.inf)
    points = centres + torch.minimum(reach, limit) * directions
    believed = ~known.isnan() & ~ground
    first = torch.where(known.isnan(), points[:, :1], known)
    return torch.cat([first, torch.where(believed, known, points[:, 1:])], dim=1)


def _moved(points: Tensor, motion: Tensor) -> Tensor:
    """Points [B, 1, V, 1, 1, 3] of the current ego frame in the previous one."""
    pose = motion[:, None, None, None, None]
    return (pose[..., :3, :3] @ points[..., None])[..., 0] + pose[..., :3, 3]


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


def sample_ring(pictures: Tensor, camera: Tensor, uv: Tensor) -> Tensor:
    """Bilinear samples [B, K, V, C, h, w] of pictures [B, V, C, H, W] at (u, v) of the given cameras."""
    b, views, c, height, width = pictures.shape
    atlas = pictures.transpose(1, 2).reshape(b, c, views * height, width)
    row = (uv[..., 1] * height).clamp(0.5, height - 0.5) + camera * height
    grid = torch.stack([2.0 * uv[..., 0] - 1.0, 2.0 * row / (views * height) - 1.0], dim=-1)
    _, k, _, h, w = camera.shape
    flat = grid.reshape(b, k * views * h, w, 2).to(pictures.dtype)
    sampled = grid_sample(atlas, flat, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.reshape(b, c, k, views, h, w).permute(0, 2, 3, 1, 4, 5)
