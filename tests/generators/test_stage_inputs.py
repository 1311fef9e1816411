"""Kernels for what the network sees of a frame, against the same in torch."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch

from drivesim.conditions import Conditions
from drivesim.generators.stage import inputs
from drivesim.generators.stage.inputs import PAINTED, WARPED, painted_planes, warp_previous
from drivesim.generators.stage.network import NetworkConfig, StageNetwork
from drivesim.nn.inference import PACKED, prepare_for_inference
from drivesim.nn.palette import Palette, fit_palette
from drivesim.nn.warp import viewing_rays
from drivesim.town.rig import nuscenes_rig
from tests.generators.test_stage import TINY, some_conditions

WORLDS, SIZE = 2, (16, 32)
needs_kernels = pytest.mark.skipif(PAINTED is None or WARPED is None or not PACKED, reason="no kernels here")


def pair(config: NetworkConfig = TINY) -> tuple[StageNetwork, StageNetwork]:
    """A network in bfloat16, plain and prepared."""
    torch.manual_seed(0)
    plain = StageNetwork(config).bfloat16().eval()
    prepared = deepcopy(plain)
    prepare_for_inference(prepared)
    return plain, prepared


def driven() -> tuple[Conditions, torch.Tensor, torch.Tensor, Palette]:
    """Conditions of two worlds with the cameras of nuScenes that moved and turned, pictures, rays, palette."""
    torch.manual_seed(1)
    conditions, rig = some_conditions(WORLDS, 0), nuscenes_rig(SIZE)
    conditions.intrinsics = torch.tensor(rig.resized((1, 1)).intrinsics).float().expand(WORLDS, 6, 3, 3)
    conditions.extrinsics = torch.tensor(rig.extrinsics).float().expand(WORLDS, 6, 4, 4)
    for world, yaw in enumerate((0.1, -0.04)):
        conditions.motion[world, 0, :2, :2] = torch.tensor(
            [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
        )
    rays = viewing_rays(conditions.intrinsics, conditions.extrinsics, (8, 16))
    pictures = (2.0 * torch.rand(WORLDS, 6, 3, *SIZE) - 1.0).bfloat16()
    boxes = conditions.layout[..., 8:18]
    conditions.layout[..., 8:18] = torch.where(torch.rand(boxes.shape[:-1])[..., None] < 0.5, boxes, 0)
    conditions.layout[..., :8][torch.rand(conditions.layout.shape[:-1]) < 0.3] = 0
    return conditions, pictures, rays, fit_palette(pictures, conditions.layout[:, 0], rays)


@needs_kernels
@torch.inference_mode()
def test_planes_are_painted_as_in_torch() -> None:
    plain, prepared = pair()
    conditions, _, rays, palette = driven()
    expected = painted_planes(plain, palette, rays, conditions, torch.bfloat16).float()
    found = painted_planes(prepared, palette, rays, conditions, torch.bfloat16).float()
    assert found.shape == expected.shape and found.std() > 0.1
    assert torch.allclose(found, expected, rtol=2.0**-7, atol=1e-5), "to the last bit of bfloat16"


@needs_kernels
@pytest.mark.parametrize("scale", [0.0, 3.0])
@torch.inference_mode()
def test_pictures_are_warped_as_in_torch(scale: float) -> None:
    plain, prepared = pair()
    conditions, pictures, rays, _ = driven()
    logits = scale * torch.randn(6 * WORLDS, 1 + len(TINY.distances), 4, 8)
    expected, masks = warp_previous(plain, pictures, logits, rays, conditions)
    found, kernel_masks = warp_previous(prepared, pictures, logits, rays, conditions)
    assert torch.allclose(kernel_masks.float(), masks.float(), rtol=2.0**-7, atol=1e-5)
    error = (found.float() - expected.float()).abs()
    assert (error > 0.02).float().mean() < 2e-3, "what lies on an edge may be seen by another camera"
    assert error.mean() < 1e-3 and found.std() > 0.3


class Untouchable:
    """A module of kernels that nothing may call."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was called")


@needs_kernels
def test_kernels_are_for_prepared_networks_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, prepared = pair()
    conditions, pictures, rays, palette = driven()
    logits = torch.randn(6 * WORLDS, 1 + len(TINY.distances), 4, 8)
    for kernels in ("PAINTED", "WARPED"):
        monkeypatch.setattr(inputs, kernels, Untouchable())
    assert painted_planes(prepared, palette, rays, conditions, torch.bfloat16).requires_grad
    with torch.inference_mode():
        painted_planes(plain, palette, rays, conditions, torch.bfloat16)
        warp_previous(plain, pictures, logits, rays, conditions)
        with pytest.raises(AssertionError, match="planes was called"):
            painted_planes(prepared, palette, rays, conditions, torch.bfloat16)
        with pytest.raises(AssertionError, match="warp was called"):
            warp_previous(prepared, pictures, logits, rays, conditions)
