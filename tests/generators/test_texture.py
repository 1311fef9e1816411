"""What boxes look like, looked up by class and place on the box."""

from __future__ import annotations

import torch

from drivesim.conditions import LAYOUT_CHANNELS
from drivesim.generators.stage.network import SAID, TEXTURE, BoxTexture
from drivesim.scene import MAP_CLASSES

CLASSES, POINTS = len(MAP_CLASSES), len(LAYOUT_CHANNELS)


def test_pixels_show_the_cell_of_their_class_and_place() -> None:
    texture = BoxTexture()
    said = torch.zeros(1, 1, 1, 6, SAID, dtype=torch.uint8)
    said[..., 0] = 255  # a road says nothing about boxes
    for pixel, (kind, place) in enumerate([(0, (0, 0, 0)), (2, (0, 0, 0)), (2, (15, 31, 31)), (2, (255, 255, 255))]):
        said[..., pixel, CLASSES + kind] = 255
        said[..., pixel, POINTS:] = torch.tensor(place, dtype=torch.uint8)
    planes = texture(said)
    assert planes.shape == (1, TEXTURE, 1, 6)
    table = texture.table.weight
    assert torch.equal(planes[0, :, 0, 0], table[1])
    assert torch.equal(planes[0, :, 0, 1], table[1 + 2 * 1024])
    assert torch.equal(planes[0, :, 0, 2], table[1 + 2 * 1024])  # the same cell up to a sixteenth and an eighth
    assert torch.equal(planes[0, :, 0, 3], table[3 * 1024])
    assert not planes[0, :, 0, 4:].any()


def test_cells_learn_from_their_own_pixels_alone() -> None:
    texture = BoxTexture()
    said = torch.zeros(1, 1, 1, 2, SAID, dtype=torch.uint8)
    said[..., 0, CLASSES + 1] = 255
    texture(said).sum().backward()
    touched = texture.table.weight.grad.abs().sum(1).nonzero()[:, 0]
    assert touched.tolist() == [1 + 1024]
