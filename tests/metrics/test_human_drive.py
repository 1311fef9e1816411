"""People who recorded nuScenes drive well, and others can be compared with them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from drivesim.data.nuscenes import NuScenesSource
from drivesim.env import DriveWorldEnv
from drivesim.metrics.aggregates import Reference
from drivesim.metrics.human_drive import human_drive
from drivesim.metrics.progress import route_progress
from drivesim.metrics.recorder import DriveRecorder
from drivesim.metrics.score import score
from drivesim.rollout import run
from planners.lane_follower import LaneFollower
from tests.data.toy import write_toy

SHARED = Path(os.environ.get("DRIVESIM_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@pytest.fixture(scope="module")
def real() -> NuScenesSource:
    root = SHARED / "data" / "nuscenes-mini-lite"
    if not root.is_dir():
        pytest.skip(f"no real nuScenes tables in {root} (set DRIVESIM_SHARED)")
    return NuScenesSource(root)


@pytest.mark.filterwarnings("ignore:.*map expansion")
@pytest.mark.parametrize(("scene", "path"), [("scene-0103", 117.0), ("scene-0916", 93.0)])
def test_people_keep_the_rules(real: NuScenesSource, scene: str, path: float) -> None:
    log = human_drive(real, scene)
    found = score(log, Reference(expert=log, expert_is_human=True, route_length=route_progress(log).value))
    known = {name: metric["value"] for name, metric in found["metrics"].items() if metric["valid"]}
    assert known["route_progress"] == pytest.approx(path, abs=1.0)
    for name in ("no_at_fault_collision", "no_collision", "time_to_collision_within_bound", "comfort", "lane_keeping",
                 "route_completion", "ego_progress_along_expert_route", "ego_is_making_progress"):  # fmt: skip
        assert known[name] == 1.0, name
    assert "drivable_area_compliance" not in known and "speed_limit_compliance" not in known
    assert found["aggregates"]["nuplan_cls"]["title"] == (
        "nuPlan CLS-NR without drivable_area_compliance, driving_direction_compliance, speed_limit_compliance"
    )


@pytest.mark.filterwarnings("ignore:.*map expansion", "ignore:.*no pictures")
def test_a_planner_against_the_person_who_drove_there(real: NuScenesSource) -> None:
    human = human_drive(real, "scene-0103", seconds=5.0)
    env = DriveWorldEnv(real, None, action="physical", observation=("default", "boxes"), seconds=5.0)
    recorder = DriveRecorder()
    run(env, LaneFollower(), seed=0, options={"scene": "scene-0103"}, on_step=recorder)
    log = recorder.log()
    assert len(log) == len(human) == 61 and log.traffic == "log"
    assert np.allclose(log.time, human.time) and np.allclose(log.position[0], human.position[0])
    own, other = route_progress(log).value, route_progress(human).value
    ratio = score(log, Reference(expert=human))["metrics"]["ego_progress_along_expert_route"]["value"]
    assert own > 5.0 and ratio == pytest.approx(min(1.0, own / other))


def test_times_and_names_are_checked(tmp_path: Path) -> None:
    write_toy(tmp_path)
    source = NuScenesSource(tmp_path, "v1.0-toy")
    assert human_drive(source, "toy", seconds=0.5, fps=4.0).time.tolist() == [0.0, 0.25, 0.5]
    with pytest.raises(ValueError, match="scene: found 'other', accepted one of"):
        human_drive(source, "other")
    with pytest.raises(ValueError, match="start_time: found 99.0 s, accepted 0 to less than"):
        human_drive(source, "toy", start_time=99.0)
    with pytest.raises(ValueError, match="fps: found 0.0, accepted a positive number"):
        human_drive(source, "toy", fps=0.0)
