"""PPO in one file: its estimates and its objective against closed forms, its training as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from agents import ppo_single_file
from agents.ppo_single_file import advantages, clipped_objective
from drivesim.policy import load_policy
from drivesim.rollout import make_env, run
from tests.agents.runs import train_tiny


def test_advantages_with_lambda_one_are_discounted_returns_less_the_value() -> None:
    torch.manual_seed(0)
    rewards, values, last = torch.randn(6, 2), torch.randn(6, 2), torch.randn(2)
    ends = torch.zeros(6, 2)
    ends[3, 1] = 1.0
    found = advantages(rewards, values, ends, last, 0.9, 1.0)
    returns = torch.zeros(6, 2)
    following = last
    for t in (5, 4, 3, 2, 1, 0):
        following = rewards[t] + 0.9 * (1.0 - ends[t]) * following
        returns[t] = following
    torch.testing.assert_close(found, returns - values)


def test_advantages_with_lambda_zero_are_one_step_errors() -> None:
    rewards, values, ends = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [0.25]]), torch.tensor([[0.0], [1.0]])
    found = advantages(rewards, values, ends, torch.tensor([9.0]), 0.9, 0.0)
    torch.testing.assert_close(found, torch.tensor([[1.0 + 0.9 * 0.25 - 0.5], [2.0 - 0.25]]))


@pytest.mark.parametrize("gain, flat", [(1.0, (1.21, 1.5)), (-1.0, (0.5, 0.79))])
def test_objective_is_flat_beyond_the_clip(gain: float, flat: tuple[float, float]) -> None:
    for value in (*flat, 1.0):
        ratio = torch.tensor([value], requires_grad=True)
        clipped_objective(ratio, torch.tensor([gain]), 0.2).backward()
        assert ratio.grad is not None and float(ratio.grad) == (gain if value == 1.0 else 0.0)


def test_actor_trains_resumes_and_drives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ("rollout=16", "batch_size=16", "epochs=1")
    train_tiny(ppo_single_file, tmp_path, "steps=64", *tiny)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["steps"] == 64
    train_tiny(ppo_single_file, tmp_path, "steps=96", *tiny)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["steps"] == 96
    assert str(tmp_path / "actor.safetensors") in capsys.readouterr().out
    policy = load_policy(str(tmp_path / "actor.safetensors"))
    trace = run(make_env({"generator": None}, policy, 0.5), policy, seed=0, options={"town": 1})
    assert len(trace.steps) == 6
