"""The environment: Gymnasium's contract, states as values, events, and what it refuses."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import drivesim
from drivesim.actions import ACTIONS
from drivesim.env import DriveWorldEnv
from drivesim.geometry import transform_points
from drivesim.observations import OTHER_KEYS
from drivesim.scene import CAMERAS
from tests.generators.test_stage import tiny_generator
from tests.straight_road import ROAD_HALF_WIDTH, StraightRoad, track

SMALL = (16, 32)
TOWN = {"town": 1}  # one town for all tests: a new one takes a second


def straight(**settings: Any) -> DriveWorldEnv:
    """A cheap environment without pictures."""
    road = {name: settings.pop(name) for name in ("tracks", "speed", "map") if name in settings}
    return DriveWorldEnv(**({"source": StraightRoad(**road), "generator": None} | settings))


@pytest.fixture(scope="module", params=["layout", "raycast", "stage"])
def eyes(request: pytest.FixtureRequest) -> Iterator[DriveWorldEnv]:
    """The town, seen by every generator in turn; `stage` has random weights and a tiny network."""
    tiny = request.param == "stage"
    env = DriveWorldEnv(generator=tiny_generator() if tiny else request.param, image_size=SMALL, reset_options=TOWN)
    yield env
    env.close()


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


# Gymnasium's contract.


@pytest.mark.parametrize("name", drivesim.ENV_IDS)
def test_check_env_of_every_id(name: str) -> None:
    size = {} if drivesim.ENV_IDS[name]["generator"] is None else {"image_size": SMALL}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(name, reset_options=TOWN, **size).unwrapped)


@pytest.mark.parametrize("action", ACTIONS)
def test_check_env_of_every_action(action: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("DriveWorldState-v0", action=action, reset_options=TOWN).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("key", ["default", *CAMERAS, *OTHER_KEYS])
def test_every_observation_key_is_in_its_space(key: str) -> None:
    env = DriveWorldEnv(generator="layout", image_size=SMALL, observation=(key,), reset_options=TOWN)
    observation, _ = env.reset(seed=0)
    for _ in range(3):
        assert observation in env.observation_space
        assert all(observation[name].dtype == space.dtype for name, space in env.observation_space.spaces.items())
        observation, *_ = env.step(np.array([0.3, 0.1]))


def test_default_observation_has_six_pictures_ego_and_route(eyes: DriveWorldEnv) -> None:
    assert set(eyes.observation_space.spaces) == {*CAMERAS, "ego", "route"}
    observation, _ = eyes.reset(seed=0)
    assert all(observation[name].shape == (*SMALL, 3) for name in CAMERAS)
    assert len({observation[name].tobytes() for name in CAMERAS}) == len(CAMERAS)


def test_render_modes() -> None:
    env = DriveWorldEnv(generator="layout", image_size=SMALL, render_mode="rgb_array", reset_options=TOWN)
    env.reset(seed=0)
    first = env.render()
    env.step(np.array([1.0, 0.0]))
    second = env.render()
    assert first is not None and second is not None
    assert first.shape == second.shape == (484, 1152, 3) and first.dtype == np.uint8
    assert (first != second).any() and first.std() > 10


def test_human_mode_shows_by_itself_and_returns_nothing() -> None:
    env = straight(render_mode="human")
    env.reset(seed=0)
    env.step(np.zeros(2))
    assert env.render() is None
    env.close()
    env.close()


def test_truncates_on_time() -> None:
    env = straight(seconds=0.5)
    env.reset(seed=0)
    flags = [env.step(np.zeros(2))[2:4] for _ in range(6)]
    assert flags == [(False, False)] * 5 + [(False, True)]
    with pytest.raises(ResetNeeded, match="the drive is over"):
        env.step(np.zeros(2))


# Events and rewards in the loop.


def drive_until_over(env: DriveWorldEnv, action: np.ndarray, limit: int = 600) -> tuple[float, dict[str, Any]]:
    for _ in range(limit):
        _, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return reward, info
    raise AssertionError("the drive did not end")


def test_collision_ends_the_drive_and_names_what_was_hit() -> None:
    env = straight(tracks=track(20.0, 0.5, name="truck", number=42), speed=8.0)
    env.reset(seed=0)
    reward, info = drive_until_over(env, np.zeros(2))
    (hit,) = info["events"]["collisions"]
    assert hit == {"track_id": 42, "class_name": "truck", "kind": "stopped_track", "at_fault": True}
    assert info["rewards"]["collision"] == -1.0 and reward < -5.0
    assert info["metrics"]["distance"] == pytest.approx(20.0 - 2.0 - 3.134, abs=8.0 / 12)


def test_being_run_into_is_not_the_ego_s_fault() -> None:
    env = straight(tracks=track(-15.0, 0.0, speed=12.0), speed=2.0)
    env.reset(seed=0)
    _, info = drive_until_over(env, np.zeros(2))
    assert [hit["at_fault"] for hit in info["events"]["collisions"]] == [False]


def test_leaving_the_road_ends_the_drive_when_the_centre_does() -> None:
    env = straight(speed=5.0)
    env.reset(seed=0)
    touched = False
    while True:
        _, _, terminated, _, info = env.step(np.array([0.0, 0.15]))
        ego, shape = env.scene.ego, env.scene.vehicle
        centre = transform_points(ego.pose, np.array([[shape.centre_offset, 0.0, 0.0]]))[0]
        if terminated:
            break
        touched |= info["events"]["corners_off_road"] > 0
        assert centre[1] < ROAD_HALF_WIDTH + 0.25
    assert touched and info["events"]["off_road"] and centre[1] > ROAD_HALF_WIDTH - 0.25
    assert info["rewards"]["off_road"] == -1.0


def test_without_map_nothing_is_off_road() -> None:
    env = straight(speed=5.0, map=None)
    env.reset(seed=0)
    for _ in range(60):
        _, _, terminated, _, info = env.step(np.array([0.0, 0.3]))
        assert not terminated and info["events"]["corners_off_road"] == 0


def test_reward_is_the_weighted_sum_of_its_terms() -> None:
    env = straight(speed=5.0, reward={"progress": 3.0, "lane_keeping": 0.5, "comfort": 0.25})
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.array([0.0, 0.4]))
    terms = info["rewards"]
    assert reward == pytest.approx(3.0 * terms["progress"] + 0.5 * terms["lane_keeping"] + 0.25 * terms["comfort"])
    assert terms["progress"] == pytest.approx(0.5, rel=0.01)


def test_timings_cover_the_step(eyes: DriveWorldEnv) -> None:
    eyes.reset(seed=0)
    timings = eyes.step(np.zeros(2))[4]["timings"]
    parts = timings.world + timings.conditions + timings.generate + timings.observe + timings.commit
    assert min(timings.world, timings.conditions, timings.generate) > 0.0
    assert parts == pytest.approx(timings.total, rel=1e-6)


def test_route_is_in_the_ego_frame() -> None:
    env = straight(speed=10.0)
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(observation["route"], np.stack([2.0 * np.arange(1, 21), np.zeros(20)], -1), atol=1e-5)
    for _ in range(24):
        observation, *_, info = env.step(np.array([0.0, 0.05]))
    ahead = transform_points(env.scene.ego.pose, np.pad(observation["route"], ((0, 0), (0, 1))).astype(float))
    np.testing.assert_allclose(ahead[:, 1], 0.0, atol=1e-4)
    np.testing.assert_allclose(ahead[:, 0] - env.scene.ego.xy[0], 2.0 * np.arange(1, 21), atol=1e-4)
    assert (
        info["metrics"]["route_offset"] == pytest.approx(env.scene.ego.xy[1]) and info["metrics"]["route_offset"] > 0.1
    )


def test_boxes_are_in_the_ego_frame_nearest_first() -> None:
    env = straight(tracks=track(30.0, 2.0, yaw=0.5, speed=4.0, name="bus"), speed=6.0, observation=("boxes",))
    observation, _ = env.reset(seed=0)
    row, rest = observation["boxes"][0], observation["boxes"][1:]
    velocity = (4.0 * np.cos(0.5), 4.0 * np.sin(0.5))
    np.testing.assert_allclose(row, [30.0, 2.0, 0.75, 2.0, 4.0, 1.5, 0.5, *velocity, 3.0], rtol=1e-6)
    assert (rest[:, 9] == -1.0).all() and (rest[:, :9] == 0.0).all()


# The world is a value.


def actions(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-0.2, -0.3], [1.0, 0.3], (count, 2)).astype(np.float32)


def test_same_seed_same_frames(eyes: DriveWorldEnv) -> None:
    drives = []
    for _ in range(2):
        frames = [eyes.reset(seed=5)[0]]
        frames += [eyes.step(action)[0] for action in actions(0, 8)]
        drives.append(frames)
    assert all(same(first, second) for first, second in zip(*drives))
    assert not same(eyes.reset(seed=6)[0], drives[0][0])


def test_unseeded_resets_differ_and_follow_from_the_first_seed(eyes: DriveWorldEnv) -> None:
    runs = []
    for _ in range(2):
        eyes.reset(seed=9)
        runs.append([eyes.reset()[0]["CAM_FRONT"].tobytes() for _ in range(2)])
    assert runs[0] == runs[1] and runs[0][0] != runs[0][1]


def test_restored_state_replays_byte_for_byte(eyes: DriveWorldEnv) -> None:
    eyes.reset(seed=1)
    for action in actions(1, 5):
        eyes.step(action)
    saved = eyes.get_state()
    first = [eyes.step(action) for action in actions(2, 10)]
    eyes.set_state(saved)
    second = [eyes.step(action) for action in actions(2, 10)]
    for one, other in zip(first, second):
        assert same(one[0], other[0]) and one[1:4] == other[1:4]
        assert {**one[4], "timings": None} == {**other[4], "timings": None}
    eyes.set_state(saved)
    next_first = eyes.reset()[0]
    eyes.set_state(saved)
    assert same(next_first, eyes.reset()[0])


@pytest.mark.parametrize("branch", [DriveWorldEnv.copy, copy.deepcopy])
def test_branches_are_independent(eyes: DriveWorldEnv, branch: Any) -> None:
    eyes.reset(seed=2)
    eyes.step(np.array([1.0, 0.0]))
    twin = branch(eyes)
    alone = branch(eyes)
    left = [twin.step(np.array([0.5, 1.0]))[0] for _ in range(6)]
    right = [eyes.step(np.array([0.5, -1.0]))[0] for _ in range(6)]
    again = [alone.step(np.array([0.5, -1.0]))[0] for _ in range(6)]
    assert all(same(one, other) for one, other in zip(right, again))
    assert not same(left[-1], right[-1])


def test_nothing_the_caller_changes_reaches_the_world(eyes: DriveWorldEnv) -> None:
    eyes.reset(seed=3)
    twin = eyes.copy()
    observation, _, _, _, info = eyes.step(np.zeros(2))
    for value in observation.values():
        value[...] = 0
    info["metrics"].clear()
    info["rewards"].clear()
    twin.step(np.zeros(2))
    assert same(eyes.step(np.zeros(2))[0], twin.step(np.zeros(2))[0])


# What it refuses.


@pytest.mark.parametrize("use", ["step", "get_state", "picture", "scene", "frames"])
def test_use_before_reset(use: str) -> None:
    env = straight()
    with pytest.raises(ResetNeeded, match=f"{use}: found an environment before its first reset"):
        attribute = getattr(env, use)
        attribute(np.zeros(2)) if use == "step" else attribute()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "moon"}, "source: found 'moon', accepted .*town"),
        ({"generator": "magic"}, "generator: found 'magic', accepted .*layout"),
        ({"traffic": "wild"}, "traffic: found 'wild', accepted .*idm"),
        ({"action": "pedals"}, "action: found 'pedals', accepted .*normalized"),
        ({"observation": ("CAM_TOP",)}, "observation: found 'CAM_TOP', accepted .*CAM_FRONT"),
        ({"observation": ("ego", "ego")}, "observation: found .* accepted one or more different keys"),
        ({"generator": None, "observation": ("CAM_FRONT",)}, "observation: found 'CAM_FRONT' with generator=None"),
        ({"image_size": (0, 3)}, "image_size: found"),
        ({"seconds": -1.0}, "seconds: found -1.0, accepted a positive number"),
        ({"reward": {"style": 1.0}}, "reward: found unknown terms"),
        ({"render_mode": "ansi"}, "render_mode: found 'ansi', accepted"),
    ],
)
def test_unknown_settings_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DriveWorldEnv(**({"generator": "layout"} | settings))


def test_unknown_reset_option() -> None:
    with pytest.raises(ValueError, match=r"options: found unknown \['sky'\], accepted .*weather"):
        straight().reset(options={"sky": "red"})


@pytest.mark.parametrize("options", [{"weather": "fog"}, {"town": -1}, {"scenario": "no_such_01"}])
def test_refused_reset_leaves_the_drive_as_it_was(options: dict[str, Any]) -> None:
    env, twin = (DriveWorldEnv(generator=None, traffic="none") for _ in range(2))
    env.reset(seed=3, options={"town": 5})
    twin.reset(seed=3, options={"town": 5})
    for seed in (None, 8):
        with pytest.raises(ValueError, match=f"(options|scenario).*found.*{list(options.values())[0]}"):
            env.reset(seed=seed, options=options)
    assert same(env.step(np.zeros(2))[0], twin.step(np.zeros(2))[0])
    assert same(env.reset(options={"town": 5})[0], twin.reset(options={"town": 5})[0])


def test_bad_action_leaves_the_world_as_it_was() -> None:
    env, twin = straight(speed=3.0), straight(speed=3.0)
    env.reset(seed=0)
    twin.reset(seed=0)
    for bad in (np.array([np.nan, 0.0]), np.zeros(3)):
        with pytest.raises(ValueError, match="action: found"):
            env.step(bad)
    assert same(env.step(np.zeros(2))[0], twin.step(np.zeros(2))[0])


def test_absent_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        DriveWorldEnv(generator="stage", generator_options={"weights": str(tmp_path)})


def test_foreign_state_is_refused() -> None:
    env = straight()
    with pytest.raises(ValueError, match="set_state: found dict, accepted an EnvState"):
        env.set_state({})  # type: ignore[arg-type]


def test_reset_options_of_the_environment_yield_to_those_of_the_reset() -> None:
    env = DriveWorldEnv(generator=None, reset_options={"town": 900_002, "weather": "rain"})
    env.reset(seed=0)
    assert (env.scene.description, env.scene.tags.weather) == ("town 900002", "rain")
    env.reset(seed=0, options={"weather": "overcast"})
    assert (env.scene.description, env.scene.tags.weather) == ("town 900002", "overcast")
    with pytest.raises(ValueError, match=r"options: found unknown \['sky'\]"):
        DriveWorldEnv(generator=None, reset_options={"sky": "red"})
