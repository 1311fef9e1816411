"""Attention between cameras and between frames; both start as the identity of the stream they sit in."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from drivesim.nn.inference import PackedLinear, merges


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[N, L, C] to [N, heads, L, C / heads]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[N, heads, L, C / heads] to [N, L, C]."""
    return x.transpose(1, 2).flatten(-2)


def _added(layer: nn.Linear, tokens: Tensor, x: Tensor, where: Tensor | None = None) -> Tensor:
    """Features x [N, C, h, w] plus what a layer makes of tokens [N, h w, C], in the rows `where` bool [N]."""
    if isinstance(layer, PackedLinear) and merges(x):
        rows = x.permute(0, 2, 3, 1).flatten(1, 2)
        out = layer.added(tokens, rows)
        if where is not None and not where.all():
            out = torch.where(where[:, None, None], out, rows)
        return out.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
    out = layer(tokens)
    if where is not None:
        out = out * where[:, None, None]
    return x + out.transpose(1, 2).reshape(x.shape)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept may serve in training too
def sinusoidal_grid(height: int, width: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Fixed position code [height * width, channels], half of it for rows, half for columns; not to be changed."""
    quarter = channels // 4
    frequency = torch.exp(-torch.arange(quarter, device=device) * (torch.log(torch.tensor(100.0)) / quarter))
    row = (torch.arange(height, device=device)[:, None] * frequency)[:, None].expand(height, width, quarter)
    column = (torch.arange(width, device=device)[:, None] * frequency)[None].expand(height, width, quarter)
    code = torch.cat([row.sin(), row.cos(), column.sin(), column.cos()], dim=-1).flatten(0, 1)
    return nn.functional.pad(code, (0, channels - code.shape[-1])).to(dtype)


class CrossViewAttention(nn.Module):
    """Every camera reads itself and its two ring neighbours (MagicDrive-V2's cross-view attention, keys joined)."""

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.side = nn.Parameter(torch.zeros(3, channels))
        self.to_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, x: Tensor, views: int) -> Tensor:
        """Features [B * V, C, h, w] with the cameras of a world in ring order."""
        n, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        tokens = tokens + sinusoidal_grid(h, w, c, x.device, tokens.dtype)
        q, k, v = self.to_qkv(tokens).chunk(3, dim=-1)
        k, v = self._with_neighbours(k, views, self.side), self._with_neighbours(v, views, None)
        out = scaled_dot_product_attention(
            split_heads(q, self.heads), split_heads(k, self.heads), split_heads(v, self.heads)
        )
        return _added(self.to_out, merge_heads(out), x)

    @staticmethod
    def _with_neighbours(tokens: Tensor, views: int, side: Tensor | None) -> Tensor:
        """[B * V, L, C] to [B * V, 3 L, C]: own, left and right neighbour's tokens, marked by a learned code."""
        rings = tokens.unflatten(0, (-1, views))
        parts = torch.stack([rings, rings.roll(1, dims=1), rings.roll(-1, dims=1)], dim=2)  # [B, V, 3, L, C]
        if side is not None:
            parts = parts + side[:, None].to(parts.dtype)
        return parts.flatten(2, 3).flatten(0, 1)


class TemporalFeatureTransfer(nn.Module):
    """HTFT of STAGE: the features of past frames at the same denoising step, read by cross-attention.

    g = Linear(GroupNorm(f));  H = CrossAttn(g, F_e);  F_fused = Dropout(f) + Linear(H)   (STAGE, section IV.B).
    Keys and values are projected once, when a frame enters the buffer; which frame they come from is a learned bias on
    the attention logits, so the stored projections stay valid while the frame ages.
    """

    def __init__(self, channels: int, heads: int, groups: int, offsets: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.to_query = nn.Linear(channels, channels)
        self.to_key_value = nn.Linear(channels, 2 * channels)
        self.age_bias = nn.Parameter(torch.zeros(offsets))
        self.dropout = nn.Dropout(dropout)
        self.to_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def project(self, features: Tensor) -> Tensor:
        """Keys and values [N, h * w, 2 C] of features [N, C, h, w]."""
        n, c, h, w = features.shape
        tokens = self.norm(features).flatten(2).transpose(1, 2)
        return self.to_key_value(tokens + sinusoidal_grid(h, w, c, features.device, tokens.dtype))

    def forward(self, x: Tensor, memory: Tensor | None, present: Tensor | None) -> Tensor:
        """Features [N, C, h, w] with memory [N, F, L, 2 C] of F past frames, of which `present` bool [N, F] exist.

        With no past frame at all the result is the dropped-out input alone.
        """
        kept = self.dropout(x)
        if memory is None or present is None:
            return kept
        n, c, h, w = x.shape
        if self.training and not x.requires_grad:
            x = x.detach().requires_grad_()  # torch 2.13: a group norm that learns from a constant input crashes on CPU
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        query = self.to_query(tokens + sinusoidal_grid(h, w, c, x.device, tokens.dtype))
        key, value = memory.flatten(1, 2).to(query.dtype).chunk(2, dim=-1)
        bias = torch.where(present, self.age_bias.float(), -1e4).to(query.dtype)
        bias = bias.repeat_interleave(memory.shape[2], dim=1)[:, None, None]
        out = scaled_dot_product_attention(
            split_heads(query, self.heads), split_heads(key, self.heads), split_heads(value, self.heads), attn_mask=bias
        )
        return _added(self.to_out, merge_heads(out), kept, present.any(1))
