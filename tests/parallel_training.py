"""Trains two small things, in as many processes as `torchrun` starts: `python -m tests.parallel_training FOLDER`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from drivesim.codecs.image import CodecConfig, ImageCodec
from drivesim.train import TrainConfig, Trainer

STEPS, HALF = 6, 3
CODEC = CodecConfig(channels=8)  # of `component=codec_debug`


@dataclass
class Streams:
    """What the rows of a batch remember."""

    before: Tensor  # [B, 1]

    def plain(self) -> dict[str, Any]:
        """As tensors."""
        return {"frames": [{"before": self.before}]}


class Follower(nn.Module):
    """Every row goes on from what it said before; one part is used by half of the rows alone, one by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.seldom, self.never = nn.Linear(4, 1), nn.Linear(4, 1), nn.Linear(4, 1)

    def loss(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Squared error of a linear fit."""
        x, row = batch["x"], batch["row"]
        before = batch["carry"].before if batch["carry"] else torch.zeros(len(x), 1)
        said = self.layer(torch.cat([x, before], 1))
        late = row >= 4
        error = (said - batch["y"]).square().sum()
        if late.any():
            error = error + (self.seldom(torch.cat([x, before], 1)[late]) - 1.0).square().sum()
        return error / len(x), {"carry": Streams(said.detach())}

    @staticmethod
    def restore_carry(plain: dict[str, Any]) -> Streams:
        """From tensors."""
        return Streams(plain["frames"][0]["before"])


def rows(step: int) -> dict[str, Tensor]:
    """Eight rows."""
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
    return {"x": x, "y": x.sum(1, keepdim=True), "row": torch.arange(8)}


def pictures(step: int) -> dict[str, Tensor]:
    """Four pictures of coloured rectangles."""
    g = torch.Generator().manual_seed(step)
    coarse = torch.randint(0, 255, (4, 2, 4, 3), generator=g, dtype=torch.uint8)
    return {"pictures": coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)}


def config(out: Path, learning_rate: float) -> TrainConfig:
    """A short run."""
    return TrainConfig(out=str(out), steps=STEPS, warm_up=2, learning_rate=learning_rate, precision="no")


def follower(out: Path, until: int = STEPS) -> Trainer:
    """Trains until a step and leaves a checkpoint; goes on from the one that is there."""
    trainer = Trainer(Follower(), rows, config(out, 0.02))
    if trainer.checkpoint.exists():
        trainer.load()
    while trainer.step < until:
        trainer.train_step()
    trainer.save()
    return trainer


def codec(out: Path) -> Trainer:
    """Trains the image codec at its debug size."""
    trainer = Trainer(ImageCodec.small(CODEC), pictures, config(out, 1e-3))
    trainer.run()
    return trainer


def main(folder: Path) -> None:
    """Everything that the test compares; weights begin as those of the first process, whose seed is 0."""
    rank, weights = int(os.environ["RANK"]), {}
    for name, run in {"whole": follower, "half": partial(follower, until=HALF), "codec": codec}.items():
        torch.manual_seed(rank)
        weights[name] = run(folder / name).module.state_dict()
    torch.save(weights, folder / f"weights_{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
