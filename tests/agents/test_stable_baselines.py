"""PPO and SAC: they train, go on after a stop, and what they leave behind drives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agents import ppo, sac, warm_start
from agents.ppo import policy_tensors
from drivesim.policy import load_policy
from drivesim.rollout import make_env, run
from tests.agents.runs import train_tiny

PPO_TINY = ("rollout=16", "batch_size=16", "epochs=1", "processes=1", "critic_warm_up=0")
SAC_TINY = ("first_update=24", "every=4", "updates=1", "batch_size=8", "buffer=500")


@pytest.mark.parametrize("module, tiny", [(ppo, PPO_TINY), (sac, SAC_TINY)])
def test_agent_trains_resumes_and_drives(
    module, tiny: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_tiny(module, tmp_path, "steps=64", *tiny)
    assert json.loads((tmp_path / "progress.json").read_text())["steps"] == 64
    first = len(json.loads((tmp_path / "curve.json").read_text())["rows"])
    train_tiny(module, tmp_path, "steps=96", *tiny)
    assert json.loads((tmp_path / "progress.json").read_text())["steps"] == 96
    rows = json.loads((tmp_path / "curve.json").read_text())["rows"]
    assert len(rows) >= first >= 2 and [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert (tmp_path / "curve.png").stat().st_size > 1000
    said = capsys.readouterr().out
    assert str(tmp_path / "agent.zip") in said and str(tmp_path / "curve.png") in said
    policy = load_policy(str(tmp_path / "agent.zip"))
    assert policy.action == "route" and tuple(policy.observation) == ("state_vector",)
    trace = run(make_env({"generator": None}, policy, 0.5), policy, seed=0, options={"town": 1})
    assert len(trace.steps) == 6


def test_finished_training_is_left_as_it_is(tmp_path: Path) -> None:
    train_tiny(ppo, tmp_path, "steps=32", *PPO_TINY)
    before = load_policy(str(tmp_path / "agent.zip")).network.state_dict()  # type: ignore[attr-defined]
    train_tiny(ppo, tmp_path, "steps=32", *PPO_TINY)
    after = load_policy(str(tmp_path / "agent.zip")).network.state_dict()  # type: ignore[attr-defined]
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_clone_is_what_ppo_goes_on_from(tmp_path: Path) -> None:
    from tests.hydra_run import run_command

    clone = tmp_path / "clone"
    run_command(warm_start, "agents.warm_start", f"out={clone}", "world=debug", "steps=60", "rounds=2", "epochs=2",
                "width=8")  # fmt: skip
    told = load_policy(str(clone / "agent.zip")).network.state_dict()  # type: ignore[attr-defined]
    start = (f"start={clone / 'agent.zip'}",)
    train_tiny(ppo, tmp_path / "critic", "steps=32", *start, *PPO_TINY, "critic_warm_up=32")
    tuned = load_policy(str(tmp_path / "critic" / "agent.zip")).network.state_dict()  # type: ignore[attr-defined]
    for name in told:
        same = np.array_equal(told[name], tuned[name])
        assert name == "log_std" or same == ("value" not in name)
    train_tiny(ppo, tmp_path / "both", "steps=64", *start, *PPO_TINY, "critic_warm_up=32")
    tuned = load_policy(str(tmp_path / "both" / "agent.zip")).network.state_dict()  # type: ignore[attr-defined]
    assert not np.array_equal(told["action_net.weight"], tuned["action_net.weight"])


def test_start_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start: found no file .*nowhere.zip"):
        policy_tensors(tmp_path / "nowhere.zip")


def test_teacher_must_speak_physically(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="teacher: found actions 'normalized'"):
        warm_start.train({"out": str(tmp_path), "teacher": "tests.agents.runs:Pedals", "seed": 0})
