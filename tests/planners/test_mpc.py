"""The model-predictive planner."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.rollout import run
from planners.mpc import MpcPlanner, _distance
from tests.planners.roads import env_for, town_drive
from tests.planners.test_obstacles import box, others
from tests.straight_road import track

SMALL = {"samples": 32, "elites": 6, "rounds": 2}


def test_distance_from_rectangles() -> None:
    points = np.array([[0.0, 0.0], [7.0, 0.0], [10.0, 4.0], [14.0, 5.0]])[None, None]  # [1, 1, 4, 2]
    gaps = _distance(points, others(box(10.0, 0.0), box(10.0, 0.0, np.pi / 2)), np.zeros(1))[0, 0]
    np.testing.assert_allclose(gaps[:, 0], [8.0, 1.0, 3.0, np.hypot(2.0, 4.0)])
    np.testing.assert_allclose(gaps[:, 1], [9.0, 2.0, 2.0, np.hypot(3.0, 3.0)])


def test_reaches_and_holds_the_speed_of_the_road() -> None:
    trace = run(
        env_for(MpcPlanner(fallback_speed=12.0, **SMALL), speed=9.0, seconds=8.0),
        MpcPlanner(fallback_speed=12.0, **SMALL),
    )
    late = trace.steps[-24:]
    assert np.mean([step.speed for step in late]) == pytest.approx(12.0, abs=0.5)
    assert max(abs(step.metrics["route_offset"]) for step in late) < 0.3


def test_stops_where_there_is_no_way_past() -> None:
    env = env_for(MpcPlanner(**SMALL), tracks=track(45.0, 0.0, yaw=np.pi / 2), speed=12.0, seconds=8.0)
    trace = run(env, MpcPlanner(**SMALL))
    assert trace.ending == "time" and trace.steps[-1].x < 44.0 - 3.3 and trace.steps[-1].speed < 2.5


def test_passes_what_leaves_room() -> None:
    env = env_for(MpcPlanner(**SMALL), tracks=track(45.0, -1.0), speed=10.0, seconds=8.0)
    trace = run(env, MpcPlanner(**SMALL))
    assert trace.ending == "time" and trace.steps[-1].x > 55.0
    assert not any(step.events["corners_off_road"] for step in trace.steps)


def test_same_seed_same_drive() -> None:
    def drive(seed: int) -> list[list[float]]:
        return [step.action for step in town_drive(MpcPlanner(seed=seed, **SMALL), 900_002, 1.0).steps]

    assert drive(0) == drive(0) != drive(1)


def test_more_elites_than_draws_are_refused() -> None:
    with pytest.raises(ValueError, match=r"elites: found 12, accepted 2 to samples - 3 \(7\)"):
        MpcPlanner(samples=10)
