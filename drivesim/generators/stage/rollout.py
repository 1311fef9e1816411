"""STAGE as a generator: per step one frame of all cameras, from the previous frame, the first one and the layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from drivesim.codecs.image import ImageCodec, load_codec, to_float, to_frames
from drivesim.conditions import Conditions, ConditionSpec
from drivesim.diffusion.flow import euler_step, noise_levels
from drivesim.generators.interface import Batch, GeneratorSpec
from drivesim.generators.stage.inputs import network_inputs
from drivesim.generators.stage.memory import StoredFrame, StreamingBuffer
from drivesim.generators.stage.network import NetworkConfig, NetworkInputs, StageNetwork
from drivesim.generators.stage.shipped import weights_folder
from drivesim.nn.inference import prepare_for_inference
from drivesim.nn.palette import Palette, fit_palette
from drivesim.nn.warp import viewing_rays
from drivesim.weights_io import load_module

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class StageState:
    """All memory of B streams, of a fixed size. Frozen: a step returns a new state and leaves the old one usable.

    Only `StageGenerator.put` writes over it.
    """

    pictures: Tensor  # [B, V, 3, H, W] in [-1, 1], the previous frame
    latents: Tensor  # [B, V, C, h, w], the same as latents
    anchor: Tensor  # [B, V, C, h, w], the first frame
    palette: Palette  # colours of the first frame
    rays: Tensor  # [B, V, *layout_size, 3], viewing directions in the ego frame, the same for the whole drive
    buffer: StreamingBuffer
    pending: tuple[Tensor, ...] | None  # features per layer [B, S, V, c, h, w] of the last frame, not yet in the buffer
    seeds: tuple[int, ...]  # [B]
    frames: tuple[int, ...]  # [B], drawn so far


class StageGenerator(nn.Module):
    """Streams six-camera frames. `weights`: a folder with codec and network, or the name of shipped ones ("tiny" for
    pictures of 72 x 128, "small" for 128 x 224); None takes the shipped ones of the nearest size. `network` and
    `codec` may be given as objects instead.

    `steps` denoising steps per frame; `dtype` "bfloat16" or "float32". `memory=False` switches HTFT off.
    Raises WeightsError if weights are absent or of another shape, ValueError for a bad option.
    """

    def __init__(
        self, weights: str | Path | None = None, steps: int = 1, dtype: str = "bfloat16",
        image_size: tuple[int, int] = (72, 128), memory: bool = True, network: StageNetwork | None = None,
        codec: ImageCodec | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if dtype not in DTYPES:
            raise ValueError(f"dtype: found {dtype!r}, accepted {sorted(DTYPES)}")
        self.sigmas = noise_levels(steps)
        self.memory = memory
        folder = weights_folder(weights, image_size)
        self.codec = codec or load_codec(folder)
        self.network = network or load_network(folder)
        self.dtype = DTYPES[dtype]
        h, w = image_size[0] // self.codec.factor, image_size[1] // self.codec.factor
        self.latent_size = (h, w)
        stride = self.network.config.layout_stride // self.network.config.patch
        size = (h * stride, w * stride)
        if image_size[0] % size[0] or image_size[1] % size[1]:
            raise ValueError(f"image_size: found {image_size}, accepted multiples of the layout's {size}")
        wanted = ConditionSpec(size, frozenset({"warp"}))
        self.spec = GeneratorSpec((image_size[0], image_size[1]), wanted, history=1)
        self.to(self.dtype).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        prepare_for_inference(self)
        self.timings: dict[str, float] = {}

    @torch.inference_mode()
    def start(self, history: Tensor | None, conditions: Conditions, seeds: Sequence[int]) -> StageState:
        """State after recorded frames uint8 [B, T0, V, H, W, 3]: the first is the anchor, the last the previous one."""
        if history is None or history.shape[1] < 1 or tuple(history.shape[3:5]) != self.spec.image_size:
            found = None if history is None else tuple(history.shape)
            accepted = ("B", "T0 >= 1", "V", *self.spec.image_size, 3)
            raise ValueError(f"history: found {found}, accepted {accepted}: stage continues from at least one frame")
        first, last = (to_float(frames).to(self.dtype) for frames in (history[:, 0], history[:, -1]))
        anchor, latents = (self.codec.encode(p.flatten(0, 1)).unflatten(0, p.shape[:2]) for p in (first, last))
        rays = viewing_rays(conditions.intrinsics, conditions.extrinsics, self.spec.conditions.layout_size)
        palette = fit_palette(first, conditions.layout[:, 0], rays)
        return StageState(
            last, latents, anchor, palette, rays, StreamingBuffer(), None, tuple(int(seed) for seed in seeds),
            (0,) * len(seeds),
        )  # fmt: skip

    @torch.inference_mode()
    def step(self, state: StageState, conditions: Conditions) -> tuple[Tensor, StageState]:
        """The next frame uint8 [B, 1, V, H, W, 3]."""
        begin = perf_counter()
        state = self.commit(state)
        inputs, _ = network_inputs(
            self.network, self.codec, state.pictures, state.latents, state.anchor, state.palette, state.rays, conditions
        )
        warped = perf_counter()
        noisy = self._noise(state)
        clean, stored = denoise(
            self.network, noisy, inputs, self.sigmas, state.buffer if self.memory else StreamingBuffer()
        )
        denoised = perf_counter()
        latents = clean.unflatten(0, (-1, len(self.spec.cameras)))
        pictures, frames = (each.unflatten(0, latents.shape[:2]) for each in to_frames(self.codec.decode(clean)))
        self.timings = {"warp": warped - begin, "denoise": denoised - warped, "decode": perf_counter() - denoised}
        pending = stored if self.memory else None
        drawn = tuple(frame + 1 for frame in state.frames)
        return frames[:, None], replace(state, pictures=pictures, latents=latents, pending=pending, frames=drawn)

    @torch.inference_mode()
    def commit(self, state: StageState) -> StageState:
        """Projects the last frame's features to keys and values and puts them into the buffer."""
        if state.pending is None:
            return state
        return replace(state, buffer=state.buffer.push(store(self.network, state.pending)), pending=None)

    @torch.inference_mode()
    def take(self, state: StageState, worlds: Sequence[int]) -> StageState:
        """A state of its own of some worlds."""
        state, rows = self.commit(state), list(worlds)
        seeds, frames = zip(*((state.seeds[row], state.frames[row]) for row in rows))
        return StageState(
            state.pictures[rows], state.latents[rows], state.anchor[rows], state.palette.take(rows), state.rays[rows],
            state.buffer.take(rows), None, seeds, frames,
        )  # fmt: skip

    @torch.inference_mode()
    def put(self, state: StageState, worlds: Sequence[int], part: StageState) -> StageState:
        """Writes `part` over some worlds of the state, in place."""
        state, part, rows = self.commit(state), self.commit(part), list(worlds)
        for name in ("pictures", "latents", "anchor", "rays"):
            getattr(state, name)[rows] = getattr(part, name)
        state.palette.put(rows, part.palette)
        seeds, frames = list(state.seeds), list(state.frames)
        for row, seed, frame in zip(rows, part.seeds, part.frames, strict=True):
            seeds[row], frames[row] = seed, frame
        buffer = state.buffer.put(rows, part.buffer, len(seeds))
        return replace(state, buffer=buffer, seeds=tuple(seeds), frames=tuple(frames))

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error of `drivesim.generators.stage.objective.StageObjective`, which trains this network."""
        from drivesim.generators.stage.objective import ObjectiveConfig, StageObjective

        return StageObjective(self.network, self.codec, ObjectiveConfig(adversarial=0.0)).loss(batch)

    def _noise(self, state: StageState) -> Tensor:
        """Noise [B * V, C, h, w] that depends on each world's seed and frame number alone."""
        shape = state.latents.shape[1:]
        draws = [
            torch.randn(shape, generator=torch.Generator().manual_seed((seed << 24) + frame))
            for seed, frame in zip(state.seeds, state.frames)
        ]
        return torch.cat(draws).to(self.dtype)


def denoise(
    network: StageNetwork, noisy: Tensor, inputs: NetworkInputs, sigmas: Sequence[float], buffer: StreamingBuffer
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Clean latents [N, C, h, w] after all noise levels, and every level's features per layer [B, S, V, c, h, w]."""
    features: list[list[Tensor]] = []
    clean = noisy
    for step, sigma in enumerate(sigmas):
        memory, present = buffer.read(step)
        clean, stored = network(noisy, sigma, inputs, memory, present)
        features.append(stored)
        if step + 1 < len(sigmas):
            noisy = euler_step(noisy, clean, sigma, sigmas[step + 1])
    views = network.config.views
    layers = zip(*features, strict=True)
    return clean, tuple(torch.stack([f.unflatten(0, (-1, views)) for f in layer], dim=1) for layer in layers)


def store(network: StageNetwork, features: Sequence[Tensor], present: Tensor | None = None) -> StoredFrame:
    """Projects the features of a frame [B, S, V, c, h, w] per layer to what the buffer keeps."""
    shape = features[0].shape[:3]
    projected = network.project_memory([f.flatten(0, 2) for f in features])
    present = torch.ones(shape[0], dtype=torch.bool) if present is None else present
    return StoredFrame(tuple(p.unflatten(0, shape) for p in projected), present)


def load_network(folder: Path) -> StageNetwork:
    """The network of a weights folder (`stage.json`, `stage.safetensors`). Raises WeightsError with the reason."""
    return load_module(folder, "stage", lambda config: StageNetwork(NetworkConfig(**config)))
