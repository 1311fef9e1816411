"""The weights that come with the package: they load, they fit, and they drive."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from drivesim.env import DriveWorldEnv
from drivesim.generators.stage.shipped import SIZES, weights_folder
from drivesim.metrics.pictures import psnr
from drivesim.rollout import run
from drivesim.scene import CAMERAS
from drivesim.sources import truth
from drivesim.vector_env import DriveWorldVectorEnv
from planners.lane_follower import LaneFollower

SHARED = Path(os.environ.get("DRIVESIM_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def cameras(observation: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([observation[name] for name in CAMERAS])


@pytest.mark.parametrize("name", SIZES)
def test_weights_are_small_and_documented(name: str) -> None:
    folder = weights_folder(name)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 16 * 2**20
    card = (folder / "card.md").read_text()
    assert "drivesim train component=stage" in card and "drivesim evaluate-video" in card


def test_pictures_take_the_weights_of_the_nearest_size(tmp_path: Path) -> None:
    for name, size in SIZES.items():
        assert weights_folder(None, size) == weights_folder(name)
    assert weights_folder(None, (36, 64)) == weights_folder("tiny")
    assert weights_folder(None, (256, 448)) == weights_folder("small")
    assert weights_folder(tmp_path, (72, 128)) == tmp_path


@pytest.mark.parametrize("size", SIZES.values())
def test_generated_drive_stays_close_to_its_truth(size: tuple[int, int]) -> None:
    """On a town that was never trained on, twelve frames on: closer to the truth than the first frame is."""
    env = DriveWorldEnv(image_size=size)
    first, _ = env.reset(seed=3, options={"town": 900_003})
    for _ in range(12):
        observation, *_ = env.step([0.1, 0.2])
    true = truth(env.scene, size)
    assert psnr(cameras(observation), true) > psnr(cameras(first), true) + 1.0


def test_restored_state_gives_the_same_bytes() -> None:
    env = DriveWorldEnv()
    env.reset(seed=0)
    for _ in range(3):
        env.step([0.2, 0.0])
    state = env.get_state()
    drives = []
    for _ in range(2):
        env.set_state(state)
        drives.append([cameras(env.step([0.1, 0.3])[0]) for _ in range(3)])
    assert all(np.array_equal(one, two) for one, two in zip(*drives, strict=True))


def test_a_batch_shows_what_a_world_alone_shows() -> None:
    """In bfloat16 processors may sum in another order for a larger batch; where it was measured no bit differed."""
    env = DriveWorldEnv(seconds=None)
    batch = DriveWorldVectorEnv(2, generator=env.generator, seconds=None)
    alone = [env.reset(seed=4, options={"town": 900_003})[0]]
    seen = [batch.reset(seed=[9, 4], options={"town": 900_003})[0]]
    for _ in range(4):
        alone.append(env.step([0.1, 0.2])[0])
        seen.append(batch.step(np.array([[0.3, -0.1], [0.1, 0.2]]))[0])
    for one, both in zip(alone, seen, strict=True):
        apart = np.abs(cameras(one).astype(int) - cameras({name: both[name][1] for name in CAMERAS}))
        assert apart.mean() < 0.5
        assert np.abs(cameras(one).astype(int) - cameras({name: both[name][0] for name in CAMERAS})).mean() > 5.0


def test_drives_on_from_a_recorded_picture() -> None:
    """Sixty steps in closed loop from the pictured key frame of a real scene."""
    dataroot = SHARED / "data" / "nuscenes-mini-lite"
    if not dataroot.is_dir():
        pytest.skip(f"no real nuScenes tables in {dataroot} (set DRIVESIM_SHARED)")
    start = {"scene": "scene-0103", "start_time": 0.5}  # its second key frame has pictures
    options = {"dataroot": str(dataroot), "version": "v1.0-mini"}
    observation = ("default", "boxes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the data has no map expansion, and says so
        env = DriveWorldEnv("nuscenes", action="physical", observation=observation, seconds=5.0, source_options=options)
        trace = run(env, LaneFollower(), seed=0, options=start, keep_frames=True)
    assert trace.ending == "time" and len(trace.steps) == 60
    assert trace.frames[0].std() > 20, "the drive begins with the recorded pictures"
    assert not np.array_equal(trace.frames[-1], trace.frames[0])
    assert trace.frames[-1].std() > 5
