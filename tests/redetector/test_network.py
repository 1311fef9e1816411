"""The re-detector's geometry, its losses against closed forms, and boxes through targets and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from drivesim.geometry import project
from drivesim.redetector.layout import BOX_GROUPS, CELLS, MAP_GROUPS, Boxes
from drivesim.redetector.lift import cell_centres, lift, points_above, projections
from drivesim.redetector.network import Reading, Redetector, RedetectorConfig
from drivesim.redetector.objective import box_targets, dice_loss, focal_loss
from drivesim.redetector.reader import decode, pooled_features, read
from drivesim.town.rig import nuscenes_rig

SMALL = RedetectorConfig((8, 8, 8), 8, (8, 8, 8), (0.0, 1.0))


def cameras(size: tuple[int, int] = (16, 32)) -> tuple[Tensor, Tensor]:
    rig = nuscenes_rig(size).resized((1, 1))
    return tuple(torch.from_numpy(values).float()[None] for values in (rig.intrinsics, rig.extrinsics))  # type: ignore


def boxes(count: int, seed: int = 0) -> Boxes:
    """Boxes in the middle of cells that are not neighbours."""
    rng = np.random.default_rng(seed)
    row, column = np.divmod(rng.permutation(16 * 16)[:count], 16)
    centre = np.stack([30.0 - 4.0 * row, 30.0 - 4.0 * column, rng.uniform(0.5, 1.5, count)], axis=-1)
    centre[:, :2] += rng.uniform(-0.4, 0.4, (count, 2)) + 0.5
    size, yaw = rng.uniform(0.5, 8.0, (count, 3)), rng.uniform(-3.1, 3.1, count)
    return Boxes(rng.integers(0, len(BOX_GROUPS), count), centre, size, yaw, np.ones(count), np.arange(count))


def test_points_are_projected_as_by_the_camera_model() -> None:
    rig = nuscenes_rig((72, 128))
    intrinsics, extrinsics = cameras()
    points = torch.tensor([[12.0, 1.0, 0.0], [-9.0, 2.0, 1.0], [3.0, 8.0, 0.5]])
    places, inside = projections(points, intrinsics, extrinsics)
    for view in range(6):
        local = points.numpy() @ rig.camera_from_ego[view, :3, :3].T + rig.camera_from_ego[view, :3, 3]
        pixels, depth = project(local, rig.intrinsics[view])
        shown = (depth > 0.3) & (pixels > 0).all(-1) & (pixels < [128, 72]).all(-1)
        np.testing.assert_array_equal(inside[0, view].numpy() > 0, shown)
        np.testing.assert_allclose(places[0, view].numpy()[shown] * [128, 72], pixels[shown], atol=1e-3)


def test_a_lifted_point_reads_the_camera_that_shows_it() -> None:
    """Every camera shows its own number; below the ego no camera shows anything."""
    intrinsics, extrinsics = cameras()
    features = torch.arange(6.0)[None, :, None, None, None].expand(1, 6, 1, 4, 8) + 1.0
    points = torch.tensor([[15.0, 0.0, 1.0], [-15.0, 0.0, 1.0], [0.0, 15.0, 1.0], [0.0, 0.0, -3.0]])
    values = lift(features, points, intrinsics, extrinsics)[0]
    assert values[0, :2].tolist() == [2.0, 5.0]  # CAM_FRONT, CAM_BACK
    assert values[0, 2].item() in (1.0, 6.0)  # left of the ego
    assert values[1].tolist() == [1.0, 1.0, 1.0, 0.0] and values[0, 3] == 0.0


def test_the_lift_is_linear_between_pixels() -> None:
    """A ramp across a picture is read at the place where the point is seen."""
    intrinsics, extrinsics = cameras()
    ramp = (torch.arange(32.0) + 0.5) / 32.0
    features = ramp.expand(1, 6, 1, 16, 32)
    points = torch.tensor([[12.0, 1.0, 1.0]])
    places, inside = projections(points, intrinsics, extrinsics)
    expected = places[0, inside[0, :, 0].argmax(), 0, 0]
    assert lift(features, points, intrinsics, extrinsics)[0, 0, 0] == pytest.approx(expected.item(), abs=1e-5)


def test_cells_count_from_ahead_and_from_the_left() -> None:
    centres = cell_centres(torch.device("cpu"))
    assert centres[0, 0].tolist() == [31.5, 31.5] and centres[-1, 0].tolist() == [-31.5, 31.5]
    assert points_above((0.0, 2.0), torch.device("cpu"))[CELLS * CELLS].tolist() == [31.5, 31.5, 2.0]


def test_boxes_survive_targets_and_decoding() -> None:
    truth = boxes(30)
    heat, numbers, centres = box_targets(truth)
    assert centres.sum() == len(truth) and (heat == 1.0).sum() == len(truth)
    logits = torch.logit(heat.clamp(1e-6, 1.0 - 1e-6))
    found = decode(Reading(torch.zeros(1, len(MAP_GROUPS), CELLS, CELLS), logits[None],
                           numbers.permute(2, 0, 1)[None]))[0]  # fmt: skip
    sure = found.take(found.score > 0.99)
    order, wanted = np.lexsort(sure.centre.T), np.lexsort(truth.centre.T)
    assert (sure.group[order] == truth.group[wanted]).all()
    np.testing.assert_allclose(sure.centre[order], truth.centre[wanted], atol=1e-5)
    np.testing.assert_allclose(sure.size[order], truth.size[wanted], rtol=1e-5)
    np.testing.assert_allclose(np.cos(sure.yaw[order] - truth.yaw[wanted]), 1.0, atol=1e-6)


def test_losses_have_their_closed_forms() -> None:
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    even = torch.zeros(1, 1, 2, 2)  # p = 0.5 everywhere: 1 - (2 * 1 + 1) / (2 + 2 + 1)
    assert dice_loss(even, target).item() == pytest.approx(0.4)
    assert dice_loss(100.0 * (target - 0.5), target).item() == pytest.approx(0.0, abs=1e-6)
    heat = torch.tensor([1.0, 0.5, 0.0, 0.0]).view(1, 1, 2, 2)
    # -(0.5^2 ln 0.5) (1 + 0.5^4 + 1 + 1) over one peak
    assert focal_loss(even, heat).item() == pytest.approx(0.25 * np.log(2.0) * (3.0 + 0.5**4))


def test_pictures_are_read_by_any_rig() -> None:
    torch.manual_seed(0)
    network = Redetector(SMALL).eval()
    pictures = np.random.default_rng(0).integers(0, 255, (2, 6, 16, 32, 3)).astype(np.uint8)
    found = read(network, pictures, nuscenes_rig((16, 32)))
    assert len(found) == 2 and found[0].cells.shape == (len(MAP_GROUPS), CELLS, CELLS)
    assert pooled_features(network, pictures).shape == (2, 6, 8)
    alone = read(network, pictures[1:], nuscenes_rig((16, 32)))[0]
    np.testing.assert_array_equal(alone.cells, found[1].cells)
    with pytest.raises(ValueError, match=r"intrinsics: found shape \(1, 6, 3, 3\), accepted \(2, 6, 3, 3\)"):
        network(torch.from_numpy(pictures), *cameras())
