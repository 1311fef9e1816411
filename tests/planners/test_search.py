"""The search planner: it tries things in the world and leaves no trace of it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from drivesim.env import DriveWorldEnv
from drivesim.policy import WorldPolicy
from drivesim.rollout import make_env, run
from planners.search import MANOEUVRES, SearchPlanner
from tests.planners.roads import env_for, town_drive
from tests.straight_road import track

TOWN = {"town": 900_002}
SMALL = {"segment": 1.0, "hold": 1.0}


def content(value: Any) -> list[bytes]:
    """Bytes of every field of nested dataclasses."""
    if is_dataclass(value):
        return [part for field in fields(value) for part in content(getattr(value, field.name))]
    return [value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()]


def world_bytes(env: DriveWorldEnv) -> list[bytes]:
    world = env.get_state().world
    parts = (world.traffic, world.route, world.scene.ego, world.scene.tracks, env.frames, env.time)
    return [*(piece for part in parts for piece in content(part)), repr(env.np_random.bit_generator.state).encode()]


def test_act_leaves_the_world_as_it_was() -> None:
    planner = SearchPlanner()
    env = make_env({"generator": "layout", "image_size": (16, 32)}, planner, 10.0)
    planner.attach(env)
    observation, info = env.reset(seed=1, options=TOWN)
    planner.reset(info)
    twin = env.copy()
    for _ in range(8):
        before = world_bytes(env)
        action = planner.act(observation, info)
        assert world_bytes(env) == before
        observation, *_, info = env.step(action)
        other, *_ = twin.step(action)
        assert all(np.array_equal(observation[key], other[key]) for key in other)


def test_trace_says_that_it_sees_the_world() -> None:
    planner = SearchPlanner()
    assert isinstance(planner, WorldPolicy)
    trace = run(env_for(planner, speed=8.0, seconds=1.0), planner)
    assert trace.settings["policy_sees_world"] is True


def test_needs_a_world() -> None:
    with pytest.raises(RuntimeError, match="found no world, accepted after attach"):
        SearchPlanner().act({}, {})


def test_free_road_is_driven_with_the_first_manoeuvre_and_a_stop_is_chosen_when_needed() -> None:
    planner = SearchPlanner(**SMALL)
    run(env_for(planner, speed=8.0, seconds=0.5), planner)
    assert planner._chosen is MANOEUVRES[0]
    trace = run(env_for(planner, tracks=track(30.0, 0.0), speed=9.0, seconds=5.0), planner)
    assert trace.ending == "time" and trace.steps[-1].speed < 1.0


def test_the_end_of_a_scenario_ends_a_branch_and_is_no_reason_to_wait() -> None:
    planner = SearchPlanner()
    env = make_env({"generator": None}, planner, 30.0)
    planner.attach(env)
    trace = run(env, planner, seed=0, options={"scenario": "camera_drop_01"})
    assert env.get_state().criteria.outcome == "success" and trace.ending == "goal"


def test_same_drive_twice() -> None:
    first, second = (town_drive(SearchPlanner(**SMALL), 900_002, 1.5) for _ in range(2))
    assert [step.action for step in first.steps] == [step.action for step in second.steps]


def test_impossible_trees_are_refused() -> None:
    with pytest.raises(ValueError, match="depth: found 0, accepted an integer >= 1"):
        SearchPlanner(depth=0)
    with pytest.raises(ValueError, match="hold: found 2.0 s, accepted"):
        SearchPlanner(hold=2.0)
