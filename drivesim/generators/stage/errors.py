"""Errors of drawn latents and pictures, and how much each place counts in them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, max_pool2d

from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES

EDGE_FLOOR = 0.01  # of [-1, 1] per pixel: gradients below it are as good as none


def error_weights(object_pixels: Tensor, unsaid: Tensor, power: float, scale: float, ground: float) -> Tensor:
    """Weights [B * V, 1, h, w] of the squared error, mean 1: the object-size weights of STAGE, k / p^c on an object of
    p pixels and 1 / (H W)^c elsewhere (c is the `power`, k the `scale`), and of that `ground` times as much where the
    map says what is there.

    `object_pixels` [B, V, H, W] as in `Conditions.object_pixels`: the hulls of the projected boxes tell what is seen.
    `unsaid` [B * V, 1, h, w] as `unsaid_share` has it.
    """
    pixels = object_pixels.flatten(0, 1).float()
    height, width = pixels.shape[-2:]
    background = (height * width) ** -power
    objects = scale * pixels.clamp_min(1.0) ** -power
    weight = torch.where(pixels > 0, objects, background)[:, None]
    weight = max_pool2d(weight, (height // unsaid.shape[-2], width // unsaid.shape[-1]))
    weight = weight * (1.0 + (ground - 1.0) * (1.0 - unsaid))
    return weight / weight.mean()


def contrast_error(clean: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Absolute error of the standard deviations within windows of 3 x 3 and 5 x 5 of latents [N, C, h, w], weighted
    [N, 1, h, w] and averaged.

    It asks for the contrast of what is seen and leaves open where exactly its edges are: squared error alone answers
    what it cannot know (the windows of a house) with fog.
    """
    errors = []
    for size in (size for size in (3, 5) if size <= min(clean.shape[-2:])):
        counts = avg_pool2d(weight, size, stride=1)
        errors.append((counts * (_deviation(clean, size) - _deviation(target, size)).abs()).mean())
    return torch.stack(errors).mean()


def edge_error(drawn: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Absolute error of the strength of edges (root mean square of the gradients within windows of 16 and 32 pixels)
    of pictures [N, 3, H, W] in [-1, 1], weighted [N, 1, h, w] and averaged.

    A washed-out edge is as high as a sharp one, so local contrast forgives it; its gradient is lower. Windows are large
    enough to have much the same edges everywhere: what cannot be known is answered with its median, and most small
    windows have none.
    """
    weight = interpolate(weight, drawn.shape[-2:])[:, :, 1:, 1:]
    energies = [_gradient_energy(pictures) for pictures in (drawn, true)]
    errors = []
    for size in (min(size, *weight.shape[-2:]) for size in (16, 32)):
        stride = max(1, size // 4)
        own, wanted = (avg_pool2d(energy, size, stride).add(EDGE_FLOOR**2).sqrt() for energy in energies)
        errors.append((avg_pool2d(weight, size, stride) * (own - wanted).abs()).mean())
    return torch.stack(errors).mean()


def _gradient_energy(pictures: Tensor) -> Tensor:
    """Squared length of the gradient [N, 1, H - 1, W - 1], mean over colours."""
    across, down = pictures.diff(dim=-1)[..., 1:, :], pictures.diff(dim=-2)[..., 1:]
    return (across.square() + down.square()).mean(1, keepdim=True)


def unsaid_share(layout: Tensor, size: tuple[int, int]) -> Tensor:
    """Shares [B * V, 1, h, w] of layouts uint8 [B, V, H, W, C]: one where the map says nothing, and on boxes, zero on
    roads and walkways, which squared error draws well."""
    planes = layout.flatten(0, 1).permute(0, 3, 1, 2).float() / 255.0
    ground = planes[:, : len(MAP_CLASSES)].amax(1, keepdim=True)
    boxes = planes[:, len(MAP_CLASSES) : len(MAP_CLASSES) + len(OBJECT_CLASSES)].amax(1, keepdim=True)
    return adaptive_avg_pool2d(torch.maximum(1.0 - ground, boxes), size)


def _deviation(x: Tensor, size: int) -> Tensor:
    mean = avg_pool2d(x, size, stride=1)
    return (avg_pool2d(x.square(), size, stride=1) - mean.square()).clamp_min(1e-4).sqrt()


def weighted_error(clean: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error of [N, C, h, w], weighted [N, 1, h, w]."""
    return (weight * (clean.float() - target).square()).mean()
