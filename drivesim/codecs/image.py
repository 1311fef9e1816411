"""Image codecs: pictures to latents and back, through diffusers' autoencoders behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from drivesim.nn.inference import FUSED, merges
from drivesim.weights_io import load_module


@dataclass(frozen=True)
class CodecConfig:
    """Shape of the small codec: pictures are folded 2 x 2 into channels, then halved once: 4x down in all."""

    patch: int = 2
    channels: int = 48
    encoder_blocks: tuple[int, ...] = (1, 2)
    decoder_blocks: tuple[int, ...] = (3, 1)
    latent_channels: int = 8


class ImageCodec(nn.Module):
    """Pictures in [-1, 1] [N, 3, H, W] to normalised latents [N, C, h, w] and back.

    Latents are shifted and scaled per channel to zero mean and unit variance over the training data: rectified flow
    between noise and data needs both on one scale.
    """

    def __init__(
        self, autoencoder: AutoencoderTiny | AutoencoderKL, factor: int, channels: int, patch: int = 1
    ) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder
        self.factor = factor
        self.patch = patch
        self.latent_channels = channels
        self.latent_mean: Tensor
        self.latent_std: Tensor
        self.register_buffer("latent_mean", torch.zeros(channels))
        self.register_buffer("latent_std", torch.ones(channels))

    @classmethod
    def small(cls, config: CodecConfig | None = None) -> ImageCodec:
        """An untrained `AutoencoderTiny` of the given shape."""
        config = config or CodecConfig()
        depth, colors = len(config.encoder_blocks), 3 * config.patch**2
        autoencoder = AutoencoderTiny(
            in_channels=colors, out_channels=colors,
            encoder_block_out_channels=(config.channels,) * depth,
            decoder_block_out_channels=(config.channels,) * depth,
            num_encoder_blocks=config.encoder_blocks, num_decoder_blocks=config.decoder_blocks,
            latent_channels=config.latent_channels,
        )  # fmt: skip
        return cls(autoencoder, config.patch * 2 ** (depth - 1), config.latent_channels, config.patch)

    @classmethod
    def from_pretrained(cls, source: str, kind: str = "kl", **options: str) -> ImageCodec:
        """A published codec from a local folder or hub id; kind "kl" (AutoencoderKL) or "tiny" (AutoencoderTiny)."""
        kinds = {"kl": AutoencoderKL, "tiny": AutoencoderTiny}
        if kind not in kinds:
            raise ValueError(f"codec kind: found {kind!r}, accepted {sorted(kinds)}")
        autoencoder = kinds[kind].from_pretrained(source, **options)
        blocks = (
            autoencoder.config.block_out_channels if kind == "kl" else autoencoder.config.encoder_block_out_channels
        )
        codec = cls(autoencoder, 2 ** (len(blocks) - 1), autoencoder.config.latent_channels)
        scale = float(autoencoder.config.scaling_factor or 1.0)
        codec.latent_std.fill_(1.0 / scale)
        return codec

    def encode(self, pictures: Tensor) -> Tensor:
        """Normalised latents [N, C, H / factor, W / factor] (the mean, for a variational codec)."""
        scale = 1.0 / self.latent_std
        offset = -self.latent_mean * scale
        return torch.addcmul(offset[:, None, None], self.raw_latents(pictures), scale[:, None, None])

    def raw_latents(self, pictures: Tensor) -> Tensor:
        """Latents before normalisation."""
        encoded = self.autoencoder.encode(pixel_unshuffle(pictures, self.patch))
        return encoded.latents if isinstance(self.autoencoder, AutoencoderTiny) else encoded.latent_dist.mode()

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures [N, 3, H, W] in [-1, 1] (not clamped)."""
        raw = torch.addcmul(self.latent_mean[:, None, None], latents, self.latent_std[:, None, None])
        return self._decode_raw(raw)

    def _decode_raw(self, raw: Tensor) -> Tensor:
        return pixel_shuffle(self.autoencoder.decode(raw).sample, self.patch)

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstruction of `batch["pictures"]` uint8 [N, H, W, 3]: squared error, a little of it on gradients.

        Latents get a little noise, so that neighbours decode alike, and a weak pull to the unit ball.
        """
        pictures = to_float(batch["pictures"])
        latents = self.raw_latents(pictures)
        noisy = latents + 0.03 * torch.randn_like(latents)
        decoded = self._decode_raw(noisy).float()
        error = (decoded - pictures).square().mean()
        gradient = sum((decoded.diff(dim=d) - pictures.diff(dim=d)).square().mean() for d in (-1, -2))
        loss = error + 0.25 * gradient + 1e-5 * latents.square().mean()
        return loss, {
            "psnr": -10.0 * torch.log10(error.detach() / 4.0),
            "latent_rms": latents.detach().square().mean().sqrt(),
        }

    @torch.no_grad()
    def measure_statistics(self, pictures: Tensor) -> None:
        """Sets the normalisation from the latents of uint8 pictures [N, H, W, 3]."""
        raw = torch.cat([self.raw_latents(to_float(part)).float() for part in pictures.split(64)])
        self.latent_mean.copy_(raw.mean((0, 2, 3)))
        self.latent_std.copy_(raw.std((0, 2, 3)))


def to_float(pictures: Tensor) -> Tensor:
    """uint8 [..., H, W, 3] to float [-1, 1] [..., 3, H, W] in channels-last memory where that applies."""
    return pictures.movedim(-1, -3).float() / 127.5 - 1.0


def to_uint8(pictures: Tensor) -> Tensor:
    """Float [-1, 1] [..., 3, H, W] to uint8 [..., H, W, 3]."""
    return ((pictures.movedim(-3, -1).float() + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_frames(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Decoded pictures [N, 3, H, W] clamped to [-1, 1] (in place, if need be), and as uint8 [N, H, W, 3]."""
    if FUSED is None or not merges(pictures) or not pictures.is_contiguous(memory_format=torch.channels_last):
        pictures = pictures.clamp_(-1.0, 1.0)
        return pictures, to_uint8(pictures)
    images, colors, height, width = pictures.shape
    frames = torch.empty((images, height, width, colors), dtype=torch.uint8)
    FUSED.to_bytes(pictures.data_ptr(), frames.data_ptr(), pictures.numel())
    return pictures, frames


def load_codec(folder: str | Path) -> ImageCodec:
    """The small codec of a weights folder (`codec.json`, `codec.safetensors`). Raises WeightsError with the reason."""
    return load_module(Path(folder), "codec", lambda config: ImageCodec.small(CodecConfig(**config)))
