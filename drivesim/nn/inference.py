"""Layers of trained networks as they run fastest on a CPU: weights packed once, neighbouring operations merged.

`prepare_for_inference` gives layers another class and touches neither parameters nor their names. Where gradients are
wanted, on other devices and in other types the layers compute what they always did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import Tensor, nn
from torch.nn.functional import gelu, group_norm, linear, scaled_dot_product_attention, silu

from drivesim.kernels import optional


def _has_packed_convolutions() -> bool:
    """Whether this build and processor know the oneDNN operators that torch's own compiler uses, in bfloat16."""
    try:
        known = torch.ops.mkldnn._convolution_pointwise, torch.ops.mkldnn._reorder_convolution_weight
        return bool(known) and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


PACKED = _has_packed_convolutions()
FUSED: Any = optional("drivesim.nn.fused")  # merged operations, where they were compiled


def prepare_for_inference(module: nn.Module) -> None:
    """Swaps the layers of a network that this file knows better, in place."""
    for layer in module.modules():
        if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and isinstance(layer.padding, tuple):
            layer.__class__ = PackedConv2d
        elif type(layer) is nn.Linear:
            layer.__class__ = PackedLinear
        elif type(layer) is nn.GroupNorm:
            layer.__class__ = TransposedGroupNorm
        elif type(layer) is ResnetBlock2D and _is_plain(layer):
            layer.__class__ = MergedResnetBlock
        elif type(layer) is AutoencoderTinyBlock and isinstance(layer.skip, nn.Identity):
            if isinstance(layer.conv[1], nn.ReLU):
                layer.__class__ = MergedTinyBlock
        elif type(layer) is Attention and layer.is_cross_attention and _is_bare(layer):
            processor: Any = OneTokenAttention(layer.processor)
            layer.set_processor(processor)
        elif type(layer) is Transformer2DModel and _is_usual(layer):
            layer.__class__ = MergedTransformer


def _is_plain(block: Any) -> bool:
    """Whether a residual block is nothing but norm, SiLU, convolution, time shift, norm, SiLU, convolution."""
    return (
        block.time_embedding_norm == "default"
        and block.upsample is None
        and block.downsample is None
        and not block.skip_time_act
        and block.output_scale_factor == 1.0
        and isinstance(block.nonlinearity, nn.SiLU)
    )


def _is_bare(attention: Any) -> bool:
    """Whether an attention layer is nothing but its four projections."""
    parts = attention.spatial_norm, attention.group_norm, attention.norm_q, attention.norm_cross
    return not any(parts) and not attention.residual_connection and attention.rescale_output_factor == 1.0


def _is_usual(transformer: Any) -> bool:
    """Whether every block of a transformer is self-attention, cross-attention and a gated layer, each after a norm."""
    return (
        isinstance(transformer.proj_in, nn.Conv2d)
        and transformer.is_input_continuous
        and all(
            block.norm_type == "layer_norm"
            and block.pos_embed is None
            and not block.only_cross_attention
            and block.attn2 is not None
            and _is_bare(block.attn1)
            and _is_bare(block.attn2)
            and block.attn2.is_cross_attention
            and type(block.ff.net[0]) is GEGLU
            for block in transformer.transformer_blocks
        )
    )


def merges(x: Tensor) -> bool:
    """Whether the merged operations apply to a layer's input [N, C, h, w]."""
    return PACKED and x.dtype == torch.bfloat16 and x.device.type == "cpu" and not torch.is_grad_enabled()


class Packing:
    """What was made of the weights of some layers, made anew when these change. Copies and pickles leave it behind."""

    def __init__(self) -> None:
        self.made: tuple[tuple[tuple[int, int], ...], Any] | None = None

    def __call__(self, weights: Sequence[Tensor], make: Callable[[], Any]) -> Any:
        """What `make` made of these weights."""
        now = tuple((w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights)
        if self.made is None or self.made[0] != now:
            self.made = now, make()
        return self.made[1]

    def __reduce__(self) -> tuple[type[Packing], tuple[()]]:
        return Packing, ()


def _packing(layer: Any) -> Packing:
    """That of a layer."""
    found: Packing | None = layer.__dict__.get("_packing")
    if found is None:
        found = layer.__dict__["_packing"] = Packing()
    return found


class PackedConv2d(nn.Conv2d):
    """A convolution that keeps its weights in the order in which oneDNN reads them."""

    def forward(self, x: Tensor) -> Tensor:
        """Input [N, C, h, w]."""
        return self.activated(x, "none") if self._packs(x) else super().forward(x)

    def activated(self, x: Tensor, activation: str) -> Tensor:
        """The convolution with "none" or "relu" after it."""
        x = x.contiguous(memory_format=torch.channels_last)
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._packed(x), self.bias, self.padding, self.stride, self.dilation, self.groups, activation, [], ""
        )

    def added(self, x: Tensor, other: Tensor, activation: str | None = None) -> Tensor:
        """The convolution plus another input, with None or "relu" after it."""
        x, other = (each.contiguous(memory_format=torch.channels_last) for each in (x, other))
        return torch.ops.mkldnn._convolution_pointwise.binary(
            x, other, self._packed(x), self.bias, self.padding, self.stride, self.dilation, self.groups,
            "add", 1.0, activation, [], None,
        )  # fmt: skip

    def added_to(self, other: Tensor, x: Tensor, activation: str | None = None) -> Tensor:
        """The same, written over the other input, which has to be channels-last."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            other, x, self._packed(x), self.bias, self.padding, self.stride, self.dilation, self.groups,
            "add", 1.0, activation, [], None,
        )  # fmt: skip
        return out

    def _packs(self, x: Tensor) -> bool:
        return merges(x) and self.weight.dtype == x.dtype

    def _packed(self, x: Tensor) -> Tensor:
        packed: Tensor = _packing(self)(
            [self.weight],
            lambda: torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.detach(), self.padding, self.stride, self.dilation, self.groups, list(x.shape)
            ),
        )
        return packed


class PackedLinear(nn.Linear):
    """A linear layer that keeps its weights in the order in which oneDNN reads them."""

    def forward(self, x: Tensor) -> Tensor:
        """Input [..., C]."""
        if not (merges(x) and self.weight.dtype == x.dtype):
            return super().forward(x)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed(x), self.bias, "none", [], "")
        return out

    def added(self, x: Tensor, other: Tensor) -> Tensor:
        """The layer's output plus another input."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self._packed(x), self.bias, "add")
        return out

    def _packed(self, x: Tensor) -> Tensor:
        packed: Tensor = _packing(self)(
            [self.weight],
            lambda: torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), x.numel() // x.shape[-1]),
        )
        return packed


class TransposedGroupNorm(nn.GroupNorm):
    """Group normalisation of channels-last memory, whose few channels per group torch walks through one by one."""

    def forward(self, x: Tensor) -> Tensor:
        """Input [N, C, h, w]."""
        return normalised(x, self) if x.dim() == 4 and merges(x) else super().forward(x)


def normalised(x: Tensor, norm: nn.GroupNorm, shift: Tensor | None = None, activate: bool = False) -> Tensor:
    """Group normalisation of x [N, C, h, w] + shift [N, C], then SiLU if `activate`; channels-last again."""
    tensors = [x, norm.weight, norm.bias] + ([] if shift is None else [shift])
    if FUSED is not None and all(t.dtype == torch.bfloat16 and t.device.type == "cpu" for t in tensors):
        x = x.contiguous(memory_format=torch.channels_last)
        out = torch.empty_like(x)
        images, channels, height, width = x.shape
        if shift is not None and shift.stride(1) != 1:
            shift = shift.contiguous()
        FUSED.group_norm(
            x.data_ptr(), out.data_ptr(), images, height * width, channels, norm.num_groups, norm.weight.data_ptr(),
            norm.bias.data_ptr(), *((0, 0) if shift is None else (shift.data_ptr(), shift.stride(0))), norm.eps,
            activate,
        )  # fmt: skip
        return out
    x = x.contiguous()
    if shift is not None:
        x = x + shift[..., None, None]
    y = group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return (silu(y, inplace=True) if activate else y).contiguous(memory_format=torch.channels_last)


def composed(drawn: Tensor, references: Tensor) -> Tensor:
    """`StageNetwork`'s choice among references [N, R, C, h, w] from what its U-Net drew [N, (C + R + 1) * 4, h/2, w/2],
    by the kernel."""
    images, count, channels, height, width = references.shape
    drawn = drawn.contiguous(memory_format=torch.channels_last)
    references = references.flatten(1, 2).contiguous(memory_format=torch.channels_last)
    out = drawn.new_empty((images, height, width, channels)).permute(0, 3, 1, 2)
    FUSED.compose(
        drawn.data_ptr(), references.data_ptr(), out.data_ptr(), images, height // 2, width // 2, channels, count + 1
    )
    return out


class MergedResnetBlock(ResnetBlock2D):
    """The residual block of a diffusers U-Net in five passes over memory instead of ten."""

    def forward(self, input_tensor: Tensor, temb: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Input [N, C, h, w] and time embedding [N, E], `TimeShifts` of one, or None."""
        x, second = input_tensor, self.conv2
        if not (merges(x) and isinstance(second, PackedConv2d) and second._packs(x)):
            return super().forward(x, temb, *args, **kwargs)
        shift = None
        if isinstance(temb, TimeShifts):
            shift = temb.of[self]
        elif self.time_emb_proj is not None and temb is not None:
            shift = self.time_emb_proj(silu(temb))
        hidden = self.conv1(normalised(x, self.norm1, activate=True))
        hidden = normalised(hidden, self.norm2, shift, activate=True)
        if self.conv_shortcut is None:
            return second.added(hidden, x)
        return second.added_to(self.conv_shortcut(x), hidden)


def embedded_time(sigma: Tensor | float, trunk: Any, like: Tensor) -> Tensor:
    """The embedding of a noise level in a U-Net: [N, E] of levels [N], or [1, E] of one, which is worked out once."""
    embedding = trunk.time_embedding
    if isinstance(sigma, Tensor):
        out: Tensor = embedding(trunk.time_proj(1000.0 * sigma).to(like.dtype))
        return out
    if not merges(like):
        return embedded_time(torch.full((1,), sigma, dtype=like.dtype, device=like.device), trunk, like)
    known: dict[float, Tensor] = _packing(embedding)(list(embedding.parameters()), dict)
    if sigma not in known:
        known[sigma] = embedded_time(torch.full((1,), sigma, dtype=like.dtype), trunk, like)
    return known[sigma]


class TimeShifts:
    """Stands for a time embedding [N, E] in a U-Net: what all its residual blocks make of it, by a single product."""

    def __init__(self, embedding: Tensor, trunk: Any) -> None:
        layers = [block.time_emb_proj for block in _blocks(trunk)]
        weight, bias = _packing(trunk)(
            [each for layer in layers for each in (layer.weight, layer.bias)],
            lambda: tuple(
                torch.cat([getattr(layer, name).detach() for layer in layers]) for name in ("weight", "bias")
            ),
        )
        shifts = linear(silu(embedding), weight, bias).split([layer.out_features for layer in layers], dim=1)
        self.of = dict(zip(_blocks(trunk), shifts, strict=True))


def time_shifts(embedding: Tensor, trunk: Any) -> Any:
    """`TimeShifts` of an embedding [N, E] where every residual block of a U-Net takes them, else the embedding."""
    return TimeShifts(embedding, trunk) if merges(embedding) and _blocks(trunk) else embedding


def _blocks(trunk: Any) -> list[Any]:
    """The residual blocks of a U-Net, if all of them are merged ones with time embeddings."""
    found: list[Any] | None = trunk.__dict__.get("_residual_blocks")
    if found is None:
        found = trunk.__dict__["_residual_blocks"] = [m for m in trunk.modules() if isinstance(m, ResnetBlock2D)]
    merged = all(type(block) is MergedResnetBlock and block.time_emb_proj is not None for block in found)
    return found if merged else []


class MergedTransformer(Transformer2DModel):
    """The transformer of a U-Net whose cross-attention has a single token to look at."""

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Features [N, C, h, w] and tokens [N, T, E]."""
        x, tokens = hidden_states, encoder_hidden_states
        masks = kwargs.get("attention_mask"), kwargs.get("encoder_attention_mask")
        if not merges(x) or tokens is None or tokens.shape[1] != 1 or args or masks != (None, None):
            return super().forward(x, tokens, *args, **kwargs)
        first: Any = self.proj_in
        last: Any = self.proj_out
        inner = first(normalised(x, self.norm))
        rows = inner.permute(0, 2, 3, 1).flatten(1, 2)  # [N, h w, C]
        blocks: Any = self.transformer_blocks
        for block in blocks:
            attention, reading, gated, out = block.attn1, block.attn2, block.ff.net[0].proj, block.ff.net[2]
            hidden = block.norm1(rows)
            q, k, v = (
                layer(hidden).unflatten(-1, (attention.heads, -1)).transpose(1, 2)
                for layer in (attention.to_q, attention.to_k, attention.to_v)
            )
            found = scaled_dot_product_attention(q, k, v, scale=attention.scale).transpose(1, 2).flatten(2)
            rows = attention.to_out[0].added(found, rows)
            rows = rows + reading.to_out[0](reading.to_v(tokens))  # the token's value, whatever the queries are
            values, gates = gated(block.norm3(rows)).chunk(2, dim=-1)
            rows = out.added(values * gelu(gates), rows)
        return (last.added(rows.unflatten(1, inner.shape[2:]).permute(0, 3, 1, 2), x),)


class OneTokenAttention:
    """Cross-attention to a single token, which is that token's value whatever the queries are."""

    def __init__(self, otherwise: Any) -> None:
        self.otherwise = otherwise

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Any = None
    ) -> Tensor:
        """Queries [N, L, C] and tokens [N, T, E]."""
        tokens = encoder_hidden_states
        if tokens is None or tokens.shape[1] != 1 or attention_mask is not None or torch.is_grad_enabled():
            out: Tensor = self.otherwise(attn, hidden_states, tokens, attention_mask)
            return out
        return attn.to_out[0](attn.to_v(tokens)).expand(*hidden_states.shape[:2], -1)


class MergedTinyBlock(AutoencoderTinyBlock):
    """The block of a tiny autoencoder as three convolutions and nothing between them.

    It may write over its input, which nothing else in an autoencoder looks at.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Input [N, C, h, w]."""
        first, second, third = (layer for layer in self.conv if isinstance(layer, PackedConv2d))
        if not third._packs(x):
            return super().forward(x)
        x = x.contiguous(memory_format=torch.channels_last)
        return third.added_to(x, second.activated(first.activated(x, "relu"), "relu"), "relu")
