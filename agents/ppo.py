"""Proximal policy optimisation (Schulman et al. 2017) by stable-baselines3, from state.

python -m agents.ppo out=runs/ppo steps=2000000
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
from omegaconf import DictConfig
from stable_baselines3 import PPO

from agents.drives import world_config
from agents.sb3_training import Training, finish, make_worlds, plain, use_one_thread


@hydra.main(config_path="pkg://agents.configs", config_name="ppo", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    train(plain(config))


def train(settings: dict[str, Any]) -> Path:
    """Trains to the last step, from the checkpoint in `out` if there is one; returns the agent's archive."""
    use_one_thread()
    training = Training(Path(settings["out"]), settings["steps"], settings["checkpoint_minutes"], settings["smoothing"])
    worlds = make_worlds(
        world_config(settings["world"]), settings["envs"], settings["processes"], settings["seed"] + _seed(training)
    )
    model = make_model(worlds, settings)
    done = training.resume(model)
    if not done and settings["start"]:
        model.policy.load_state_dict(policy_tensors(Path(settings["start"])))
        set_deviation(model, settings["deviation"])
    try:
        warm_up = min(settings["critic_warm_up"], settings["steps"])
        if done < warm_up:
            set_actor_learns(model, False)
            _learn(model, training, warm_up)
        set_actor_learns(model, True)
        _learn(model, training, settings["steps"])
    except KeyboardInterrupt:
        training.save()
        raise
    finally:
        worlds.close()
    finish(training, model, f"PPO, seed {settings['seed']}")
    return training.out / "agent.zip"


def _seed(training: Training) -> int:
    """Drives after a resumption are other ones than those before."""
    return len(training.curve.rows)


def make_model(worlds: Any, settings: dict[str, Any]) -> PPO:
    """A fresh agent. Its archive holds nothing but tensors and plain values that `drivesim` reads."""
    first = settings["learning_rate"]
    model = PPO(
        "MultiInputPolicy", worlds, learning_rate=lambda left: first * max(0.1, left), n_steps=settings["rollout"],
        batch_size=settings["batch_size"], n_epochs=settings["epochs"], gamma=settings["gamma"],
        gae_lambda=settings["gae_lambda"], clip_range=settings["clip_range"], ent_coef=settings["entropy"],
        target_kl=settings["target_kl"], policy_kwargs={"net_arch": [settings["width"]] * 2}, seed=settings["seed"],
        device="cpu",
    )  # fmt: skip
    with torch.no_grad():
        model.policy.get_parameter("action_net.bias").copy_(torch.tensor([0.2, 0.0]))
    set_deviation(model, settings["deviation"])
    return model


def set_deviation(model: PPO, deviation: list[float]) -> None:
    """Sets the standard deviation of the actions."""
    with torch.no_grad():
        model.policy.log_std.copy_(torch.from_numpy(np.log(np.asarray(deviation, np.float32))))


def set_actor_learns(model: PPO, learns: bool) -> None:
    """Whether updates change what the agent does, or only what it expects."""
    policy = model.policy
    for part in (policy.mlp_extractor.policy_net, policy.action_net):
        part.requires_grad_(learns)
    policy.log_std.requires_grad_(learns)


def _learn(model: PPO, training: Training, steps: int) -> None:
    left = steps - model.num_timesteps
    if left > 0:
        model.learn(left, callback=training, reset_num_timesteps=False)


def policy_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Weights of an archive, without what else it holds."""
    from stable_baselines3.common.save_util import load_from_zip_file

    if not path.is_file():
        raise ValueError(f"start: found no file {path}, accepted an agent.zip")
    _, parameters, _ = load_from_zip_file(path, device="cpu", load_data=False)
    tensors: Any = parameters["policy"]
    return tensors


if __name__ == "__main__":
    main()
