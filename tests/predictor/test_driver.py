"""The predictor at the wheel."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.env import DriveWorldEnv
from drivesim.policy import WorldPolicy, load_policy
from drivesim.predictor.driver import PredictedDriver, _guarded, route_path
from drivesim.rollout import run
from drivesim.route import start_route
from drivesim.scene import EgoState, Scene, Tracks
from drivesim.town.rig import nuscenes_rig
from tests.roads import straight, tables_of
from tests.straight_road import track


def test_it_drives_through_a_town() -> None:
    policy = load_policy("drivesim.predictor.driver:PredictedDriver")
    assert isinstance(policy, WorldPolicy)
    env = DriveWorldEnv(generator=None, action="physical", observation=("ego",), seconds=4.0)
    trace = run(env, policy, seed=1, options={"town": 7})
    again = run(env, policy, seed=1, options={"town": 7})
    env.close()
    assert trace.summary_line() == again.summary_line()
    assert "ended by time" in trace.summary_line()


def test_it_decides_four_times_a_second() -> None:
    policy = PredictedDriver()
    env = DriveWorldEnv(generator=None, action="physical", observation=("ego",), seconds=None)
    policy.attach(env)
    observation, info = env.reset(seed=2, options={"town": 7})
    policy.reset(info)
    actions = []
    for _ in range(9):
        actions.append(policy.act(observation, info).copy())
        observation, _, _, _, info = env.step(actions[-1])
    env.close()
    held = [np.array_equal(one, other) for one, other in zip(actions, actions[1:])]
    assert held == [True, True, False, True, True, False, True, True]


def test_a_route_is_a_path_along_its_lanes() -> None:
    tables = tables_of(straight(2))
    lane = 0
    start = tables.graph.centre_line(lane)[0]
    route = start_route(tables, lane, 60.0, seed=0)
    x = float(start[0] + 60.0)
    path = route_path(route, tables, EgoState.at(x, float(start[1]), 0.0))
    assert path is not None
    assert path.points[0, 10] == pytest.approx(complex(x, start[1]), abs=0.5)
    assert np.allclose(np.abs(np.diff(path.points[0, :100])), 1.0, atol=0.01)
    assert path.speed[0, 10] == pytest.approx(12.0, abs=0.1)


@pytest.mark.parametrize(("gap", "hard"), [(5.0, True), (60.0, False)])
def test_rules_brake_for_who_stands_in_the_lane(gap: float, hard: bool) -> None:
    hd_map = straight()
    tables = tables_of(hd_map)
    start = tables.graph.centre_line(0)[0]
    ego = EgoState.at(float(start[0] + 60.0), float(start[1]), 0.0, speed=8.0)
    path = route_path(start_route(tables, 0, 60.0, seed=0), tables, ego)
    assert path is not None
    front = ego.xy[0] + 4.084 - 0.95
    tracks = track(front + gap + 2.0, float(start[1]))
    scene = Scene(0.0, ego, tracks, hd_map, nuscenes_rig())
    acceleration = _guarded(0.5, path, scene)
    assert (acceleration < -2.0) if hard else acceleration == 0.5
    assert _guarded(0.5, path, Scene(0.0, ego, Tracks.empty(), hd_map, nuscenes_rig())) == 0.5
