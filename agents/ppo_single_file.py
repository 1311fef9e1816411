"""Proximal policy optimisation (Schulman et al. 2017) in one file: networks, rollout, update, checkpoint, command.

python -m agents.ppo_single_file out=runs/ppo_single steps=1000000

The trained actor is `actor.safetensors` with its card, which drives as any policy does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import hydra
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from tqdm import tqdm

from agents.drives import OBSERVATION, factories, world_config
from agents.learning_curve import LearningCurve
from drivesim.network_policy import save_network_policy
from drivesim.state_vector import SIZE

KEY = OBSERVATION[0]


def network(width: int, outputs: int, last_gain: float) -> nn.Sequential:
    """Two hidden layers with orthogonal weights."""
    layers = [nn.Linear(SIZE, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)]
    for layer, gain in zip(layers[::2], (2**0.5, 2**0.5, last_gain)):
        nn.init.orthogonal_(layer.weight, gain)  # type: ignore[arg-type]
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers)


class Actor(nn.Module):
    """Normal distribution over actions [2] of the type "route"."""

    def __init__(self, width: int = 128, deviation: Sequence[float] = (0.5, 0.1)) -> None:
        super().__init__()
        self.mean = network(width, 2, 0.01)
        self.log_deviation = nn.Parameter(torch.tensor(deviation).log())
        with torch.no_grad():
            list(self.mean.parameters())[-1].copy_(torch.tensor([0.2, 0.0]))

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """The mode [B, 2] for observations [B, D]: what drives after the training."""
        return self.mean(observation[KEY])

    def distribution(self, states: Tensor) -> torch.distributions.Independent:
        """Of actions [B, 2] in states [B, D]."""
        normal = torch.distributions.Normal(self.mean(states), self.log_deviation.exp())
        return torch.distributions.Independent(normal, 1)


@dataclass
class Rollout:
    """T steps of N worlds."""

    states: Tensor  # [T, N, D]
    actions: Tensor  # [T, N, 2]
    log_probabilities: Tensor  # [T, N]
    values: Tensor  # [T, N]
    rewards: Tensor  # [T, N], of a drive cut by time with the value of where it would have gone on
    ends: Tensor  # [T, N] 1 where a drive ended with that step


def advantages(rewards: Tensor, values: Tensor, ends: Tensor, last_value: Tensor, gamma: float, lam: float) -> Tensor:
    """Generalised advantage estimates [T, N] (Schulman et al. 2016, equation 16); `last_value` [N] follows step T."""
    following = torch.cat([values[1:], last_value[None]])
    errors = rewards + gamma * (1.0 - ends) * following - values
    result = torch.empty_like(errors)
    running = torch.zeros_like(last_value)
    for t in reversed(range(len(errors))):
        running = errors[t] + gamma * lam * (1.0 - ends[t]) * running
        result[t] = running
    return result


def clipped_objective(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """The surrogate of PPO (Schulman et al. 2017, equation 7), to be maximised."""
    return torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage).mean()


class Learner:
    """Actor, critic, optimiser and the worlds they learn in."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings, self.out = settings, Path(settings["out"])
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings["seed"])
        self.actor = Actor(settings["width"], settings["deviation"])
        self.critic = network(settings["width"], 1, 1.0)
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=settings["learning_rate"], eps=1e-5)
        self.curve = LearningCurve(self.out / "curve.json")
        self.steps = 0
        if self.checkpoint.exists():
            self.load()
        torch.manual_seed(settings["seed"] + self.steps)
        makers = factories(world_config(settings["world"]), settings["envs"], settings["seed"] + self.steps)
        self.worlds = [make() for make in makers]
        self.states = torch.stack([_state(world.reset()[0]) for world in self.worlds])
        self.before, self.began = self.curve.minutes, time.monotonic()

    @property
    def checkpoint(self) -> Path:
        """Where a killed training goes on from."""
        return self.out / "checkpoint.pt"

    def save(self) -> None:
        """Writes the checkpoint, to a temporary name first."""
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({"actor": self.actor.state_dict(), "critic": self.critic.state_dict(),
                    "optimizer": self.optimizer.state_dict(), "steps": self.steps}, partial)  # fmt: skip
        partial.replace(self.checkpoint)
        self.curve.save()

    def load(self) -> None:
        """Goes on from the checkpoint."""
        state = torch.load(self.checkpoint, weights_only=True)
        self.actor.load_state_dict(state["actor"])
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
        self.curve.rows = [row for row in self.curve.rows if row[0] <= self.steps]

    @torch.no_grad()
    def drive(self) -> tuple[Rollout, Tensor]:
        """A rollout, and the value [N] of where it ends."""
        rows: list[tuple[Tensor, ...]] = []
        for _ in range(self.settings["rollout"]):
            distribution = self.actor.distribution(self.states)
            actions = distribution.sample()
            log_probabilities, values = distribution.log_prob(actions), self.critic(self.states)[:, 0]
            outcomes = [self._step(world, action) for world, action in zip(self.worlds, actions.numpy())]
            following, rewards, ends = zip(*outcomes)
            rows.append((self.states, actions, log_probabilities, values, torch.tensor(rewards), torch.tensor(ends)))
            self.states = torch.stack(following)
        return Rollout(*(torch.stack(column) for column in zip(*rows))), self.critic(self.states)[:, 0]

    def _step(self, world: gym.Env, action: np.ndarray) -> tuple[Tensor, float, float]:
        """Next state (of the next drive if this one is over), reward, and whether the drive is over."""
        self.steps += 1
        observation, earned, terminated, truncated, info = world.step(action)
        reward = float(earned)
        if not (terminated or truncated):
            return _state(observation), reward, 0.0
        self.curve.add(self.steps, self.before + (time.monotonic() - self.began) / 60.0, info["drive"])
        if not terminated:  # time is up, but the road goes on
            reward += self.settings["gamma"] * float(self.critic(_state(observation)[None]))
        return _state(world.reset()[0]), reward, 1.0

    def update(self, rollout: Rollout, last_value: Tensor) -> None:
        """Several epochs over one rollout."""
        s = self.settings
        gains = advantages(rollout.rewards, rollout.values, rollout.ends, last_value, s["gamma"], s["gae_lambda"])
        states, actions = rollout.states.flatten(0, 1), rollout.actions.flatten(0, 1)
        before, gains = rollout.log_probabilities.flatten(), gains.flatten()
        returns = gains + rollout.values.flatten()
        for group in self.optimizer.param_groups:
            group["lr"] = s["learning_rate"] * max(0.0, 1.0 - self.steps / s["steps"])
        for _ in range(s["epochs"]):
            for rows in torch.randperm(len(states)).split(s["batch_size"]):
                gain = (gains[rows] - gains[rows].mean()) / (gains[rows].std(correction=0) + 1e-8)
                ratio = (self.actor.distribution(states[rows]).log_prob(actions[rows]) - before[rows]).exp()
                value_error = (self.critic(states[rows])[:, 0] - returns[rows]).square().mean()
                loss = 0.5 * s["value_weight"] * value_error - clipped_objective(ratio, gain, s["clip_range"])
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters, s["gradient_clip"])
                self.optimizer.step()

    def run(self) -> Path:
        """Trains to the last step; returns the file of the actor."""
        saved = time.monotonic()
        with tqdm(total=self.settings["steps"], initial=self.steps, unit="step", desc=self.out.name) as bar:
            while self.steps < self.settings["steps"]:
                self.update(*self.drive())
                bar.update(self.steps - bar.n)
                bar.set_postfix({name: f"{value:.2f}" for name, value in self.curve.recent().items()})
                if time.monotonic() - saved > 60.0 * self.settings["checkpoint_minutes"]:
                    self.save()
                    saved = time.monotonic()
        self.save()
        path = self.out / "actor.safetensors"
        config = {"width": self.settings["width"]}
        save_network_policy(self.actor, path, "agents.ppo_single_file:Actor", config, "route", OBSERVATION)
        return path


def _state(observation: dict[str, np.ndarray]) -> Tensor:
    return torch.from_numpy(observation[KEY])


@hydra.main(config_path="pkg://agents.configs", config_name="ppo_single_file", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    train(OmegaConf.to_container(config, resolve=True, throw_on_missing=True))  # type: ignore[arg-type]


def train(settings: dict[str, Any]) -> Path:
    """Trains from the checkpoint in `out`, if there is one, and says what was written; returns the actor's file."""
    torch.set_num_threads(1)  # networks this small are slower on more
    learner = Learner(settings)
    try:
        path = learner.run()
    except KeyboardInterrupt:
        learner.save()
        raise
    picture = learner.curve.draw(f"PPO in one file, seed {settings['seed']}")
    print(f"actor    {path.resolve()}\ncurve    {picture.resolve()}\ndrive it:  drivesim drive policy={path}")
    return path


if __name__ == "__main__":
    main()
