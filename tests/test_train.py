"""The trainer: resuming continues exactly, a broken run says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from drivesim.train import TrainConfig, Trainer


class Toy(nn.Module):
    """A linear fit with noise in its loss and a carry, so that everything a resume must restore matters."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 1)

    def loss(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        carry = batch["carry"].value if batch["carry"] else torch.zeros(())
        error = (self.layer(batch["x"]) - batch["y"] - 0.1 * torch.randn(()) - carry).square().mean()
        return error, {"error": error.detach(), "carry": Carry(0.05 * error.detach().tanh())}

    @staticmethod
    def restore_carry(plain: dict[str, Tensor]) -> Carry:
        return Carry(plain["value"])


class Carry:
    def __init__(self, value: Tensor) -> None:
        self.value = value

    def plain(self) -> dict[str, Tensor]:
        return {"value": self.value}


def batches(step: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(step)
    x = torch.randn(8, 3, generator=g)
    return {"x": x, "y": x.sum(1, keepdim=True)}


def config(out: Path, steps: int, **changes: Any) -> TrainConfig:
    return TrainConfig(out=str(out), steps=steps, warm_up=5, learning_rate=0.05, precision="no", **changes)


def test_resume_continues_the_same_curve(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = Trainer(Toy(), batches, config(tmp_path / "whole", 20))
    whole.run()
    torch.manual_seed(0)
    part = Trainer(Toy(), batches, config(tmp_path / "part", 20))
    for _ in range(9):
        part.train_step()
    part.save()
    torch.manual_seed(123)
    resumed = Trainer(Toy(), batches, config(tmp_path / "part", 20))
    resumed.run()
    assert resumed.history == whole.history
    for name, value in whole.averaged().items():
        assert torch.equal(value, resumed.averaged()[name])


class TwoPaces(nn.Module):
    """Two parts with the same gradient, one of which is to learn three times as fast and to forget sooner."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        self.paces, self.momenta = {"fast": 3.0}, {"fast": 0.5}
        self.sign = 1.0

    def loss(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        return self.sign * (self.slow.weight.sum() + self.fast.weight.sum()), {}


def test_parts_learn_at_their_pace(tmp_path: Path) -> None:
    trainer = Trainer(TwoPaces(), batches, config(tmp_path, 100, weight_decay=0.0))
    before = {name: float(value.detach()) for name, value in trainer.module.named_parameters()}
    trainer.train_step()
    moved = {name: before[name] - float(value.detach()) for name, value in trainer.module.named_parameters()}
    assert moved["slow.weight"] == pytest.approx(0.05 / 5, rel=1e-4)  # the first step of Adam is as long as its rate
    assert moved["fast.weight"] == pytest.approx(3 * 0.05 / 5, rel=1e-4)


def test_parts_have_their_momentum(tmp_path: Path) -> None:
    """A gradient of 1 and then -1: Adam's corrected mean is -(1 - b) / (1 + b) then, its square 1. The rate, still
    rising, is 0.02."""
    trainer = Trainer(TwoPaces(), batches, config(tmp_path, 100, weight_decay=0.0))
    trainer.train_step()
    before = {name: float(value.detach()) for name, value in trainer.module.named_parameters()}
    trainer.module.sign = -1.0
    trainer.train_step()
    moved = {name: float(value.detach()) - before[name] for name, value in trainer.module.named_parameters()}
    assert moved["slow.weight"] == pytest.approx(0.02 * (1 - 0.9) / (1 + 0.9), rel=1e-3)
    assert moved["fast.weight"] == pytest.approx(3 * 0.02 * (1 - 0.5) / (1 + 0.5), rel=1e-3)


def test_learning_rate_rises_holds_and_falls(tmp_path: Path) -> None:
    trainer = Trainer(Toy(), batches, config(tmp_path, 100, decay=0.5))
    assert trainer.learning_rate(0) == pytest.approx(0.05 / 5)
    assert trainer.learning_rate(30) == pytest.approx(0.05)
    assert trainer.learning_rate(75) == pytest.approx(0.025)
    assert trainer.learning_rate(100) == 0.0


def test_training_fits_and_average_lags(tmp_path: Path) -> None:
    trainer = Trainer(Toy(), batches, config(tmp_path, 300, ema=0.9))
    trainer.run()
    assert trainer.averaged()["layer.weight"][0].tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.15)
    assert (tmp_path / "checkpoint.pt").exists()
    assert not (tmp_path / "checkpoint.tmp").exists()


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    Trainer(Toy(), batches, config(tmp_path, 1)).run()
    with pytest.raises(ValueError, match="checkpoint.pt: tensor 'layer.weight' has shape"):
        Trainer(Toy(width=4), batches, config(tmp_path, 2)).load()


def test_infinite_loss_stops_with_the_checkpoint_named(tmp_path: Path) -> None:
    def broken(step: int) -> dict[str, Tensor]:
        return {"x": torch.full((1, 3), torch.inf), "y": torch.zeros(1, 1)}

    with pytest.raises(FloatingPointError, match="loss at step 0"):
        Trainer(Toy(), broken, config(tmp_path, 3)).run()
