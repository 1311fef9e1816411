"""What the map network learns from and what it makes of maps."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from drivesim import configs
from drivesim.commands import train as train_command
from drivesim.predictor.beyond.grid import CLASSES, LANE_CENTRE, ROAD, SIDE
from drivesim.predictor.beyond.masks import half_plane, random_known
from drivesim.predictor.beyond.measure import distance_to_mapped, map_overlaps, straight_on
from drivesim.predictor.beyond.network import (
    MapNetwork,
    MapNetworkConfig,
    known_of_classes,
    load_map_network,
    shipped_map_network,
)
from drivesim.predictor.beyond.objective import (
    MapObjective,
    MapObjectiveConfig,
    masked_cross_entropy,
    masked_dice,
    probabilities,
)
from drivesim.predictor.beyond.patches import TownPatches
from drivesim.train import TrainConfig
from tests.hydra_run import run_command
from tests.predictor.beyond.roads import tiny_network


@pytest.fixture(scope="module")
def patches() -> TownPatches:
    return TownPatches(1, 2)


def test_settings_have_the_defaults_of_the_classes() -> None:
    config = yaml.safe_load((Path(configs.__file__).parent / "component" / "predictor_map.yaml").read_text())
    assert tuple(config["model"]["widths"]) == MapNetworkConfig().widths
    assert config["objective"] == asdict(MapObjectiveConfig())
    assert list(config["train"]) == [field.name for field in fields(TrainConfig)]


def test_cross_entropy_is_that_of_the_masked_entries() -> None:
    logits, target = torch.tensor([[0.0, 2.0], [-1.0, 50.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    expected = (math.log(2.0) + math.log(1.0 + math.exp(2.0)) + math.log(1.0 + math.e)) / 3.0
    assert masked_cross_entropy(logits, target, mask).item() == pytest.approx(expected, rel=1e-6)
    assert masked_cross_entropy(logits, target, torch.zeros(2, 2)).item() == 0.0


def test_dice_is_nothing_for_the_truth_and_counts_masked_entries_only() -> None:
    target = torch.zeros(1, 2, 4, 4)
    target[0, 0, :2] = 1.0
    sure = 1e3 * (2.0 * target - 1.0)
    assert masked_dice(sure, target, torch.ones_like(target)).item() == pytest.approx(0.0, abs=1e-6)
    # Class 0: 8 cells each, none shared: 1 - 1 / 17. Class 1: 16 against none: 1 - 1 / 17.
    assert masked_dice(-sure, target, torch.ones_like(target)).item() == pytest.approx(1.0 - 1.0 / 17.0, rel=1e-5)
    assert masked_dice(-sure, target, torch.zeros_like(target)).item() == pytest.approx(0.0, abs=1e-6)


def test_what_is_not_mapped_is_not_looked_at_and_what_is_mapped_stays() -> None:
    network, rng = tiny_network(), torch.Generator().manual_seed(1)
    cells = (torch.rand(1, len(CLASSES), SIDE, SIDE, generator=rng) < 0.3).float()
    known = torch.zeros(1, 2, SIDE, SIDE)
    known[:, :, 60:] = 1.0
    known[:, 0, 30:] = 1.0  # of the drivable area more is known
    other = torch.where(known_of_classes(known) > 0.5, cells, 1.0 - cells)
    assert torch.equal(network(cells, known), network(other, known))
    filled = probabilities(network, cells, known)
    assert torch.equal(filled[:, ROAD, 30:], cells[:, ROAD, 30:])
    assert torch.equal(filled[:, LANE_CENTRE, 60:], cells[:, LANE_CENTRE, 60:])
    assert ((filled[:, LANE_CENTRE, :60] > 0.0) & (filled[:, LANE_CENTRE, :60] < 1.0)).all()


def test_the_loss_reaches_every_weight(patches: TownPatches) -> None:
    objective = MapObjective(tiny_network().requires_grad_(True), MapObjectiveConfig())
    loss, logs = objective.loss(patches(0))
    loss.backward()
    assert set(logs) == {"cells", "overlap"}
    assert [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []
    assert sum(p.numel() for p in MapNetwork(MapNetworkConfig()).parameters()) < 1_000_000


def test_a_batch_depends_on_its_step_alone(patches: TownPatches) -> None:
    again = patches(3)
    for name, value in patches(3).items():
        assert torch.equal(value, again[name]) and not torch.equal(value, patches(4)[name])
    assert again["cells"][:, ROAD].mean() > 0.05


def test_masks_never_hide_nothing() -> None:
    rng = np.random.default_rng(5)
    masks = np.stack([random_known(rng) for _ in range(100)])
    assert not masks[:, 1].all((1, 2)).any()
    assert (masks[:, 0] | ~masks[:, 1]).all()  # the drivable area is known wherever the rest is
    assert half_plane(10.0).sum() == SIDE * 42  # 32 m behind the pose and 10 m ahead


def test_held_out_towns_are_not_learnt_from_by_mistake() -> None:
    with pytest.raises(ValueError, match="first_town . towns: found 900001, accepted at most 900000"):
        TownPatches(1, 1, first_town=900_000)
    with pytest.raises(ValueError, match="towns: found 0"):
        TownPatches(0, 1)


def test_straight_on_continues_a_cross_section_and_distances_count_from_the_rim() -> None:
    cells, known = np.zeros((1, SIDE, SIDE), bool), half_plane(0.0)
    cells[0, :, 40:50] = True
    assert (straight_on(cells & known, known) == cells).all()
    assert not straight_on(cells, np.zeros_like(known)).any()
    away = distance_to_mapped(known)
    assert away[known].max() == 0.0 and away[0, 0] == pytest.approx(64.0) and away[63, 5] == pytest.approx(1.0)


def test_overlaps_are_of_unmapped_cells(patches: TownPatches) -> None:
    batch = patches(1)
    batch["known"][:] = torch.from_numpy(half_plane(0.0).astype(np.float32))
    batch["cells"][:] = 0.0
    batch["cells"][:, ROAD, :, 40:50] = 1.0
    rows = {(row.method, row.class_name, row.nearest): row for row in map_overlaps(tiny_network(), [batch])}
    assert rows["straight on", "drivable_area", 8.0].overlap == 1.0
    assert rows["straight on", "drivable_area", 8.0].cells == 2 * 8 * 10
    assert rows["network", "drivable_area", 8.0].overlap < 0.9
    assert math.isnan(rows["straight on", "walkway", 0.0].overlap)


def test_training_leaves_weights(tmp_path: Path) -> None:
    run_command(train_command, "train", "component=predictor_map_debug", f"train.out={tmp_path}/run")
    assert load_map_network(tmp_path / "run" / "weights").config.widths == (8, 8, 8)


def test_the_shipped_network_leads_a_straight_road_on() -> None:
    cells, known = torch.zeros(1, len(CLASSES), SIDE, SIDE), torch.zeros(1, 2, SIDE, SIDE)
    known[:] = torch.from_numpy(half_plane(0.0).astype(np.float32))
    cells[:, ROAD, :, 44:52] = 1.0
    cells[:, LANE_CENTRE, :, [46, 50]] = 1.0
    cells[:, CLASSES.index("road_divider"), :, 48] = 1.0
    cells[:, CLASSES.index("walkway"), :, 41:44] = cells[:, CLASSES.index("walkway"), :, 52:55] = 1.0
    near = probabilities(shipped_map_network(), cells, known)[0, ROAD, 48:64] > 0.5
    assert near[:, 45:51].float().mean() > 0.9 and near[:, :30].float().mean() < 0.2
