"""Recorded drives as a source of worlds."""

from pathlib import Path

import numpy as np
import pytest

from drivesim.data.nuscenes import NuScenesSource
from drivesim.route_frame import locate
from drivesim.scene import EgoState
from tests.data.toy import toy_tracks, write_toy

DT = 1.0 / 12.0


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[NuScenesSource, np.ndarray]:
    root = tmp_path_factory.mktemp("toy")
    offset = write_toy(root)
    return NuScenesSource(root, "v1.0-toy"), offset


def test_others_replay_whatever_the_ego_does(toy: tuple[NuScenesSource, np.ndarray]) -> None:
    source, offset = toy
    world = source.reset(3)
    assert world.name == "toy" and world.step_index == 0
    for step in range(1, 61):  # two seconds of log, then three more
        ego = EgoState.at(50.0, -3.0 * step, 1.0)
        world = source.step(world, ego, DT)
        assert world.scene.ego is ego and world.scene.timestamp == pytest.approx(step * DT)
        found = world.scene.tracks.position[np.argsort(world.scene.tracks.position[:, 2])][:3] - offset
        np.testing.assert_allclose(found, toy_tracks(step * DT, [1, 2, 3]).position, atol=1e-4)
    assert world.scene.exposure_poses is None and world.step_index == 60


def test_route_is_the_recorded_path_and_goes_on(toy: tuple[NuScenesSource, np.ndarray]) -> None:
    source, _ = toy
    world = source.reset(0, {"scene": "toy", "start_time": 1.0})
    points = world.route.points
    assert abs(locate(points, world.scene.ego).offset) < 0.02
    gaps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    assert 0.5 < gaps.min() and gaps.max() < 2.0
    assert np.linalg.norm(points[-1, :2] - world.scene.ego.xy) > 300.0


def test_look_and_traffic_may_be_chosen(toy: tuple[NuScenesSource, np.ndarray]) -> None:
    source, _ = toy
    scene = source.reset(0, {"weather": "sunny"}).scene
    assert (scene.tags.weather, scene.tags.time_of_day) == ("sunny", "night")
    assert source.reset(0, {"scene": "toy", "weather": None}).scene.tags.weather == "rain"
    empty = NuScenesSource(source.reader.dataroot, "v1.0-toy", traffic="none")
    world = empty.reset(0)
    assert len(empty.step(world, world.scene.ego, DT).scene.tracks) == 0


def test_wrong_options(toy: tuple[NuScenesSource, np.ndarray]) -> None:
    source, _ = toy
    with pytest.raises(ValueError, match="found .'town'., accepted for recorded drives"):
        source.reset(0, {"town": 3})
    with pytest.raises(ValueError, match="found 'scene-1', accepted one of"):
        source.reset(0, {"scene": "scene-1"})
    with pytest.raises(ValueError, match="time of toy: found 9.0 s"):
        source.reset(0, {"start_time": 9.0})
    with pytest.raises(ValueError, match="weather: found 'hail'"):
        source.reset(0, {"weather": "hail"})
    with pytest.raises(ValueError, match="traffic: found 'idm', accepted for recorded drives"):
        NuScenesSource(source.reader.dataroot, "v1.0-toy", traffic="idm")


def test_missing_pictures_are_named(toy: tuple[NuScenesSource, np.ndarray]) -> None:
    source, _ = toy
    with pytest.warns(UserWarning, match="found no file .*CAM_FRONT_LEFT/0.jpg"):
        assert source.history_frames(source.reset(0)) is None


@pytest.mark.filterwarnings("ignore:.*found no maps/expansion")
def test_real_drive_along_its_recorded_path(real_root: Path) -> None:
    source = NuScenesSource(real_root)
    start = float(source.reader.key_times("scene-0103")[1])
    world = source.reset(0, {"scene": "scene-0103", "start_time": start})
    pictures = source.history_frames(world)
    assert pictures.shape == (1, 6, 900, 1600, 3)
    np.testing.assert_array_equal(pictures[0], source.reader.pictures("scene-0103", start))
    for _ in range(60):
        ego = source.reader.scene("scene-0103", world.scene.timestamp + DT).ego
        world = source.step(world, ego, DT)
        assert abs(locate(world.route.points, ego).offset) < 0.3 and len(world.scene.tracks) > 10
        assert source.history_frames(world) is None
    assert world.scene.map is None
