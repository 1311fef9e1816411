"""Many worlds in one batch: what each of them would do alone, and Gymnasium's vector contract."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector.utils import batch_space

import drivesim
from drivesim.env import DriveWorldEnv
from drivesim.scene import Tracks
from drivesim.vector_env import DriveWorldVectorEnv
from drivesim.vector_infos import final_info_of_world, info_of_world
from tests.generators.test_stage import tiny_generator
from tests.straight_road import StraightRoad, track

SMALL = (16, 32)
TOWN = {"town": 1}
STEPS = 30
EXACT = ("layout", "raycast")


def settings_of(name: str | None) -> dict[str, Any]:
    """Settings for an environment that a generator draws at a tiny size."""
    generator = tiny_generator() if name == "stage" else name
    return {"generator": generator, "image_size": SMALL, "reset_options": TOWN}


def straight(count: int, **settings: Any) -> DriveWorldVectorEnv:
    """Worlds without pictures on a straight road of which the ego drives 8 m/s."""
    road = StraightRoad(settings.pop("tracks", Tracks.empty()), speed=8.0)
    return DriveWorldVectorEnv(count, **({"source": road, "generator": None} | settings))


def actions(count: int, steps: int = STEPS) -> np.ndarray:
    return np.random.default_rng(7).uniform([-0.2, -0.2], [1.0, 0.2], (steps, count, 2)).astype(np.float32)


def assert_same(alone: dict[str, Any], batch: dict[str, Any], row: int, tolerance: int = 0) -> None:
    assert alone.keys() == batch.keys()
    for name, value in alone.items():
        assert batch[name].dtype == value.dtype
        apart = np.abs(batch[name][row].astype(float) - value.astype(float)).max()
        assert apart <= (tolerance if name.startswith("CAM") else 0), name


# A batch is its worlds.


@pytest.mark.parametrize("name", ["layout", "raycast", "stage"])
def test_worlds_in_a_batch_see_what_they_would_see_alone(name: str) -> None:
    """30 steps in which single worlds are reset in the middle; `stage` in float32 may round apart by a grey level."""
    settings = settings_of(name)
    vector = DriveWorldVectorEnv(3, **settings, autoreset_mode="disabled")
    singles = [DriveWorldEnv(**settings) for _ in range(3)]
    tolerance = 0 if name in EXACT else 1
    seen, _ = vector.reset(seed=[4, 9, 2])
    for row, (single, seed) in enumerate(zip(singles, (4, 9, 2))):
        assert_same(single.reset(seed=seed)[0], seen, row, tolerance)
    for index, action in enumerate(actions(3)):
        if index in (6, 13):
            mask, seeds = np.array([False, index == 6, index == 13]), [None, 21, None]
            seen, infos = vector.reset(seed=seeds, reset_mask=mask)
            row = int(mask.argmax())
            assert_same(singles[row].reset(seed=seeds[row])[0], seen, row, tolerance)
            assert infos["_metrics"].tolist() == mask.tolist()
        seen, rewards, terminations, truncations, infos = vector.step(action)
        for row, single in enumerate(singles):
            observation, reward, terminated, truncated, info = single.step(action[row])
            assert_same(observation, seen, row, tolerance)
            assert (rewards[row], terminations[row], truncations[row]) == (reward, terminated, truncated)
            assert info_of_world(infos, row) == info


@pytest.fixture(scope="module", params=["raycast", "stage"])
def eyes(request: pytest.FixtureRequest) -> Iterator[DriveWorldVectorEnv]:
    env = DriveWorldVectorEnv(2, **settings_of(request.param))
    yield env
    env.close()


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


def test_restored_worlds_replay_byte_for_byte(eyes: DriveWorldVectorEnv) -> None:
    eyes.reset(seed=1)
    for action in actions(2, 4):
        eyes.step(action)
    saved = eyes.get_state()
    first = [eyes.step(action) for action in actions(2, 5)]
    eyes.set_state(saved)
    second = [eyes.step(action) for action in actions(2, 5)]
    assert all(same(one[0], other[0]) and (one[1] == other[1]).all() for one, other in zip(first, second))
    again = DriveWorldVectorEnv(2, generator=eyes._single.generator, image_size=SMALL, reset_options=TOWN)
    again.set_state(saved)  # without a reset before
    assert same(again.step(actions(2, 1)[0])[0], first[0][0])
    assert same(again.reset()[0], eyes_reset_from(eyes, saved))


def eyes_reset_from(eyes: DriveWorldVectorEnv, saved: Any) -> dict[str, np.ndarray]:
    eyes.set_state(saved)
    eyes.step(actions(2, 1)[0])
    return eyes.reset()[0]


def test_one_world_goes_back_while_the_other_goes_on(eyes: DriveWorldVectorEnv) -> None:
    eyes.reset(seed=3)
    drive = actions(2, 14)
    saved = eyes.get_state(0)
    ahead = [eyes.step(action)[0] for action in drive[:12]]  # more than the buffer of a stream holds
    branch = eyes.branch(1)
    eyes.set_state(saved, 0)
    seen = eyes.step(np.stack([drive[0, 0], drive[12, 1]]))[0]
    alone = branch.step(drive[12, 1])[0]
    for name in seen:
        tolerance = 1 if name.startswith("CAM") else 0
        assert np.abs(seen[name][0].astype(float) - ahead[0][name][0]).max() <= tolerance
        assert np.abs(seen[name][1].astype(float) - alone[name]).max() <= tolerance
    late = branch.get_state()
    eyes.reset(seed=5)  # young streams, into which an old one is written
    eyes.set_state(late, 1)
    assert_same(branch.step(drive[13, 1])[0], eyes.step(drive[13])[0], 1, 1)


def test_a_reset_of_one_world_moves_no_memory() -> None:
    env = DriveWorldVectorEnv(2, **settings_of("stage"))
    env.reset(seed=0)
    for action in actions(2, 3):
        env.step(action)
    memory = env._memory
    places = [t.data_ptr() for f in memory.buffer.frames for t in (*f.tensors, f.present)]
    others = [f.tensors[0][1].clone() for f in memory.buffer.frames]
    env.reset(options={"reset_mask": np.array([True, False])})
    after = env._memory
    assert [t.data_ptr() for f in after.buffer.frames for t in (*f.tensors, f.present)] == places
    assert after.latents.data_ptr() == memory.latents.data_ptr() and after.palette.color is memory.palette.color
    assert all((f.tensors[0][1] == other).all() for f, other in zip(after.buffer.frames, others))
    assert [f.present.tolist() for f in after.buffer.frames] == [[False, True]] * 3 and after.frames == (0, 3)


# Autoreset.


def test_same_step_begins_the_next_drive_at_once() -> None:
    env, twin = straight(2, seconds=0.5), DriveWorldEnv(StraightRoad(speed=8.0), generator=None, seconds=0.5)
    first, _ = env.reset(seed=0)
    twin.reset(seed=1)
    for step in range(1, 13):
        seen, rewards, terminations, truncations, infos = env.step(np.zeros((2, 2)))
        alone = twin.step(np.zeros(2))
        ends = step % 6 == 0
        assert truncations.tolist() == [ends] * 2 and not terminations.any()
        assert ("final_observation" in infos) == ends and rewards[1] == alone[1]
        if ends:
            assert final_info_of_world(infos, 1)["metrics"]["time"] == pytest.approx(0.5)
            assert same(infos["final_observation"][1], alone[0]) and infos["final_obs"] is infos["final_observation"]
            assert infos["_final_observation"].all() and infos["_final_info"].all()
            assert same(seen, first) and info_of_world(infos, 1)["metrics"]["time"] == 0.0
            twin.reset()


def test_next_step_begins_the_next_drive_with_the_next_action() -> None:
    env = straight(2, tracks=track(20.0, 0.5), autoreset_mode="next_step")
    first, _ = env.reset(seed=0)
    coast, brake = np.zeros((2, 2)), np.array([[0.0, 0.0], [-1.0, 0.0]])
    while not (ends := env.step(brake)[2]).any():
        continue
    assert ends.tolist() == [True, False]
    before = env.get_state(1)
    seen, rewards, terminations, truncations, infos = env.step(coast)
    assert rewards[0] == 0.0 and not (terminations | truncations).any()
    assert all((seen[name][0] == first[name][0]).all() for name in first)
    assert (
        info_of_world(infos, 0)["metrics"]["time"] == 0.0
        and info_of_world(infos, 1)["metrics"]["time"] > before.steps / 12.0
    )
    assert "final_observation" not in infos
    assert info_of_world(env.step(coast)[4], 0)["metrics"]["time"] == pytest.approx(1 / 12)


def test_next_step_does_not_disturb_generated_pictures() -> None:
    settings = settings_of("stage") | {"seconds": 0.25}
    env = DriveWorldVectorEnv(2, **settings, autoreset_mode="next_step")
    alone = DriveWorldEnv(**(settings | {"seconds": None}))
    env.reset(seed=8)
    env.step(actions(2)[0])
    env.reset(seed=[3, None], reset_mask=np.array([True, False]))  # so that they do not end together
    alone.reset(seed=3)
    for index, action in enumerate(actions(2, 3)):
        seen, *_, truncations, _ = env.step(action)
        assert truncations.tolist() == [index == 2, index == 1]
        assert_same(alone.step(action[0])[0], seen, 0, 1)


def test_disabled_waits_for_a_masked_reset() -> None:
    env = straight(3, tracks=track(20.0, 0.5), autoreset_mode="disabled")
    env.reset(seed=0)
    action = np.array([[-1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    while not (ends := env.step(action)[2]).any():
        continue
    assert ends.tolist() == [False, True, False]
    saved = env.get_state(0).steps
    with pytest.raises(ResetNeeded, match="world 1: the drive is over"):
        env.step(action)
    seen, infos = env.reset(options={"reset_mask": ends})
    assert seen["ego"][:, 0].tolist() == pytest.approx([env.call("scene")[0].ego.speed, 8.0, seen["ego"][0, 0]])
    assert infos["_metrics"].tolist() == ends.tolist()
    env.step(action)
    assert [state.steps for state in env.get_state()] == [saved + 1, 1, saved + 1]


# Gymnasium's vector contract.


@pytest.mark.parametrize("name", drivesim.ENV_IDS)
def test_ids_can_be_made_as_vectors(name: str) -> None:
    kwargs = {"reset_options": TOWN, "autoreset_mode": "same_step"}
    if drivesim.ENV_IDS[name]["generator"] is not None:
        kwargs |= {"image_size": SMALL}
    if drivesim.ENV_IDS[name]["generator"] == "stage":
        kwargs |= {"generator": tiny_generator()}
    env = make_vec(name, 2, kwargs)
    assert isinstance(env, DriveWorldVectorEnv) and isinstance(env, gym.vector.VectorEnv)
    single = env.single_observation_space
    assert env.observation_space == batch_space(single, 2) and env.action_space == batch_space(
        env.single_action_space, 2
    )
    seen, infos = env.reset(seed=0)
    assert seen in env.observation_space and infos["_metrics"].all()
    seen, rewards, terminations, truncations, infos = env.step(env.action_space.sample())
    assert seen in env.observation_space and rewards.shape == (2,) and rewards.dtype == np.float64
    assert terminations.dtype == truncations.dtype == np.bool_ and terminations.shape == truncations.shape == (2,)
    assert env.spec is not None and env.spec.id == name and name in repr(env)
    env.close()
    env.close()
    assert env.closed


def make_vec(name: str, count: int, settings: dict[str, Any]) -> Any:
    """As this version of Gymnasium has it."""
    if "vectorization_mode" in inspect.signature(gym.make_vec).parameters and hasattr(gym.vector, "AutoresetMode"):
        return gym.make_vec(name, num_envs=count, **settings)
    return gym.make_vec(name, num_envs=count, vectorization_mode="custom", vector_kwargs=settings)


@pytest.mark.skipif(hasattr(gym.vector, "AutoresetMode"), reason="this Gymnasium passes settings on")
def test_settings_that_gymnasium_would_drop_are_refused() -> None:
    with pytest.raises(ValueError, match="make_vec: found {'seconds': 5.0} .* accepted in vector_kwargs"):
        gym.make_vec("DriveWorldState-v0", num_envs=2, vectorization_mode="custom", seconds=5.0)


def test_wrappers_of_gymnasium_work() -> None:
    env = (
        gym.wrappers.RecordEpisodeStatistics(straight(2, seconds=0.25))
        if not hasattr(gym.vector, "AutoresetMode")
        else gym.wrappers.vector.RecordEpisodeStatistics(straight(2, seconds=0.25))
    )
    env.reset(seed=0)
    total = np.zeros(2)
    for _ in range(3):
        _, rewards, _, _, infos = env.step(np.zeros((2, 2)))
        total += rewards
    episode = infos["final_info"][0]["episode"] if "episode" not in infos else infos["episode"]
    assert np.atleast_1d(episode["l"])[0] == 3 and np.atleast_1d(episode["r"])[0] == pytest.approx(total[0], rel=1e-5)


def test_seeds_are_those_of_gymnasium() -> None:
    env = DriveWorldVectorEnv(2, generator=None, traffic="none", reset_options=TOWN)
    by_number, by_list = env.reset(seed=5)[0], env.reset(seed=[5, 6])[0]
    assert same(by_number, by_list) and not (by_number["route"][0] == by_number["route"][1]).all()
    later = env.reset()[0]
    env.reset(seed=5)
    assert same(env.reset()[0], later) and not same(later, by_number)
    for seed in (5, [None, 6]):
        env.reset(seed=seed)
        assert (env.reset(seed=[None, 9], reset_mask=np.array([False, True]))[0]["route"][0] != 0).any()


def test_options_for_all_worlds_or_for_each() -> None:
    env = DriveWorldVectorEnv(2, generator=None, traffic="none", reset_options=TOWN)
    env.reset(options={"weather": "rain"})
    assert [scene.tags.weather for scene in env.call("scene")] == ["rain", "rain"]
    env.reset(options=[{"weather": "rain"}, {"weather": "overcast", "town": 2}])
    assert [scene.tags.weather for scene in env.get_attr("scene")] == ["rain", "overcast"]
    assert [scene.description for scene in env.call("scene")] == ["town 1", "town 2"]


def test_observations_stay_unless_copies_are_declined() -> None:
    for keep in (True, False):
        env = straight(2, copy=keep)
        first = env.reset(seed=0)[0]
        kept = first["ego"].copy()
        later = env.step(np.ones((2, 2)))[0]
        assert (later["ego"][:, 0] > 8.0).all()
        assert np.array_equal(first["ego"], kept) == keep and (first["ego"] is later["ego"]) != keep


def test_render_shows_every_world() -> None:
    env = straight(2, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    one, other = env.render()
    assert one.shape == other.shape == (484, 1152, 3) and (one != other).any()
    assert np.array_equal(env.call("render")[0], one)


def test_discrete_actions_make_a_batch() -> None:
    env = straight(3, action="discrete")
    env.reset(seed=0)
    env.step(np.array([2, 7, 12]))
    assert np.diff([scene.ego.speed for scene in env.call("scene")]).min() > 0.0


# What it refuses.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs: found 0, accepted an integer >= 1"),
        ({"autoreset_mode": "never"}, "autoreset_mode: found 'never', accepted .*next_step"),
        ({"generator": "magic"}, "generator: found 'magic', accepted"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DriveWorldVectorEnv(**({"num_envs": 2, "generator": None} | settings))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": [1, 2, 3]}, "seed: found 3 seeds, accepted an integer or 2 of them"),
        ({"options": [{}]}, "options: found 1 of them, accepted one mapping for all, or 2"),
        ({"options": {"sky": "red"}}, r"options: found unknown \['sky'\]"),
        ({"options": [{}, {"weather": "fog"}]}, "options.*found 'fog'"),
        ({"reset_mask": np.array([True])}, r"reset_mask: found .* accepted bool \[2\]"),
        ({"reset_mask": np.array([False, False])}, "with at least one True"),
        ({"options": {"reset_mask": [0, 1]}}, "reset_mask: found"),
    ],
)
def test_a_refused_reset_leaves_all_drives_as_they_were(given: dict[str, Any], message: str) -> None:
    env, twin = (DriveWorldVectorEnv(2, generator=None, traffic="none", reset_options=TOWN) for _ in range(2))
    env.reset(seed=3)
    twin.reset(seed=3)
    with pytest.raises(ValueError, match=message):
        env.reset(**given)
    assert same(env.step(np.zeros((2, 2)))[0], twin.step(np.zeros((2, 2)))[0])
    assert same(env.reset()[0], twin.reset()[0])


def test_bad_actions_leave_all_worlds_as_they_were() -> None:
    env, twin = straight(2), straight(2)
    env.reset(seed=0)
    twin.reset(seed=0)
    for bad, message in (
        (np.array([[0.0, 0.0], [np.nan, 0.0]]), "world 1: action: found"),
        (np.zeros((3, 2)), "actions: found 3 of them, accepted 2"),
    ):
        with pytest.raises(ValueError, match=message):
            env.step(bad)
    assert same(env.step(np.zeros((2, 2)))[0], twin.step(np.zeros((2, 2)))[0])


def test_use_before_reset_and_of_worlds_that_are_not_there() -> None:
    env = straight(2)
    for use in (lambda: env.step(np.zeros((2, 2))), env.get_state, lambda: env.call("scene"),
                lambda: env.reset(reset_mask=np.array([True, False]))):  # fmt: skip
        with pytest.raises(ResetNeeded, match=r"found worlds \[.*\] before their first reset"):
            use()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="world: found 2, accepted 0 to 1"):
        env.get_state(2)
    with pytest.raises(ValueError, match=r"set_state: found \['dict'\], accepted an EnvState for each of 2 worlds"):
        env.set_state({})
    with pytest.raises(ValueError, match="call: found 'step', accepted"):
        env.call("step", np.zeros(2))
