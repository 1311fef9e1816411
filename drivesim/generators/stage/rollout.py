"""STAGE as a generator: per step one frame of all cameras, from the previous frame, the first one and the layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from drivesim.codecs.image import ImageCodec, load_codec, to_float, to_uint8
from drivesim.conditions import Conditions, ConditionSpec
from drivesim.diffusion.flow import euler_step, noise_levels
from drivesim.generators.interface import Batch, GeneratorSpec
from drivesim.generators.stage.memory import StoredFrame, StreamingBuffer
from drivesim.generators.stage.network import NetworkConfig, NetworkInputs, StageNetwork, motion_features
from drivesim.nn.warp import project_to_ring, sample_ring, surface_hypotheses, viewing_rays
from drivesim.weights_io import WeightsError, checked_load

SHIPPED = Path(__file__).parents[2] / "weights" / "tiny"
WARP_DISTANCES = (25.0, 10.0, 80.0)  # [m], for what the layout says nothing about
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class StageState:
    """All memory of B streams. Frozen: a step returns a new state and leaves the old one usable."""

    latents: Tensor  # [B, V, C, h, w], the previous frame
    anchor: Tensor  # [B, V, C, h, w], the first frame
    rays: Tensor  # [B, V, h, w, 3], viewing directions in the ego frame, the same for the whole drive
    buffer: StreamingBuffer
    pending: tuple[Tensor, ...] | None  # features per layer [B, S, V, c, h, w] of the last frame, not yet in the buffer
    seeds: tuple[int, ...]
    frame: int = 0


class StageGenerator(nn.Module):
    """Streams six-camera frames. `weights`: a folder with codec and network, the shipped `tiny` ones by default.

    `steps` denoising steps per frame; `dtype` "bfloat16" or "float32". `memory=False` switches HTFT off.
    Raises WeightsError if weights are absent or of another shape, ValueError for a bad option.
    """

    def __init__(
        self, weights: str | Path | None = SHIPPED, steps: int = 1, dtype: str = "bfloat16",
        image_size: tuple[int, int] = (72, 128), memory: bool = True, network: StageNetwork | None = None,
        codec: ImageCodec | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if dtype not in DTYPES:
            raise ValueError(f"dtype: found {dtype!r}, accepted {sorted(DTYPES)}")
        self.sigmas = noise_levels(steps)
        self.memory = memory
        self.codec = codec or load_codec(_required(weights))
        self.network = network or load_network(_required(weights))
        self.dtype = DTYPES[dtype]
        h, w = image_size[0] // self.codec.factor, image_size[1] // self.codec.factor
        self.latent_size = (h, w)
        stride = self.network.config.layout_stride // self.network.config.patch
        wanted = ConditionSpec((h * stride, w * stride), (h, w), frozenset({"warp"}))
        self.spec = GeneratorSpec((image_size[0], image_size[1]), wanted, history=1)
        self.to(self.dtype).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.timings: dict[str, float] = {}

    @torch.inference_mode()
    def start(self, history: Tensor | None, conditions: Conditions, seeds: Sequence[int]) -> StageState:
        """State after recorded frames uint8 [B, T0, V, H, W, 3]: the first is the anchor, the last the previous one."""
        if history is None or history.shape[1] < 1 or tuple(history.shape[3:5]) != self.spec.image_size:
            found = None if history is None else tuple(history.shape)
            accepted = ("B", "T0 >= 1", "V", *self.spec.image_size, 3)
            raise ValueError(f"history: found {found}, accepted {accepted}: stage continues from at least one frame")
        anchor, latents = self._encode(history[:, 0]), self._encode(history[:, -1])
        rays = viewing_rays(conditions.intrinsics, conditions.extrinsics, self.latent_size)
        return StageState(latents, anchor, rays, StreamingBuffer(), None, tuple(int(seed) for seed in seeds))

    @torch.inference_mode()
    def step(self, state: StageState, conditions: Conditions) -> tuple[Tensor, StageState]:
        """The next frame uint8 [B, 1, V, H, W, 3]."""
        begin = perf_counter()
        state = self.commit(state)
        inputs = network_inputs(self.network, state.latents, state.anchor, state.rays, conditions)
        noisy = self._noise(state)
        clean, stored = denoise(
            self.network, noisy, inputs, self.sigmas, state.buffer if self.memory else StreamingBuffer()
        )
        denoised = perf_counter()
        latents = clean.unflatten(0, (-1, len(self.spec.cameras)))
        frames = to_uint8(self.codec.decode(clean)).unflatten(0, (-1, 1, len(self.spec.cameras)))
        self.timings = {"denoise": denoised - begin, "decode": perf_counter() - denoised}
        pending = stored if self.memory else None
        return frames, replace(state, latents=latents, pending=pending, frame=state.frame + 1)

    @torch.inference_mode()
    def commit(self, state: StageState) -> StageState:
        """Projects the last frame's features to keys and values and puts them into the buffer."""
        if state.pending is None:
            return state
        return replace(state, buffer=state.buffer.push(store(self.network, state.pending)), pending=None)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error of `drivesim.generators.stage.objective.StageObjective`, which trains this network."""
        from drivesim.generators.stage.objective import ObjectiveConfig, StageObjective

        return StageObjective(self.network, self.codec, ObjectiveConfig(adversarial=0.0)).loss(batch)

    def _encode(self, frames: Tensor) -> Tensor:
        pictures = to_float(frames.flatten(0, 1)).to(self.dtype)
        return self.codec.encode(pictures).unflatten(0, frames.shape[:2])

    def _noise(self, state: StageState) -> Tensor:
        """Noise [B * V, C, h, w] that depends on each world's seed and frame number alone."""
        shape = state.latents.shape[1:]
        draws = [
            torch.randn(shape, generator=torch.Generator().manual_seed((seed << 24) + state.frame))
            for seed in state.seeds
        ]
        return torch.cat(draws).to(self.dtype)


def network_inputs(
    network: StageNetwork, latents: Tensor, anchor: Tensor, rays: Tensor, conditions: Conditions
) -> NetworkInputs:
    """Everything the denoising steps of one frame share: latents and anchor [B, V, C, h, w], viewing rays
    [B, V, h, w, 3], conditions with T = 1."""
    dtype = latents.dtype
    if conditions.previous_points is None:
        raise ValueError("conditions.previous_points: found None, accepted conditions built with the part 'warp'")
    points = surface_hypotheses(
        rays, conditions.extrinsics, conditions.motion[:, 0], conditions.previous_points[:, 0], WARP_DISTANCES
    )
    camera, uv, seen = project_to_ring(points, conditions.intrinsics, conditions.extrinsics)
    warped = sample_ring(latents.float(), camera, uv).to(dtype)  # [B, K, V, C, h, w]
    references = torch.cat([latents, *warped.unbind(1), anchor], dim=2).flatten(0, 1)
    masks = seen.movedim(1, 2).flatten(0, 1).to(dtype)
    layout = layout_planes(conditions, dtype)
    motion = motion_features(conditions.motion[:, 0], conditions.anchor_motion[:, 0], conditions.ego[:, 0]).to(dtype)
    directions = rays.flatten(0, 1).permute(0, 3, 1, 2).to(dtype)
    return network.prepare(references, masks, directions, layout, motion, conditions.tags[:, 0].to(dtype))


def layout_planes(conditions: Conditions, dtype: torch.dtype) -> Tensor:
    """Layouts of the only frame as planes in [0, 1] [B * V, C, h, w], channels-last in memory."""
    return conditions.layout[:, 0].flatten(0, 1).permute(0, 3, 1, 2).to(dtype) / 255.0


def denoise(
    network: StageNetwork, noisy: Tensor, inputs: NetworkInputs, sigmas: Sequence[float], buffer: StreamingBuffer
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Clean latents [N, C, h, w] after all noise levels, and every level's features per layer [B, S, V, c, h, w]."""
    features: list[list[Tensor]] = []
    clean = noisy
    for step, sigma in enumerate(sigmas):
        memory, present = buffer.read(step)
        level = torch.full((noisy.shape[0],), sigma, dtype=noisy.dtype)
        clean, stored = network(noisy, level, inputs, memory, present)
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


def _required(weights: str | Path | None) -> Path:
    if weights is None:
        raise ValueError("weights: found None, accepted a folder, or network and codec given as objects")
    return Path(weights)


def load_network(folder: Path) -> StageNetwork:
    """The network of a weights folder (`stage.json`, `stage.safetensors`). Raises WeightsError with the reason."""
    try:
        raw = json.loads((folder / "stage.json").read_text())
        tensors = load_file(folder / "stage.safetensors")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"stage weights in {folder}: {error}; accepted a folder with stage.json and stage.safetensors"
        ) from error
    config: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in raw.items()}
    network = StageNetwork(NetworkConfig(**config))
    checked_load(network, tensors, folder / "stage.safetensors")
    return network
