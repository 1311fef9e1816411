"""Every planner in towns that nobody has seen."""

from __future__ import annotations

import pytest

from planners.idm import IdmPlanner
from planners.lane_follower import LaneFollower
from planners.mpc import MpcPlanner
from planners.pdm_closed import PdmClosed
from planners.search import SearchPlanner
from tests.planners.roads import town_drive

DURATION = {LaneFollower: 20.0, IdmPlanner: 20.0, PdmClosed: 20.0, MpcPlanner: 8.0, SearchPlanner: 5.0}  # [s]


@pytest.mark.parametrize("planner", DURATION)
@pytest.mark.parametrize("town", [900_000, 900_002])
def test_stays_on_the_road_and_hits_nobody_by_its_own_fault(planner: type, town: int) -> None:
    trace = town_drive(planner(), town, DURATION[planner])
    assert trace.ending != "off_road"
    assert not any(hit["at_fault"] for hit in trace.steps[-1].events["collisions"])
    assert trace.summary()["distance"] > 2.0 * DURATION[planner]
