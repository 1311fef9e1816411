"""Small recordings that the tests of learning policies learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivesim.recording.disturbance import DisturbanceConfig
from drivesim.recording.plan import RecordPlan
from drivesim.recording.runner import record


def recorded(out: Path, **changes: Any) -> Path:
    """Three drives of 2 s by the lane follower; the folder of episodes."""
    settings: dict[str, Any] = {
        "policy": "planners.lane_follower:LaneFollower", "episodes": 3, "seconds": 2.0,
        "env": {"generator": None, "source_options": {"density": 8}}, "disturbance": DisturbanceConfig(1.0),
    }  # fmt: skip
    folder = record(RecordPlan(**(settings | changes)), out).episodes
    assert folder is not None
    return folder
