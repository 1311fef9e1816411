"""Maps as cells, where they are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from drivesim.predictor.beyond.grid import (
    AHEAD,
    CLASSES,
    LANE_CENTRE,
    ROAD,
    SIDE,
    cell_centres,
    cells_inside,
    grid_of,
    to_global,
    to_local,
)
from tests.roads import RoadLane, road_map


def test_local_is_the_inverse_of_global() -> None:
    points, pose = np.random.default_rng(0).normal(size=(5, 3, 2)), np.array([3.0, -2.0, 0.7])
    assert np.allclose(to_local(to_global(points, pose), pose), points)
    assert np.allclose(to_global(np.array([1.0, 0.0]), np.array([5.0, 6.0, np.pi / 2])), (5.0, 7.0))


def test_the_first_cell_is_far_ahead_on_the_left() -> None:
    assert cell_centres()[0, 0].tolist() == [AHEAD - 0.5, SIDE / 2 - 0.5]
    assert cell_centres()[-1, -1].tolist() == [AHEAD - SIDE + 0.5, 0.5 - SIDE / 2]


@pytest.mark.parametrize("heading", [0.0, np.pi / 2, 2.0])
def test_a_straight_road_is_a_stripe_from_any_heading(heading: float) -> None:
    ahead = 200.0 * np.array([np.cos(heading), np.sin(heading)])
    lane = RoadLane(1, tuple(-ahead), tuple(ahead))
    stop = shapely.LineString([0.2 * ahead, 0.21 * ahead]).buffer(1.75, cap_style="flat")
    patch = grid_of(road_map([lane], stop_line=stop)).patch(np.array([0.0, 0.0, heading]))
    assert patch.shape == (len(CLASSES), SIDE, SIDE)
    across = np.flatnonzero(patch[ROAD].mean(1 - 1) > 0.5)
    assert SIDE // 2 - 2 <= across.min() and across.max() <= SIDE // 2 + 1 and len(across) in (3, 4)
    assert patch[LANE_CENTRE].any(1).all()
    assert np.flatnonzero(patch[LANE_CENTRE].any(0)).tolist() in ([47, 48], [47], [48])
    rows = np.flatnonzero(patch[CLASSES.index("stop_line")].any(1))
    assert cell_centres()[rows, 0, 0].min() > 39.0 and cell_centres()[rows, 0, 0].max() < 43.0
    assert not patch[CLASSES.index("walkway")].any()


def test_an_area_ahead_is_in_the_upper_rows() -> None:
    inside = cells_inside(shapely.box(-100.0, 0.0, 100.0, 200.0), np.array([0.0, 0.0, np.pi / 2]))
    assert inside[: int(AHEAD)].all() and not inside[int(AHEAD) :].any()
