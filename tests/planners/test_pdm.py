"""PDM-Closed: its score at the boundaries of its terms, and what it chooses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.rollout import run
from planners.bicycle import bicycle_step
from planners.obstacles import Obstacles
from planners.pdm_closed import PdmClosed, PdmConfig
from planners.pdm_score import LON_ACCELERATION, Situation, score
from planners.route_geometry import Path
from tests.planners.roads import env_for, town_drive
from tests.planners.test_obstacles import box, others
from tests.straight_road import track

EGO = np.array([10.0, 0.0, 0.0, 0.0, 4.0, 1.8, 2.6])  # its body reaches from 0.7 m behind the rear axle to 3.3 m ahead
LINE = Path(np.column_stack([np.linspace(0.0, 100.0, 51), np.zeros(51)]))
ROAD = np.ones((160, 200), np.uint8)


def drives(*accelerations: float, speed: float = 10.0, y: float = 0.0) -> np.ndarray:
    """Straight drives [P, 41, 5] of 4 s at constant accelerations."""
    pedals, state = np.array(accelerations), np.tile([0.0, y, 0.0, speed, 0.0], (len(accelerations), 1))
    states = [state]
    for _ in range(40):
        states.append(bicycle_step(states[-1], pedals, np.zeros(len(pedals)), 2.6, 0.1))
    return np.stack(states, axis=1)


def situation(states: np.ndarray, obstacles: Obstacles | None = None, area: np.ndarray = ROAD) -> Situation:
    return Situation(states, 0.1, EGO, LINE, obstacles or others(), area)


def test_free_road_scores_full_and_progress_is_a_share_of_the_best() -> None:
    result = score(situation(drives(0.0, 0.0, speed=10.0)))
    np.testing.assert_allclose(result.total, 1.0)
    half = np.concatenate([drives(0.0, speed=10.0), drives(0.0, speed=5.0)])
    result = score(situation(half))
    np.testing.assert_allclose(result.progress, [1.0, 0.5])
    np.testing.assert_allclose(result.total, [1.0, (5.0 * 0.5 + 5.0 + 2.0) / 12.0])


def test_collision_with_what_stands() -> None:
    # The bumper starts at 3.3 m and travels 40 m, so a rear end at 43.4 m is just not reached.
    for middle, factor in ((45.2, 0.0), (45.4, 1.0)):
        result = score(situation(drives(0.0), others(box(middle, 0.0))))
        assert result.no_collision[0] == factor and np.isinf(result.collision_time[0]) == (factor == 1.0)
    result = score(situation(drives(0.0, -4.0), others(box(30.0, 0.0, kind=9))))
    assert result.no_collision.tolist() == [0.5, 1.0]  # a cone is no road user
    assert result.collision_time[0] == pytest.approx(2.6)  # 28 - 3.3 m at 10 m/s, seen every 0.2 s


def test_only_the_ego_s_own_faults_count() -> None:
    # From behind at 20 m/s: overlaps, but is not at fault.
    result = score(situation(drives(0.0), others(box(-15.0, 0.0, vx=20.0))))
    assert result.no_collision[0] == 1.0
    # Into a standing ego: not at fault either.
    result = score(situation(drives(0.0, speed=0.0), others(box(15.0, 0.0, np.pi, vx=-8.0))))
    assert result.no_collision[0] == 1.0
    # The side of someone slower beside: at fault only if the ego is not inside its lane.
    beside = others(box(0.0, 1.95, vx=9.0, vy=-0.2))
    assert score(situation(drives(0.0), beside)).no_collision[0] == 1.0
    assert score(situation(drives(0.0, y=0.9), others(box(0.0, 2.85, vx=9.0, vy=-0.2)))).no_collision[0] == 0.0


def test_all_collisions_but_those_from_behind_count_if_asked() -> None:
    # Somebody drives into the side of the ego, which is in its lane.
    crossing = others(box(20.0, -20.0, 0.5 * np.pi, vy=10.0))
    for heed, factor in ((False, 1.0), (True, 0.0)):
        asked = replace(situation(drives(0.0), crossing), heed_all=heed)
        assert score(asked).no_collision[0] == factor
    behind = replace(situation(drives(0.0), others(box(-15.0, 0.0, vx=20.0))), heed_all=True)
    assert score(behind).no_collision[0] == 1.0


def test_time_to_collision_looks_a_second_ahead() -> None:
    # After 4 s the bumper is at 43.3 m; at 10 m/s for 0.9 s it would reach 52.3 m.
    for middle, value in ((54.1, 0.0), (54.5, 1.0)):
        assert score(situation(drives(0.0), others(box(middle, 0.0)))).time_to_collision[0] == value


def test_off_road_at_any_corner_at_any_time() -> None:
    area = ROAD.copy()
    area[:, int((20.0 + 35.0) / 0.5) :] = 0  # nothing beyond x = 35 m
    result = score(situation(drives(0.0, -2.5), area=area))
    assert result.drivable_area.tolist() == [0.0, 1.0] and result.total[0] == 0.0


@pytest.mark.parametrize(("acceleration", "value"), [(2.35, 1.0), (2.45, 0.0), (-4.0, 1.0), (-4.1, 0.0)])
def test_comfort_flips_at_its_bounds(acceleration: float, value: float) -> None:
    assert LON_ACCELERATION == (-4.05, 2.40)
    assert score(situation(drives(acceleration, speed=17.0))).comfort[0] == value


def test_fifteen_proposals_slowest_first() -> None:
    planner, line = PdmClosed(), np.zeros(len(LINE.points))
    plans = planner._plans(LINE, line, others(), EGO)
    assert plans.shape == (15, planner.config.steps + planner.tracker.horizon + 1, 5)
    assert (np.diff(plans[::3, 40, 3]) > 0.0).all()
    np.testing.assert_allclose(plans[:3, 0, 1], PdmConfig().offsets)


def test_drives_slower_behind_what_stands() -> None:
    free = run(env_for(PdmClosed(), speed=8.0, seconds=2.0), PdmClosed())
    trace = run(env_for(PdmClosed(), tracks=track(28.0, 0.0), speed=8.0, seconds=7.0), PdmClosed())
    assert trace.steps[23].speed < free.steps[-1].speed - 3.0
    assert trace.ending == "time" and trace.steps[-1].speed < 0.3


def test_brakes_when_a_collision_is_near() -> None:
    # A wall of cars right ahead, faster than any proposal can stop for.
    trace = run(env_for(PdmClosed(), tracks=track(8.2, 0.0), speed=4.8, seconds=1.0), PdmClosed())
    assert trace.steps[0].acceleration == pytest.approx(-8.0) and trace.ending == "time"
    # At 9 m/s the publication leaves it to its proposals, which brake with 3 m/s^2 at most.
    for settings, braking in (({}, -8.0), ({"emergency_speed": 5.0}, -2.8)):
        trace = run(env_for(PdmClosed(), tracks=track(16.0, 0.0), speed=9.0, seconds=0.2), PdmClosed(**settings))
        assert trace.steps[0].acceleration == pytest.approx(braking, abs=0.3)


def test_same_drive_twice() -> None:
    first, second = (town_drive(PdmClosed(), 900_002, 1.0) for _ in range(2))
    assert [(step.x, step.y, step.action) for step in first.steps] == [
        (step.x, step.y, step.action) for step in second.steps
    ]
