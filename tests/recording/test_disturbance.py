"""Disturbances: bursts of known strength, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.recording.disturbance import Disturbance, DisturbanceConfig
from drivesim.scene import EgoState, VehicleShape
from drivesim.vehicle import KinematicBicycle

DT = 1.0 / 12.0
SHAPE = VehicleShape()
EGO = EgoState.at(0.0, 0.0, 0.0, 10.0)
STILL = np.zeros(2, np.float32)


def pushes(config: DisturbanceConfig, seed: int, count: int = 600) -> np.ndarray:
    disturbance = Disturbance(config, "physical", DT, seed)
    return np.array([(*disturbance(STILL, EGO, SHAPE), disturbance.active) for _ in range(count)])


def test_no_strength_leaves_actions_alone() -> None:
    disturbance = Disturbance(DisturbanceConfig(0.0), "trajectory", DT, 0)
    action = np.ones((6, 3))
    assert disturbance(action, EGO, SHAPE) is action and not disturbance.active


def test_bursts_are_as_long_and_as_frequent_as_said() -> None:
    config = DisturbanceConfig(1.0, calm=2.0, burst=(0.25, 0.5))
    active = np.concatenate([pushes(config, seed)[:, 2] for seed in range(20)]).astype(bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(int)))
    lengths = np.diff(edges)[::2]
    assert np.median(lengths) in range(3, 7)
    assert len(lengths) == pytest.approx(20 * 600 / (24 + 4.5), rel=0.2)


def test_the_seed_decides() -> None:
    config = DisturbanceConfig(1.0)
    np.testing.assert_array_equal(pushes(config, 3), pushes(config, 3))
    assert not np.array_equal(pushes(config, 3), pushes(config, 4))


def test_a_lateral_push_is_an_acceleration_of_that_spread() -> None:
    config = DisturbanceConfig(1.0, lateral=1.3, along=0.0, calm=0.1, burst=(DT, DT))
    steering = np.concatenate([pushes(config, seed)[:, 1] for seed in range(10)])
    # v^2 / R with R = wheelbase / tan(steering), as the vehicle drives it.
    felt = EGO.speed**2 * np.tan(steering[steering != 0.0]) / SHAPE.wheelbase
    assert felt.std() == pytest.approx(1.3, rel=0.1) and abs(felt.mean()) < 0.1
    after = KinematicBicycle().step(EgoState(EGO.pose, 10.0, steering=float(steering[steering != 0][0])), 0.0,
                                    float(steering[steering != 0][0]), DT)  # fmt: skip
    assert after.yaw_rate * 10.0 == pytest.approx(felt[0])


def test_pedal_and_wheel_stay_within_their_space() -> None:
    disturbance = Disturbance(DisturbanceConfig(50.0, calm=0.1), "normalized", DT, 0)
    actions = np.array([disturbance(np.array([1.0, -1.0], np.float32), EGO, SHAPE) for _ in range(200)])
    assert actions.dtype == np.float32 and np.abs(actions).max() <= 1.0 and len(np.unique(actions)) > 2


def test_actions_without_pedal_and_wheel_are_refused() -> None:
    with pytest.raises(ValueError, match="found 1.0 with a policy of action 'trajectory', accepted 0, or"):
        Disturbance(DisturbanceConfig(1.0), "trajectory", DT, 0)
    with pytest.raises(ValueError, match="found -0.5, accepted 0 or more"):
        Disturbance(DisturbanceConfig(-0.5), "physical", DT, 0)
