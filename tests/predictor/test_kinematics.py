"""Motion along arcs, at values that are known."""

from __future__ import annotations

import math

import pytest
import torch

from drivesim.predictor.features import along_way, way_features
from drivesim.predictor.kinematics import advance, control_between
from drivesim.predictor.layout import FAR, STOPS, WAY_POINTS, WAY_SPACING, Layouts, Ways


def test_control_is_the_inverse_of_motion() -> None:
    torch.manual_seed(0)
    yaw, speed = torch.randn(50), 3.0 + 10.0 * torch.rand(50)
    acceleration, curvature = 4.0 * torch.rand(50) - 2.0, 0.4 * torch.rand(50) - 0.2
    _, turned, after = advance(torch.zeros(50, 2), yaw, speed, acceleration, curvature, 0.25)
    found = control_between(yaw, speed, turned, after, 0.25)
    assert torch.allclose(found[0], acceleration, atol=1e-4)
    assert torch.allclose(found[1], curvature, atol=1e-4)


def test_a_circle_closes_and_nobody_rolls_backwards() -> None:
    position, yaw, speed = torch.zeros(1, 2), torch.zeros(1), torch.full((1,), 5.0)
    radius, steps = 20.0, 400
    for _ in range(steps):
        dt = 2.0 * math.pi * radius / 5.0 / steps
        position, yaw, speed = advance(position, yaw, speed, torch.zeros(1), torch.full((1,), 1.0 / radius), dt)
    assert position.abs().max() < 1e-2
    assert float(yaw) == pytest.approx(2.0 * math.pi, abs=1e-3)
    place, _, stopped = advance(position, yaw, speed, torch.full((1,), -50.0), torch.zeros(1), 0.25)
    assert float(stopped) == 0.0
    assert float((place - position).norm()) < 5.0 * 0.25


def circling(radius: float, angle: float, shift: tuple[float, float] = (0.0, 0.0)) -> Layouts:
    """One road user on a way around a circle, everything turned by an angle and shifted."""
    arc = (WAY_SPACING * torch.arange(WAY_POINTS) - 10.0) / radius
    points = torch.stack([radius * arc.sin(), radius * (1.0 - arc.cos())], -1)
    c, s = math.cos(angle), math.sin(angle)
    points = points @ torch.tensor([[c, s], [-s, c]]) + torch.tensor(shift)
    one = torch.ones(1, 1)
    ways = Ways(points[None, None], torch.full((1, 1, WAY_POINTS), 9.0), torch.full((1, 1, STOPS), FAR), one > 0)
    return Layouts(
        torch.tensor(shift)[None, None], angle * one, 5.0 * one, 0.0 * one, 0.0 * one, torch.tensor([[[1.8, 4.0]]]),
        torch.zeros(1, 1, dtype=torch.long), one > 0, ways,
    )  # fmt: skip


def test_pursuit_has_the_curvature_of_the_way() -> None:
    _, pursuit, along = way_features(circling(25.0, 0.0))
    assert float(pursuit) == pytest.approx(1.0 / 25.0, rel=0.03)  # points lie on chords
    assert float(along) == pytest.approx(10.0, abs=1e-3)


def test_features_do_not_depend_on_where_north_is() -> None:
    here, there = way_features(circling(25.0, 0.0)), way_features(circling(25.0, 2.0, (40.0, -70.0)))
    assert torch.allclose(here[0], there[0], atol=1e-3)


def test_places_beside_a_way() -> None:
    ways = circling(1e6, 0.0).ways
    along, beside, direction = along_way(ways, torch.tensor([[[[3.3, 1.5], [7.0, -2.0]]]]))
    assert torch.allclose(along, torch.tensor([[[13.3, 17.0]]]), atol=1e-2)
    assert torch.allclose(beside, torch.tensor([[[1.5, -2.0]]]), atol=1e-2)
    assert torch.allclose(direction[..., 0], torch.ones(1, 1, 2), atol=1e-4)
