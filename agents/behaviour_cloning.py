"""Behaviour cloning: a small network learns from recorded drives to do what their driver did, from state alone.

    drivesim record policy=planners.pdm_closed:PdmClosed env.generator=null disturbance=1 episodes=200 out=data/pdm
    python -m agents.behaviour_cloning data=data/pdm/episodes out=runs/clone
    drivesim evaluate policies=[runs/clone] suite=town env.generator=null

Stop it at any time: the same command goes on from its checkpoint. `observation=[boxes]` names what it sees besides ego
and route: `boxes`, or any vector that was recorded (`drivesim record observation=[...]`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import MISSING
from torch import Tensor, nn
from torch.nn import functional as F

from agents.camera_data import check_training_town
from agents.clone_network import CloneNetwork
from agents.command_line import settings_of
from drivesim.data.episodes import Episode, open_episodes
from drivesim.network_policy import save_network_policy
from drivesim.train import TrainConfig, Trainer

CLONED_ACTIONS = ("normalized", "physical", "trajectory", "route")


@dataclass
class Settings:
    """What can be given as key=value."""

    data: str = MISSING  # folder of episodes
    out: str = "runs/clone"
    observation: list[str] = field(default_factory=lambda: ["boxes"])
    steps: int = 4000
    batch: int = 128
    learning_rate: float = 1e-3
    width: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Examples:
    """What was seen and what the driver wanted, R rows of all drives."""

    observation: dict[str, Tensor]  # [R, ...]
    action: Tensor  # [R, A], flattened
    kind: str  # action type
    shape: tuple[int, ...]  # of one action


class Imitation(nn.Module):
    """The training objective: squared error of the action in units of its spread over the data.

    Not the absolute error: hard braking is rare, and a median would leave it out.
    """

    def __init__(self, network: CloneNetwork) -> None:
        super().__init__()
        self.network = network

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over actions [B, A] of observations [B, ...]."""
        observation = {
            name: value for name, value in batch.items() if name in ("ego", "route", *self.network.observation)
        }
        wanted = self.network.standardised(batch["action"])
        error = F.mse_loss(self.network.decide(observation), wanted)
        return error, {"error": error.detach()}


def load_examples(data: str | Path, observation: list[str]) -> list[Examples]:
    """The examples of every episode of a folder.

    Raises ValueError where an observation was not recorded, for actions that cannot be cloned, for drives with another
    action type than the first, and for evaluation towns.
    """
    examples = [_examples(episode, observation) for episode in open_episodes(data)]
    kinds = sorted({(part.kind, part.shape) for part in examples})
    if len(kinds) > 1:
        raise ValueError(f"data={data}: found actions {kinds}, accepted one type for all episodes")
    return examples


def _examples(episode: Episode, observation: list[str]) -> Examples:
    kind = str(episode.head["action"])
    check_training_town(episode)
    if kind not in CLONED_ACTIONS:
        raise ValueError(f"{episode.folder}: action: found {kind!r}, accepted {CLONED_ACTIONS}")
    seen = {name: np.array(episode.array(f"observation_{name}"), np.float32) for name in ("ego", "route", *observation)}
    action = np.array(episode.array("action"), np.float32)
    if not all(np.isfinite(value).all() for value in (*seen.values(), action)):
        raise ValueError(f"{episode.folder}: found numbers that are not finite, accepted finite ones")
    tensors = {name: torch.from_numpy(value) for name, value in seen.items()}
    return Examples(tensors, torch.from_numpy(action.reshape(len(action), -1)), kind, action.shape[1:])


def joined(parts: list[Examples]) -> Examples:
    """All rows of several drives."""
    observation = {name: torch.cat([part.observation[name] for part in parts]) for name in parts[0].observation}
    return Examples(observation, torch.cat([part.action for part in parts]), parts[0].kind, parts[0].shape)


class CloneBatches:
    """Random batches of examples, a pure function of the step number.

    Where it is known what left and right are (ego, route, boxes), half of every batch is mirrored.
    """

    def __init__(self, examples: Examples, batch: int, seed: int) -> None:
        self._examples, self._batch, self._seed = examples, batch, seed
        self._mirrors = set(examples.observation) <= {"ego", "route", "boxes"}

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The examples of training step `step`."""
        rows = torch.from_numpy(
            np.random.default_rng([self._seed, step]).integers(len(self._examples.action), size=self._batch)
        )
        seen = {name: value[rows] for name, value in self._examples.observation.items()}
        batch = seen | {"action": self._examples.action[rows]}
        return mirrored(batch, self._examples.shape) if self._mirrors else batch


def mirrored(batch: dict[str, Tensor], shape: tuple[int, ...]) -> dict[str, Tensor]:
    """A batch whose first half has left and right exchanged; actions are of a `shape` whose last axis holds one number
    along the car and then those that change sign."""
    half = len(batch["action"]) // 2
    signs = {"ego": (2, 3), "route": (1,), "boxes": (1, 6, 8)}
    for name in signs.keys() & batch.keys():
        batch[name][:half, ..., list(signs[name])] *= -1.0
    batch["action"].view(-1, *shape)[:half, ..., 1:] *= -1.0
    return batch


def train(settings: Settings) -> Path:
    """Clones, measures on drives that were left out, and returns the folder of the policy."""
    parts = load_examples(settings.data, settings.observation)
    held = max(1, len(parts) // 20) if len(parts) > 1 else 0
    examples = joined(parts[: len(parts) - held])
    sizes = {name: list(value.shape[1:]) for name, value in examples.observation.items()}
    config: dict[str, Any] = {"sizes": sizes, "action_shape": list(examples.shape), "width": settings.width}
    torch.manual_seed(settings.seed)
    network = CloneNetwork(**config)
    network.fit(examples.observation, examples.action)
    print(f"{len(examples.action)} examples of {len(parts) - held} drives, {held} drives left out")
    trainer = Trainer(Imitation(network), CloneBatches(examples, settings.batch, settings.seed), TrainConfig(
        settings.out, settings.steps, settings.seed, settings.learning_rate, weight_decay=0.1, decay=0.5,
        precision="no",
    ))  # fmt: skip
    trainer.run()
    objective = trainer.module
    objective.load_state_dict(trainer.averaged())
    if held:
        print(measured(network.eval(), joined(parts[-held:])))
    folder = trainer.folder / "policy"
    folder.mkdir(exist_ok=True)
    save_network_policy(
        network, folder / "policy.safetensors", "agents.clone_network:CloneNetwork", config, examples.kind,
        tuple(settings.observation),
    )  # fmt: skip
    return folder


@torch.inference_mode()
def measured(network: CloneNetwork, examples: Examples) -> str:
    """Mean absolute error on drives that were not trained on, as one line."""
    error = (network(examples.observation).flatten(1) - examples.action).abs().mean(0)
    return "left-out drives: mean absolute error " + ", ".join(f"{value:.3f}" for value in error.tolist())


if __name__ == "__main__":
    print(f"policy  {train(settings_of(Settings)).resolve()}")
