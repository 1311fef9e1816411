"""A batch of worlds in the hands of learners: stable-baselines3 by its adapter, and a loop as CleanRL writes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from agents.vector_worlds import StableBaselinesWorlds
from drivesim.env import DriveWorldEnv
from drivesim.vector_env import DriveWorldVectorEnv
from drivesim.vector_infos import final_info_of_world
from tests.straight_road import StraightRoad, track


def worlds(count: int, **settings: object) -> DriveWorldVectorEnv:
    road = StraightRoad(track(20.0, 0.5), speed=8.0)
    return DriveWorldVectorEnv(count, **({"source": road, "generator": None, "seconds": 1.0} | settings))


def test_adapter_is_what_dummy_vec_env_is() -> None:
    """Two worlds that end on time and by a collision, step by step beside the library's own class."""
    ours = StableBaselinesWorlds(worlds(2, seconds=2.5))
    single = {"source": StraightRoad(track(20.0, 0.5), speed=8.0), "generator": None, "seconds": 2.5}
    theirs = DummyVecEnv([lambda: DriveWorldEnv(**single)] * 2)
    for each in (ours, theirs):
        each.seed(3)
    first, second = ours.reset(), theirs.reset()
    actions = np.array([[0.0, 0.0], [-0.6, 0.0]], np.float32)
    ended = set()
    for _ in range(40):
        assert all(np.array_equal(first[name], second[name]) for name in second)
        first, rewards, dones, infos = ours.step(actions)
        second, other_rewards, other_dones, other_infos = theirs.step(actions)
        assert np.array_equal(rewards, other_rewards) and rewards.dtype == other_rewards.dtype
        assert np.array_equal(dones, other_dones)
        for info, other, done in zip(infos, other_infos, dones):
            assert info.keys() == other.keys() and info["rewards"] == other["rewards"]
            assert info["TimeLimit.truncated"] is bool(other["TimeLimit.truncated"])
            if done:
                ended.add(info["TimeLimit.truncated"])
                last, other_last = info["terminal_observation"], other["terminal_observation"]
                assert all(np.array_equal(last[name], other_last[name]) for name in other_last)
    assert ended == {True, False}
    assert ours.get_attr("step_seconds") == theirs.get_attr("step_seconds")
    assert ours.env_method("picture", indices=[1])[0].shape == (484, 1152, 3)
    assert not ours.has_attr("no_such_thing") and ours.env_is_wrapped(VecMonitor) == [False, False]


def test_ppo_learns_from_pictures_of_a_batch() -> None:
    env = StableBaselinesWorlds(worlds(2, generator="layout", image_size=(36, 64), observation=("CAM_FRONT", "ego")))
    model = PPO("MultiInputPolicy", VecMonitor(env), n_steps=16, batch_size=16, n_epochs=1, device="cpu", seed=0)
    before = model.policy.state_dict()["action_net.weight"].clone()
    model.learn(64)
    assert model.num_timesteps == 64 and len(model.ep_info_buffer) >= 2
    assert not torch.equal(model.policy.state_dict()["action_net.weight"], before)


def test_other_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="worlds: found autoreset_mode 'disabled', accepted 'same_step'"):
        StableBaselinesWorlds(worlds(2, autoreset_mode="disabled"))


def test_a_loop_as_cleanrl_writes_it() -> None:
    """Rollout storage of [T, N], `next_done`, and the value of the last observation where time cut a drive."""
    torch.manual_seed(0)
    envs = worlds(3, observation=("state_vector",))
    size = int(np.prod(envs.single_observation_space["state_vector"].shape))
    critic, actor = torch.nn.Linear(size, 1), torch.nn.Linear(size, 2)
    steps, count = 30, envs.num_envs
    obs, rewards, dones = torch.zeros(steps, count, size), torch.zeros(steps, count), torch.zeros(steps, count)
    seen, _ = envs.reset(seed=1)
    next_obs, next_done = torch.tensor(seen["state_vector"]), torch.zeros(count)
    cut = 0
    for step in range(steps):
        obs[step], dones[step] = next_obs, next_done
        with torch.no_grad():
            action = actor(next_obs).clamp(-1.0, 0.0)
        seen, reward, terminations, truncations, infos = envs.step(action.numpy())
        for row in np.flatnonzero(truncations):
            last = torch.tensor(infos["final_observation"][row]["state_vector"])
            assert final_info_of_world(infos, row)["metrics"]["time"] > 0.9 and not torch.equal(
                last, torch.tensor(seen["state_vector"][row])
            )
            with torch.no_grad():
                reward[row] += 0.99 * critic(last).item()
            cut += 1
        rewards[step] = torch.tensor(reward)
        next_obs = torch.tensor(seen["state_vector"])
        next_done = torch.tensor(terminations | truncations, dtype=torch.float32)
    loss = (critic(obs)[..., 0] - rewards).square().mean()
    loss.backward()
    assert torch.isfinite(loss) and cut + int(dones.sum()) >= 6
