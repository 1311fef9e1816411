"""The bicycle of the planners is that of the environment."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.scene import EgoState
from drivesim.vehicle import KinematicBicycle
from planners.bicycle import bicycle_step, start_state


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_vehicle_of_the_environment(seed: int) -> None:
    random, vehicle = np.random.default_rng(seed), KinematicBicycle()
    egos = [EgoState.at(0.0, 0.0, 0.0, speed) for speed in (0.0, 0.3, 8.0, 29.9)]
    states = np.array([[0.0, 0.0, 0.0, ego.speed, 0.0] for ego in egos])
    for _ in range(30):
        pedals, wheels = random.uniform(-12.0, 6.0, 4), random.uniform(-1.0, 1.0, 4)
        egos = [vehicle.step(ego, *command, 0.1) for ego, command in zip(egos, zip(pedals, wheels))]
        states = bicycle_step(states, pedals, wheels, vehicle.shape.wheelbase, 0.1)
        expected = [[*ego.xy, ego.yaw, ego.speed, ego.steering] for ego in egos]
        turns = np.round((states[:, 2] - [row[2] for row in expected]) / (2.0 * np.pi)) * 2.0 * np.pi
        np.testing.assert_allclose(states - np.outer(turns, [0, 0, 1, 0, 0]), expected, atol=1e-9)


def test_starts_from_the_observation() -> None:
    ego = np.array([7.0, 1.0, 0.1, 0.2, 4.0, 1.7, 2.6])
    np.testing.assert_array_equal(start_state(ego), [0.0, 0.0, 0.0, 7.0, 0.2])
