"""Others as rectangles, and what they take up of a path."""

from __future__ import annotations

import numpy as np

from drivesim.geometry import box_footprints
from planners.obstacles import Obstacles, drivable, occupancy
from planners.route_geometry import Path

LINE = Path(np.column_stack([np.linspace(0.0, 100.0, 51), np.zeros(51)]))


def box(x: float, y: float, yaw: float = 0.0, vx: float = 0.0, vy: float = 0.0, kind: int = 0) -> np.ndarray:
    """A row of `boxes` 2 m wide and 4 m long."""
    return np.array([x, y, 0.75, 2.0, 4.0, 1.5, yaw, vx, vy, kind])


def others(*rows: np.ndarray) -> Obstacles:
    table = np.zeros((64, 10))
    table[:, 9] = -1.0
    table[: len(rows)] = np.reshape(rows, (-1, 10))
    return Obstacles.of(table)


def test_corners_are_those_of_the_footprint() -> None:
    some = others(box(3.0, -2.0, 0.7), box(10.0, 4.0, -2.0, kind=5))
    expected = box_footprints(np.pad(some.position, ((0, 0), (0, 1))), np.array([[2.0, 4.0, 1.5]] * 2), some.heading)
    np.testing.assert_allclose(some.outline[:, ::2], expected, atol=1e-12)
    assert some.agent.tolist() == [True, False]  # a barrier is no road user


def test_occupancy_of_a_path() -> None:
    some = others(box(20.0, 0.0, vx=3.0), box(40.0, 5.0, np.pi / 2, vy=-2.5), box(60.0, 2.5))
    taken = occupancy(LINE, some, np.array([0.0, 2.0]))
    np.testing.assert_allclose(taken.begin, [[18.0, 39.0, 58.0], [24.0, 39.0, 58.0]], atol=1e-9)
    np.testing.assert_allclose(taken.end, [[22.0, 41.0, 62.0], [28.0, 41.0, 62.0]], atol=1e-9)
    np.testing.assert_allclose(taken.speed[0], [3.0, 0.0, 0.0], atol=1e-9)
    # The crossing one is 3 m away at first and in the way 2 s later; the parked one ends 1.5 m left of the line.
    assert taken.blocks(0.0, 1.4).tolist() == [[True, False, False], [True, True, False]]
    assert taken.blocks(0.0, 1.6)[0].tolist() == [True, False, True]
    assert taken.blocks(-1.0, 1.6)[0].tolist() == [True, False, False]


def test_nearness_counts_motion() -> None:
    some = others(box(50.0, 30.0), box(50.0, 30.0, vy=-10.0))
    assert some.near(LINE.points, 5.0, 3.0).tolist() == [False, True]


def test_drivable_looks_up_cells_and_trusts_what_it_cannot_see() -> None:
    area = np.zeros((160, 200), np.uint8)
    area[80, 40] = 1  # x from 0 to 0.5 m, y likewise
    points = np.array([[0.25, 0.25], [-0.25, 0.25], [0.25, -0.25], [200.0, 0.0]])
    assert drivable(area, points).tolist() == [True, False, False, True]
