"""The camera driver at a size that trains in seconds: examples, training, resuming, driving."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.camera_data import CameraBatches, future, load_drives, mirrored, taken_cells
from agents.camera_driver import Settings, train
from agents.camera_network import OFFSETS
from drivesim.geometry import invert_pose, pose_from_xy_yaw, project, transform_points
from drivesim.policy import load_policy
from drivesim.rollout import make_env, run
from tests.agents.recordings import recorded

SIZE = (24, 40)
ENV = {"generator": "layout", "image_size": SIZE, "source_options": {"density": 8}}


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drives in flat colours, one picture per half second."""
    return recorded(tmp_path_factory.mktemp("camera") / "drives", env=ENV, pictures_every=6)


def small(episodes: Path, out: Path, **changes: object) -> Settings:
    return Settings(data=str(episodes), out=str(out), batch=2, channels=[8, 16], width=8, precision="no", **changes)  # type: ignore[arg-type]


def test_the_future_of_a_circle_is_a_circle() -> None:
    speed, rate, dt = 6.0, 0.2, 1.0 / 12.0
    times = dt * np.arange(60)
    radius = speed / rate
    poses = np.array([pose_from_xy_yaw(5 + radius * np.sin(rate * t), radius * (1 - np.cos(rate * t)), rate * t)
                      for t in times])  # fmt: skip
    disturbed = np.zeros(60, bool)
    disturbed[20] = True  # what is done at row 20 changes where the ego is from row 21 on
    trajectory, known = future(poses, disturbed, dt)
    t = 0.5 * np.arange(1, 7)
    wanted = np.stack([radius * np.sin(rate * t), radius * (1 - np.cos(rate * t)), rate * t], -1)
    np.testing.assert_allclose(trajectory[10], wanted, atol=1e-4)
    assert known[8].tolist() == [True, True, False, False, False, False]
    assert known[9].tolist() == [True] + 5 * [False] and known[20].tolist() == 6 * [False]
    assert known[21].all() and known[41].tolist() == [True] * 3 + [False] * 3


def test_cells_under_a_box_are_taken_now_and_where_it_will_be() -> None:
    cells = np.stack(np.meshgrid(2.0 * np.arange(1, 21), OFFSETS, indexing="ij"), -1)[None].astype(np.float32)
    boxes = np.zeros((1, 64, 10), np.float32)
    boxes[..., 9] = -1.0
    boxes[0, 0] = [20.0, 0.0, 0.8, 2.0, 4.0, 1.6, 0.0, 10.0, 0.0, 0.0]  # a car 20 m ahead at 10 m/s
    now, soon = taken_cells(cells, boxes)[0]
    assert np.argwhere(now).tolist() == [[8, 2], [9, 2], [10, 2]]  # 18, 20, 22 m
    assert np.argwhere(soon).tolist() == [[13, 2], [14, 2], [15, 2]]


def test_a_mirrored_example_is_seen_and_driven_in_the_mirror(episodes: Path) -> None:
    drive = load_drives(episodes)[0]
    example = {
        "pictures": drive.frames[1], "past": drive.frames[0], "ego": drive.ego[6], "route": drive.route[6],
        "boxes": drive.boxes[6], "intrinsics": drive.intrinsics, "extrinsics": drive.extrinsics,
        "trajectory": drive.trajectory[6], "known": drive.known[6],
    }  # fmt: skip
    mirror = mirrored(example)
    point = np.array([12.0, 3.0, 1.0])
    for view in range(6):
        pixel, depth = project(transform_points(invert_pose(drive.extrinsics[view]), point), drive.intrinsics[view])
        other, same = project(
            transform_points(invert_pose(mirror["extrinsics"][view]), point * (1, -1, 1)), mirror["intrinsics"][view]
        )
        assert same == pytest.approx(depth, abs=1e-3)
        if depth > 0.5:
            np.testing.assert_allclose(other, (SIZE[1] - pixel[0], pixel[1]), atol=1e-2)
    # Turned by a rate the other way, the path ends at the mirrored place.
    np.testing.assert_array_equal(mirror["trajectory"], example["trajectory"] * np.array([1, -1, -1], np.float32))
    again = mirrored(mirror)
    assert all(np.allclose(again[name], example[name], atol=1e-4) for name in example)


def test_examples_pair_pictures_with_those_of_half_a_second_before(episodes: Path) -> None:
    drives = load_drives(episodes)
    batches = CameraBatches(drives, 4, 0)
    batch = batches.examples(np.array([[1, 0], [1, 2]]))
    frames = drives[1].frames
    np.testing.assert_array_equal(batch["pictures"], frames[[0, 2]])
    np.testing.assert_array_equal(batch["past"], frames[[0, 1]])
    np.testing.assert_array_equal(batch["ego"], drives[1].ego[[0, 12]])
    assert torch.equal(batches(3)["route"], CameraBatches(drives, 4, 0)(3)["route"])


def test_it_trains_resumes_and_drives(episodes: Path, tmp_path: Path) -> None:
    whole = train(small(episodes, tmp_path / "whole", steps=4))
    train(small(episodes, tmp_path / "parts", steps=4))
    (tmp_path / "parts" / "policy" / "policy.safetensors").unlink()
    again = train(small(episodes, tmp_path / "parts", steps=4))  # from the checkpoint: nothing left to train
    weights = [(folder / "policy.safetensors").read_bytes() for folder in (whole, again)]
    assert weights[0] == weights[1]
    policy = load_policy(str(whole))
    assert policy.action == "physical"
    env = make_env({**ENV, "image_size": (36, 64), "reset_options": {"town": 900_000}}, policy, 1.0)
    assert env.image_size == SIZE  # that of the pictures it learned from
    trace = run(env, policy, seed=0)
    assert len(trace.steps) > 3 and run(env, policy, seed=0).steps[-1].x == trace.steps[-1].x


def test_it_learns_to_see(episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(small(episodes, tmp_path / "run", steps=40, learning_rate=3e-3))
    history = np.array(json.loads((tmp_path / "run" / "history.json").read_text()))
    assert history[-8:, 1].mean() < 0.7 * history[:4, 1].mean()
    assert "left-out drives: path" in capsys.readouterr().out


def test_data_that_cannot_be_learned_from_is_refused(episodes: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found town 900000, accepted towns below 900000 for training"):
        load_drives(recorded(tmp_path / "held", episodes=1, first=900_000, seconds=0.3))
    with pytest.raises(ValueError, match="pictures_every 4, .*accepted a divisor of 6"):
        load_drives(recorded(tmp_path / "odd", episodes=1, env=ENV, pictures_every=4, seconds=0.3))
