"""The compact observation, against the distances and times of simple worlds."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.env import DriveWorldEnv
from drivesim.observations import Observation
from drivesim.scene import Tracks, VehicleShape
from drivesim.state_vector import FAR, FAST, GAPS, INSTANTS, NEIGHBOURS, SIZE, SPEEDS
from tests.straight_road import StraightRoad, track

SHAPE = VehicleShape()
FRONT = SHAPE.length - SHAPE.rear_overhang  # [m]
BESIDE = slice(31, 39)
BEHIND = slice(39, 41)
FIRST = slice(41, 50)


def vector(tracks: Tracks, speed: float = 8.0) -> np.ndarray:
    env = DriveWorldEnv(source=StraightRoad(tracks=tracks, speed=speed), generator=None, observation=("state_vector",))
    observation: Observation = env.reset(seed=0)[0]
    assert env.observation_space.contains(observation)
    return observation["state_vector"].astype(float)


def test_empty_road_shows_no_gap_and_no_neighbour() -> None:
    state = vector(Tracks.empty())
    assert state.shape == (SIZE,)
    assert state[0] == pytest.approx(8.0 / FAST)
    np.testing.assert_array_equal(state[GAPS], 1.0)
    np.testing.assert_array_equal(state[BESIDE], 1.0)
    np.testing.assert_array_equal(state[BEHIND], 1.0)
    np.testing.assert_array_equal(state[41:113], 0.0)
    assert (state[113:] > 0.0).all()  # the straight road has room on both sides


def test_gap_to_the_car_ahead_shrinks_by_its_own_speed() -> None:
    state = vector(track(30.0, 0.0, speed=3.0))
    gap = 30.0 + 3.0 * INSTANTS - 2.0 - FRONT
    np.testing.assert_allclose(state[GAPS] * FAR, gap, atol=1e-3)
    np.testing.assert_allclose(state[SPEEDS] * FAST, 3.0, atol=1e-3)


def test_pedestrian_is_in_the_way_when_it_has_crossed() -> None:
    state = vector(track(20.0, -5.0, yaw=np.pi / 2, speed=2.0, name="pedestrian"))
    # 2 m wide, 4 m long, heading across: at -5, -4, -3, -2, -1 and 1 m of the route with 2 m to either side.
    inside = np.abs(-5.0 + 2.0 * INSTANTS) - 2.0 < 0.5 * SHAPE.width + 0.3
    np.testing.assert_array_equal(state[GAPS] < 1.0, inside)
    assert state[FIRST][4] == pytest.approx(0.2) and state[FIRST][7] == 1.0


def test_strips_beside_the_route_are_told_apart() -> None:
    state = vector(track(20.0, 3.2))
    gap = (20.0 - 2.0 - FRONT) / FAR
    now = np.array([1.0, 1.0, gap, 1.0])  # left 1.5, right 1.5, left 3, right 3 m: the car reaches from 2.2 to 4.2 m
    now[0] = gap if 1.5 + 0.5 * SHAPE.width + 0.3 > 2.2 else 1.0
    np.testing.assert_allclose(state[BESIDE], np.tile(now, 2), atol=1e-5)


def test_car_behind_in_the_next_lane_is_noticed() -> None:
    state = vector(track(-20.0, 3.2))
    rear = FRONT - SHAPE.length  # of the rear axle
    np.testing.assert_allclose(state[BEHIND] * FAR, [rear + 20.0 - 2.0, FAR], atol=1e-3)


def test_neighbours_come_in_the_order_of_their_approach() -> None:
    crowd = [track(x, 5.0, number=n) for n, x in enumerate((60.0, 40.0, 12.0))]
    joined = Tracks(*(np.concatenate([getattr(one, name) for one in crowd]) for name in
                      ("ids", "class_ids", "position", "size", "yaw", "velocity")))  # fmt: skip
    table = vector(joined)[41:113].reshape(NEIGHBOURS, 9)
    np.testing.assert_array_equal(table[:, 0], [1, 1, 1, 0, 0, 0, 0, 0])
    assert (np.diff(table[:3, 8]) >= 0.0).all() and table[0, 1] == pytest.approx((12.0 - FRONT) / 40.0)
