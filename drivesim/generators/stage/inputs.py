"""What the network of STAGE gets to see of a frame: the layout painted and textured, the previous frame warped.

For a network prepared for inference both come from compiled kernels on a CPU in bfloat16; elsewhere, and where
gradients are wanted, from torch, which says what is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from drivesim.codecs.image import ImageCodec
from drivesim.conditions import LAYOUT_CHANNELS, Conditions
from drivesim.generators.stage.network import PLANES, TEXTURE, NetworkInputs, StageNetwork, motion_features
from drivesim.kernels import optional
from drivesim.nn.inference import PackedConv2d
from drivesim.nn.palette import Palette, paint
from drivesim.nn.warp import (
    camera_centres,
    is_ground,
    points_along,
    project_to_ring,
    refine,
    sample_ring,
)
from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES

PAINTED: Any = optional("drivesim.nn.painted")
WARPED: Any = optional("drivesim.nn.warped")


def network_inputs(
    network: StageNetwork, codec: ImageCodec, pictures: Tensor, latents: Tensor, anchor: Tensor, palette: Palette,
    rays: Tensor, conditions: Conditions,
) -> tuple[NetworkInputs, Tensor]:  # fmt: skip
    """Everything the denoising steps of one frame share, and the logits of its distances [N, 1 + D, h, w].

    Previous frame as pictures [B, V, 3, H, W] and as latents [B, V, C, h, w], first frame as latents, its
    palette, viewing rays [B, V, *layout_size, 3], conditions with T = 1. The previous frame is warped as a picture and
    encoded again: latents do not bear being moved by less than a whole one.
    """
    dtype = latents.dtype
    if conditions.previous_points is None or conditions.box_points is None:
        missing = "previous_points" if conditions.previous_points is None else "box_points"
        raise ValueError(f"conditions.{missing}: found None, accepted conditions built with the part 'warp'")
    layout = painted_planes(network, palette, rays, conditions, dtype)
    features = network.layout_encoder(layout)
    logits = network.distance(latents.flatten(0, 1), features).float()
    with torch.no_grad():
        warped, masks = warp_previous(network, pictures, logits, rays, conditions)
        again = codec.encode(warped)
    references = torch.cat([latents.flatten(0, 1), again, anchor.flatten(0, 1)], dim=1)
    motion = motion_features(conditions.motion[:, 0], conditions.anchor_motion[:, 0], conditions.ego[:, 0]).to(dtype)
    tags = conditions.tags[:, 0].to(dtype)
    return network.prepare(references, masks, layout, features, motion, tags), logits


def painted_planes(
    network: StageNetwork, palette: Palette, rays: Tensor, conditions: Conditions, dtype: torch.dtype
) -> Tensor:
    """Planes [N, PLANES, h, w] of the only frame, channels-last: what the layout says, painted and textured."""
    if PAINTED is None or not _fused(network, dtype, rays):
        return _planes(network, palette, rays, conditions, dtype)
    assert conditions.box_points is not None
    worlds, views, h, w = rays.shape[:4]
    out = torch.empty((worlds * views, h, w, PLANES), dtype=dtype)
    given = (
        conditions.layout[:, 0].contiguous(), conditions.box_points[:, 0].contiguous(), rays.contiguous(),
        palette.color.float().contiguous(), palette.doubt.float().contiguous(),
        network.texture.table.weight.contiguous(), out,
    )  # fmt: skip
    PAINTED.planes(
        *(tensor.data_ptr() for tensor in given), worlds, views, h * w, len(LAYOUT_CHANNELS), len(MAP_CLASSES),
        LAYOUT_CHANNELS.index("stripes"), len(OBJECT_CLASSES), network.texture.CELLS, TEXTURE,
    )  # fmt: skip
    return out.permute(0, 3, 1, 2)


def _planes(
    network: StageNetwork, palette: Palette, rays: Tensor, conditions: Conditions, dtype: torch.dtype
) -> Tensor:
    said = said_of(conditions)
    painted = paint(palette, conditions.layout[:, 0], rays)
    return torch.cat([layout_planes(said, dtype), painted.to(dtype), network.texture(said).to(dtype)], 1)


def warp_previous(
    network: StageNetwork, pictures: Tensor, logits: Tensor, rays: Tensor, conditions: Conditions
) -> tuple[Tensor, Tensor]:
    """The previous frame [B, V, 3, H, W] as the cameras would see it now [N, 3, H, W], and masks [N, 6, h, w] of the
    latents' size: share of a cell that was seen before, four times its inverse distance, whether the ground is believed
    there, mean viewing ray. Logits float32 [N, 1 + D, h, w] of the distances, viewing rays [B, V, *layout_size, 3]."""
    distances = network.config.distances
    if WARPED is None or not _fused(network, pictures.dtype, rays):
        return _warped(pictures, logits, distances, rays, conditions)
    assert conditions.previous_points is not None
    worlds, views, h, w = rays.shape[:4]
    size = (pictures.shape[-2], pictures.shape[-1])
    cells = (logits.shape[-2], logits.shape[-1])
    out = torch.empty((worlds * views, *size, 3), dtype=pictures.dtype)
    masks = torch.empty((worlds * views, *cells, 6), dtype=pictures.dtype)
    given = (
        pictures.flatten(0, 1).contiguous(memory_format=torch.channels_last), logits.contiguous(),
        logits.new_tensor(distances), conditions.previous_points[:, 0].float().contiguous(), rays.contiguous(),
        conditions.intrinsics.float().contiguous(), conditions.extrinsics.float().contiguous(),
        conditions.motion[:, 0].float().contiguous(),
        out, masks,
    )  # fmt: skip
    WARPED.warp(
        *(tensor.data_ptr() for tensor in given), worlds, views, size, (h, w), cells, len(distances)
    )  # fmt: skip
    return out.permute(0, 3, 1, 2), masks.permute(0, 3, 1, 2)


def _warped(
    pictures: Tensor, logits: Tensor, distances: Sequence[float], rays: Tensor, conditions: Conditions
) -> tuple[Tensor, Tensor]:
    dtype, size = pictures.dtype, (logits.shape[-2], logits.shape[-1])
    inverse, on_ground = estimated_distance(logits, distances)
    points = _surface(inverse, on_ground, rays, conditions)
    camera, uv, seen = project_to_ring(points, conditions.intrinsics, conditions.extrinsics)
    camera, uv = refine(camera, uv, pictures.shape[-1] // rays.shape[3])
    warped = sample_ring(pictures.float(), camera, uv).to(dtype)[:, 0].flatten(0, 1)
    masks = torch.stack([_to_latents(seen[:, 0].float(), size), 4.0 * inverse, on_ground.float()], dim=1)
    directions = adaptive_avg_pool2d(rays.flatten(0, 1).permute(0, 3, 1, 2), size)
    return warped, torch.cat([masks, directions], dim=1).to(dtype)


def _fused(network: StageNetwork, dtype: torch.dtype, rays: Tensor) -> bool:
    """Whether the kernels apply: a network prepared for inference, and a frame computed in `dtype` on a CPU."""
    prepared = isinstance(network.layout_encoder.layers[0], PackedConv2d)
    here = rays.dtype == torch.float32 and rays.device.type == "cpu" and not torch.is_grad_enabled()
    return prepared and here and dtype == network.texture.table.weight.dtype == torch.bfloat16


def estimated_distance(logits: Tensor, distances: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Mean inverse distance [N, h, w] [1/m] of what is not ground, and where the known ground is believed (bool)."""
    logits = logits.contiguous()  # reductions over planes are fast
    share = logits[:, 1:].softmax(dim=1)
    inverse = (share / share.new_tensor(distances)[:, None, None]).sum(1)
    return inverse, logits[:, 0] > logits[:, 1:].logsumexp(dim=1)


def _surface(inverse: Tensor, on_ground: Tensor, rays: Tensor, conditions: Conditions) -> Tensor:
    """Points [B, 1, V, H, W, 3] in the previous ego frame that the pixels of a layout show: boxes where the layout has
    them, the ground where it is believed, else something at the estimated distance [N, h, w], not below the ground."""
    assert conditions.previous_points is not None
    known = conditions.previous_points[:, 0]
    size = (rays.shape[2], rays.shape[3])
    fine = interpolate(inverse[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    believed = interpolate(on_ground[:, None].float(), size)[:, 0] > 0.5
    motion = conditions.motion[:, 0]
    ground = is_ground(known)
    limit = (known - camera_centres(conditions.extrinsics, motion)[:, :, None, None]).norm(dim=-1)
    distance = torch.fmin(1.0 / fine.view_as(limit), torch.where(ground, limit, torch.nan))
    guess = points_along(rays, conditions.extrinsics, motion, distance[:, None])
    trusted = torch.where(ground, believed.view_as(ground), ~known.isnan().any(-1))
    return torch.where(trusted[:, None, ..., None], known[:, None], guess)


def _to_latents(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes [B, V, H, W] averaged to [N, h, w]."""
    return adaptive_avg_pool2d(planes.flatten(0, 1)[:, None], size)[:, 0]


def said_of(conditions: Conditions) -> Tensor:
    """Layouts of the only frame and places on boxes, uint8 [B, V, h, w, SAID]."""
    assert conditions.box_points is not None
    return torch.cat([conditions.layout[:, 0], conditions.box_points[:, 0]], dim=-1)


def layout_planes(said: Tensor, dtype: torch.dtype) -> Tensor:
    """What `said_of` returns as planes in [0, 1] [B * V, SAID, h, w], channels-last in memory."""
    return said.flatten(0, 1).permute(0, 3, 1, 2).to(dtype) / 255.0
