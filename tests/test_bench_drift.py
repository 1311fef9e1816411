"""Early against late steps, and old against new environments."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from drivesim.bench_drift import WINDOW, _Drive, _summary, measure_drift
from drivesim.bench_driver import BRAKING, drive
from drivesim.env import DriveWorldEnv


class _Hoarder(DriveWorldEnv):
    """Keeps a mebibyte of every step."""

    def step(self, action: Any) -> Any:
        self.__dict__.setdefault("kept", []).append(np.ones(2**17))
        return super().step(action)


def make() -> DriveWorldEnv:
    return DriveWorldEnv(generator=None, action="physical", seconds=None)


def test_changes_are_of_the_median_step_with_their_standard_error() -> None:
    drives = [
        _Drive(early=[1.0, 1.0, 9.0], late=[1.1, 1.1, 50.0], young=[1.0, 1.0, 1.0], states=[10, 12]),
        _Drive(early=[2.0] * 3, late=[2.6] * 3, young=[2.6] * 3, states=[10, 10]),
    ]
    drift = _summary((200, 2000), drives, 2.5)
    assert drift.time == pytest.approx(5.0) and drift.time_error == pytest.approx(5.0)
    assert drift.elsewhere == pytest.approx(20.0) and drift.elsewhere_error == pytest.approx(10.0)
    assert drift.memory == 2.5 and drift.state == pytest.approx(10.0)
    assert np.isnan(_summary((200, 2000), drives[:1], 0.0).time_error)


def test_late_steps_are_compared_with_the_same_ones_where_they_are_early() -> None:
    drift = measure_drift(make, (5, 5 + WINDOW), 1, 0, {"town": 1})
    assert (drift.early, drift.late, drift.drives) == (5, 5 + WINDOW, 1)
    assert abs(drift.memory) < 50.0 and abs(drift.time) < 100.0


def test_memory_that_grows_with_the_drive_is_found() -> None:
    drift = measure_drift(partial(_Hoarder, generator=None, action="physical", seconds=None), (5, 5 + WINDOW), 1, 0, {})
    assert drift.memory > 20.0


def test_steps_must_be_in_order() -> None:
    with pytest.raises(ValueError, match=r"drift: found steps \[200, 300\]"):
        measure_drift(make, (200, 300), 1, 0, {})


def test_drives_that_end_early_are_refused() -> None:
    def brief() -> DriveWorldEnv:
        return DriveWorldEnv(generator=None, action="physical", seconds=1.0)

    with pytest.raises(RuntimeError, match="found 2 of 2 drives that end before step"):
        measure_drift(brief, (0, WINDOW), 1, 0, {"town": 1})


def test_the_driver_keeps_to_the_route_and_stops_for_a_stalled_car() -> None:
    env = make()
    observation, _ = env.reset(seed=0, options={"scenario": "stalled_car_01"})
    for _ in range(200):
        action = drive(observation, env.scene)
        observation, _, terminated, *_ = env.step(action)
        assert not terminated
    assert env.scene.ego.speed < 0.1 and action[0] == -BRAKING
