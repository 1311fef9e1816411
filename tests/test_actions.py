"""Every action type: what it commands, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Discrete as DiscreteSpace

from drivesim.actions import ACTIONS, make_action
from drivesim.road_ahead import RoadAhead
from drivesim.route_frame import locate
from drivesim.scene import EgoState
from drivesim.vehicle import KinematicBicycle
from tests.straight_road import StraightRoad

VEHICLE = KinematicBicycle()
LIMITS = VEHICLE.limits
EGO = EgoState.at(3.0, 4.0, 0.5, speed=8.0)
WORLD = StraightRoad().reset(0, None)
ROAD = RoadAhead(WORLD.scene, WORLD.route, locate(WORLD.route.points, WORLD.scene.ego))


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("chunk", [1, 8])
def test_samples_give_one_finite_control_per_frame(name: str, chunk: int) -> None:
    action = make_action(name, VEHICLE, chunk)
    space = action.space()
    space.seed(3)
    for _ in range(20):
        controls = action.act(space.sample(), EGO, ROAD)
        assert len(controls) == chunk
        assert np.isfinite(controls).all()


@pytest.mark.parametrize("name", ["normalized", "physical", "trajectory", "route"])
def test_nan_and_infinity_are_refused(name: str) -> None:
    action = make_action(name, VEHICLE, 1)
    for value in (np.nan, np.inf):
        bad = np.zeros(action.space().shape)
        bad.flat[-1] = value
        with pytest.raises(ValueError, match="action: found .* accepted finite"):
            action.act(bad, EGO, ROAD)


@pytest.mark.parametrize("name", ACTIONS)
def test_wrong_shape_is_refused_with_the_right_one(name: str) -> None:
    action = make_action(name, VEHICLE, 1)
    accepted = action.space().shape
    with pytest.raises(ValueError, match=r"action: found shape \(5,\), accepted") as caught:
        action.act(np.zeros(5), EGO, ROAD)
    assert str(accepted) in str(caught.value)
    with pytest.raises(ValueError, match="action: found"):
        action.act("left", EGO, ROAD)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="action: found 'pedals', accepted .*normalized"):
        make_action("pedals", VEHICLE, 1)


def test_normalized_spans_the_limits_and_clips() -> None:
    act = make_action("normalized", VEHICLE, 1).act
    assert act([1.0, 1.0], EGO) == [(LIMITS.max_acceleration, LIMITS.max_steering)]
    assert act([-1.0, -1.0], EGO) == [(-LIMITS.max_braking, -LIMITS.max_steering)]
    assert act([7.0, -9.0], EGO) == act([1.0, -1.0], EGO)
    assert act([0.0, 0.0], EGO) == [(0.0, 0.0)]


def test_physical_takes_one_row_for_all_frames_or_one_each() -> None:
    act = make_action("physical", VEHICLE, 3).act
    assert act([1.0, 0.1], EGO) == [(1.0, 0.1)] * 3
    assert act([[1.0, 0.1], [2.0, 0.2], [3.0, 0.3]], EGO) == [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]


def test_discrete_covers_all_pairs_and_refuses_others() -> None:
    action = make_action("discrete", VEHICLE, 1)
    space = action.space()
    assert isinstance(space, DiscreteSpace)
    assert len({tuple(action.act(index, EGO)) for index in range(int(space.n))}) == space.n
    assert action.act(np.array([7]), EGO) == [(0.0, 0.0)]
    for bad in (-1, int(space.n), 0.5):
        with pytest.raises(ValueError, match="accepted an integer from 0 to 14"):
            action.act(bad, EGO)


@pytest.mark.parametrize("steering", [-0.2, 0.0, 0.15])
@pytest.mark.parametrize("acceleration", [-1.0, 0.5])
def test_trajectory_is_exact_for_what_the_vehicle_can_do(steering: float, acceleration: float) -> None:
    ego = EgoState.at(3.0, 4.0, 0.5, speed=8.0)
    plan = []
    start = EgoState.at(0.0, 0.0, 0.0, speed=8.0)
    for duration in 0.5 * np.arange(1, 7):
        distance = start.speed * duration + 0.5 * acceleration * duration**2
        curvature = np.tan(steering) / VEHICLE.shape.wheelbase
        yaw = curvature * distance
        radius = 1.0 / curvature if curvature else 0.0
        plan.append(
            (radius * np.sin(yaw) if curvature else distance, radius * (1.0 - np.cos(yaw)) if curvature else 0.0, yaw)
        )
    found = make_action("trajectory", VEHICLE, 1).act(plan, ego)
    np.testing.assert_allclose(found, [(acceleration, steering)], atol=1e-6)
