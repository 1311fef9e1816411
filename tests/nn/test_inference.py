"""Layers prepared for inference against the layers they come from."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import Tensor, nn

from drivesim.nn.inference import (
    FUSED,
    PACKED,
    MergedTransformer,
    PackedConv2d,
    TimeShifts,
    composed,
    normalised,
    prepare_for_inference,
    time_shifts,
)

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
        old, new = plain(*inputs), prepared(*(each.clone() for each in inputs))
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
        assert isinstance(twin[0], PackedConv2d) and twin[0]._packing.made is None
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


@pytest.mark.skipif(FUSED is None, reason="no kernels were compiled here")
@pytest.mark.parametrize("activate", [False, True])
@pytest.mark.parametrize("mean", [0.0, 30.0])
def test_the_kernel_for_group_norms_is_as_exact_as_bfloat16_can_be(activate: bool, mean: float) -> None:
    torch.manual_seed(0)
    norm = nn.GroupNorm(4, 40).bfloat16()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias, std=20.0)
    x = (picture(40) + mean).contiguous(memory_format=torch.channels_last)
    shift = torch.randn(6, 100).bfloat16()[:, 30:70]  # rows of something wider
    exact = deepcopy(norm).double()(x.double() + shift.double()[..., None, None])
    exact = nn.functional.silu(exact) if activate else exact
    with torch.inference_mode():
        found = normalised(x, norm, shift, activate)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(found.double(), exact, rtol=2.0**-8, atol=2e-3), "the nearest number, or next to it"


@needs_packing
def test_a_packed_linear_layer() -> None:
    torch.manual_seed(0)
    plain, prepared = pair(nn.Linear(24, 40))
    x, other = torch.randn(6, 7, 24).bfloat16(), torch.randn(6, 7, 40).bfloat16()
    with torch.inference_mode():
        assert torch.equal(plain(x), prepared(x))
        exact = deepcopy(plain).double()(x.double()) + other.double()
        assert torch.allclose(prepared[0].added(x, other).double(), exact, rtol=2.0**-7, atol=2e-2)


@needs_packing
@pytest.mark.parametrize("tokens", [1, 2])
def test_a_merged_transformer_is_no_farther_from_exact_than_the_plain_one(tokens: int) -> None:
    torch.manual_seed(0)
    transformer = Transformer2DModel(2, 16, 32, num_layers=2, norm_num_groups=4, cross_attention_dim=24)
    plain, prepared = (each[0] for each in pair(transformer))
    assert isinstance(prepared, MergedTransformer)
    x, given = picture(32), torch.randn(6, tokens, 24).bfloat16()
    with torch.inference_mode():
        exact = deepcopy(plain).double()(x.double(), given.double(), return_dict=False)[0]
        old, new = (each(x, given, return_dict=False)[0].double() for each in (plain, prepared))
    assert (new - exact).square().mean() <= 1.1 * (old - exact).square().mean()
    assert (new - exact).std() < 0.02 * exact.std()


@needs_packing
def test_shifts_of_all_blocks_in_one_product() -> None:
    torch.manual_seed(0)
    trunk = nn.ModuleList(
        ResnetBlock2D(in_channels=32, out_channels=width, temb_channels=16, groups=8) for width in (32, 64)
    ).to(torch.bfloat16)
    emb = torch.randn(6, 16).bfloat16()
    with torch.inference_mode():
        assert time_shifts(emb, trunk) is emb, "not prepared"
    prepared = deepcopy(trunk)
    prepare_for_inference(prepared)
    with torch.inference_mode():
        shifts = time_shifts(emb, prepared)
        assert isinstance(shifts, TimeShifts)
        for block, twin in zip(prepared, trunk, strict=True):
            alone = twin.time_emb_proj(nn.functional.silu(emb))
            assert torch.allclose(shifts.of[block].float(), alone.float(), rtol=2.0**-6, atol=1e-2)
            x = picture(32)
            assert torch.allclose(block(x, shifts).float(), block(x, emb).float(), rtol=2.0**-5, atol=0.1)
        with torch.no_grad():
            prepared[0].time_emb_proj.weight.zero_()
        assert not time_shifts(emb, prepared).of[prepared[0]].equal(shifts.of[prepared[0]]), "weights have changed"


@pytest.mark.skipif(FUSED is None, reason="no kernels were compiled here")
def test_a_choice_among_references_by_the_kernel() -> None:
    torch.manual_seed(0)
    drawn = torch.randn(6, 4 * (8 + 5), 9, 16).bfloat16()
    references = torch.randn(6, 4, 8, 18, 32).bfloat16()
    residual, logits = nn.functional.pixel_shuffle(drawn.double(), 2).split([8, 5], dim=1)
    exact = residual + (logits.softmax(1)[:, :-1, None] * references.double()).sum(1)
    assert torch.allclose(composed(drawn, references).double(), exact, rtol=2.0**-8, atol=1e-5)
