"""Cloned drivers: they do as they saw, resume, and are policies like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.behaviour_cloning import CloneBatches, Examples, Settings, joined, load_examples, train
from agents.clone_network import CloneNetwork
from agents.command_line import settings_of
from drivesim.data.episodes import open_episodes
from drivesim.policy import load_policy
from drivesim.rollout import make_env, run
from tests.agents.recordings import recorded


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drives without pictures."""
    return recorded(tmp_path_factory.mktemp("clone") / "drives")


def small(episodes: Path, out: Path, **changes: object) -> Settings:
    return Settings(data=str(episodes), out=str(out), batch=32, width=32, **changes)  # type: ignore[arg-type]


def test_the_clone_does_what_its_driver_did(episodes: Path, tmp_path: Path) -> None:
    folder = train(small(episodes, tmp_path / "run", steps=400, learning_rate=3e-3))
    assert folder == tmp_path / "run" / "policy"
    policy = load_policy(str(tmp_path / "run"))
    assert policy.action == "physical" and policy.observation == ("boxes",)
    episode = open_episodes(episodes)[0]
    seen = {name: np.array(episode.array(f"observation_{name}")) for name in ("ego", "route", "boxes")}
    answers = np.array([policy.act({key: value[row] for key, value in seen.items()}, {}) for row in range(24)])
    wanted = np.array(episode.array("action"))
    assert np.abs(answers - wanted).mean(0) == pytest.approx([0.0, 0.0], abs=0.3)
    assert np.abs(answers - wanted).mean() < 0.5 * np.abs(wanted - wanted.mean(0)).mean()
    env = make_env({"generator": None, "reset_options": {"town": 900_000}}, policy, 1.0)
    assert len(run(env, policy, seed=0).steps) == 12


def test_a_finished_run_is_not_trained_again(episodes: Path, tmp_path: Path) -> None:
    whole = train(small(episodes, tmp_path / "whole", steps=6))
    interrupted = small(episodes, tmp_path / "parts", steps=6)
    train(interrupted)
    again = train(interrupted)
    assert len(json.loads((tmp_path / "parts" / "history.json").read_text())) == 6
    assert (whole / "policy.safetensors").read_bytes() == (again / "policy.safetensors").read_bytes()


def test_boxes_that_are_not_there_do_not_matter() -> None:
    torch.manual_seed(0)
    network = CloneNetwork({"ego": [7], "route": [20, 2], "boxes": [64, 10]}, [2], 16)
    boxes = torch.zeros(1, 64, 10)
    boxes[..., 9] = -1.0
    boxes[0, 0] = torch.tensor([12.0, 1.0, 0.8, 2.0, 4.0, 1.6, 0.1, 3.0, 0.0, 0.0])
    seen = {"ego": torch.rand(1, 7), "route": torch.rand(1, 20, 2).cumsum(1), "boxes": boxes}
    shuffled = torch.cat([boxes[:, torch.randperm(24)], boxes[:, 24:]], 1)
    fewer = boxes[:, :5]
    for other in (shuffled, fewer):
        torch.testing.assert_close(network(seen), network(seen | {"boxes": other}))
    nobody = boxes.clone()
    nobody[..., 9] = -1.0
    assert not torch.allclose(network(seen), network(seen | {"boxes": nobody}))


def test_half_of_a_batch_is_mirrored(episodes: Path) -> None:
    examples = joined(load_examples(episodes, ["boxes"]))
    seen, wanted = CloneBatches(examples, 8, 0)(5), examples.action
    rows = np.random.default_rng([0, 5]).integers(len(wanted), size=8)
    sign = torch.tensor([-1.0] * 4 + [1.0] * 4)
    torch.testing.assert_close(seen["action"], wanted[rows] * torch.stack([torch.ones(8), sign], 1))
    torch.testing.assert_close(seen["route"][..., 1], sign[:, None] * examples.observation["route"][rows][..., 1])
    torch.testing.assert_close(seen["boxes"][..., 0], examples.observation["boxes"][rows][..., 0])
    flat = {name: value for name, value in examples.observation.items() if name != "boxes"}
    unknown = Examples(flat | {"state": torch.zeros(len(wanted), 3)}, wanted, examples.kind, examples.shape)
    torch.testing.assert_close(CloneBatches(unknown, 8, 0)(5)["action"], wanted[rows])


def test_data_that_cannot_be_cloned_is_refused(episodes: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no observation_layout.npy"):
        load_examples(episodes, ["layout"])
    head = next(iter(episodes.glob("clip_*"))) / "clip.json"
    kept = head.read_text()
    try:
        head.write_text(kept.replace('"physical"', '"discrete"'))
        with pytest.raises(ValueError, match="action: found 'discrete', accepted"):
            load_examples(episodes, ["boxes"])
    finally:
        head.write_text(kept)
    with pytest.raises(ValueError, match="found town 900000"):
        load_examples(recorded(tmp_path / "held", episodes=1, first=900_000, seconds=0.3), ["boxes"])


def test_arguments_are_checked() -> None:
    assert settings_of(Settings, ["data=a", "steps=3", "observation=[]"]) == Settings("a", steps=3, observation=[])
    for arguments, message in (
        (["steps=3"], "data"), (["data=a", "speed=3"], "speed.*accepted data, out"), (["data=a", "steps=x"], "'x'"),
        (["a"], r"found \['a'\], accepted key=value"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            settings_of(Settings, arguments)
