"""Places relative to the route, for networks."""

from __future__ import annotations

import torch
from torch import Tensor


def along_route(points: Tensor, route: Tensor) -> tuple[Tensor, Tensor]:
    """Distance along a route [B, 20, 2] and offset to its left [B, N, 2] [m] of points [B, N, 2], all in the ego frame,
    and the unit direction [B, N, 2] of the route there.

    The route begins at the ego; it is measured from its nearest stretch on, and goes on straight at both ends.
    """
    path = torch.cat([torch.zeros_like(route[:, :1]), route], 1)
    step = path[:, 1:] - path[:, :-1]
    length = step.norm(dim=-1).clamp(min=1e-3)
    start = torch.cat([torch.zeros_like(length[:, :1]), torch.cumsum(length, 1)[:, :-1]], 1)
    direction = step / length[..., None]
    middle = path[:, :-1] + 0.5 * step
    nearest = torch.cdist(points, middle).argmin(-1)  # [B, N]
    pick = nearest[..., None].expand(-1, -1, 2)
    ahead, corner = direction.gather(1, pick), path[:, :-1].gather(1, pick)
    into = points - corner
    along = start.gather(1, nearest) + (into * ahead).sum(-1)
    aside = ahead[..., 0] * into[..., 1] - ahead[..., 1] * into[..., 0]
    return torch.stack([along, aside], -1), ahead
