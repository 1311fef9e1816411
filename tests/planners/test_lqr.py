"""The tracker: straight lines, circles, speeds."""

from __future__ import annotations

import numpy as np
import pytest

from planners.bicycle import SPEED, STEERING, bicycle_step
from planners.lqr import LqrConfig, track

WHEELBASE, CONFIG = 2.6, LqrConfig()


def reference(start: float, count: int, speed: float, curvature: float) -> np.ndarray:
    """Points [1, count, 5] at constant speed on a line or a circle through the origin, from `start` [m] on."""
    s = start + speed * CONFIG.dt * np.arange(count)
    heading = curvature * s
    radius = 1.0 / curvature if curvature else np.inf
    x = radius * np.sin(heading) if curvature else s
    y = radius * (1.0 - np.cos(heading)) if curvature else np.zeros(count)
    return np.stack([x, y, heading, np.full(count, speed), np.full(count, curvature)], axis=-1)[None]


def drive(state: np.ndarray, speed: float, curvature: float, steps: int) -> np.ndarray:
    """State [5] after tracking a moving reference."""
    for step in range(steps):
        window = reference(step * speed * CONFIG.dt, CONFIG.horizon + 1, speed, curvature)
        acceleration, rate = track(CONFIG, state, window, WHEELBASE)
        state = bicycle_step(state, acceleration, state[:, STEERING] + CONFIG.dt * rate, WHEELBASE, CONFIG.dt)
    return state[0]


@pytest.mark.parametrize("speed", [3.0, 8.0, 14.0])
@pytest.mark.parametrize("offset", [-1.0, 1.0])
def test_converges_to_a_straight_line(speed: float, offset: float) -> None:
    state = drive(np.array([[0.0, offset, 0.0, speed, 0.0]]), speed, 0.0, 200)
    np.testing.assert_allclose(state[1:], [0.0, 0.0, speed, 0.0], atol=0.02)


def test_holds_a_circle_with_the_angle_of_its_radius() -> None:
    curvature, speed = 1.0 / 25.0, 6.0
    angle = float(np.arctan(WHEELBASE * curvature))
    state = drive(np.array([[0.0, 0.0, 0.0, speed, angle]]), speed, curvature, 150)
    assert np.hypot(state[0], state[1] - 25.0) == pytest.approx(25.0, abs=0.15)
    assert state[STEERING] == pytest.approx(angle, abs=0.01)


def test_acceleration_is_the_least_squares_step() -> None:
    # q (v + T a - v_ref)^2 + r a^2 is least at q T (v_ref - v) / (q T^2 + r), 10 / 11 of the difference at T = 1 s.
    state = np.array([[0.0, 0.0, 0.0, 5.0, 0.0]])
    acceleration, rate = track(CONFIG, state, reference(0.0, 11, 6.1, 0.0), WHEELBASE)
    assert acceleration[0] == pytest.approx(1.0) and rate[0] == 0.0


def test_comes_to_rest_where_its_reference_does() -> None:
    state = drive(np.array([[0.0, 0.0, 0.0, 0.15, 0.3]]), 0.0, 0.0, 100)
    assert state[SPEED] < 0.01 and state[STEERING] == pytest.approx(0.3)
