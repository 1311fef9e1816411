"""Driving along the route: against the geometry of straight roads and circles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from drivesim.env import DriveWorldEnv
from drivesim.road_ahead import FALLBACK_SPEED, LATERAL_ACCELERATION
from drivesim.route_action import JERK, RESPONSE, AlongRoute
from drivesim.scene import EgoState
from drivesim.vehicle import KinematicBicycle
from tests.straight_road import StraightRoad, StraightRoute, StraightWorld

RADIUS = 25.0  # [m]


@dataclass
class Circle(StraightRoad):
    """The same world with a route that turns left for ever, from the origin on."""

    def reset(self, seed: int, options: dict | None) -> StraightWorld:
        """Ego at the origin."""
        angle = np.arange(-5, 400) * 2.0 / RADIUS
        points = np.stack([RADIUS * np.sin(angle), RADIUS * (1.0 - np.cos(angle)), angle], axis=-1)
        world = super().reset(seed, options)
        return replace(world, route=StraightRoute(points), scene=replace(world.scene, map=None))


def env_on(source: StraightRoad, **settings: Any) -> DriveWorldEnv:
    env = DriveWorldEnv(source=source, generator=None, action="route", observation=("state_vector",), **settings)
    env.reset(seed=0)
    return env


def test_free_speed_of_a_straight_road_is_the_limit() -> None:
    assert env_on(StraightRoad()).road.free_speed == pytest.approx(FALLBACK_SPEED)


def test_free_speed_of_a_bend_is_what_the_lateral_acceleration_allows() -> None:
    road = env_on(Circle()).road
    np.testing.assert_allclose(road.curvature[:-1], 1.0 / RADIUS, rtol=0.01)
    assert road.free_speed == pytest.approx(np.sqrt(LATERAL_ACCELERATION * RADIUS), rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_speed_settles_at_the_share(share: float) -> None:
    env = env_on(StraightRoad(speed=6.0))
    for _ in range(12 * 15):
        env.step(AlongRoute.action(share, 0.0))
    assert env.scene.ego.speed == pytest.approx(share * FALLBACK_SPEED, abs=0.05)


@pytest.mark.parametrize("offset", [-1.2, 0.0, 1.5])
def test_ego_settles_beside_the_route(offset: float) -> None:
    env = env_on(StraightRoad(speed=6.0))
    for _ in range(12 * 12):
        env.step(AlongRoute.action(0.6, offset))
    assert env.scene.ego.xy[1] == pytest.approx(offset, abs=0.02)
    assert env.scene.ego.yaw == pytest.approx(0.0, abs=0.01)


def test_ego_stays_on_a_circle() -> None:
    env = env_on(Circle(speed=6.0))
    for _ in range(12 * 10):
        _, _, terminated, _, info = env.step(AlongRoute.action(1.0, 0.0))
    assert not terminated and abs(info["metrics"]["route_offset"]) < 0.5


def test_jerk_is_bounded_unless_it_brakes_hard() -> None:
    env = env_on(StraightRoad(speed=8.0))
    action, dt = AlongRoute(KinematicBicycle()), 1.0 / 12.0
    for share in (0.5, 1.0):  # from 8 m/s: mild braking, then speeding up
        (acceleration, _), *_ = action.act(action.action(share, 0.0), env.scene.ego, env.road)
        assert abs(acceleration) == pytest.approx(JERK * dt)
    (acceleration, _), *_ = action.act(action.action(0.0, 0.0), env.scene.ego, env.road)
    assert acceleration == pytest.approx(-8.0 / RESPONSE)  # the vehicle cuts it to its limit


@pytest.mark.parametrize("source", [StraightRoad(speed=7.0), Circle(speed=7.0)])
def test_inverse_gives_the_action_back(source: StraightRoad) -> None:
    env = env_on(source)
    action = AlongRoute(KinematicBicycle())
    ego = replace(env.scene.ego, acceleration=-0.5)
    road = replace(env.road, scene=replace(env.scene, ego=ego))
    for offset in (-0.5, 0.0, 0.3):
        wanted = action.action(7.0 / road.free_speed, offset)
        (acceleration, steering), *_ = action.act(wanted, ego, road)
        np.testing.assert_allclose(action.inverse(acceleration, steering, road), wanted, atol=0.05)


def test_road_is_needed() -> None:
    with pytest.raises(ValueError, match="action: found 'route' without a road"):
        AlongRoute(KinematicBicycle()).act(np.zeros(2), EgoState.at(0.0, 0.0, 0.0))
