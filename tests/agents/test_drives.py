"""Where agents learn to drive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.drives import WorldConfig, danger, make_drives, world_config
from drivesim.env import DriveWorldEnv
from drivesim.scenarios.library import LIBRARY
from drivesim.state_vector import FAR, FAST, GAPS, SIZE, SPEEDS
from drivesim.world import EVALUATION_TOWNS


def test_towns_for_evaluation_are_out_of_reach() -> None:
    WorldConfig(towns=EVALUATION_TOWNS)
    with pytest.raises(ValueError, match="world.towns: found 900001"):
        WorldConfig(towns=EVALUATION_TOWNS + 1)


def test_unknown_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"world: found unknown \['town'\]"):
        world_config({"town": 3})


def test_scenarios_need_names() -> None:
    with pytest.raises(ValueError, match="world.scenarios: found none"):
        WorldConfig(scenario_share=0.5)
    with pytest.raises(ValueError, match="world.hold: found 0"):
        WorldConfig(hold=0)


def test_a_drive_tells_at_its_end_what_became_of_it() -> None:
    world = make_drives(WorldConfig(towns=1, seconds=0.5, density=4, reward_scale=0.1), seed=0)
    world.reset()
    infos = [world.step(np.array([0.5, 0.0]))[-1] for _ in range(6)]
    assert infos[:5] == [{}] * 5
    drive = infos[5]["drive"]
    assert drive["seconds"] == pytest.approx(0.5) and drive["fault"] == 0.0 and 0.5 < drive["distance"] < 6.0


def test_an_action_holds_for_as_many_steps_as_asked_and_earns_their_rewards() -> None:
    single = make_drives(WorldConfig(towns=1, seconds=1.0, density=4), seed=0)
    held = make_drives(WorldConfig(towns=1, seconds=1.0, density=4, hold=5), seed=0)
    single.reset()
    held.reset()
    action = np.array([0.5, 0.1])
    first = [single.step(action) for _ in range(5)]
    observation, reward, *_ = held.step(action)
    assert np.array_equal(observation["state_vector"], first[-1][0]["state_vector"])
    assert reward == pytest.approx(sum(step[1] for step in first))
    *_, truncated, info = [held.step(action) for _ in range(2)][-1]
    assert truncated and info["drive"]["seconds"] == pytest.approx(1.0) and info["drive"]["passed"] == 1.0


def test_changing_ones_mind_costs_what_unrest_costs() -> None:
    earned = []
    for unrest in (0.0, 2.0):
        world = make_drives(WorldConfig(towns=1, density=4, unrest=unrest, reward_scale=1.0), seed=0)
        world.reset()
        earned.append([world.step(np.array(action))[1] for action in ([0.5, 0.0], [0.5, 0.0], [0.2, 0.1], [3.0, 0.1])])
    assert np.subtract(*earned) == pytest.approx([0.0, 0.0, 2.0 * 0.4, 2.0 * 0.8])


def test_a_scenario_that_is_too_late_costs_what_failure_costs() -> None:
    last = []
    for failure in (0.0, 25.0):
        config = WorldConfig(
            towns=1, scenarios=("stalled_car_01",), scenario_share=1.0, failure=failure, hold=400, reward_scale=1.0
        )
        world = make_drives(config, seed=0)
        world.reset()
        _, reward, terminated, truncated, info = world.step(np.array([-1.0, 0.0]))
        assert truncated and not terminated and info["drive"]["passed"] == 0.0
        last.append(reward)
    assert last[0] - last[1] == pytest.approx(25.0)


def test_danger_is_the_braking_that_a_stopped_car_asks_for() -> None:
    state = np.zeros(SIZE, np.float32)
    state[0], state[GAPS] = 10.0 / FAST, 1.0
    assert danger({"state_vector": state}) == danger({}) == 0.0
    state[GAPS], state[SPEEDS] = 32.0 / FAR, 0.0  # 10 m/s in 30 m: 1.7 m/s^2
    assert danger({"state_vector": state}) == 0.0
    state[GAPS] = 14.5 / FAR  # in 12.5 m: 4 m/s^2
    state[GAPS.start + 1 : GAPS.stop] = 1.0
    assert danger({"state_vector": state}) == pytest.approx(0.5)
    state[GAPS], state[GAPS.start + 2] = 1.0, 8.0 / FAR  # something crosses 8 m ahead in 1 s, 1 m to spare
    assert danger({"state_vector": state}) == pytest.approx((2.0 * (10.0 - 7.0) - 2.0) / 4.0)


def test_scenarios_come_with_their_share() -> None:
    world = make_drives(WorldConfig(towns=1, density=4, scenarios=("stalled_car_01",), scenario_share=1.0), seed=0)
    _, info = world.reset()
    assert info["scenario"]["name"] == "stalled_car_01"
    env = world.unwrapped
    assert isinstance(env, DriveWorldEnv) and env.get_state().world.town == 0  # not in the scenario's own


def test_where_no_scenario_has_a_place_a_free_drive_is_taken(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.yaml"
    text = (LIBRARY / "stalled_car_01.yaml").read_text()
    nowhere.write_text(text.replace("length: 120, lanes: 2, lane: right, pick: 3", "length: 180, lanes: 3, turn: left"))
    assert nowhere.read_text() != text
    world = make_drives(WorldConfig(towns=1, density=4, scenarios=(str(nowhere),), scenario_share=1.0), seed=0)
    _, info = world.reset()
    assert "scenario" not in info
