"""Conflicts and obstacles found piece by piece are those found on the whole map at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.town.town import Town
from drivesim.traffic.tables import lane_tables


@pytest.mark.parametrize("seed", range(3))
def test_marks_put_together_are_those_made_at_once(seed: int) -> None:
    window = Town(seed).window(np.array([60.0, 60.0]))
    pieces = lane_tables(window.map, window.parked)
    at_once = lane_tables(replace(window.map), window.parked)  # another map object, of which no pieces are known
    for name in ("conflict_in", "conflict_out", "blocked", "place_s", "place", "rank", "controlled"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(at_once, name))
    assert (pieces.conflict_in < np.inf).sum() > 500
    assert set(np.flatnonzero(pieces.rank >= 0)) <= set(np.flatnonzero(pieces.controlled))


def test_lanes_are_blocked_by_road_works() -> None:
    towns = [Town(seed).window(np.array([60.0, 60.0])) for seed in range(3)]
    blocked = sum(int((lane_tables(one.map, one.parked).blocked < np.inf).sum()) for one in towns)
    assert blocked > 0
