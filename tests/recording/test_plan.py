"""What can be asked for, and where the drives of a recording take place."""

from __future__ import annotations

from typing import Any

import pytest

from drivesim.recording.disturbance import DisturbanceConfig
from drivesim.recording.plan import RecordPlan

POLICY = "planners.lane_follower:LaneFollower"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"formats": ()}, r"formats: found \[\], accepted one or more of"),
        ({"formats": ("rosbag",)}, "formats: found .'rosbag'."),
        ({"episodes": 0}, "episodes, first: found 0, 0"),
        ({"first": -1}, "found 10, -1"),
        ({"seconds": 0.0}, "seconds: found 0.0"),
        ({"seconds": float("nan")}, "seconds: found nan"),
        ({"pictures_every": 0}, "pictures_every: found 0"),
        ({"pictures_every": 6}, "found 6 with generator 'stage', accepted 1, or a generator without memory"),
        ({"pictures_every": 6, "env": {"generator": "raycast"}, "conditions": True}, "conditions: found True"),
        ({"formats": ("nuscenes",), "env": {"generator": None}}, "accepted a generator that draws every picture"),
        ({"formats": ("nuscenes",), "episodes": 2000}, "episodes, seconds: drives: found 2000"),
        ({"disturbance": DisturbanceConfig(-1.0)}, "disturbance: found -1.0"),
    ],
)
def test_what_cannot_be_recorded_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecordPlan(POLICY, **settings)


def test_every_episode_has_its_own_town_unless_told_where_to_drive() -> None:
    assert RecordPlan(POLICY).drive(7) == (7, {"town": 7})
    assert RecordPlan(POLICY, options={"town": 3, "weather": None}).drive(7) == (7, {"town": 3})
    assert RecordPlan(POLICY, env={"source": "nuscenes"}).drive(7) == (7, {})


def test_a_scenario_is_played_in_a_variant_of_its_own() -> None:
    assert RecordPlan(POLICY, options={"scenario": "cut_in_01"}).drive(7)[1] == {"scenario": "cut_in_01", "variant": 7}
    fixed = RecordPlan(POLICY, options={"scenario": "cut_in_01", "variant": 2})
    assert fixed.drive(7)[1] == {"scenario": "cut_in_01", "variant": 2}
