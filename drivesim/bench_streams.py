"""Frames of the streaming generator stage by stage: as it draws them, and plainly, with nothing kept or merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.bench_sizes import Parts
from drivesim.codecs.image import to_float, to_frames
from drivesim.conditions import Conditions, ConditionSpec, build_conditions
from drivesim.data.clips import drive
from drivesim.diffusion.flow import euler_step, noise_levels
from drivesim.generators.stage.inputs import network_inputs
from drivesim.generators.stage.memory import StoredFrame, StreamingBuffer
from drivesim.generators.stage.network import NetworkInputs
from drivesim.generators.stage.rollout import denoise, store
from drivesim.nn.palette import fit_palette
from drivesim.nn.warp import viewing_rays
from drivesim.scene import Scene
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource

STAGES = ("warp", "denoise", "decode", "commit")
FRAMES = 24  # of the drive, which begins anew after them

Clock = Callable[[str], AbstractContextManager[None]]  # measures a stage


def untimed(stage: str) -> AbstractContextManager[None]:
    """The clock that does not look."""
    return nullcontext()


def made_on(device: str) -> AbstractContextManager[object]:
    """Where new tensors are made. On a CPU they are anyway, and the context of torch would look at every operation."""
    return nullcontext() if device == "cpu" else torch.device(device)


class Material:
    """A drive through a held-out town for B worlds: its first pictures and the conditions of every frame."""

    def __init__(self, spec: ConditionSpec, image_size: tuple[int, int], worlds: int, device: str, seed: int) -> None:
        scenes, first = _recorded(image_size, seed)
        self.device = device
        self.pictures = torch.from_numpy(first)[None].expand(worlds, -1, -1, -1, -1).to(device)
        self.conditions = [
            build_conditions([[now]] * worlds, [before] * worlds, [scenes[0]] * worlds, spec).to(device)
            for before, now in zip([scenes[0], *scenes], scenes)
        ]


@lru_cache(maxsize=4)
def _recorded(image_size: tuple[int, int], seed: int) -> tuple[Sequence[Scene], NDArray[np.uint8]]:
    rig = nuscenes_rig(image_size)
    scenes = drive(TownSource(rig=rig), 900_000 + seed, FRAMES)
    return scenes, Raycaster(rig, 1).render(scenes[0]).images


class Stream:
    """B streams drawn as `StageGenerator` draws them, with the same functions, for stages to be measured one by one."""

    def __init__(self, parts: Parts, material: Material, steps: int) -> None:
        self.parts, self.material, self.sigmas = parts, material, noise_levels(steps)
        self.drawn = 0
        with made_on(material.device):
            first = to_float(material.pictures).to(parts.dtype)
            start = material.conditions[0]
            self.rays = viewing_rays(start.intrinsics, start.extrinsics, parts.conditions.layout_size)
            self.palette = fit_palette(first, start.layout[:, 0], self.rays)
            self.first, self.pictures = first, first
            self.anchor = self.latents = self._encode(first)
            self.buffer = StreamingBuffer()

    def frame(self, clock: Clock = untimed) -> Tensor:
        """The next frame uint8 [B, V, H, W, 3]."""
        self.drawn += 1
        conditions = self.material.conditions[self.drawn % FRAMES]
        with made_on(self.material.device):
            clean, features = self._denoised(conditions, self._noise(), clock)
            with clock("decode"):
                self.latents = clean.unflatten(0, self.latents.shape[:2])
                drawn = to_frames(self.parts.codec.decode(clean))
                self.pictures, frame = (each.unflatten(0, self.latents.shape[:2]) for each in drawn)
            with clock("commit"):
                self.buffer = self.buffer.push(self._stored(features))
        return frame

    def _denoised(self, conditions: Conditions, noisy: Tensor, clock: Clock) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Clean latents [N, C, h, w] and features per layer [B, S, V, c, h, w]."""
        with clock("warp"):
            inputs = self._inputs(self.anchor, conditions)
        with clock("denoise"):
            return denoise(self.parts.network, noisy, inputs, self.sigmas, self.buffer)

    def _inputs(self, anchor: Tensor, conditions: Conditions) -> NetworkInputs:
        before = self.pictures, self.latents, anchor, self.palette, self.rays
        return network_inputs(self.parts.network, self.parts.codec, *before, conditions)[0]

    def _stored(self, features: Sequence[Tensor]) -> StoredFrame:
        return store(self.parts.network, features)

    def _encode(self, pictures: Tensor) -> Tensor:
        return self.parts.codec.encode(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])

    def _noise(self) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(self.drawn)
        shape = self.latents.flatten(0, 1).shape
        return torch.randn(shape, generator=generator, device="cpu").to(self.material.device, self.parts.dtype)


class PlainStream(Stream):
    """The same streams with nothing but what the method has to remember: pictures, latents and features.

    Everything else is computed where it is used: the first frame and all conditions are encoded anew for every
    denoising step, keys and values of past frames projected whenever they are read. For parts that are not prepared.
    """

    def _denoised(self, conditions: Conditions, noisy: Tensor, clock: Clock) -> tuple[Tensor, tuple[Tensor, ...]]:
        network, stored = self.parts.network, []
        for step, sigma in enumerate(self.sigmas):
            with clock("warp"):
                inputs = self._inputs(self._encode(self.first), conditions)
            with clock("denoise"):
                level = torch.full((len(noisy),), sigma, dtype=noisy.dtype)
                clean, features = network(noisy, level, inputs, *self._recalled(step))
                stored.append([f.unflatten(0, (-1, network.config.views)) for f in features])
                if step + 1 < len(self.sigmas):
                    noisy = euler_step(noisy, clean, sigma, self.sigmas[step + 1])
        return clean, tuple(torch.stack(layer, dim=1) for layer in zip(*stored, strict=True))

    def _recalled(self, step: int) -> tuple[list[Tensor] | None, Tensor | None]:
        features, present = self.buffer.read(step)
        if features is None:
            return None, None
        frames = features[0].shape[1]
        projected = self.parts.network.project_memory([layer.flatten(0, 1) for layer in features])
        return [layer.unflatten(0, (-1, frames)) for layer in projected], present

    def _stored(self, features: Sequence[Tensor]) -> StoredFrame:
        return StoredFrame(tuple(features), torch.ones(len(self.first), dtype=torch.bool))
