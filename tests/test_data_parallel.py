"""Two processes train as one process does with the batch of both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drivesim.data_parallel import joined, rows_of
from drivesim.generators.stage.objective import StageObjective
from tests.generators.test_stage import batch_of, tiny_codec, tiny_network
from tests.parallel_training import HALF, STEPS, codec, follower

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*launch, "-m", "tests.parallel_training", str(folder)], cwd=ROOT, capture_output=True,
                          text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def losses(folder: Path) -> list[float]:
    return [value for _, value in json.loads((folder / "history.json").read_text())]


def test_two_processes_train_as_one_does_with_the_batch_of_both(together: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    alone = follower(tmp_path / "whole")
    assert losses(together / "whole") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    first, second = (torch.load(together / f"weights_{rank}.pt")["whole"] for rank in range(2))
    for name, value in alone.module.state_dict().items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, atol=1e-5)


def test_the_codec_too_but_for_the_noise_in_its_loss(together: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    alone = codec(tmp_path / "codec")
    assert losses(together / "codec") == pytest.approx(losses(tmp_path / "codec"), rel=0.02)
    assert losses(together / "codec")[-1] < losses(together / "codec")[0]
    first, second = (torch.load(together / f"weights_{rank}.pt")["codec"] for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in alone.module.state_dict())


def test_one_process_goes_on_where_two_stopped(together: Path) -> None:
    assert len(losses(together / "half")) == HALF
    follower(together / "half")
    assert len(losses(together / "half")) == STEPS
    assert losses(together / "half") == pytest.approx(losses(together / "whole"), rel=1e-5)


def test_what_streams_remember_is_shared_out_and_joined_again() -> None:
    objective = StageObjective(tiny_network(), tiny_codec())
    carry = None
    for step in range(2):
        carry = objective.loss(batch_of(step, carry))[1]["carry"]
    plain = carry.plain()
    parts = [rows_of(plain, part, 2) for part in range(2)]
    assert [len(part["frames"][0]["present"]) for part in parts] == [1, 1]
    again = joined(parts)
    assert len(again["frames"]) == 2
    for one, other in zip(again["frames"], plain["frames"], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one["tensors"], other["tensors"], strict=True))
    assert torch.equal(again["latents"], plain["latents"]) and torch.equal(again["doubt"], plain["doubt"])
    conditions = rows_of(batch_of(0, None), 1, 2)["conditions"]
    assert torch.equal(conditions.layout, batch_of(0, None)["conditions"].layout[1:])


def test_rows_must_be_shared_evenly() -> None:
    with pytest.raises(ValueError, match=r"batch: found a tensor of shape \(3, 2\), accepted rows that 2 processes"):
        rows_of({"x": torch.zeros(3, 2)}, 0, 2)
