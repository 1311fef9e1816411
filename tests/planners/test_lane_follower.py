"""The lane follower: whom it keeps its distance from."""

from __future__ import annotations

import pytest

from drivesim.rollout import run
from planners.lane_follower import LaneFollower
from tests.planners.roads import env_for
from tests.straight_road import track


def test_keeps_its_distance_from_who_is_ahead() -> None:
    trace = run(env_for(LaneFollower(), tracks=track(40.0, 0.0, speed=4.0), speed=8.0), LaneFollower())
    assert trace.ending == "time" and trace.steps[-1].speed == pytest.approx(4.0, abs=1.0)


@pytest.mark.parametrize("side", [0.0, 2.4])
def test_leaves_who_comes_from_behind_to_keep_his_own(side: float) -> None:
    # Faster, in the same lane or a little beside it; will be at the ego's front within the horizon.
    trace = run(env_for(LaneFollower(), tracks=track(-15.0, side, speed=14.0), speed=8.0, seconds=0.5), LaneFollower())
    assert min(step.acceleration for step in trace.steps) > 0.0


def test_minds_who_crosses_even_where_it_comes_from_beside() -> None:
    # Walks onto the route just ahead of the bumper, its middle not ahead of it yet.
    walker = track(9.0, -4.0, yaw=1.57, speed=3.0)
    trace = run(env_for(LaneFollower(), tracks=walker, speed=8.0, seconds=0.5), LaneFollower())
    assert trace.steps[0].acceleration < -3.0
