"""The environment on nuScenes-format data: recorded first pictures, then generated ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from drivesim.data.nuscenes import NuScenesSource
from drivesim.env import DriveWorldEnv
from drivesim.rollout import run
from planners.lane_follower import LaneFollower
from tests.data.toy import write_toy

SHARED = Path(os.environ.get("DRIVESIM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
SIZE = (36, 64)


def test_toy_drive_steps_by_name(tmp_path: Path) -> None:
    write_toy(tmp_path)
    options = {"dataroot": str(tmp_path), "version": "v1.0-toy"}
    env = DriveWorldEnv(source="nuscenes", generator=None, source_options=options, reset_options={"scene": "toy"})
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    saved = env.get_state()
    first = env.step(np.array([0.5, 0.1]))[0]
    env.set_state(saved)
    assert all(np.array_equal(first[key], value) for key, value in env.step(np.array([0.5, 0.1]))[0].items())
    with pytest.raises(ValueError, match="other.*accepted.*toy"):
        env.reset(options={"scene": "other"})


def test_real_scene_begins_with_its_pictures_and_goes_on_in_closed_loop() -> None:
    root = SHARED / "data" / "nuscenes-mini-lite"
    if not root.is_dir():
        pytest.skip(f"no real nuScenes tables in {root} (set DRIVESIM_SHARED)")
    start = {"scene": "scene-0103", "start_time": 0.5}  # its second key frame has pictures
    observation = ("default", "boxes")
    with pytest.warns(UserWarning, match="map expansion"):
        source = NuScenesSource(root, "v1.0-mini")
        env = DriveWorldEnv(source, "layout", action="physical", observation=observation, image_size=SIZE, seconds=5.0)
        recorded, _ = env.reset(seed=0, options=start)
    assert min(recorded[name].std() for name in recorded if name.startswith("CAM_")) > 30.0
    trace = run(env, LaneFollower(), seed=0, options=start, keep_frames=True)
    assert trace.ending == "time" and len(trace.steps) == 60
    assert np.array_equal(trace.frames[0][1], recorded["CAM_FRONT"])
    assert not np.array_equal(trace.frames[1], trace.frames[2])
