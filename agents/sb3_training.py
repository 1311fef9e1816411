"""What PPO and SAC of stable-baselines3 share: worlds, progress, checkpoints of mere tensors, and the last words."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv
from tqdm import tqdm

from agents.drives import ACTION, WorldConfig, factories
from agents.learning_curve import LearningCurve


def make_worlds(config: WorldConfig, envs: int, processes: int, seed: int) -> VecEnv:
    """Worlds for training, in this process or each in one of its own. ValueError for impossible numbers."""
    if envs < 1 or processes not in (1, envs):
        raise ValueError(f"processes: found {processes} for {envs} envs, accepted 1, or as many as envs")
    makers = factories(config, envs, seed)
    return SubprocVecEnv(makers, start_method="spawn") if processes > 1 else DummyVecEnv(makers)


class Training(BaseCallback):
    """Shows progress, saves a checkpoint every few minutes, and notes what becomes of the drives."""

    def __init__(self, out: Path, steps: int, checkpoint_minutes: float, smoothing: float = 0.0) -> None:
        super().__init__()
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.steps, self.checkpoint_minutes = out, steps, checkpoint_minutes
        self.smoothing = smoothing  # of the actions, when the agent drives
        self.curve = LearningCurve(out / "curve.json")
        self._saved = self._began = time.monotonic()
        self._before = self.curve.minutes
        self.bar: tqdm | None = None

    @property
    def checkpoint(self) -> Path:
        """Where a killed training goes on from."""
        return self.out / "checkpoint.zip"

    def resume(self, model: BaseAlgorithm) -> int:
        """Loads the last checkpoint's tensors, if there is one; returns the steps that are done."""
        self.model = model
        if not self.checkpoint.exists():
            return 0
        model.set_parameters(str(self.checkpoint), exact_match=True)
        model.num_timesteps = int(json.loads((self.out / "progress.json").read_text())["steps"])
        self.curve.rows = [row for row in self.curve.rows if row[0] <= model.num_timesteps]
        return model.num_timesteps

    def save(self) -> None:
        """Writes the checkpoint, each file to a temporary name first."""
        write_agent(self.model, self.checkpoint, self.smoothing)
        words = self.out / "progress.json.partial"
        words.write_text(json.dumps({"steps": self.model.num_timesteps}) + "\n")
        words.replace(self.out / "progress.json")
        self.curve.save()
        self._saved = time.monotonic()

    def _on_training_start(self) -> None:
        done = self.model.num_timesteps
        self.bar = tqdm(
            total=max(self.steps, done), initial=done, unit="step", desc=self.out.name, mininterval=2.0, smoothing=0.02
        )
        self._began, self._before = time.monotonic(), self.curve.minutes

    def _on_step(self) -> bool:
        assert self.bar is not None
        minutes = self._before + (time.monotonic() - self._began) / 60.0
        for info in self.locals["infos"]:
            if "drive" in info:
                self.curve.add(self.model.num_timesteps, minutes, info["drive"])
        self.bar.update(self.model.num_timesteps - self.bar.n)
        return True

    def _on_rollout_end(self) -> None:
        assert self.bar is not None
        self.bar.set_postfix({name: f"{value:.2f}" for name, value in self.curve.recent().items()})
        if time.monotonic() - self._saved > 60.0 * self.checkpoint_minutes:
            self.save()

    def _on_training_end(self) -> None:
        if self.bar is not None:
            self.bar.close()


def write_agent(model: BaseAlgorithm, path: Path, smoothing: float = 0.0) -> None:
    """Saves an agent with what `drivesim.agent_policy` wants to know of it; to a temporary name first."""
    model.action_type = ACTION  # type: ignore[attr-defined]
    model.action_smoothing = smoothing  # type: ignore[attr-defined]
    partial = path.with_name(f"partial.{path.name}")
    model.save(partial)
    partial.replace(path)


def finish(training: Training, model: BaseAlgorithm, title: str) -> None:
    """Writes the agent and the curve, and says where."""
    training.save()
    agent = training.out / "agent.zip"
    write_agent(model, agent, training.smoothing)
    picture = training.curve.draw(title)
    recent = training.curve.recent()
    if recent:
        print(f"last {min(100, len(training.curve.rows))} drives: safe progress {recent['safe_progress']:.0f} m, "
              f"{100 * recent['at_fault']:.0f} % ended by own fault; {training.curve.minutes:.1f} min")  # fmt: skip
    print(f"agent    {agent.resolve()}\ncurve    {picture.resolve()}\ndrive it:  drivesim drive policy={agent}")


def use_one_thread() -> None:
    """Networks this small are slower on more threads, and worlds need the processors."""
    torch.set_num_threads(1)


def plain(config: Any) -> dict[str, Any]:
    """Settings of a command as plain data."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
