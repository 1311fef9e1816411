"""Policies by name and from files: what loads, what drives the same, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from drivesim.network_policy import save_network_policy
from drivesim.policy import WorldPolicy, load_policy
from drivesim.rollout import make_env, run
from planners.lane_follower import LaneFollower
from tests.straight_road import StraightRoad

ROAD = {"source": StraightRoad(speed=5.0), "generator": None}
HERE = "tests.test_policy"


class Pedal(nn.Module):
    """Pushes the pedal the less the faster it is."""

    def __init__(self, gain: float = 0.1) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Pedal and wheel [B, 2]."""
        pedal = self.gain * (10.0 - observation["ego"][:, :1])
        return torch.cat([pedal, torch.zeros_like(pedal)], dim=1)


class NoModule:
    """Takes what Pedal takes."""

    def __init__(self, gain: float = 0.1) -> None:
        raise AssertionError("must not be made")


class Lacking:
    """Has no reset."""

    action, observation = "normalized", ()

    def act(self, observation: Any, info: Any) -> np.ndarray:
        """Nothing."""
        return np.zeros(2)


class Odd(LaneFollower):
    """Wants what nobody shows."""

    observation = ("smell",)  # type: ignore[assignment]


def speeds(policy: Any) -> list[float]:
    return [step.speed for step in run(make_env(ROAD, policy, 1.0), policy, seed=0).steps]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A saved network policy."""
    save_network_policy(Pedal(0.2), tmp_path / "pedal.safetensors", f"{HERE}:Pedal", {"gain": 0.0}, "normalized", ())
    return tmp_path / "pedal.json"


# Networks.


def test_network_drives_as_its_equation_says(card: Path) -> None:
    policy = load_policy(str(card.with_suffix(".safetensors")))
    speed, expected = 5.0, []
    for _ in range(12):
        speed += min(0.2 * (10.0 - speed), 1.0) * 3.0 / 12.0
        expected.append(speed)
    np.testing.assert_allclose(speeds(policy), expected, rtol=1e-5)
    assert sorted(path.name for path in card.parent.iterdir()) == ["pedal.json", "pedal.safetensors"]


def test_script_drives_as_its_network(card: Path, tmp_path: Path) -> None:
    torch.jit.script(Pedal(0.2)).save(str(tmp_path / "script.pt"))
    fields = {"format": "drivesim-policy/1", "action": "normalized", "observation": ["boxes"]}
    (tmp_path / "script.json").write_text(json.dumps(fields))
    policy = load_policy(str(tmp_path / "script.pt"))
    assert policy.observation == ("boxes",)
    assert speeds(policy) == speeds(load_policy(str(card.with_suffix(".safetensors"))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "pedal.json: format: found 'other', accepted 'drivesim-policy/1'"),
        ({"action": "fly"}, r"pedal.json: action: found 'fly', accepted \['normalized'"),
        ({"observation": ["smell"]}, r"pedal.json: observation: found \['smell'\], accepted"),
        ({"observation": "boxes"}, "pedal.json: observation: found 'boxes', accepted a list"),
        ({"class": f"{HERE}:NoModule"}, "pedal.json: class: found .* accepted a torch.nn.Module"),
        ({"class": "os:system"}, "pedal.json: class: found 'os:system', accepted a torch.nn.Module"),
        ({"class": "nowhere:Pedal"}, "pedal.json: class: found no module 'nowhere'"),
        ({"config": [1]}, r"pedal.json: config: found \[1\], accepted an object"),
        ({"config": {"size": 1}}, "pedal.json: config: .*unexpected keyword argument 'size'"),
        ({"extra": 1}, r"pedal.json: found fields \['action', .*'extra'.*\], accepted"),
    ],
)
def test_cards_that_do_not_fit_are_refused(card: Path, change: dict[str, Any], message: str) -> None:
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        load_policy(str(card.with_suffix(".safetensors")))


def test_files_that_are_absent_or_corrupt_are_named(card: Path) -> None:
    weights = card.with_suffix(".safetensors")
    with pytest.raises(ValueError, match="policy: found no file .*nothing.pt, accepted a network with its card"):
        load_policy(str(card.with_name("nothing.pt")))
    weights.write_bytes(b"not weights")
    with pytest.raises(ValueError, match="pedal.safetensors: found no safetensors file"):
        load_policy(str(weights))
    card.write_text("{")
    with pytest.raises(ValueError, match="pedal.json: found corrupt JSON"):
        load_policy(str(weights))
    script = card.with_name("script.pt")
    script.write_bytes(b"not a script")
    fields = {"format": "drivesim-policy/1", "action": "normalized", "observation": []}
    script.with_suffix(".json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="script.pt: found no TorchScript archive"):
        load_policy(str(script))


# Agents of stable-baselines3.


def agent(kind: str, path: Path, observation: tuple[str, ...] = ("ego", "route"), **settings: Any) -> Any:
    """An agent with random weights, saved to a path."""
    import stable_baselines3

    env = gym.make("DriveWorldState-v0", source=StraightRoad(speed=5.0), observation=observation)
    if kind == "DQN":
        env = gym.make("DriveWorldState-v0", source=StraightRoad(speed=5.0), observation=observation, action="discrete")
    options = {"policy_kwargs": {"net_arch": [8]} | settings, "device": "cpu", "seed": 0}
    model = getattr(stable_baselines3, kind)("MultiInputPolicy", env, **options)
    model.save(path)
    return model


@pytest.mark.parametrize("kind", ["PPO", "A2C", "SAC", "TD3", "DQN"])
def test_agent_acts_as_it_did_where_it_was_trained(kind: str, tmp_path: Path) -> None:
    model = agent(kind, tmp_path / "agent.zip", ("route", "boxes", "ego"))
    policy = load_policy(str(tmp_path / "agent.zip"))
    env = make_env(ROAD, policy, 1.0)
    observation, info = env.reset(seed=0)
    policy.reset(info)
    assert set(policy.observation) == {"ego", "route", "boxes"}
    for _ in range(3):
        seen = {key: observation[key] for key in model.observation_space.spaces}
        expected, _ = model.predict(seen, deterministic=True)
        action = policy.act(observation, info)
        np.testing.assert_array_equal(action, expected)
        observation, *_, info = env.step(action)


def test_agent_with_pictures_says_their_size(tmp_path: Path) -> None:
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    settings = {"source": StraightRoad(speed=5.0), "image_size": (36, 64), "observation": ("CAM_FRONT", "ego")}
    env = make_vec_env("DriveWorldLayout-v0", 1, env_kwargs=settings)
    small = {"net_arch": [8], "features_extractor_kwargs": {"cnn_output_dim": 4}}
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, policy_kwargs=small, device="cpu")
    model.save(tmp_path / "agent.zip")
    policy = load_policy(str(tmp_path / "agent.zip"))
    assert policy.observation == ("CAM_FRONT", "ego") and policy.image_size == (36, 64)  # type: ignore[attr-defined]
    world = make_env({"source": StraightRoad(speed=5.0), "generator": "layout", "image_size": (72, 128)}, policy, 1.0)
    observation, info = world.reset(seed=0)
    expected, _ = model.predict({key: observation[key] for key in policy.observation}, deterministic=True)
    np.testing.assert_array_equal(policy.act(observation, info), expected)
    with pytest.raises(ValueError, match="observation: found 'CAM_FRONT' with generator=None"):
        make_env(ROAD, policy, 1.0)


def test_agent_with_an_activation_known_by_name(tmp_path: Path) -> None:
    agent("PPO", tmp_path / "agent.zip", activation_fn=nn.ELU)
    policy = load_policy(str(tmp_path / "agent.zip"))
    kinds = {type(module) for module in policy.network.modules()}  # type: ignore[attr-defined]
    assert nn.ELU in kinds and nn.Tanh not in kinds


def test_agent_with_pickled_settings_is_refused(tmp_path: Path) -> None:
    agent("PPO", tmp_path / "agent.zip", activation_fn=nn.Softsign)
    with pytest.raises(ValueError, match=r"policy_kwargs\['activation_fn'\]: found a pickled .*Softsign"):
        load_policy(str(tmp_path / "agent.zip"))


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.mark, "w")


def test_pickles_in_an_archive_are_never_opened(tmp_path: Path) -> None:
    agent("PPO", tmp_path / "agent.zip")
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    bomb = Bomb(str(tmp_path / "mark"))
    data = json.loads(members["data"])
    for value in data.values():
        if isinstance(value, dict) and ":serialized:" in value:
            value[":serialized:"] = base64.b64encode(pickle.dumps(bomb)).decode()
    with zipfile.ZipFile(tmp_path / "armed.zip", "w") as archive:
        for name, content in (members | {"data": json.dumps(data).encode()}).items():
            archive.writestr(name, content)
    load_policy(str(tmp_path / "armed.zip"))
    weights = io.BytesIO()
    torch.save({"weight": bomb}, weights)
    with zipfile.ZipFile(tmp_path / "weights.zip", "w") as archive:
        for name, content in (members | {"policy.pth": weights.getvalue()}).items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="policy.pth: found more than tensors"):
        load_policy(str(tmp_path / "weights.zip"))
    assert not (tmp_path / "mark").exists()


def test_archives_of_something_else_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="policy: found no file .*agent.zip"):
        load_policy(str(tmp_path / "agent.zip"))
    (tmp_path / "agent.zip").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="agent.zip: found no archive of stable-baselines3"):
        load_policy(str(tmp_path / "agent.zip"))


def test_descriptions_of_another_kind_are_named(tmp_path: Path) -> None:
    agent("PPO", tmp_path / "agent.zip")
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for field in ("observation_space", "action_space", "policy_class", "policy_kwargs"):
        data = json.dumps(json.loads(members["data"]) | {field: 3}).encode()
        with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
            for name, content in (members | {"data": data}).items():
                archive.writestr(name, content)
        with pytest.raises(ValueError, match=f"{field}: found 3, accepted"):
            load_policy(str(tmp_path / "odd.zip"))


def test_agent_of_another_action_type_must_say_so(tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    env = gym.make("DriveWorldState-v0", source=StraightRoad(speed=5.0), action="physical")
    model = PPO("MultiInputPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu")
    model.save(tmp_path / "agent.zip")
    with pytest.raises(ValueError, match=r"action_space: found low .*; accepted .*action="):
        load_policy(str(tmp_path / "agent.zip"))
    assert load_policy(str(tmp_path / "agent.zip"), action="physical").action == "physical"
    model.action_type = "physical"
    model.save(tmp_path / "says_so.zip")
    assert load_policy(str(tmp_path / "says_so.zip")).action == "physical"
    with pytest.raises(ValueError, match="policy.pth does not fit"):
        load_policy(str(tmp_path / "agent.zip"), action="trajectory")


def test_smoothed_agents_drive_the_moving_mean_of_what_they_want(tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    env = gym.make("DriveWorldState-v0", source=StraightRoad(speed=5.0), action="physical")
    model = PPO("MultiInputPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu")
    model.action_type, model.action_smoothing = "physical", 0.75
    model.save(tmp_path / "agent.zip")
    calm, plain = load_policy(str(tmp_path / "agent.zip")), load_policy(str(tmp_path / "agent.zip"), smoothing=0.0)
    seen = [env.reset(seed=0)] + [env.step(np.zeros((1, 2), np.float32))[::4] for _ in range(5)]
    wanted = [plain.act(*at) for at in seen]
    calm.reset({})
    mean = wanted[0]
    for at, want in zip(seen, wanted):
        mean = 0.75 * mean + 0.25 * want
        np.testing.assert_allclose(calm.act(*at), mean, rtol=1e-5)
    calm.reset({})
    np.testing.assert_array_equal(calm.act(*seen[3]), wanted[3])
    with pytest.raises(ValueError, match="smoothing: found 1.0, accepted a number from 0 up to 1"):
        load_policy(str(tmp_path / "agent.zip"), smoothing=1.0)


# The protocol.


def test_what_lacks_a_part_of_the_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="policy tests.test_policy:Lacking: found no method 'reset'"):
        load_policy(f"{HERE}:Lacking")
    with pytest.raises(ValueError, match=r"policy tests.test_policy:Odd: observation: found \['smell'\], accepted"):
        load_policy(f"{HERE}:Odd")


def test_environment_is_what_the_policy_declares() -> None:
    env = make_env(ROAD | {"observation": ("layout",)}, LaneFollower(), 1.0)
    assert env.settings["action"] == "physical" and set(env.observation_space.spaces) == {
        "ego",
        "route",
        "boxes",
        "layout",
    }
    with pytest.raises(ValueError, match="env.action: found 'discrete', accepted 'physical', which the policy speaks"):
        make_env(ROAD | {"action": "discrete"}, LaneFollower(), 1.0)


def test_traces_say_who_saw_the_world() -> None:
    class Onlooker(LaneFollower):
        def attach(self, world: Any) -> None:
            self.world = world

    assert isinstance(Onlooker(), WorldPolicy) and not isinstance(LaneFollower(), WorldPolicy)
    for policy, sees in ((Onlooker(), True), (LaneFollower(), False)):
        env = make_env(ROAD, policy, 0.5)
        assert run(env, policy).settings["policy_sees_world"] is sees
        assert not sees or policy.world is env  # type: ignore[attr-defined]


def test_a_folder_stands_for_the_one_policy_in_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no policy in the folder .*, accepted one of"):
        load_policy(str(tmp_path))
    inner = tmp_path / "policy"
    inner.mkdir()
    (inner / "a.pt").touch()
    with pytest.raises(ValueError, match="a.json"):  # it is looked at: what it lacks is its card
        load_policy(str(tmp_path))
    (inner / "b.zip").touch()
    with pytest.raises(ValueError, match=r"a.pt.*b.zip.*in the folder .*policy, accepted one of"):
        load_policy(str(tmp_path))
