"""Layers prepared for inference against the layers they come from."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import Tensor, nn

from drivesim.nn.inference import PACKED, PackedConv2d, normalised, prepare_for_inference

needs_packing = pytest.mark.skipif(not PACKED, reason="this processor has no packed convolutions in bfloat16")


def pair(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A layer in bfloat16 as a generator holds it, plain and prepared."""
    plain = nn.Sequential(layer).to(torch.bfloat16).to(memory_format=torch.channels_last).eval()  # type: ignore
    prepared = deepcopy(plain)
    prepare_for_inference(prepared)
    assert type(prepared[0]) is not type(plain[0])
    return plain, prepared


def picture(channels: int) -> Tensor:
    return torch.randn(6, channels, 9, 16).bfloat16().contiguous(memory_format=torch.channels_last)


@needs_packing
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_convolution_is_the_same_to_the_bit(bias: bool) -> None:
    plain, prepared = pair(nn.Conv2d(40, 24, 3, stride=2, padding=1, bias=bias))
    x = picture(40)
    with torch.inference_mode():
        assert torch.equal(plain(x), prepared(x))
        assert torch.equal(plain(x).relu(), prepared[0].activated(x, "relu"))
        assert torch.equal(plain(x[:2].contiguous()), prepared(x[:2].contiguous())), "another batch, other memory"


def test_new_weights_are_packed_anew() -> None:
    plain, prepared = pair(nn.Conv2d(8, 8, 3, padding=1))
    x = picture(8)
    with torch.inference_mode():
        before = prepared(x)
    with torch.no_grad():
        for layer in (plain, prepared):
            layer[0].weight.mul_(2.0)
    with torch.inference_mode():
        after = prepared(x)
        assert torch.equal(after, plain(x)) and not torch.equal(after, before)
        prepared.load_state_dict(deepcopy(prepared).state_dict())
        assert torch.equal(prepared(x), after)


def error(found: Tensor, layer: nn.Module, *inputs: Tensor) -> float:
    """Root mean square distance from what the layer gives in double precision."""
    exact = deepcopy(layer).double()(*(each.double() for each in inputs))
    return float((found.double() - exact).square().mean().sqrt())


@pytest.mark.parametrize(
    ("block", "channels", "embedded"),
    [
        (ResnetBlock2D(in_channels=32, out_channels=32, temb_channels=16, groups=8), 32, True),
        (ResnetBlock2D(in_channels=64, out_channels=32, temb_channels=16, groups=8), 64, True),
        (AutoencoderTinyBlock(32, 32, "relu"), 32, False),
    ],
)
def test_a_merged_block_is_no_farther_from_exact_than_the_plain_one(
    block: nn.Module, channels: int, embedded: bool
) -> None:
    torch.manual_seed(0)
    plain, prepared = (each[0] for each in pair(block))
    inputs = [picture(channels)] + ([torch.randn(6, 16).bfloat16()] if embedded else [])
    with torch.inference_mode():
        old, new = plain(*inputs), prepared(*inputs)
        assert error(new, plain, *inputs) <= 1.02 * error(old, plain, *inputs)
        assert new.stride() == old.stride()


def test_group_normalisation_with_shift_and_activation() -> None:
    norm, x, shift = nn.GroupNorm(4, 24), torch.randn(2, 24, 5, 7), torch.randn(2, 24)
    nn.init.normal_(norm.weight)
    expected = nn.functional.silu(norm(x + shift[..., None, None]))
    with torch.inference_mode():
        assert torch.allclose(normalised(x, norm, shift, activate=True), expected, atol=1e-5)


def test_gradients_and_names_are_those_of_the_plain_layers() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(ResnetBlock2D(in_channels=8, temb_channels=None, groups=2), nn.GroupNorm(2, 8))
    prepared = deepcopy(plain)
    prepare_for_inference(prepared)
    assert list(plain.state_dict()) == list(prepared.state_dict())
    x = torch.randn(2, 8, 4, 4)
    for network in (plain, prepared):
        network[1](network[0](x, None)).square().mean().backward()
    for left, right in zip(plain.parameters(), prepared.parameters(), strict=True):
        assert left.grad is not None and right.grad is not None and torch.equal(left.grad, right.grad)


def test_copies_share_no_packed_weights() -> None:
    _, prepared = pair(nn.Conv2d(8, 8, 3, padding=1))
    x = picture(8)
    with torch.inference_mode():
        found = prepared(x)
        twin = deepcopy(prepared)
        assert isinstance(twin[0], PackedConv2d) and twin[0]._order is None
        assert torch.equal(twin(x), found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [1, 3])
def test_attention_to_one_token_is_the_same_to_the_bit(dtype: torch.dtype, tokens: int) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(Attention(40, cross_attention_dim=24, heads=5, dim_head=8)).to(dtype).eval()
    prepared = deepcopy(plain)
    prepare_for_inference(prepared)
    x, keys = torch.randn(6, 10, 40).to(dtype), torch.randn(6, tokens, 24).to(dtype)
    with torch.inference_mode():
        assert torch.equal(plain[0](x, keys), prepared[0](x, keys))
    assert torch.equal(plain[0](x, keys), prepared[0](x, keys))
