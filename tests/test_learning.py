"""Other people's tools on top of the environment, without an adapter."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

import drivesim  # noqa: F401  (registers the ids where the package is not installed)

SIZE = (36, 64)
SETTINGS = {"image_size": SIZE, "seconds": 10.0, "reset_options": {"town": 1}, "source_options": {"density": 8}}


def test_ppo_trains_on_the_layout_generator() -> None:
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    env = make_vec_env("DriveWorldLayout-v0", n_envs=4, env_kwargs=SETTINGS)
    small = {"net_arch": [16], "features_extractor_kwargs": {"cnn_output_dim": 8}}
    model = PPO(
        "MultiInputPolicy", env, n_steps=125, batch_size=250, n_epochs=1, policy_kwargs=small, seed=0, device="cpu"
    )
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(2000)
    assert model.num_timesteps == 2000
    after = model.policy.state_dict()
    assert all(bool(torch.isfinite(value).all()) for value in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_record_video_of_gymnasium(tmp_path: Path) -> None:
    env = gym.make("DriveWorldLayout-v0", render_mode="rgb_array", **(SETTINGS | {"seconds": 1.0}))
    env = gym.wrappers.RecordVideo(env, str(tmp_path / "films"), disable_logger=True)
    env.reset(seed=0)
    over = False
    while not over:
        *_, terminated, truncated, _ = env.step(np.zeros(2, np.float32))
        over = terminated or truncated
    env.close()
    assert [path.suffix for path in (tmp_path / "films").iterdir() if path.suffix == ".mp4"] == [".mp4"]


def test_vector_environments_of_gymnasium() -> None:
    env = gym.make_vec("DriveWorldLayout-v0", 2, vectorization_mode="sync", **SETTINGS)
    observation, _ = env.reset(seed=0)
    assert observation["CAM_FRONT"].shape == (2, *SIZE, 3)
    observation, reward, *_ = env.step(env.action_space.sample())
    assert reward.shape == (2,) and observation["ego"].shape == (2, 7)
    env.close()
