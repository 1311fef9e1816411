"""A clone of a planner in the form that PPO goes on from, by DAgger (Ross et al. 2011): the pupil drives, the teacher
says what it would have done.

python -m agents.warm_start out=runs/clone teacher=planners.lane_follower:LaneFollower
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv
from tqdm import tqdm

from agents.drives import OBSERVATION, TrainingDrives, make_drives, world_config
from agents.sb3_training import plain, use_one_thread, write_agent
from drivesim.env import DriveWorldEnv
from drivesim.policy import Policy, load_policy
from drivesim.route_action import MAX_OFFSET, AlongRoute
from drivesim.vehicle import KinematicBicycle

SCALE = np.array([2.0, 1.0], np.float32)  # of the actions: errors count relative to it


@hydra.main(config_path="pkg://agents.configs", config_name="warm_start", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    train(plain(config))


def train(settings: dict[str, Any]) -> Path:
    """Records and learns in turn; returns the pupil's archive. Raises ValueError for a teacher with other actions."""
    use_one_thread()
    out = Path(settings["out"])
    out.mkdir(parents=True, exist_ok=True)
    teacher = load_policy(settings["teacher"])
    if teacher.action != "physical":
        raise ValueError(f"teacher: found actions {teacher.action!r}, accepted a policy with 'physical' ones")
    torch.manual_seed(settings["seed"])
    random = np.random.default_rng(settings["seed"])
    keys = dict.fromkeys(("ego", "route", *OBSERVATION, *(k for k in teacher.observation if k != "default")))
    config = world_config(settings["world"])
    world = make_drives(config, settings["seed"], tuple(keys))
    pupil = _pupil(make_drives(config, settings["seed"]), settings)
    seen, told = [], []
    for index in range(settings["rounds"]):
        count = settings["steps"] // settings["rounds"]
        driver = None if index == 0 else pupil
        record = _record(world, teacher, driver, count, np.asarray(settings["noise"]), random, index)
        seen.append(record[0])
        told.append(record[1])
        error = _fit(pupil, np.concatenate(seen), np.concatenate(told), settings)
    agent = out / "agent.zip"
    write_agent(pupil, agent)
    print(f"root mean square error: speed share {0.5 * error[0]:.3f}, offset {MAX_OFFSET * error[1]:.2f} m")
    print(f"agent    {agent.resolve()}\ndrive it:  drivesim drive policy={agent}")
    return agent


def _pupil(world: TrainingDrives, settings: dict[str, Any]) -> PPO:
    """An agent as `agents.ppo` makes it."""
    return PPO("MultiInputPolicy", DummyVecEnv([lambda: world]), n_steps=8, batch_size=8,
               policy_kwargs={"net_arch": [settings["width"]] * 2}, seed=settings["seed"], device="cpu")  # fmt: skip


def _record(
    world: TrainingDrives, teacher: Policy, driver: PPO | None, count: int, noise: NDArray, random: np.random.Generator,
    index: int,
) -> tuple[NDArray, NDArray]:  # fmt: skip
    """State vectors [count, D] of drives, and what the teacher would have done there [count, 2]."""
    env = world.unwrapped
    assert isinstance(env, DriveWorldEnv)
    controller = AlongRoute(KinematicBicycle(), env.chunk)
    seen, told, over = [], [], True
    wandering = np.zeros(2)
    for _ in tqdm(range(count), desc=f"round {index + 1}", unit="step", mininterval=2.0):
        if over:
            observation, info = world.reset()
            teacher.reset(info)
        acceleration, steering = np.asarray(teacher.act(observation, info)).reshape(-1).tolist()
        label = controller.inverse(acceleration, steering, env.road)
        state = observation[OBSERVATION[0]]
        seen.append(state)
        told.append(label)
        action = label if driver is None else driver.predict({OBSERVATION[0]: state}, deterministic=True)[0]
        wandering = 0.95 * wandering + np.sqrt(1.0 - 0.95**2) * noise * random.standard_normal(2)
        observation, _, terminated, truncated, info = world.step(action + wandering)
        over = terminated or truncated
    return np.stack(seen), np.stack(told)


def _fit(pupil: PPO, seen: NDArray, told: NDArray, settings: dict[str, Any]) -> NDArray:
    """Least squares on everything that was told; returns the root mean square error [2] of the last epoch."""
    policy: Any = pupil.policy
    actor = [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters()]
    optimizer = torch.optim.Adam(actor, lr=settings["learning_rate"])
    states, labels, scale = torch.from_numpy(seen), torch.from_numpy(told), torch.from_numpy(SCALE)
    total = settings["epochs"] * -(-len(states) // settings["batch_size"])
    decay = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings["learning_rate"], total_steps=total)
    errors: list[torch.Tensor] = []
    for _ in tqdm(range(settings["epochs"]), desc="learn", unit="epoch", leave=False):
        errors = []
        for rows in torch.randperm(len(states)).split(settings["batch_size"]):
            error = policy.get_distribution({OBSERVATION[0]: states[rows]}).distribution.mean - labels[rows]
            optimizer.zero_grad()
            (error / scale).square().mean().backward()
            optimizer.step()
            decay.step()
            errors.append(error.detach())
    return torch.cat(errors).square().mean(0).sqrt().numpy()


if __name__ == "__main__":
    main()
