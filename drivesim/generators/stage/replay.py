"""Frames that the streams drew a while ago: a discriminator that sees only the newest forgets what it had seen through,
and the network returns to it (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

FRAMES = 8  # that are kept of every stream
STRIDE = 12  # a stream's frames replace a kept one every so many steps on average


@dataclass(frozen=True)
class Replay:
    """Kept frames of B streams and what their layouts said, as values: `put` returns new ones."""

    latents: Tensor  # [B, FRAMES, V, C, h, w]
    said: Tensor  # uint8 [B, FRAMES, V, H, W, P]
    kept: Tensor  # bool [B, FRAMES], which of the places are taken

    @classmethod
    def empty(cls, latents: Tensor, said: Tensor) -> Replay:
        """Without frames, for streams of latents [B, V, C, h, w] and layouts uint8 [B, V, H, W, P]."""
        places = (len(latents), FRAMES)
        return cls(
            latents.new_zeros(*places, *latents.shape[1:]),
            said.new_zeros(*places, *said.shape[1:]),
            torch.zeros(places, dtype=torch.bool, device=latents.device),
        )

    def sample(self) -> tuple[Tensor, Tensor]:
        """One kept frame of every stream that has any: latents [M, V, C, h, w] and layouts [M, V, H, W, P]."""
        rows = self.kept.any(1).nonzero()[:, 0]
        place = torch.multinomial(self.kept[rows].float(), 1)[:, 0] if len(rows) else rows
        return self.latents[rows, place], self.said[rows, place]

    def put(self, latents: Tensor, said: Tensor, drawn: Tensor) -> Replay:
        """With some of the frames of the streams `drawn` bool [B]: into places that are free, then into any."""
        chosen = (drawn & (~self.kept.all(1) | (torch.rand(len(drawn)) < 1.0 / STRIDE))).nonzero()[:, 0]
        if not len(chosen):
            return self
        free = (~self.kept[chosen]).float()
        place = torch.multinomial(torch.where(free.any(1, keepdim=True), free, torch.ones_like(free)), 1)[:, 0]
        new = replace(self, latents=self.latents.clone(), said=self.said.clone(), kept=self.kept.clone())
        new.latents[chosen, place], new.said[chosen, place] = latents[chosen].to(new.latents.dtype), said[chosen]
        new.kept[chosen, place] = True
        return new
