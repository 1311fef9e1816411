"""The intelligent driver model against its closed forms, alone and on the road."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.rollout import run
from planners.constant_speed import ConstantSpeed
from planners.idm import IdmConfig, IdmPlanner, idm_acceleration
from tests.planners.roads import env_for
from tests.straight_road import track


def equilibrium_gap(model: IdmConfig, speed: float, target: float) -> float:
    """Gap [m] at which a platoon keeps its speed (Treiber et al. 2000, equation 4)."""
    return (model.standstill_gap + model.headway * speed) / np.sqrt(1.0 - (speed / target) ** model.exponent)


@pytest.mark.parametrize("speed", [0.0, 4.0, 13.0])
def test_acceleration_vanishes_at_the_equilibrium_gap(speed: float) -> None:
    model = IdmConfig()
    gap = equilibrium_gap(model, speed, 14.0)
    assert idm_acceleration(model, speed, 14.0, gap, speed) == pytest.approx(0.0, abs=1e-9)
    assert idm_acceleration(model, speed, 14.0, 0.99 * gap, speed) < 0.0


def test_free_road() -> None:
    model = IdmConfig()
    assert idm_acceleration(model, 0.0, 14.0, np.inf, 0.0) == model.acceleration
    assert idm_acceleration(model, 14.0, 14.0, np.inf, 0.0) == pytest.approx(0.0)
    assert idm_acceleration(model, 20.0, 0.0, np.inf, 0.0) == pytest.approx(-model.braking)


def test_follows_at_the_equilibrium_gap() -> None:
    env = env_for(IdmPlanner(), tracks=track(40.0, 0.0, speed=6.0), speed=6.0, seconds=60.0)
    trace = run(env, IdmPlanner())
    ego, lead = env.scene.ego, env.scene.tracks
    assert trace.ending == "time" and ego.speed == pytest.approx(6.0, abs=0.01)
    gap = lead.position[0, 0] - 2.0 - ego.xy[0] - 0.5 * (4.084 + 2.588)
    assert gap == pytest.approx(equilibrium_gap(IdmConfig(), 6.0, 15.0), abs=0.1)


def test_stops_behind_what_stands() -> None:
    trace = run(env_for(IdmPlanner(), tracks=track(70.0, 0.5), speed=14.0, seconds=30.0), IdmPlanner())
    assert trace.ending == "time" and trace.steps[-1].speed < 0.05
    assert min(step.acceleration for step in trace.steps) > -5.0


def test_constant_speed_keeps_its_first_speed_and_sees_nothing() -> None:
    trace = run(env_for(ConstantSpeed(), speed=7.0, seconds=5.0), ConstantSpeed())
    assert all(step.speed == pytest.approx(7.0, abs=1e-6) and step.steering == 0.0 for step in trace.steps)
    assert run(env_for(ConstantSpeed(), speed=7.0, tracks=track(20.0, 0.0)), ConstantSpeed()).ending == "collision"


def test_negative_constants_are_refused() -> None:
    with pytest.raises(ValueError, match="headway: found -1.0, accepted a positive number"):
        IdmPlanner(headway=-1.0)
