"""The network of STAGE: a diffusers U-Net that sees six cameras at once, the layout, and features of past frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import conv2d, pixel_shuffle, pixel_unshuffle

from drivesim.conditions import LAYOUT_CHANNELS
from drivesim.nn.attention import CrossViewAttention, TemporalFeatureTransfer
from drivesim.nn.inference import FUSED, PackedConv2d, composed, embedded_time, merges, time_shifts
from drivesim.nn.palette import PAINT_CHANNELS
from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES

TAGS = 6
SAID = len(LAYOUT_CHANNELS) + 3  # planes of a layout, and where on its box every pixel of a box lies
TEXTURE = 12  # planes of what boxes look like there
PLANES = SAID + PAINT_CHANNELS + TEXTURE  # the same, painted in the colours of the first frame and textured
MOTION = 14  # see `motion_features`


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the network; `paper` sizes come from the Stable Diffusion folder they start from."""

    latent_channels: int = 8
    patch: int = 2  # latents are folded patch x patch into channels before the U-Net
    channels: tuple[int, ...] = (160, 160)
    layers_per_block: int = 1
    attention_heads: int = 5
    groups: int = 16
    embedding: int = 256
    views: int = 6
    layout_features: int = 128
    layout_stride: int = 4  # layout size / size of the folded latents
    sketch_width: int = 64
    references: int = 3  # latent pictures beside the noisy one: previous, its warp, anchor
    reference_masks: int = 3  # of the warp: seen, on the ground, inverse distance
    distances: tuple[float, ...] = (150.0, 60.0, 38.0, 26.0, 18.0, 12.0, 8.0, 5.0)  # [m], bins of the estimator
    distance_width: int = 96
    token_width: int = 160
    exchange: tuple[int, ...] = (
        0,
    )  # where views and frames are exchanged: 0 after the middle block, k after up block k
    offsets: int = 3  # frames of the buffer that are read
    dropout: float = 0.0
    blend: bool = True  # the clean latents are a choice among references and sketch, plus a residual


class LayoutEncoder(nn.Module):
    """Painted layout [N, PLANES, H, W] to features [N, F, H / stride, W / stride], folded: thin lines survive."""

    def __init__(self, features: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.layers = nn.Sequential(
            nn.Conv2d(PLANES * stride**2, features, 1),
            nn.SiLU(),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, layout: Tensor) -> Tensor:
        """Features at the U-Net's first resolution."""
        first = self.layers[0]  # folds as it goes: a convolution whose stride is its size
        assert isinstance(first, nn.Conv2d)
        kernel = first.weight.view(-1, layout.shape[1], self.stride, self.stride)
        x = conv2d(layout, kernel, first.bias, self.stride)
        for layer in list(self.layers)[1:]:
            x = layer(x)
        return x


class BoxTexture(nn.Module):
    """What objects look like by where on their box a pixel lies: a learnt table of cells per class.

    A wheel or a window is a place on a box; looked up, it need not be worked out from coordinates by convolutions.
    """

    CELLS = (16, 8, 8)  # along, across, up

    def __init__(self) -> None:
        super().__init__()
        along, across, up = self.CELLS
        self.table = nn.Embedding(1 + len(OBJECT_CLASSES) * along * across * up, TEXTURE, padding_idx=0)  # 0: no box
        nn.init.normal_(self.table.weight[1:], std=0.1)

    def forward(self, said: Tensor) -> Tensor:
        """Planes [B * V, TEXTURE, h, w] for uint8 [B, V, h, w, SAID], zero where no box is."""
        first = len(MAP_CLASSES)
        box, index = said[..., first : first + len(OBJECT_CLASSES)].max(dim=-1)
        for place, cells in zip(said[..., len(LAYOUT_CHANNELS) :].long().unbind(-1), self.CELLS, strict=True):
            index = index * cells + (place * cells >> 8)
        index = torch.where(box > 0, index + 1, 0)
        return self.table(index.flatten(0, 1)).permute(0, 3, 1, 2)


class LayoutSketch(nn.Module):
    """What the painted layout alone says of the latents [N, C, h, w]: a few convolutions at full latent resolution.

    Ground and boxes look alike wherever they are, so this short path learns them long before the U-Net does.
    """

    def __init__(self, channels: int, stride: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(PLANES, width, 2 * stride - 1, stride=stride, padding=stride - 1)
        self.look = nn.Linear(TAGS, width)
        self.layers = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)
        )

    def forward(self, layout: Tensor, tags: Tensor) -> Tensor:
        """Latents for painted layouts [N, PLANES, H, W] and the look of their worlds [N, TAGS]."""
        return self.layers(self.first(layout) + self.look(tags)[..., None, None])


class DistanceEstimator(nn.Module):
    """How far away is what the new frame shows? Logits [N, 1 + D, h, w] from the previous latents and the layout.

    The first logit stands for the ground that the layout tells of, the others for distances: something may stand on
    that ground which no layout mentions (a house, a tree), and where the layout tells of nothing only they count.
    """

    def __init__(self, latents: int, layout: int, distances: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        last = nn.Conv2d(width, (1 + distances) * patch**2, 3, padding=1)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        with torch.no_grad():
            last.bias[: patch**2] = 3.0  # at first the ground is believed
        self.layers = nn.Sequential(
            nn.Conv2d(latents * patch**2 + layout, width, 1), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            last,
        )  # fmt: skip

    def forward(self, latents: Tensor, layout: Tensor) -> Tensor:
        """Latents [N, C, h, w], features of the layout [N, F, h / patch, w / patch]."""
        return pixel_shuffle(self.layers(torch.cat([pixel_unshuffle(latents, self.patch), layout], 1)), self.patch)


@dataclass
class NetworkInputs:
    """What stays the same over the denoising steps of a frame, N = B * V rows."""

    context: Tensor  # [N, K, h, w]: references, their masks, viewing rays, layout features
    references: Tensor  # [N, R + 1, C, h, w], latent pictures that the new frame may be composed of, a sketch the last
    embedding: Tensor  # [N, E], motion, tags and camera
    tokens: Tensor  # [N, tokens, token_width], the same as one token each for cross-attention


class StageNetwork(nn.Module):
    """Predicts clean latents from noisy ones. Sizes are a matter of config; `tiny` and `paper` are this class.

    `trunk` is a trained `UNet2DConditionModel` (which carries no types, hence Any); None makes an untrained small one.
    """

    def __init__(self, config: NetworkConfig, trunk: Any = None) -> None:
        super().__init__()
        self.config = config
        self.trunk: Any = trunk or _small_trunk(config)
        width = self.trunk.config.block_out_channels
        self._widen_input(trained=trunk is not None)
        if config.blend:
            self._widen_output()
        self.texture = BoxTexture()
        self.layout_encoder = LayoutEncoder(config.layout_features, config.layout_stride)
        if config.blend:
            stride = config.layout_stride // config.patch
            self.sketch = LayoutSketch(config.latent_channels, stride, config.sketch_width)
        self.distance = DistanceEstimator(
            config.latent_channels, config.layout_features, len(config.distances), config.patch, config.distance_width
        )
        embedding = self.trunk.time_embedding.linear_2.out_features
        self.motion_embedding = nn.Sequential(
            nn.Linear(MOTION + TAGS, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.view_embedding = nn.Embedding(config.views, embedding)
        self.to_token = nn.Linear(embedding, self.trunk.config.cross_attention_dim)
        widths = (width[-1], *(block.resnets[-1].out_channels for block in self.trunk.up_blocks))
        places = [widths[place] for place in config.exchange]
        shape = (config.attention_heads, config.groups)
        self.cross_view = nn.ModuleList(CrossViewAttention(c, *shape) for c in places)
        self.transfer = nn.ModuleList(
            TemporalFeatureTransfer(c, *shape, config.offsets, config.dropout) for c in places
        )

    @property
    def context_channels(self) -> int:
        """Channels of `NetworkInputs.context`."""
        c = self.config
        return (c.references * c.latent_channels + c.reference_masks + 3) * c.patch**2 + c.layout_features

    def _widen_input(self, trained: bool) -> None:
        """Gives the first convolution the context channels; beside a trained trunk they start at zero."""
        old = self.trunk.conv_in
        new = nn.Conv2d(old.in_channels + self.context_channels, old.out_channels, old.kernel_size, padding=old.padding)
        if trained:
            with torch.no_grad():
                new.weight[:, : old.in_channels] = old.weight
                new.weight[:, old.in_channels :] = 0.0
                assert new.bias is not None
                new.bias.copy_(old.bias)
        self.trunk.conv_in = new

    def _widen_output(self) -> None:
        """Adds the choice among the references to the last convolution; at first that is the warp."""
        config, old = self.config, self.trunk.conv_out
        folded = config.patch**2
        new = nn.Conv2d(old.in_channels, old.out_channels + (config.references + 2) * folded, 3, padding=1)
        assert new.bias is not None
        nn.init.zeros_(new.weight)
        nn.init.zeros_(new.bias)
        with torch.no_grad():
            new.bias[old.out_channels + folded : old.out_channels + 2 * folded] = 3.0
        self.trunk.conv_out = new

    def _compose(self, drawn: Tensor, references: Tensor) -> Tensor:
        """Clean latents [N, C, h, w] from what the U-Net drew, folded [N, .., h / patch, w / patch]: a residual and
        logits of the references [N, R + 1, C, h, w] and of none."""
        config = self.config
        if not config.blend:
            return pixel_shuffle(drawn, config.patch)
        if FUSED is not None and config.patch == 2 and isinstance(self.trunk.conv_out, PackedConv2d) and merges(drawn):
            return composed(drawn, references)
        residual, logits = pixel_shuffle(drawn, config.patch).split([config.latent_channels, config.references + 2], 1)
        share = logits.softmax(dim=1)[:, :-1, None]
        return residual + (share * references).sum(1)

    @classmethod
    def from_stable_diffusion(cls, source: str, views: int = 6, dropout: float = 0.1) -> StageNetwork:
        """The `paper` size: the U-Net of a Stable Diffusion folder or hub id; everything new starts as identity."""
        trunk = UNet2DConditionModel.from_pretrained(source, subfolder="unet")
        shape = trunk.config
        heads = shape.attention_head_dim if isinstance(shape.attention_head_dim, int) else shape.attention_head_dim[-1]
        config = NetworkConfig(
            latent_channels=shape.in_channels, patch=1, channels=tuple(shape.block_out_channels),
            layers_per_block=shape.layers_per_block, attention_heads=heads, groups=shape.norm_num_groups,
            embedding=trunk.time_embedding.linear_2.out_features, views=views, token_width=shape.cross_attention_dim,
            exchange=(0, 1), dropout=dropout, blend=False,
        )  # fmt: skip
        return cls(config, trunk)

    def prepare(
        self, references: Tensor, masks: Tensor, layout: Tensor, features: Tensor, motion: Tensor, tags: Tensor
    ) -> NetworkInputs:
        """Inputs of a frame: references [N, R * C, h, w], masks and viewing rays [N, M + 3, h, w], painted layout
        [N, PLANES, H, W] and what `layout_encoder` makes of it, motion [B, MOTION], tags [B, TAGS]."""
        pictures = pixel_unshuffle(torch.cat([references, masks], dim=1), self.config.patch)
        context = torch.cat([pictures, features.to(pictures.dtype)], dim=1)
        embedding = self.motion_embedding(torch.cat([motion, tags], dim=-1))
        embedding = (embedding[:, None] + self.view_embedding.weight).flatten(0, 1)
        choices = references
        if self.config.blend:
            look = tags.repeat_interleave(self.config.views, dim=0)
            choices = torch.cat([references, self.sketch(layout, look).to(references.dtype)], dim=1)
        choices = choices.unflatten(1, (-1, self.config.latent_channels))
        return NetworkInputs(context, choices, embedding, self.to_token(embedding)[:, None])

    def forward(
        self,
        noisy: Tensor,
        sigma: Tensor | float,
        inputs: NetworkInputs,
        memory: list[Tensor] | None = None,
        present: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Clean latents [N, C, h, w] from noisy ones at noise level sigma ([N], or one for all), and the features that
        HTFT stores.

        `memory` holds per transfer layer the keys and values [N, F, L, 2 C] of past frames, `present` bool [N, F] says
        which of them exist.
        """  # fmt: skip
        trunk = self.trunk
        x = torch.cat([pixel_unshuffle(noisy, self.config.patch), inputs.context], dim=1).contiguous(
            memory_format=torch.channels_last
        )
        emb = time_shifts(embedded_time(sigma, trunk, noisy) + inputs.embedding, trunk)
        x = trunk.conv_in(x)
        skips = [x]
        for block in trunk.down_blocks:
            extra = {"encoder_hidden_states": inputs.tokens} if getattr(block, "has_cross_attention", False) else {}
            x, outputs = block(x, emb, **extra)
            skips += outputs
        x = trunk.mid_block(x, emb, encoder_hidden_states=inputs.tokens)
        stored: list[Tensor] = []
        x = self._exchange(0, x, memory, present, stored)
        for index, block in enumerate(trunk.up_blocks):
            taken = len(block.resnets)
            residuals, skips = tuple(skips[-taken:]), skips[:-taken]
            extra = {"encoder_hidden_states": inputs.tokens} if getattr(block, "has_cross_attention", False) else {}
            size = skips[-1].shape[2:] if skips else None
            x = block(x, residuals, emb, upsample_size=size, **extra)
            x = self._exchange(index + 1, x, memory, present, stored)
        x = trunk.conv_out(trunk.conv_act(trunk.conv_norm_out(x)))
        return self._compose(x, inputs.references), stored

    def _exchange(
        self, place: int, x: Tensor, memory: list[Tensor] | None, present: Tensor | None, stored: list[Tensor]
    ) -> Tensor:
        """Reads neighbours and past frames if this is a place for it; what later frames may read goes to `stored`."""
        if place not in self.config.exchange:
            return x
        layer = self.config.exchange.index(place)
        x = self.cross_view[layer](x, self.config.views)
        stored.append(x)
        return self.transfer[layer](x, None if memory is None else memory[layer], present)

    def project_memory(self, stored: list[Tensor]) -> list[Tensor]:
        """Keys and values [N, L, 2 C] per transfer layer from the features a forward pass stored."""
        layers: Any = self.transfer
        return [layer.project(features) for layer, features in zip(layers, stored, strict=True)]


def _small_trunk(config: NetworkConfig) -> Any:
    blocks = len(config.channels)
    return UNet2DConditionModel(
        in_channels=config.latent_channels * config.patch**2, out_channels=config.latent_channels * config.patch**2,
        block_out_channels=config.channels, layers_per_block=config.layers_per_block,
        down_block_types=("DownBlock2D",) * blocks, up_block_types=("UpBlock2D",) * blocks,
        cross_attention_dim=config.token_width, attention_head_dim=config.attention_heads,
        norm_num_groups=config.groups,
        time_embedding_dim=config.embedding,
    )  # fmt: skip


def motion_features(motion: Tensor, anchor_motion: Tensor, ego: Tensor) -> Tensor:
    """Ego motion as numbers of order one [B, MOTION]: step since the previous and the first frame, speed, turning.

    motion, anchor_motion [B, 4, 4]; ego [B, 4] as in `Conditions.ego`.
    """
    step = motion[:, :2, 3]
    turn = torch.stack([motion[:, 1, 0], motion[:, 0, 0]], dim=-1)
    away = anchor_motion[:, :2, 3]
    distance = away.norm(dim=-1, keepdim=True)
    facing = torch.stack([anchor_motion[:, 1, 0], anchor_motion[:, 0, 0]], dim=-1)
    scale = ego.new_tensor([0.1, 0.3, 1.0, 2.0])
    near = torch.exp(-distance / ego.new_tensor([3.0, 30.0]))
    return torch.cat([step, 5.0 * turn[:, :1], turn[:, 1:], away / (1.0 + distance), near, facing, ego * scale], dim=-1)
