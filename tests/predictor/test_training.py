"""From recorded layouts to weights and figures: every command at its debug size, end to end."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import torch
import yaml

from drivesim import configs
from drivesim.commands import data as data_command
from drivesim.commands import evaluate_predictor as evaluate_command
from drivesim.commands import train as train_command
from drivesim.predictor.network import HISTORY, ConditionPredictor, PredictorConfig, load_predictor
from drivesim.predictor.objective import PredictorObjective, PredictorObjectiveConfig, taken_way, ways_of
from drivesim.predictor.recording import LayoutBatches, LayoutConfig, record_layouts
from drivesim.train import TrainConfig
from tests.hydra_run import run_command
from tests.predictor.windows import window


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "layouts"
    run_command(data_command, "data", "format=layouts", f"out={folder}", "drives=1", "seconds=6", "density=8")
    return folder


def test_settings_have_the_defaults_of_the_classes() -> None:
    config = yaml.safe_load((Path(configs.__file__).parent / "component" / "predictor.yaml").read_text())
    assert config["model"] == asdict(PredictorConfig())
    assert config["objective"] == asdict(PredictorObjectiveConfig())
    assert list(config["train"]) == [field.name for field in fields(TrainConfig)]


def test_training_leaves_weights_that_can_be_measured(layouts: Path, tmp_path: Path) -> None:
    run_command(train_command, "train", "component=predictor_debug", f"data={layouts}", f"train.out={tmp_path}/run")
    predictor = load_predictor(tmp_path / "run" / "weights")
    assert predictor.config.width == 16
    run_command(evaluate_command, "evaluate-predictor", f"out={tmp_path}/figures", f"data={layouts}", "loops=0",
                "imagined=2", "towns=1", "map_patches=2", f"weights={tmp_path}/run/weights")  # fmt: skip
    figures = json.loads((tmp_path / "figures" / "predictor.json").read_text())
    for name in ("displacement", "displacement_ego"):
        assert {row["method"] for row in figures[name]} >= {"constant velocity", "predictor"}
    assert {row["method"] for row in figures["map"]} == {"network", "straight on"}


def test_a_batch_depends_on_its_step_alone(layouts: Path) -> None:
    first, second = LayoutBatches(layouts, 2, 1), LayoutBatches(layouts, 2, 1)
    first(3)
    for name, value in first(7).items():
        assert torch.equal(value, second(7)[name]), name


def test_recorded_windows_hold_the_way_that_was_taken(layouts: Path) -> None:
    batches = LayoutBatches(layouts, 1)
    batch = batches.take(list(range(len(batches))))
    vehicles = (batch["body"][..., 2] != 8) & (batch["motion"][:, HISTORY, :, 3] > 2.0)
    vehicles &= (batch["motion"][:, HISTORY:, :, 4] > 0.5).all(1)
    vehicles[:, 0] = False
    assert vehicles.sum() > 3
    assert batch["candidates"].any(-1)[vehicles].float().mean() > 0.9
    here = batch["motion"][:, HISTORY, :, :2]
    nearest = (batch["points"] - here[:, :, None, None]).norm(dim=-1).amin(-1)
    assert nearest[batch["candidates"]].max() < 8.0  # some begin on a lane beside


def test_the_taken_way_is_the_nearest() -> None:
    batch = window([(0, 0), (20, 3)], [8.0, 5.0])
    for name in ("points", "allowed", "stops"):
        batch[name][:, :, 1] = batch[name][:, :, 0]
    batch["points"][:, :, 0, :, 1] += 3.5
    batch["candidates"][:, :, 1] = True
    label, certain = taken_way(batch, ways_of(batch))
    assert label.tolist() == [[1, 1]] and certain.all()


def test_the_loss_reaches_every_weight_and_is_nothing_for_nobody() -> None:
    torch.manual_seed(0)
    predictor = ConditionPredictor(PredictorConfig(16, 8, 4, 3))
    objective = PredictorObjective(predictor, PredictorObjectiveConfig())
    batch = window([(0, 0), (-15, 0), (20, 3)], [8.0, 8.0, 5.0])
    batch["points"] = batch["points"].clone()
    batch["candidates"][:, :, 1] = True
    batch["points"][:, :, 1] += torch.tensor([0.0, 4.0])
    loss, logs = objective.loss(batch)
    loss.backward()
    assert set(logs) == {"motion", "divergence", "choice"}
    silent = [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert silent == []
    batch["motion"][:, :, 1:, 4] = 0.0
    assert objective.loss(batch)[1]["motion"].item() == 0.0


def test_held_out_towns_are_not_recorded_by_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first_seed . drives: found 900001, accepted at most 900000"):
        record_layouts(LayoutConfig(str(tmp_path), first_seed=900_000, drives=1))
    with pytest.raises(ValueError, match="found no windows"):
        LayoutBatches(tmp_path, 1)
