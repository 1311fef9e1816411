"""Every planner in towns that nobody has seen."""

from __future__ import annotations

import pytest

from planners.idm import IdmPlanner
from planners.lane_follower import LaneFollower
from planners.mpc import MpcPlanner
from planners.pdm_closed import PdmClosed
from planners.search import SearchPlanner
from tests.planners.roads import town_drive

DRIVES = [
    *((LaneFollower, town, 20.0) for town in (900_000, 900_002, 900_004)),
    *((IdmPlanner, town, 20.0) for town in (900_000, 900_002, 900_004)),
    *((PdmClosed, town, 20.0) for town in (900_000, 900_002, 900_004)),
    *((MpcPlanner, town, 8.0) for town in (900_000, 900_002)),
    *((SearchPlanner, town, 6.0) for town in (900_000, 900_002)),
]


@pytest.mark.parametrize(("planner", "town", "seconds"), DRIVES)
def test_stays_on_the_road_and_hits_nobody_by_its_own_fault(planner: type, town: int, seconds: float) -> None:
    trace = town_drive(planner(), town, seconds)
    assert trace.ending != "off_road"
    assert not any(hit["at_fault"] for hit in trace.steps[-1].events["collisions"])
    assert trace.summary()["distance"] > 2.0 * seconds
