"""Curves between poses: many at a time are what each is alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drivesim.town.curves import sharpest_curvatures, steps
from drivesim.town.turns import Arc, Cubic, bezier, drawn, turn


def some_turns() -> list[Arc | Cubic]:
    rng = np.random.default_rng(5)
    start = rng.uniform((-300.0, -300.0, -3.0), (300.0, 300.0, 3.0), (40, 3))
    way = rng.uniform(10.0, 30.0, 40)[:, None] * np.stack([np.cos(start[:, 2]), np.sin(start[:, 2])], axis=-1)
    end = np.column_stack([start[:, :2] + way, start[:, 2] + rng.uniform(-1.5, 1.5, 40)])
    cubics = [bezier(*poses, 0.4, 3 + row) for row, poses in enumerate(zip(start[:20], end[:20], strict=True))]
    return [*map(turn, start, end), *cubics]


def test_curves_drawn_together_are_those_drawn_alone() -> None:
    turns = some_turns()
    assert {type(one) for one in turns} == {Arc, Cubic}
    for together, one in zip(drawn(turns), turns, strict=True):
        (alone,) = drawn([one])
        np.testing.assert_array_equal(together, alone)


def test_sharpest_curvature_does_not_look_from_one_curve_to_the_next() -> None:
    curves = drawn(some_turns())
    for found, curve in zip(sharpest_curvatures(curves), curves, strict=True):
        assert found == (np.abs(np.diff(curve[:, 2])) / steps(curve)).max()


def test_an_arc_is_as_long_as_its_parts() -> None:
    arc = Arc(1.0, 2.0, 0.5, 0.5 * math.pi, 10.0, 20.0, 8.0)  # radius 8 m
    (curve,) = drawn([arc])
    assert steps(curve).sum() == pytest.approx(10.0 + 4.0 * math.pi + 20.0, rel=0.01)
    assert curve[-1, 2] == pytest.approx(0.5 + 0.5 * math.pi)
    ahead, aside = np.array([math.cos(0.5), math.sin(0.5)]), np.array([-math.sin(0.5), math.cos(0.5)])
    np.testing.assert_allclose(curve[-1, :2], np.array([1.0, 2.0]) + (10.0 + 8.0) * ahead + (8.0 + 20.0) * aside)
