"""Places along a route against plain geometry."""

from __future__ import annotations

import math

import pytest
import torch

from agents.route_frame import along_route

STRAIGHT = torch.stack([2.0 * torch.arange(1, 21), torch.zeros(20)], -1)[None]


def test_straight_ahead_is_the_ego_frame() -> None:
    points = torch.tensor([[[12.3, -1.5], [-4.0, 2.0], [60.0, 3.0]]])
    places, direction = along_route(points, STRAIGHT)
    torch.testing.assert_close(places, points)
    torch.testing.assert_close(direction, torch.tensor([1.0, 0.0]).expand(1, 3, 2))


def test_on_a_circle_distance_is_arc_length_and_offset_is_distance_to_it() -> None:
    radius = 30.0
    angle = 2.0 * torch.arange(1, 21) / radius
    circle = torch.stack([radius * angle.sin(), radius * (1.0 - angle.cos())], -1)[None]
    at, aside = 20.0 / radius, 2.5  # to the left is to the centre
    point = torch.tensor([(radius - aside) * math.sin(at), radius - (radius - aside) * math.cos(at)])
    places, direction = along_route(point[None, None], circle)
    assert places[0, 0, 0].item() == pytest.approx(20.0, abs=0.1)
    assert places[0, 0, 1].item() == pytest.approx(aside, abs=0.03)
    assert math.atan2(*direction[0, 0].flip(0).tolist()) == pytest.approx(at, abs=1.0 / radius)
