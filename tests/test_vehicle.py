"""Kinematic bicycle: closed forms, limits at their boundaries, the inverse and the tracker."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from drivesim.scene import EgoState
from drivesim.vehicle import KinematicBicycle, VehicleLimits

VEHICLE = KinematicBicycle()
LIMITS = VEHICLE.limits
DT = 1.0 / 12.0


def at_rest() -> EgoState:
    return EgoState.at(10.0, -5.0, 0.4)


def test_straight_acceleration_is_half_a_t_squared() -> None:
    ego = EgoState.at(0.0, 0.0, 0.0, speed=5.0)
    for _ in range(24):
        ego = VEHICLE.step(ego, 1.5, 0.0, DT)
    assert ego.speed == pytest.approx(5.0 + 1.5 * 2.0)
    assert ego.xy == pytest.approx([5.0 * 2.0 + 0.5 * 1.5 * 4.0, 0.0])


def test_constant_steering_drives_a_circle_of_radius_wheelbase_over_tangent() -> None:
    steering = 0.2
    radius = VEHICLE.shape.wheelbase / math.tan(steering)
    start = replace(EgoState.at(0.0, 0.0, 0.0, speed=6.0), steering=steering)
    steps = 200
    dt = 2.0 * math.pi * radius / 6.0 / steps
    ego, places = start, []
    for _ in range(steps):
        ego = VEHICLE.step(ego, 0.0, steering, dt)
        places.append(ego.xy)
    assert ego.pose == pytest.approx(start.pose, abs=1e-9)
    distance = np.linalg.norm(np.array(places) - [0.0, radius], axis=1)
    assert distance == pytest.approx(np.full(steps, radius))
    assert ego.yaw_rate == pytest.approx(6.0 / radius)


def test_one_long_step_equals_many_short_ones() -> None:
    start = replace(EgoState.at(3.0, 4.0, 1.0, speed=8.0), steering=0.3)
    once, often = VEHICLE.step(start, -1.0, 0.3, 1.0), start
    for _ in range(100):
        often = VEHICLE.step(often, -1.0, 0.3, 0.01)
    assert often.pose == pytest.approx(once.pose)
    assert often.speed == pytest.approx(once.speed)


def test_braking_stops_within_the_step_and_never_reverses() -> None:
    ego = VEHICLE.step(EgoState.at(0.0, 0.0, 0.0, speed=0.2), -4.0, 0.0, DT)
    assert ego.speed == 0.0
    assert ego.xy[0] == pytest.approx(0.2**2 / (2 * 4.0))
    assert VEHICLE.step(ego, -4.0, 0.0, DT).pose == pytest.approx(ego.pose)


def test_reverse_is_a_setting() -> None:
    reversing = KinematicBicycle(limits=VehicleLimits(min_speed=-3.0))
    ego = reversing.step(at_rest(), -1.0, 0.0, 1.0)
    assert ego.speed == -1.0
    assert reversing.step(ego, -8.0, 0.0, 1.0).speed == -3.0


@pytest.mark.parametrize("command", [0.999, 1.0, 1.001, 50.0])
def test_commands_are_cut_at_the_limits(command: float) -> None:
    ego = EgoState.at(0.0, 0.0, 0.0, speed=10.0)
    assert VEHICLE.step(ego, command * LIMITS.max_acceleration, 0.0, DT).acceleration == pytest.approx(
        min(command, 1.0) * LIMITS.max_acceleration
    )
    assert VEHICLE.step(ego, -command * LIMITS.max_braking, 0.0, DT).acceleration == pytest.approx(
        -min(command, 1.0) * LIMITS.max_braking
    )
    turning = replace(ego, steering=LIMITS.max_steering)
    assert VEHICLE.step(turning, 0.0, command * LIMITS.max_steering, DT).steering == pytest.approx(
        min(command, 1.0) * LIMITS.max_steering
    )


def test_steering_changes_no_faster_than_its_rate() -> None:
    reach = LIMITS.max_steering_rate * DT
    ego = VEHICLE.step(EgoState.at(0.0, 0.0, 0.0, speed=3.0), 0.0, 1.0, DT)
    assert ego.steering == pytest.approx(reach)
    assert VEHICLE.step(ego, 0.0, -1.0, DT).steering == pytest.approx(0.0)


def test_speed_ends_at_its_limit_within_the_step() -> None:
    ego = VEHICLE.step(EgoState.at(0.0, 0.0, 0.0, speed=29.9), 3.0, 0.0, 1.0)
    rise = 0.1 / 3.0
    assert ego.speed == LIMITS.max_speed
    assert ego.xy[0] == pytest.approx(29.95 * rise + 30.0 * (1.0 - rise))


def test_pose_stays_level_at_its_height() -> None:
    pose = at_rest().pose.copy()
    pose[2, 3] = 3.5
    ego = VEHICLE.step(EgoState(pose, speed=4.0), 1.0, 0.1, DT)
    assert ego.pose[2].tolist() == [0.0, 0.0, 1.0, 3.5]
    assert ego.pose[:3, :3] @ ego.pose[:3, :3].T == pytest.approx(np.eye(3))


@pytest.mark.parametrize("command", [(math.nan, 0.0), (0.0, math.inf)])
def test_commands_that_are_not_finite_are_refused(command: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="accepted finite numbers"):
        VEHICLE.step(at_rest(), *command, DT)


def test_inverse_is_the_identity_within_limits() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        before = replace(
            EgoState.at(*rng.uniform(-2000.0, 2000.0, 2), rng.uniform(-math.pi, math.pi), rng.uniform(1.0, 25.0)),
            steering=rng.uniform(-0.5, 0.5),
        )
        acceleration = rng.uniform(-LIMITS.max_braking, LIMITS.max_acceleration)
        steering = before.steering + rng.uniform(-1.0, 1.0) * LIMITS.max_steering_rate * DT
        after = VEHICLE.step(before, acceleration, steering, DT)
        assert VEHICLE.inverse(before, after, DT) == pytest.approx((acceleration, steering), abs=1e-9)


def test_inverse_of_a_stop_within_the_step() -> None:
    before = EgoState.at(0.0, 0.0, 0.0, speed=0.3)
    after = VEHICLE.step(before, -6.0, 0.0, DT)
    assert after.speed == 0.0
    assert VEHICLE.inverse(before, after, DT)[0] == pytest.approx(-6.0)


def test_inverse_of_standing_takes_the_steering_that_is_told() -> None:
    before = at_rest()
    assert VEHICLE.inverse(before, VEHICLE.step(before, 0.0, 0.05, DT), DT) == pytest.approx((0.0, 0.05))


def arc(speed: float, acceleration: float, steering: float, duration: float, count: int) -> np.ndarray:
    """Waypoints [count, 3] of a drive with constant control from the origin."""
    points = []
    curvature = math.tan(steering) / VEHICLE.shape.wheelbase
    for time in duration * np.arange(1, count + 1) / count:
        travel = speed * time + 0.5 * acceleration * time * time
        angle = curvature * travel
        x, y = (math.sin(angle) / curvature, (1.0 - math.cos(angle)) / curvature) if curvature else (travel, 0.0)
        points.append((x, y, angle))
    return np.array(points)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("steering", [0.0, 0.08, -0.15])
@pytest.mark.parametrize("acceleration", [-2.0, 0.0, 1.2])
def test_tracker_is_exact_on_arcs(count: int, steering: float, acceleration: float) -> None:
    ego = EgoState.at(50.0, 20.0, 2.0, speed=9.0)
    found = VEHICLE.track(ego, arc(9.0, acceleration, steering, 3.0, count), 3.0)
    assert found == pytest.approx((acceleration, steering), abs=1e-9)


def test_tracker_at_rest_keeps_the_wheels() -> None:
    ego = replace(at_rest(), steering=0.2)
    assert VEHICLE.track(ego, np.zeros((3, 3)), 1.0) == pytest.approx((0.0, 0.2))


@pytest.mark.parametrize("waypoints", [np.zeros((3, 2)), np.zeros((0, 3)), np.full((2, 3), np.nan)])
def test_tracker_refuses_other_waypoints(waypoints: np.ndarray) -> None:
    with pytest.raises(ValueError, match="waypoints: found shape"):
        VEHICLE.track(at_rest(), waypoints, 1.0)
