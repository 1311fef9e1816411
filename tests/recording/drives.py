"""A small recording in both formats for the tests that read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivesim.recording.disturbance import DisturbanceConfig
from drivesim.recording.plan import RecordPlan

SIZE = (24, 40)
ENV = {"generator": "layout", "image_size": SIZE, "source_options": {"density": 8}}


def small_plan(**changes: Any) -> RecordPlan:
    """Two drives of 1.25 s in flat colours, disturbed often."""
    settings: dict[str, Any] = {
        "policy": "planners.lane_follower:LaneFollower", "env": ENV, "episodes": 2, "seconds": 1.25,
        "disturbance": DisturbanceConfig(1.0, calm=0.4),
    }  # fmt: skip
    return RecordPlan(**(settings | changes))


def files(folder: Path) -> dict[str, bytes]:
    """Content of every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
