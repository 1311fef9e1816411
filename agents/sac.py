"""Soft actor-critic (Haarnoja et al. 2018) by stable-baselines3, from state.

python -m agents.sac out=runs/sac steps=300000

A training that goes on from a checkpoint has its weights but an empty memory of transitions; it fills it again with
the agent's own driving before the next update.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig
from stable_baselines3 import SAC

from agents.drives import world_config
from agents.sb3_training import Training, finish, make_worlds, plain, use_one_thread


@hydra.main(config_path="pkg://agents.configs", config_name="sac", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    train(plain(config))


def train(settings: dict[str, Any]) -> Path:
    """Trains to the last step, from the checkpoint in `out` if there is one; returns the agent's archive."""
    use_one_thread()
    training = Training(Path(settings["out"]), settings["steps"], settings["checkpoint_minutes"], settings["smoothing"])
    seed = settings["seed"] + len(training.curve.rows)
    worlds = make_worlds(world_config(settings["world"]), settings["envs"], settings["processes"], seed)
    model = SAC(
        "MultiInputPolicy", worlds, learning_rate=settings["learning_rate"], buffer_size=settings["buffer"],
        learning_starts=settings["first_update"], batch_size=settings["batch_size"], gamma=settings["gamma"],
        train_freq=settings["every"], gradient_steps=settings["updates"],
        policy_kwargs={"net_arch": [settings["width"]] * 2}, seed=settings["seed"], device="cpu",
    )  # fmt: skip
    done = training.resume(model)
    try:
        if done:
            model.learning_starts, model.gradient_steps = 0, 0
            _learn(model, training, min(settings["first_update"], settings["steps"] - done))
            model.gradient_steps = settings["updates"]
        _learn(model, training, settings["steps"] - model.num_timesteps)
    except KeyboardInterrupt:
        training.save()
        raise
    finally:
        worlds.close()
    finish(training, model, f"SAC, seed {settings['seed']}")
    return training.out / "agent.zip"


def _learn(model: SAC, training: Training, steps: int) -> None:
    if steps > 0:
        model.learn(steps, callback=training, reset_num_timesteps=False)


if __name__ == "__main__":
    main()
