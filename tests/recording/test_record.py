"""Recordings: read back by the official devkit, by our reader and as episodes; resumable; told apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.geometry_utils import view_points

from drivesim.data.clips import PictureBatches, clip_folders
from drivesim.data.episodes import open_episodes
from drivesim.data.nuscenes import NuScenesReader
from drivesim.env import DriveWorldEnv
from drivesim.geometry import invert_pose, project, transform_points
from drivesim.recording.drive import recording_env
from drivesim.recording.nuscenes_taker import VERSION
from drivesim.recording.runner import record
from drivesim.rollout import run
from drivesim.scene import CAMERAS
from drivesim.vehicle import KinematicBicycle
from planners.lane_follower import LaneFollower
from tests.recording.drives import ENV, SIZE, files, small_plan


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both formats of two drives."""
    out = tmp_path_factory.mktemp("record") / "drives"
    recorded = record(small_plan(formats=("episodes", "nuscenes"), conditions=True), out)
    assert (recorded.episodes, recorded.dataset, recorded.left_out) == (out / "episodes", out / "nuscenes", ())
    return out


@pytest.fixture(scope="module")
def nusc(recording: Path) -> NuScenes:
    """The official database."""
    return NuScenes(VERSION, str(recording / "nuscenes"), verbose=False)


def test_episodes_hold_what_was_done_and_what_came_of_it(recording: Path) -> None:
    for episode in open_episodes(recording / "episodes"):
        assert len(episode) == 15 and episode.head["ending"] == "time" and episode.head["action"] == "physical"
        vehicle, ego, pose = KinematicBicycle(), episode.array("observation_ego"), episode.pose
        executed, disturbed = episode.array("executed"), episode.array("disturbed")
        np.testing.assert_array_equal(executed[~disturbed], episode.array("action")[~disturbed])
        assert disturbed.any() and np.abs(executed - episode.array("action"))[disturbed].max() > 1e-3
        speed = ego[:-1, 0] + executed[:-1, 0].clip(-vehicle.limits.max_braking, vehicle.limits.max_acceleration) / 12.0
        np.testing.assert_allclose(ego[1:, 0], speed.clip(0.0), atol=1e-4)
        travelled = np.linalg.norm(np.diff(pose[:, :2, 3], axis=0), axis=1)
        np.testing.assert_allclose(travelled, 0.5 * (ego[1:, 0] + ego[:-1, 0]) / 12.0, atol=2e-3)
        assert episode.array("observation_boxes").shape == (15, 64, 10) and episode.array("reward").shape == (15,)


def test_a_recorded_drive_can_be_driven_again_from_its_actions(recording: Path) -> None:
    episode = open_episodes(recording / "episodes")[1]
    env = recording_env(small_plan(), LaneFollower())
    observation, _ = env.reset(seed=episode.head["seed"], options=episode.head["options"])
    for row in range(len(episode)):
        for name in ("ego", "route", "boxes"):
            np.testing.assert_array_equal(episode.array(f"observation_{name}")[row], observation[name])
        np.testing.assert_array_equal(episode.array("frames")[row], np.stack([observation[name] for name in CAMERAS]))
        observation, reward, *_ = env.step(episode.array("executed")[row])
        assert episode.array("reward")[row] == np.float32(reward)


def test_episodes_with_conditions_are_clips_for_our_trainer(recording: Path) -> None:
    from drivesim.data.clips import FrameStreams

    assert len(clip_folders(recording / "episodes")) == 2
    assert PictureBatches(recording / "episodes", 3, 0)(0)["pictures"].shape == (3, *SIZE, 3)
    streams = FrameStreams(recording / "episodes", 2, 0)
    batch = streams(0)
    assert batch["frames"].shape == (2, 6, *SIZE, 3) and bool(batch["reset"].all())
    assert batch["conditions"].layout.shape[:3] == (2, 1, 6) and not bool(streams(1)["reset"].all())


def test_devkit_loads_the_data_set(nusc: NuScenes, recording: Path) -> None:
    assert [scene["name"] for scene in nusc.scene] == ["drive-000000", "drive-000001"]
    assert len(nusc.sample) == 2 * 3 and len(nusc.sample_data) == 2 * (6 * 13 + 3)
    episodes = open_episodes(recording / "episodes")
    for record_ in nusc.sample_data:
        path = recording / "nuscenes" / record_["filename"]
        assert path.is_file()
        if record_["channel"] == "CAM_BACK":
            drive, _, stamp = path.stem.split("__")
            first = min(int(other.stem.split("__")[2]) for other in path.parents[2].rglob(f"{drive}__CAM_BACK__*"))
            row = round(12e-6 * (int(stamp) - first))
            drawn = episodes[int(drive[-6:])].array("frames")[row, CAMERAS.index("CAM_BACK")].astype(float)
            written = cv2.imread(str(path))[..., ::-1].astype(float)
            assert np.abs(written - drawn).mean() < 6.0  # JPEG of flat colours


def test_boxes_of_the_devkit_lie_where_the_episode_saw_them(nusc: NuScenes, recording: Path) -> None:
    episode, compared = open_episodes(recording / "episodes")[0], 0
    scale = np.array([SIZE[1], SIZE[0], 1.0])[:, None]
    intrinsics, extrinsics = episode.array("intrinsics") * scale, episode.array("extrinsics").astype(float)
    for key in range(3):
        boxes = episode.array("observation_boxes")[6 * key]
        places = boxes[boxes[:, 9] >= 0, :3]
        for view, channel in enumerate(CAMERAS):
            _, found, intrinsic = nusc.get_sample_data(nusc.sample[key]["data"][channel])
            expected, depth = project(transform_points(invert_pose(extrinsics[view]), places), intrinsics[view])
            for box in found:
                if 1.0 < box.center[2] < 60.0:  # episodes keep no box beyond 80 m
                    centre = view_points(box.center[:, None], intrinsic, normalize=True)[:2, 0]
                    assert np.linalg.norm(expected - centre, axis=1)[depth > 0.5].min() < 0.1
                    compared += 1
    assert compared > 3


def test_our_source_drives_in_the_data_set(recording: Path) -> None:
    options = {"dataroot": str(recording / "nuscenes"), "version": VERSION}
    env = DriveWorldEnv(
        "nuscenes", "layout", action="physical", observation=("default", "boxes"), image_size=SIZE, seconds=0.5,
        source_options=options, reset_options={"scene": "drive-000001"},
    )  # fmt: skip
    first, _ = env.reset(seed=0)
    episode = open_episodes(recording / "episodes")[1]
    assert first["ego"][0] == pytest.approx(episode.array("observation_ego")[0, 0], abs=0.5)
    drawn = episode.array("frames")[0, CAMERAS.index("CAM_FRONT")].astype(float)
    assert np.abs(first["CAM_FRONT"].astype(float) - drawn).mean() < 6.0
    trace = run(env, LaneFollower(), seed=0)
    assert trace.ending == "time" and len(trace.steps) == 6
    reader = NuScenesReader(recording / "nuscenes", VERSION)
    assert reader.scene("drive-000001", 0.0).map is not None


def test_a_second_start_records_only_what_is_missing(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    shutil.copytree(recording, out)
    kept = files(recording)
    shutil.rmtree(out / "episodes" / "clip_000001")
    (out / "episodes" / "clip_000000" / "mark").touch()
    record(small_plan(formats=("episodes", "nuscenes"), conditions=True), out)
    found = files(out)
    assert found.pop("episodes/clip_000000/mark") == b"" and found == kept
    with pytest.raises(
        ValueError, match=r"found a recording with other conditions, formats, pictures_every, accepted a new"
    ):
        record(small_plan(formats=("episodes",), pictures_every=2), out)
    with pytest.raises(ValueError, match="finished data set of 2 other drives"):
        record(small_plan(formats=("episodes", "nuscenes"), conditions=True, episodes=3), out)


def test_more_episodes_can_be_added_and_do_not_depend_on_the_others(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "more"
    record(small_plan(episodes=1, conditions=True, first=1), out)
    assert files(out / "episodes" / "clip_000001") == files(recording / "episodes" / "clip_000001")
    record(small_plan(episodes=2, conditions=True), out)
    assert files(out / "episodes") == files(recording / "episodes")


def test_sparse_pictures_are_those_of_the_whole_drive(recording: Path, tmp_path: Path) -> None:
    record(small_plan(episodes=1, pictures_every=4), tmp_path / "sparse")
    (sparse,) = open_episodes(tmp_path / "sparse" / "episodes")
    whole = open_episodes(recording / "episodes")[0]
    assert len(sparse) == 15 and len(sparse.array("frames")) == 4
    np.testing.assert_array_equal(sparse.array("frames"), whole.array("frames")[::4])
    np.testing.assert_array_equal(sparse.array("executed"), whole.array("executed"))


def test_a_drive_without_pictures_keeps_the_rest(tmp_path: Path) -> None:
    record(small_plan(episodes=1, env=ENV | {"generator": None}, observation=("boxes", "layout")), tmp_path / "state")
    (episode,) = open_episodes(tmp_path / "state" / "episodes")
    assert episode.array("observation_layout").shape == (15, 9, 100, 100)
    with pytest.raises(ValueError, match="found no frames.npy"):
        episode.array("frames")


def test_drives_too_short_for_the_data_set_are_named(tmp_path: Path) -> None:
    recorded = record(small_plan(episodes=1, seconds=0.4, formats=("nuscenes",)), tmp_path / "short")
    assert recorded.left_out == ("drive-000000",) and recorded.dataset is None


def test_a_policy_that_cannot_be_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no module 'nowhere'"):
        record(small_plan(policy="nowhere:Policy"), tmp_path / "none")
    with pytest.raises(ValueError, match="workers: found 0"):
        record(small_plan(), tmp_path / "none", workers=0)
    assert not (tmp_path / "none").exists()
