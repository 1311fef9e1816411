"""The rules that add braking, at values that are known."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.predictor.closed_loop import guided
from drivesim.predictor.guard import braking_for_crossings, braking_for_lane, setting_off
from drivesim.scene import EgoState, VehicleShape
from drivesim.traffic.driving import objects_of
from drivesim.traffic.perception import Objects, Sight
from drivesim.traffic.state import TrafficState
from tests.predictor.cars import cars


def around(traffic: TrafficState) -> Objects:
    """The cars and an ego far away."""
    return objects_of(traffic, EgoState.at(500.0, 500.0, 0.0), VehicleShape())


def crossings(traffic: TrafficState) -> list[float]:
    return braking_for_crossings(traffic, around(traffic), guided(traffic)).tolist()


def test_hard_braking_is_asked_for_where_gentle_braking_is_too_little() -> None:
    traffic = cars([0j], [0.0], [10.0])

    def most(gap: float, speed: float) -> float:
        return float(
            braking_for_lane(traffic, Sight(np.array([0]), np.array([1]), np.array([gap]), np.array([speed])))[0]
        )

    assert most(26.5, 0.0) == np.inf  # 10^2 / (2 * 25.5) is less than 2 m/s^2
    assert most(13.5, 0.0) == pytest.approx(-(10.0**2) / (2.0 * 12.5))
    assert most(13.5, 8.0) == np.inf
    assert most(0.2, 0.0) == -8.0


def test_of_two_whose_ways_cross_one_brakes() -> None:
    both = crossings(cars([-12.0 + 0j, -12.0j], [0.0, 0.5 * np.pi], [8.0, 8.0]))
    assert both[0] == np.inf and both[1] < -1.0
    apart = crossings(cars([-12.0 + 0j, -40.0j], [0.0, 0.5 * np.pi], [8.0, 8.0]))
    assert apart == [np.inf, np.inf]


def test_who_comes_later_brakes_whatever_its_number() -> None:
    first, second = crossings(cars([-15.0 + 0j, -9.5j], [0.0, 0.5 * np.pi], [8.0, 8.0]))
    assert first < -1.0 and second == np.inf


def test_oncoming_cars_on_lanes_of_their_own_do_not_brake() -> None:
    assert crossings(cars([0j, 30.0 + 3.2j], [0.0, np.pi], [8.0, 8.0])) == [np.inf, np.inf]


def test_who_crawls_on_a_free_lane_sets_off() -> None:
    traffic = cars([0j, 40.0 + 0j], [0.0, 0.0], [0.0, 5.0])
    lanes = guided(traffic)
    nothing = Sight(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    assert setting_off(traffic, nothing, lanes)[0] > 0.5
    assert setting_off(traffic, nothing, lanes)[1] == -np.inf  # drives already
    assert setting_off(traffic, nothing, ~lanes)[0] == -np.inf
    assert setting_off(traffic, Sight(np.array([0]), np.array([1]), np.array([3.0]), np.zeros(1)), lanes)[0] == -np.inf


def test_who_already_touches_may_part() -> None:
    assert crossings(cars([0j, 2.5 + 1.0j], [0.0, 1.0], [3.0, 3.0]))[0] == np.inf
