"""From recorded clips to a generator that drives: every training command at its debug size, end to end."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from drivesim import configs
from drivesim.codecs.image import CodecConfig
from drivesim.commands import data as data_command
from drivesim.commands import train as train_command
from drivesim.conditions import ConditionSpec, build_conditions
from drivesim.data.clips import FPS, FrameStreams, PictureBatches, RecordConfig, clip_folders, drive, record_clips
from drivesim.env import DriveWorldEnv
from drivesim.evaluation import EvaluationConfig, evaluate
from drivesim.generators.stage.network import NetworkConfig
from drivesim.generators.stage.objective import ObjectiveConfig
from drivesim.generators.stage.stages import training_stage
from drivesim.redetector.network import Redetector, RedetectorConfig
from drivesim.town.rig import nuscenes_rig
from drivesim.train import TrainConfig
from drivesim.weights_io import save_weights
from drivesim.world import TownSource
from tests.hydra_run import run_command

SIZE = (16, 32)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "clips"
    run_command(data_command, "data", "format=clips", f"out={folder}", "clips=2", "frames=9", "image_size=[16,32]",
                "samples_per_pixel=1")  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def weights(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    run_command(train_command, "train", "component=codec_debug", f"data={clips}", f"train.out={runs}/codec")
    run_command(train_command, "train", "component=stage_debug", f"data={clips}", f"codec={runs}/codec/weights",
                f"train.out={runs}/stage")  # fmt: skip
    return runs / "stage" / "weights"


@pytest.mark.parametrize("component", ["codec", "stage"])
def test_every_setting_can_be_given_by_name(component: str) -> None:
    """The configuration files name all fields of the dataclasses, with the same defaults where they give one."""
    config = yaml.safe_load((Path(configs.__file__).parent / "component" / f"{component}.yaml").read_text())
    kinds = {"codec": {"model": CodecConfig}, "stage": {"model": NetworkConfig, "objective": ObjectiveConfig}}
    for section, kind in {"train": TrainConfig, **kinds[component]}.items():
        assert list(config[section]) == [field.name for field in fields(kind)], section
    plain = json.loads(json.dumps(asdict(kinds[component]["model"]())))
    assert config["model"] == plain


def test_clips_hold_what_the_closed_loop_would_see(clips: Path) -> None:
    scenes = drive(TownSource(rig=nuscenes_rig(SIZE)), 0, 9)
    spec = ConditionSpec((8, 16), frozenset({"warp", "objects"}))
    now = build_conditions([[scenes[5]]], [scenes[4]], [scenes[0]], spec)
    batch = FrameStreams(clips, 1, seed=0)
    step = next(s for s in range(18) if np.array_equal(batch(s)["conditions"].ego[0, 0], now.ego[0, 0]))
    read = batch(step)["conditions"]
    assert torch.equal(read.layout, now.layout)
    assert torch.allclose(read.motion, now.motion)
    assert torch.allclose(read.anchor_motion, now.anchor_motion)
    assert torch.allclose(read.previous_points, now.previous_points, atol=0.1, equal_nan=True)
    assert torch.equal(read.box_points, now.box_points)
    assert torch.equal(read.object_pixels, now.object_pixels)


def test_scenes_follow_each_other_at_12_hz() -> None:
    scenes = drive(TownSource(rig=nuscenes_rig(SIZE)), 1, 13)
    assert scenes[-1].timestamp - scenes[0].timestamp == pytest.approx(12 / FPS)
    for before, after in zip(scenes, scenes[1:], strict=False):
        travelled = np.linalg.norm(after.ego.xy - before.ego.xy)
        assert travelled <= max(before.ego.speed, after.ego.speed) / FPS + 1e-6


def test_batches_are_a_function_of_the_step(clips: Path) -> None:
    streams = FrameStreams(clips, 3, seed=1)
    for step in (0, 4, 11):
        one, two = streams(step), FrameStreams(clips, 3, seed=1)(step)
        assert torch.equal(one["frames"], two["frames"])
        assert torch.equal(one["reset"], two["reset"])
    resets = torch.stack([streams(step)["reset"] for step in range(1, 19)])
    assert resets.sum(0).tolist() == [2, 2, 2], "every stream begins anew once per clip"
    assert torch.equal(PictureBatches(clips, 4, 0)(7)["pictures"], PictureBatches(clips, 4, 0)(7)["pictures"])


def test_clips_of_an_older_version_are_named(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path / "clips")
    (tmp_path / "clips" / "clip_000001" / "box_points.npy").unlink()
    with pytest.raises(FileNotFoundError, match="clip_000001: found no box_points.npy, accepted clips of this version"):
        FrameStreams(tmp_path / "clips", 1, seed=0)


def test_evaluation_towns_are_never_recorded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first_seed"):
        record_clips(RecordConfig(str(tmp_path), first_seed=899_999, clips=2))
    with pytest.raises(FileNotFoundError, match="clip_"):
        clip_folders(tmp_path)


def test_trained_weights_drive(weights: Path) -> None:
    assert {path.name for path in weights.iterdir()} == {
        "codec.json", "codec.safetensors", "stage.json", "stage.safetensors",
    }  # fmt: skip
    env = DriveWorldEnv(generator="stage", image_size=SIZE, generator_options={"weights": weights})
    first, _ = env.reset(seed=0, options={"town": 900_000})
    observation, *_ = env.step([0.0, 0.0])
    assert observation["CAM_FRONT"].shape == (*SIZE, 3)
    assert not np.array_equal(first["CAM_FRONT"], observation["CAM_FRONT"])


def test_the_three_stages_follow_each_other(clips: Path, weights: Path, tmp_path: Path) -> None:
    """Stage 1 leaves HTFT alone, stage 2 moves nothing else, stage 3 moves both; each starts from the one before."""
    start = weights
    for stage, expected in ((1, {False}), (2, {True}), (3, {False, True})):
        out = tmp_path / f"stage_{stage}"
        first = (f"start={weights}",) if stage == 1 else ()
        run_command(train_command, "train", "component=stage_debug", f"stage={stage}", f"data={clips}",
                    f"codec={weights}", f"train.out={out}", *first)  # fmt: skip
        before, after = (load_file(folder / "stage.safetensors") for folder in (start, out / "weights"))
        moved = {name.startswith("transfer") for name in after if not torch.equal(before[name], after[name])}
        assert moved == expected, f"stage {stage}"
        start = out / "weights"
    with pytest.raises(ValueError, match="stage: found '4', accepted"):
        training_stage("4")


def test_evaluation_writes_its_table(weights: Path, tmp_path: Path) -> None:
    """Every file is there, and a run that is repeated takes what is measured already."""
    redetector = Redetector(RedetectorConfig((8, 8, 8), 8, (8, 8, 8), (0.0,)))
    (tmp_path / "redetector.json").write_text(json.dumps(asdict(redetector.config)))
    save_weights(redetector, tmp_path / "redetector.safetensors")
    options = {"weights": str(weights), "image_size": SIZE}
    config = EvaluationConfig(str(tmp_path / "out"), towns=1, frames=(1, 2), steps=(1,), trials=1, window=2,
                              color_every=2, samples_per_pixel=1, redetector=str(tmp_path),
                              generator_options=options)  # fmt: skip
    out = evaluate(config)
    table = (out / "table.md").read_text()
    assert "| 1 step |" in table and "| codec |" in table and "steering:" in table
    assert {"scores.json", "scores.csv", "plots.png", "contact_1.png"} <= {path.name for path in out.iterdir()}
    scores = json.loads((out / "scores.json").read_text())
    assert scores["ray-cast"]["found"] in ([1.0, 1.0], [None, None]) and scores["ray-cast"]["sharpness"] == [1.0, 1.0]
    assert scores["1 step"]["features"][0] > scores["ray-cast"]["features"][0]
    written = (out / "towns" / "900000" / "1_step.npz").stat().st_mtime_ns
    evaluate(replace(config, trials=0))
    assert (out / "towns" / "900000" / "1_step.npz").stat().st_mtime_ns == written
