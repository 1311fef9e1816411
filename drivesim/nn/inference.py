"""Layers of trained networks as they run fastest on a CPU: weights packed once, neighbouring operations merged.

`prepare_for_inference` gives layers another class and touches neither parameters nor their names. Where gradients are
wanted, on other devices and in other types the layers compute what they always did.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import Tensor, nn
from torch.nn.functional import group_norm, silu


def _has_packed_convolutions() -> bool:
    """Whether this build and processor know the oneDNN operators that torch's own compiler uses, in bfloat16."""
    try:
        known = torch.ops.mkldnn._convolution_pointwise, torch.ops.mkldnn._reorder_convolution_weight
        return bool(known) and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


PACKED = _has_packed_convolutions()


def prepare_for_inference(module: nn.Module) -> None:
    """Swaps the layers of a network that this file knows better, in place."""
    for layer in module.modules():
        if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and isinstance(layer.padding, tuple):
            layer.__class__ = PackedConv2d
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


def _merges(x: Tensor) -> bool:
    """Whether the merged operations apply to a layer's input [N, C, h, w]."""
    return PACKED and x.dtype == torch.bfloat16 and x.device.type == "cpu" and not torch.is_grad_enabled()


class PackedConv2d(nn.Conv2d):
    """A convolution that keeps its weights in the order in which oneDNN reads them."""

    _order: tuple[tuple[int, int], Tensor] | None = None  # the weights packed, and which weights these were

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

    def _packs(self, x: Tensor) -> bool:
        return _merges(x) and self.weight.dtype == x.dtype

    def _packed(self, x: Tensor) -> Tensor:
        weight = self.weight
        now = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if self._order is None or self._order[0] != now:
            packed = torch.ops.mkldnn._reorder_convolution_weight(
                weight.detach(), self.padding, self.stride, self.dilation, self.groups, list(x.shape)
            )
            self._order = now, packed
        return self._order[1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_order"}  # packed weights do not copy


class TransposedGroupNorm(nn.GroupNorm):
    """Group normalisation of channels-last memory, whose few channels per group torch walks through one by one."""

    def forward(self, x: Tensor) -> Tensor:
        """Input [N, C, h, w]."""
        return normalised(x, self) if x.dim() == 4 and _merges(x) else super().forward(x)


def normalised(x: Tensor, norm: nn.GroupNorm, shift: Tensor | None = None, activate: bool = False) -> Tensor:
    """Group normalisation of x [N, C, h, w] + shift [N, C], then SiLU if `activate`; channels-last again."""
    x = x.contiguous()
    if shift is not None:
        x = x + shift[..., None, None]
    y = group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return (silu(y, inplace=True) if activate else y).contiguous(memory_format=torch.channels_last)


class MergedResnetBlock(ResnetBlock2D):
    """The residual block of a diffusers U-Net in five passes over memory instead of ten."""

    def forward(self, input_tensor: Tensor, temb: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Input [N, C, h, w] and time embedding [N, E] or None."""
        x, second = input_tensor, self.conv2
        if not (_merges(x) and isinstance(second, PackedConv2d) and second._packs(x)):
            return super().forward(x, temb, *args, **kwargs)
        shift = None if self.time_emb_proj is None or temb is None else self.time_emb_proj(silu(temb))
        hidden = self.conv1(normalised(x, self.norm1, activate=True))
        hidden = normalised(hidden, self.norm2, shift, activate=True)
        return second.added(hidden, x if self.conv_shortcut is None else self.conv_shortcut(x))


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
    """The block of a tiny autoencoder as three convolutions and nothing between them."""

    def forward(self, x: Tensor) -> Tensor:
        """Input [N, C, h, w]."""
        first, second, third = (layer for layer in self.conv if isinstance(layer, PackedConv2d))
        if not third._packs(x):
            return super().forward(x)
        return third.added(second.activated(first.activated(x, "relu"), "relu"), x, "relu")
