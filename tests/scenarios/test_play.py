"""Scenarios in the town: part of the world's value, reproducible, seen by the others."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from drivesim.env import DriveWorldEnv
from drivesim.scenarios import ScenarioError, load_scenario
from drivesim.scene import Tracks
from drivesim.world import TownSource, TownWorld
from tests.scenarios.files import TOWN, VALID, changed, write

COAST = np.array([[0.0, 0.0]], np.float32)


@pytest.fixture(scope="module")
def env() -> DriveWorldEnv:
    return DriveWorldEnv(generator=None, action="physical", observation=("ego", "route", "boxes"))


def tracks_of(env: DriveWorldEnv) -> Tracks:
    return env.scene.tracks


def drive(env: DriveWorldEnv, steps: int) -> list[bytes]:
    """Bytes of everything that moves, step by step."""
    frames = []
    for _ in range(steps):
        *_, info = env.step(COAST)
        tracks = tracks_of(env)
        frames.append(tracks.position.tobytes() + tracks.yaw.tobytes() + repr(info["scenario"]).encode())
    return frames


def row_of(env: DriveWorldEnv, index: int) -> int:
    """Row of a scripted actor in the tracks."""
    return int(np.flatnonzero(tracks_of(env).ids == (1 << 62) + index)[0])


def test_leader_brakes_at_its_time(env: DriveWorldEnv, tmp_path: Path) -> None:
    _, info = env.reset(seed=0, options={"scenario": str(write(tmp_path, VALID))})
    assert info["scenario"]["events"] == {}
    start = tracks_of(env).position[row_of(env, 0), :2]
    assert np.linalg.norm(start - env.scene.ego.xy) == pytest.approx(24.0, abs=0.1)
    drive(env, 60)
    *_, info = env.step(COAST)
    assert info["scenario"]["events"] == pytest.approx({"brake": 2.0, "walk": 3.0})
    travelled = np.linalg.norm(tracks_of(env).position[row_of(env, 0), :2] - start)
    assert travelled == pytest.approx(8.0 * 2.0 + 8.0**2 / 8.0, abs=0.5)


def test_everything_follows_from_file_and_variant_not_from_the_seed(env: DriveWorldEnv, tmp_path: Path) -> None:
    path = str(write(tmp_path, changed(("traffic: 0", "traffic: 12"), ("at: 24", "at: {from: 20, to: 28}"))))
    runs = []
    for seed, variant in ((1, 3), (2, 3), (1, 4)):
        env.reset(seed=seed, options={"scenario": path, "variant": variant})
        runs.append(drive(env, 30))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_saved_in_the_middle_it_goes_on_the_same(env: DriveWorldEnv, tmp_path: Path) -> None:
    env.reset(seed=0, options={"scenario": str(write(tmp_path, changed(("traffic: 0", "traffic: 8"))))})
    drive(env, 23)
    state = env.get_state()
    first = drive(env, 20)
    env.reset(seed=5, options={"town": TOWN})
    env.set_state(state)
    twin = env.copy()
    assert drive(env, 20) == first
    assert drive(twin, 20) == first


def test_background_traffic_brakes_for_scripted_actors(tmp_path: Path) -> None:
    """A car that stands on the lane of a background vehicle: it stops behind it, not inside."""
    source = TownSource()
    text = changed(("traffic: 0", "traffic: 25"), ("at: 24, speed: 8", "at: 150, speed: 0"))
    path = str(write(tmp_path, text))
    world = source.reset(0, {"scenario": path})
    closest = np.inf
    for _ in range(240):
        world = source.step(world, world.scene.ego, 1 / 12)
        closest = min(closest, _gap_to_scripted(world))
    assert closest > 0.5
    assert len(world.traffic.motion.s) > 5


def _gap_to_scripted(world: TownWorld) -> float:
    """Least distance of background vehicles' centres to the scripted car's, less half their lengths."""
    assert world.script is not None
    car = world.script.actors.position[0]
    motion, bodies = world.traffic.motion, world.traffic.bodies
    there = (car - motion.position) * motion.direction.conj()
    ahead = (np.abs(there.imag) < 1.0) & (there.real > 0.0)
    return float((there.real[ahead] - bodies.half_length[ahead] - 2.3).min(initial=np.inf))


def test_world_without_scenario_has_no_script() -> None:
    source = TownSource(density=8)
    world = source.reset(0, {"town": TOWN})
    assert world.script is None
    assert source.step(world, world.scene.ego, 1 / 12).script is None


def test_weather_and_light_change_on_the_way(env: DriveWorldEnv, tmp_path: Path) -> None:
    text = changed(("{actor: walker, speed: 1.5}", "{weather: rain, time_of_day: night}"))
    text = text.replace("duration: 20", "duration: 20\nweather: sunny\ntime_of_day: day")
    env.reset(seed=0, options={"scenario": str(write(tmp_path, text))})
    assert asdict(env.scene.tags) == {"weather": "sunny", "time_of_day": "day"}
    drive(env, 40)
    assert asdict(env.scene.tags) == {"weather": "rain", "time_of_day": "night"}
    env.reset(seed=0, options={"scenario": str(write(tmp_path, text)), "weather": "overcast"})
    assert env.scene.tags.weather == "overcast"


def test_it_ends_with_success_where_the_goal_is_reached(env: DriveWorldEnv, tmp_path: Path) -> None:
    text = changed(("at: 60, within: 20", "at: 15, within: 20"))
    env.reset(seed=0, options={"scenario": str(write(tmp_path, text))})
    for _ in range(60):
        *_, terminated, truncated, info = env.step(COAST)
        if truncated:
            break
    assert (terminated, info["scenario"]["outcome"]) == (False, "success")
    assert info["scenario"]["progress"] == pytest.approx(15.0, abs=0.7)
    assert env.time == pytest.approx(15.0 / 8.0, abs=0.1)


def test_it_ends_with_failure_when_time_is_over_or_the_leader_is_hit(env: DriveWorldEnv, tmp_path: Path) -> None:
    stop = np.array([[-6.0, 0.0]], np.float32)
    env.reset(seed=0, options={"scenario": str(write(tmp_path, changed(("within: 20", "within: 3"))))})
    over = False
    while not over:
        *_, terminated, over, info = env.step(stop)
        assert not terminated
    assert (info["scenario"]["criteria"]["reach"], env.time) == ("failed", pytest.approx(3.0, abs=0.1))
    for limit, outcome in ((0, "failed"), (9, "open")):
        text = changed(("success:", f"success:\n  max_impact_speed: {limit}"), ("at: 24, speed: 8", "at: 20, speed: 0"))
        env.reset(seed=0, options={"scenario": str(write(tmp_path, text))})
        over = False
        while not over:
            *_, over, _, info = env.step(COAST)
        name = "max_impact_speed" if limit else "no_collision"
        assert info["scenario"]["criteria"][name] == outcome
        assert info["scenario"]["impact_speed"] == pytest.approx(8.0)


def test_impossible_starts_are_refused(env: DriveWorldEnv, tmp_path: Path) -> None:
    one_lane = ("kind: straight, length: 60", "kind: straight, length: 50, junctions: false, lanes: 1")
    for pair, message in (
        (("at: 24", "at: 24, lane: right"), r"made.yaml:10: lane: found 'right', accepted at this place"),
        (("path: across, at: 50, before: 6", "at: 24.5"), r":11: actors.walker: found a start inside leader"),
        (("traffic: 0", "traffic: 0"), r"made.yaml:5: place: found none like it"),
    ):
        text = changed(pair, one_lane)
        text = text.replace("lanes: 1}", "lanes: 1, pick: 50}") if "none like" in message else text
        with pytest.raises(ScenarioError, match=message):
            env.reset(seed=0, options={"scenario": str(write(tmp_path, text))})


def test_options_that_do_not_go_together(env: DriveWorldEnv) -> None:
    with pytest.raises(ValueError, match=r"found \['route'\], accepted with a scenario"):
        env.reset(options={"scenario": "cut_in_01", "route": 3})
    with pytest.raises(ValueError, match="variant"):
        env.reset(options={"variant": 2})


def test_a_scenario_is_played_in_another_town_at_a_place_like_its_own(env: DriveWorldEnv, tmp_path: Path) -> None:
    path, places = str(write(tmp_path, VALID)), []
    for variant in range(1, 5):
        _, info = env.reset(seed=0, options={"scenario": path, "town": 3, "variant": variant})
        assert env.scene.description == f"scenario made, variant {variant}" and env.get_state().world.town == 3
        start = tracks_of(env).position[row_of(env, 0), :2]
        assert np.linalg.norm(start - env.scene.ego.xy) == pytest.approx(24.0, abs=0.1)
        places.append(tuple(np.round(env.scene.ego.xy, 3)))
    assert len(set(places)) > 1
    env.reset(seed=5, options={"scenario": path, "town": 3, "variant": 4})
    assert tuple(np.round(env.scene.ego.xy, 3)) == places[-1]
    env.reset(seed=0, options={"scenario": path, "town": TOWN, "variant": 1})
    own = env.scene.ego.xy
    env.reset(seed=0, options={"scenario": path, "variant": 1})
    assert np.array_equal(own, env.scene.ego.xy)


def test_jitter_stays_within_its_range_and_fields_do_not_depend_on_each_other(tmp_path: Path) -> None:
    jittered = changed(("at: 24", "at: {from: 20, to: 28}"), ("{time: 2}", "{time: {from: 1, to: 3}}"))
    path = write(tmp_path, jittered)
    drawn = [load_scenario(path, variant) for variant in range(60)]
    at = np.array([scenario.actors[0].at for scenario in drawn])
    times = np.array([scenario.events[0].when.alternatives[0][0].bound for scenario in drawn])
    assert (at[0], times[0]) == (24.0, 2.0)
    assert 20 <= at.min() < 21 and 27 < at.max() <= 28
    assert len(np.unique(at)) > 50
    assert abs(np.corrcoef(at[1:], times[1:])[0, 1]) < 0.4
    alone = load_scenario(write(tmp_path, changed(("{time: 2}", "{time: {from: 1, to: 3}}")), "made.yaml"), 7)
    assert alone.events[0].when.alternatives[0][0].bound == times[7]
    assert replace(drawn[3], variant=0) != drawn[0]


def test_camera_faults_change_the_observation_alone(tmp_path: Path) -> None:
    env = DriveWorldEnv(generator="layout", image_size=(36, 64), action="physical")
    text = changed(("{actor: leader, speed: 0, rate: 4}", "{camera_fault: {kind: drop, cameras: [CAM_FRONT]}}"))
    observation, _ = env.reset(seed=0, options={"scenario": str(write(tmp_path, text))})
    assert observation["CAM_FRONT"].max() > 0
    for _ in range(26):
        observation, *_, info = env.step(COAST)
    assert info["scenario"]["camera_faults"] == ["drop"]
    assert observation["CAM_FRONT"].max() == 0
    assert observation["CAM_BACK"].max() > 0
    assert env.frames is not None and env.frames[1].max() > 0
