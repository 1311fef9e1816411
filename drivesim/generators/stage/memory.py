"""The streaming buffer of HTFT as a value: what the last frames left behind, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LENGTH = 10  # frames kept (STAGE: N = 10)
OFFSETS = (1, 5, 10)  # frames read, counted back (STAGE: S = {-1, -5, -10})


@dataclass(frozen=True)
class StoredFrame:
    """One frame's tensors per transfer layer [B, S, V, ...] for its S denoising steps; `present` bool [B].

    At run time these are keys and values [B, S, V, L, 2 C]. Training keeps the features [B, S, V, c, h, w] themselves
    and projects them when they are read, so that the projections learn.
    """

    tensors: tuple[Tensor, ...]
    present: Tensor


@dataclass(frozen=True)
class StreamingBuffer:
    """First in, first out; a new buffer shares the tensors of the old one, so branching costs nothing."""

    frames: tuple[StoredFrame, ...] = ()

    def push(self, frame: StoredFrame) -> StreamingBuffer:
        """The buffer with one more frame; the oldest leaves when it is full."""
        return StreamingBuffer((frame, *self.frames[: LENGTH - 1]))

    def without(self, worlds: Tensor) -> StreamingBuffer:
        """The buffer in which the worlds of a mask bool [B] have forgotten everything."""
        return StreamingBuffer(tuple(StoredFrame(f.tensors, f.present & ~worlds) for f in self.frames))

    def take(self, worlds: Sequence[int]) -> StreamingBuffer:
        """The buffer of some worlds, in memory of its own."""
        rows = list(worlds)
        return StreamingBuffer(
            tuple(StoredFrame(tuple(t[rows] for t in frame.tensors), frame.present[rows]) for frame in self.frames)
        )

    def put(self, worlds: Sequence[int], part: StreamingBuffer, count: int) -> StreamingBuffer:
        """Writes the buffer of other streams over some of `count` worlds, in place.

        Frames are added only if `part` has more of them than this buffer; the other worlds have none of these.
        """
        rows, frames = list(worlds), list(self.frames)
        for index, new in enumerate(part.frames):
            if index == len(frames):
                frames.append(_nothing(new, count))
            for old, tensor in zip(frames[index].tensors, new.tensors, strict=True):
                old[rows] = tensor
            frames[index].present[rows] = new.present
        for frame in frames[len(part.frames) :]:
            frame.present[rows] = False
        return StreamingBuffer(tuple(frames))

    def read(self, step: int) -> tuple[list[Tensor], Tensor] | tuple[None, None]:
        """What F past frames stored per layer for one denoising step [B * V, F, ...], and presence [B * V, F].

        None if the buffer is empty.
        """
        if not self.frames:
            return None, None
        chosen = [self.frames[offset - 1] if offset <= len(self.frames) else None for offset in OFFSETS]
        newest = self.frames[0]
        layers = []
        for index, like in enumerate(newest.tensors):
            slices = [torch.zeros_like(like[:, 0]) if f is None else f.tensors[index][:, step] for f in chosen]
            layers.append(torch.stack(slices, dim=2).flatten(0, 1))
        present = torch.stack([torch.zeros_like(newest.present) if f is None else f.present for f in chosen], dim=-1)
        views = newest.tensors[0].shape[2]
        return layers, present.repeat_interleave(views, dim=0)


def _nothing(like: StoredFrame, count: int) -> StoredFrame:
    """A frame that none of `count` worlds has."""
    tensors = tuple(t.new_zeros((count, *t.shape[1:])) for t in like.tensors)
    return StoredFrame(tensors, like.present.new_zeros(count))
