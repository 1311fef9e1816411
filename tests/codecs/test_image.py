"""Codecs behind their one interface."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny

from drivesim.codecs.image import CodecConfig, ImageCodec, load_codec, to_float, to_frames, to_uint8
from drivesim.weights_io import WeightsError, save_weights

SMALL = CodecConfig(channels=8, encoder_blocks=(1, 1), decoder_blocks=(1, 1), latent_channels=4)


def test_uint8_survives_the_way_to_float_and_back() -> None:
    pictures = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(1, 1, 1, 3)
    assert torch.equal(to_uint8(to_float(pictures)), pictures)


def test_shapes_and_statistics() -> None:
    torch.manual_seed(0)
    codec = ImageCodec.small(SMALL).eval()
    pictures = torch.randint(0, 255, (8, 16, 32, 3), dtype=torch.uint8)
    codec.measure_statistics(pictures)
    latents = codec.encode(to_float(pictures)).detach()
    assert latents.shape == (8, 4, 4, 8)
    assert torch.allclose(latents.mean((0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(latents.std((0, 2, 3)), torch.ones(4), atol=1e-3)
    assert codec.decode(latents).shape == (8, 3, 16, 32)


def test_loss_falls() -> None:
    torch.manual_seed(0)
    codec = ImageCodec.small(SMALL)
    pictures = (torch.linspace(0, 255, 32).expand(4, 16, 32)[..., None].repeat(1, 1, 1, 3)).to(torch.uint8)
    optimizer = torch.optim.AdamW(codec.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss, logs = codec.loss({"pictures": pictures})
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert logs["psnr"] > 10


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_published_codecs_load_from_a_folder(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    if kind == "kl":
        model = AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4,
                              down_block_types=("DownEncoderBlock2D",) * 2,
                              up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
    else:
        model = AutoencoderTiny(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
                                num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))  # fmt: skip
    model.eval().save_pretrained(tmp_path)
    codec = ImageCodec.from_pretrained(str(tmp_path), kind).eval()
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        latents = codec.encode(picture)
        encoded = model.encode(picture)
        raw = encoded.latent_dist.mode() if kind == "kl" else encoded.latents
        assert torch.allclose(latents, raw * model.config.scaling_factor, atol=1e-5)
        assert torch.allclose(codec.decode(latents), model.decode(raw).sample, atol=1e-4)
    assert latents.shape[-2:] == (16 // codec.factor, 16 // codec.factor)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="codec kind: found 'x'"):
        ImageCodec.from_pretrained(str(tmp_path), "x")
    with pytest.raises(WeightsError, match="codec weights in"):
        load_codec(tmp_path)


def test_weights_round_trip(tmp_path: Path) -> None:
    import json
    from dataclasses import asdict

    torch.manual_seed(0)
    codec = ImageCodec.small(SMALL)
    (tmp_path / "codec.json").write_text(json.dumps(asdict(SMALL)))
    save_weights(codec, tmp_path / "codec.safetensors", torch.float32)
    again = load_codec(tmp_path)
    assert all(torch.equal(v, codec.state_dict()[k]) for k, v in again.state_dict().items())


def test_frames_of_every_number_there_is() -> None:
    """All finite bfloat16 numbers, as pictures: the kernel clamps and rounds as torch does."""
    numbers = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    numbers = torch.cat([numbers[numbers.isfinite()], torch.zeros(512, dtype=torch.bfloat16)])
    drawn = numbers[: len(numbers) // 96 * 96].reshape(-1, 4, 8, 3).permute(0, 3, 1, 2)
    expected = drawn.clamp(-1.0, 1.0)
    with torch.inference_mode():
        pictures, frames = to_frames(drawn.clone(memory_format=torch.channels_last))
    assert torch.equal(pictures, expected) and torch.equal(frames, to_uint8(expected))
    assert frames.min() == 0 and frames.max() == 255
