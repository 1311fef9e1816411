"""Sizes of the streaming generator to be measured: tiny and small have the shipped weights, paper random ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from drivesim.codecs.image import ImageCodec, load_codec
from drivesim.conditions import ConditionSpec
from drivesim.generators.stage.network import NetworkConfig, StageNetwork
from drivesim.generators.stage.rollout import DTYPES, load_network
from drivesim.generators.stage.shipped import weights_folder
from drivesim.nn.inference import prepare_for_inference

SIZES = {"tiny": (72, 128), "small": (128, 224), "paper": (256, 448)}  # pictures (height, width)


@dataclass(frozen=True)
class Parts:
    """Networks in the form in which they run, and the size of their pictures."""

    network: StageNetwork
    codec: ImageCodec
    image_size: tuple[int, int]

    @property
    def dtype(self) -> torch.dtype:
        """Of all weights."""
        return next(self.network.parameters()).dtype

    @property
    def conditions(self) -> ConditionSpec:
        """What the generator wants to know."""
        stride = self.network.config.layout_stride // self.network.config.patch
        height, width = (side // self.codec.factor * stride for side in self.image_size)
        return ConditionSpec((height, width), frozenset({"warp"}))


def load_parts(size: str, dtype: str = "bfloat16", device: str = "cpu", prepared: bool = True) -> Parts:
    """Networks of a size; unless `prepared`, with all layers as torch and diffusers have them.

    Raises ValueError for an unknown size, type or device.
    """
    if size not in SIZES:
        raise ValueError(f"sizes: found {size!r}, accepted {sorted(SIZES)}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype: found {dtype!r}, accepted {sorted(DTYPES)}")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"devices: found {device!r} on a machine without such a GPU, accepted 'cpu'")
    if size == "paper":
        network, codec = _stable_diffusion()
    else:
        folder = weights_folder(None, SIZES[size])
        network, codec = load_network(folder), load_codec(folder)
    return as_it_runs(Parts(network, codec, SIZES[size]), DTYPES[dtype], device, prepared)


def as_it_runs(parts: Parts, dtype: torch.dtype, device: str, prepared: bool) -> Parts:
    """The parts in a type and on a device, for inference, in place."""
    for module in (parts.network, parts.codec):
        layout = torch.channels_last if prepared else torch.preserve_format
        module.to(device, dtype).eval().requires_grad_(False).to(memory_format=layout)  # type: ignore[call-overload]
        if prepared:
            prepare_for_inference(module)
    return parts


def _stable_diffusion() -> tuple[StageNetwork, ImageCodec]:
    """Networks of the form of Stable Diffusion 1.5 (Rombach et al. 2022); values do not decide how fast they are."""
    trunk: Any = UNet2DConditionModel(cross_attention_dim=768)  # the other defaults are those of Stable Diffusion 1.x
    shape = trunk.config
    config = NetworkConfig(
        latent_channels=shape.in_channels, patch=1, channels=tuple(shape.block_out_channels),
        layers_per_block=shape.layers_per_block, attention_heads=shape.attention_head_dim,
        groups=shape.norm_num_groups, embedding=trunk.time_embedding.linear_2.out_features,
        token_width=shape.cross_attention_dim, exchange=(0, 1), blend=False,
    )  # fmt: skip
    widths = (128, 256, 512, 512)
    autoencoder: Any = AutoencoderKL(
        block_out_channels=widths, layers_per_block=2, latent_channels=4, norm_num_groups=32,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    return StageNetwork(config, trunk), ImageCodec(autoencoder, 2 ** (len(widths) - 1), 4)
