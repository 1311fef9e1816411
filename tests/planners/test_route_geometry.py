"""The route as a curve, against circles and straight lines."""

from __future__ import annotations

import numpy as np
import pytest

from planners.route_geometry import Path, pure_pursuit, route_path, speed_profile

RADIUS = 20.0  # [m]


def circle(step: float = 0.02) -> np.ndarray:
    """Half a circle to the left that begins at the origin along x."""
    angle = np.arange(0.0, np.pi, step)
    return RADIUS * np.stack([np.sin(angle), 1.0 - np.cos(angle)], axis=-1)


def test_places_beside_a_circle_lie_on_a_smaller_one() -> None:
    path = Path(circle())
    s = np.linspace(5.0, 55.0, 20)
    poses = path.at(s, 2.0)
    np.testing.assert_allclose(np.hypot(poses[:, 0], poses[:, 1] - RADIUS), RADIUS - 2.0, atol=1e-2)
    np.testing.assert_allclose(poses[:, 2], s / RADIUS, atol=1e-2)
    np.testing.assert_allclose(path.values_at(s, path.curvature), 1.0 / RADIUS, rtol=1e-2)


def test_projection_inverts_places() -> None:
    path, s, offset = Path(circle()), np.linspace(3.0, 50.0, 15), np.linspace(-1.5, 1.5, 15)
    along, left, _ = path.project(path.at(s, offset)[:, :2])
    np.testing.assert_allclose(along, s, atol=0.05)
    np.testing.assert_allclose(left, offset, atol=0.02)


def test_path_goes_on_straight_beyond_its_ends() -> None:
    path = Path(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]]))
    assert path.length == 4.0
    np.testing.assert_allclose(path.at(np.array([-2.0, 9.0]), 1.0), [[-2.0, 1.0, 0.0], [9.0, 1.0, 0.0]])
    with pytest.raises(ValueError, match="Path: found 2 points at one place"):
        Path(np.zeros((2, 2)))


def test_speed_profile_keeps_lateral_acceleration_and_brakes_in_time() -> None:
    bend = Path(circle())
    speed = speed_profile(bend, np.zeros(len(bend.points)), 30.0, 2.0, 1.5)
    assert speed[len(speed) // 2] == pytest.approx(np.sqrt(2.0 * RADIUS), rel=0.01)
    line = Path(np.column_stack([np.arange(0.0, 101.0), np.zeros(101)]))
    speed = speed_profile(line, np.where(line.along < 100.0, 14.0, 4.0), 30.0, 2.0, 1.5)
    assert speed[-1] == 4.0 and speed[0] == 14.0
    assert speed[80] == pytest.approx(np.sqrt(4.0**2 + 2.0 * 1.5 * 20.0))  # v^2 = u^2 + 2 b s


def test_pure_pursuit_finds_the_wheel_angle_of_a_circle() -> None:
    assert pure_pursuit(circle(), 8.0, 2.6) == pytest.approx(np.arctan(2.6 / RADIUS), rel=1e-3)
    assert pure_pursuit(np.array([[2.0, 0.0], [4.0, 0.0]]), 30.0, 2.6) == 0.0


def test_route_path_keeps_the_limits_of_its_points() -> None:
    line = np.zeros((64, 5))
    line[:, 0] = np.minimum(2.0 * np.arange(64), 60.0)  # held at its end
    line[:, 4] = np.arange(64)
    path, limits = route_path(line)
    assert len(path.points) == len(limits) == 31 and path.length == 60.0 and limits[30] == 30.0
