"""From clips to the weights of a re-detector, at the debug size."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from drivesim import configs
from drivesim.commands import train as train_command
from drivesim.data.clips import RecordConfig, record_clips
from drivesim.redetector.data import LayoutPictures, write_targets
from drivesim.redetector.lift import projections
from drivesim.redetector.network import Redetector, RedetectorConfig, load_redetector
from drivesim.redetector.objective import RedetectorObjective, RedetectorObjectiveConfig
from drivesim.train import TrainConfig
from drivesim.weights_io import WeightsError
from tests.hydra_run import run_command

SMALL = RedetectorConfig((8, 8, 8), 8, (8, 8, 8), (0.0, 1.0))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "clips"
    record_clips(RecordConfig(str(folder), clips=1, frames=9, image_size=(16, 32), samples_per_pixel=1))
    return folder


@pytest.fixture(scope="module")
def weights(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "redetector"
    run_command(train_command, "train", "component=redetector_debug", f"data={clips}", f"train.out={out}")
    return out / "weights"


def test_settings_have_the_defaults_of_the_classes() -> None:
    config = yaml.safe_load((Path(configs.__file__).parent / "component" / "redetector.yaml").read_text())
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in config["model"].items()} == asdict(
        RedetectorConfig()
    )
    assert config["objective"] == asdict(RedetectorObjectiveConfig())
    assert list(config["train"]) == [field.name for field in fields(TrainConfig)]


def test_training_leaves_weights_that_load(weights: Path, tmp_path: Path) -> None:
    assert load_redetector(weights).config == SMALL
    with pytest.raises(WeightsError, match="accepted a folder with redetector.json"):
        load_redetector(tmp_path)


def test_a_batch_depends_on_its_step_alone(clips: Path, weights: Path) -> None:
    first, second = (LayoutPictures(clips, weights.parent / "targets", 2, 1, 8) for _ in range(2))
    first(3)
    one, two = first(7), second(7)
    for name in ("pictures", "intrinsics", "extrinsics", "cells"):
        assert torch.equal(one[name], two[name]), name
    assert [len(boxes) for boxes in one["boxes"]] == [len(boxes) for boxes in two["boxes"]]


def test_mirrored_samples_show_mirrored_places(clips: Path, weights: Path) -> None:
    """A point left of the ego is seen where its mirror image to the right was, from the other end of the row."""
    batches = LayoutPictures(clips, weights.parent / "targets", 1, 0, 8)
    plain, mirror = {}, {}
    for step in range(40):
        batch = batches(step)
        (mirror if batch["intrinsics"][0, 0, 0, 2] != _principal(clips) else plain)[step] = batch
    assert len(plain) > 5 and len(mirror) > 5
    one, two = next(iter(plain.values())), next(iter(mirror.values()))
    point = torch.tensor([[12.0, 3.0, 0.5], [-4.0, -8.0, 1.0]])
    places, inside = projections(point, one["intrinsics"], one["extrinsics"])
    other, shown = projections(point * torch.tensor([1.0, -1.0, 1.0]), two["intrinsics"], two["extrinsics"])
    assert torch.equal(inside > 0.0, shown > 0.0)
    torch.testing.assert_close(other[shown > 0.0], (places * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0]))[
        inside > 0.0
    ])  # fmt: skip


def _principal(clips: Path) -> float:
    return float(np.load(clips / "clip_000000" / "intrinsics.npy")[0, 0, 2])


def test_clips_of_other_towns_are_refused(clips: Path, tmp_path: Path) -> None:
    other = tmp_path / "clips" / "clip_000001"
    other.mkdir(parents=True)
    for file in (clips / "clip_000000").iterdir():
        (other / file.name).symlink_to(file)
    with pytest.raises(ValueError, match="clip_000001: found ego poses .* accepted clips of this version"):
        write_targets(other.parent, tmp_path / "targets", 8)


def test_the_loss_reaches_every_weight(clips: Path, weights: Path) -> None:
    torch.manual_seed(0)
    objective = RedetectorObjective(Redetector(SMALL), RedetectorObjectiveConfig())
    for parameter in objective.parameters():  # second convolutions start at zero, which hides what is before them
        torch.nn.init.normal_(parameter, std=0.2)
    loss, logs = objective.loss(LayoutPictures(clips, weights.parent / "targets", 2, 1, 8)(0))
    loss.backward()
    assert set(logs) == {"cells", "overlap", "heat", "boxes"}
    silent = [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert silent == []
