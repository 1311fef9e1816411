"""Drives in ScenarioNet records: a toy whose motion is known, and the real records against the nuScenes tables."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import shapely

from drivesim.data.nuscenes import NuScenesReader, NuScenesSource
from drivesim.data.scenarionet import ScenarioNetReader, ScenarioNetSource
from drivesim.env import DriveWorldEnv
from drivesim.scene import CLASS_ID, EgoState, Scene, Tracks, VehicleShape
from tests.data.conftest import SHARED
from tests.data.scenarionet_toy import EGO_SPEED, FOLLOWER, PERIOD, STEPS, record, write

DT = 1.0 / 12.0
pytestmark = pytest.mark.filterwarnings("ignore:.*which are left out")
COAST = np.array([[0.0, 0.0]], np.float32)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenarionet")
    write(folder, record())
    write(folder, record("nuscenes"), "sd_nuscenes_v1_toy-n.pkl")
    return folder


def ids(scene: Scene, class_name: str) -> list[int]:
    return sorted(scene.tracks.ids[scene.tracks.class_ids == CLASS_ID[class_name]].tolist())


def at_id(tracks: Tracks, number: int) -> int:
    return int(np.flatnonzero(tracks.ids == number)[0])


# The toy. Tracks are numbered as they stand in the record, the ego left out: follower, late, parked, walker, cone.


def test_tracks_of_the_toy(toy: Path) -> None:
    reader = ScenarioNetReader(toy)
    scene = reader.scene("toy", 0.0)
    assert [ids(scene, name) for name in ("car", "pedestrian", "traffic_cone", "truck")] == [[0, 2], [3], [4], []]
    assert ids(reader.scene("toy", 2.0), "truck") == [1]  # 9 m long, valid from 1.0 to 2.9 s
    for time in (0.0, 0.7, 2.345):
        tracks = reader.scene("toy", time).tracks
        row = at_id(tracks, 0)
        assert tracks.position[row] == pytest.approx([FOLLOWER[0] + FOLLOWER[1] * time, 0.0, 0.75])
        assert tracks.velocity[row] == pytest.approx([FOLLOWER[1], 0.0])
        assert tracks.size[row] == pytest.approx([1.8, 4.5, 1.5])
    with pytest.warns(UserWarning, match=r"found tracks of types \['OTHER'\], which are left out"):
        ScenarioNetReader(toy).scene("toy", 0.0)
    with pytest.raises(ValueError, match="time of toy: found 9.0 s, accepted 0 to 4 s"):
        reader.scene("toy", 9.0)


def test_the_ego_stands_on_its_rear_axle_with_its_own_body(toy: Path) -> None:
    """Other data sets give the middle of the body, nuScenes the rear axle; length and width are set right."""
    reader = ScenarioNetReader(toy)
    body, axle = reader.scene("toy", 1.0), reader.scene("toy-n", 1.0)
    assert (body.vehicle.length, body.vehicle.width) == (4.08, 1.73)
    assert body.ego.xy + (body.vehicle.centre_offset, 0.0) == pytest.approx([EGO_SPEED, 0.0])
    assert axle.ego.xy == pytest.approx([EGO_SPEED, 0.0])
    assert axle.vehicle == VehicleShape()
    assert body.ego.speed == pytest.approx(EGO_SPEED)


def test_only_measured_steps_of_nuscenes_count_as_such(toy: Path) -> None:
    reader = ScenarioNetReader(toy)
    flags = [reader.scene("toy-n", time).tracks.interpolated.all() for time in (0.0, 0.1, 0.4, 0.5, 0.55, 1.0)]
    assert flags == [False, True, True, False, True, False]
    assert not reader.scene("toy", 0.1).tracks.interpolated.any()


def test_map_of_the_toy(toy: Path) -> None:
    reader = ScenarioNetReader(toy)
    for name, island in (("toy", 0.0), ("toy-n", 2.0)):
        hd_map = reader.scene(name, 0.0).map
        assert hd_map is not None
        road = shapely.unary_union(hd_map.layers["drivable_area"])
        expected = shapely.box(-60, -2, 100, 5.5) if island else shapely.box(-60, -1.75, 80, 5.25)
        if island:
            assert road.symmetric_difference(expected).area == pytest.approx(island)
        else:  # lanes, the connector as wide as a lane, and the crosswalk
            assert road.contains(expected.buffer(-0.01)) and road.contains(shapely.Point(95.0, 1.0))
            assert not road.contains(shapely.Point(95.0, 2.5))
        counts = {kind: len(layer) for kind, layer in hd_map.layers.items() if layer and kind != "drivable_area"}
        assert counts == {"ped_crossing": 1, "walkway": 1, "lane_divider": 1, "road_divider": 1}
    graph = reader.scene("toy", 0.0).map.lane_graph
    lanes = {float(graph.centre_line(row)[0, 1]) + 1000 * bool(graph.in_junction[row]): row for row in range(3)}
    right, left, beyond = lanes[0.0], lanes[3.5], lanes[1000.0]
    assert graph.successors_of(right).tolist() == [beyond] and graph.successors_of(left).tolist() == []
    assert (graph.left[right], graph.right[left], graph.right[right]) == (left, right, -1)
    assert graph.points[:, 2] == pytest.approx(np.zeros(len(graph.points)))  # not the third column
    assert graph.width[right] == pytest.approx(3.5)
    assert graph.speed_limit[right] == pytest.approx(10.0)
    assert graph.speed_limit[beyond] == pytest.approx(100 / 3.6)
    placeholder = reader.scene("toy-n", 0.0).map.lane_graph
    assert np.isnan(placeholder.speed_limit[placeholder.in_junction]).all()


def test_a_drive_ends_with_its_log(toy: Path) -> None:
    env = gym.make(
        "DriveWorld-v0", source="scenarionet", generator=None, source_options={"dataroot": str(toy)}, action="physical",
        traffic="none", disable_env_checker=True,
    )  # fmt: skip
    _, info = env.reset(seed=0, options={"scene": "toy", "start_time": 1.0})
    steps, over = 0, False
    while not over:
        *_, terminated, over, info = env.step(COAST)
        steps += 1
        assert not terminated
    assert steps == np.ceil(((STEPS - 1) * PERIOD - 1.0) / DT)
    assert info["metrics"]["route_offset"] == pytest.approx(0.0, abs=1e-6)


def test_a_drive_is_a_value_with_pictures_of_the_layout(toy: Path) -> None:
    options = {"dataroot": toy}
    env = DriveWorldEnv("scenarionet", "layout", "idm", "physical", image_size=(18, 32), source_options=options)
    observation, _ = env.reset(seed=0, options={"scene": "toy"})
    assert observation["CAM_BACK"].max() > 0
    for _ in range(5):
        env.step(COAST)
    state = env.get_state()
    first = [env.step(COAST)[0]["CAM_BACK"] for _ in range(5)]
    env.set_state(state)
    assert np.array_equal(first, [env.step(COAST)[0]["CAM_BACK"] for _ in range(5)])


def test_the_follower_reacts_or_replays(toy: Path) -> None:
    """Behind an ego that stands: the log drives into it, the one that reacts stops behind it."""
    gaps = {}
    for traffic in ("log", "idm"):
        source = ScenarioNetSource(toy, traffic)
        world = source.reset(0, {"scene": "toy"})
        assert world.scene.tracks.position[at_id(world.scene.tracks, 0), 0] == pytest.approx(FOLLOWER[0])
        stand = EgoState.at(*world.scene.ego.xy.tolist(), 0.0)
        for _ in range(47):
            world = source.step(world, stand, DT)
        tracks = world.scene.tracks
        rear = world.scene.ego.xy[0] - world.scene.vehicle.rear_overhang
        gaps[traffic] = rear - (tracks.position[at_id(tracks, 0), 0] + 2.25)
        assert tracks.position[at_id(tracks, 3), 1] == pytest.approx(47 * DT - 4.0)  # people replay
    assert gaps["log"] < 0.0 < gaps["idm"] < 8.0


def test_who_reacts_drives_as_recorded_where_nobody_is_in_the_way(tmp_path: Path) -> None:
    content = record()
    for name in ("walker", "cone"):
        del content["tracks"][name]
    source = ScenarioNetSource(write(tmp_path, content), "idm")
    world = source.reset(0)
    away = EgoState.at(0.0, 60.0, 0.0)
    world = replace(world, scene=replace(world.scene, ego=away))
    for step in range(1, 31):
        world = source.step(world, away, DT)
        tracks, time = world.scene.tracks, step * DT
        assert tracks.position[at_id(tracks, 0), 0] == pytest.approx(FOLLOWER[0] + FOLLOWER[1] * time, abs=0.05)
        late = tracks.ids[tracks.class_ids == CLASS_ID["truck"]].tolist()
        assert (late == [1]) == (1.0 <= time < 2.9 + DT), time


def test_wrong_options(toy: Path) -> None:
    with pytest.raises(ValueError, match="traffic: found 'wild', accepted"):
        DriveWorldEnv("scenarionet", None, "wild", source_options={"dataroot": toy})
    source = ScenarioNetSource(toy)
    with pytest.raises(ValueError, match="found .'town'., accepted for ScenarioNet records"):
        source.reset(0, {"town": 3})
    assert source.reset(0, {"scene": "toy", "weather": "rain", "time_of_day": "night"}).scene.tags.weather == "rain"
    assert {source.reset(seed).name for seed in range(12)} == {"toy", "toy-n"}


# The real records.


@pytest.fixture(scope="module")
def records() -> Path:
    folder = SHARED / "data" / "scenarionet-nuscenes"
    if not folder.is_dir():
        pytest.skip(f"no real ScenarioNet records in {folder} (set DRIVESIM_SHARED)")
    return folder


@pytest.mark.parametrize("name", ["scene-0103", "scene-0916"])
def test_measured_steps_are_the_key_frames_of_nuscenes(records: Path, real: NuScenesReader, name: str) -> None:
    reader, seen = ScenarioNetReader(records), 0
    record = next(scene for scene in real.nusc.scene if scene["name"] == name)
    sample = real.nusc.get("sample", record["first_sample_token"])
    for key in range(len(real.key_times(name)) - 1):
        scene = reader.scene(name, 0.5 * key)
        lidar = real.nusc.get("sample_data", sample["data"]["LIDAR_TOP"]) if "LIDAR_TOP" in sample["data"] else None
        if lidar is not None:
            pose = real.nusc.get("ego_pose", lidar["ego_pose_token"])
            assert scene.ego.xy == pytest.approx(pose["translation"][:2], abs=1e-6)
        boxes = {tuple(np.round(position, 5)): row for row, position in enumerate(scene.tracks.position)}
        assert not scene.tracks.interpolated.any()
        for token in sample["anns"]:
            box = real.nusc.get("sample_annotation", token)
            row = boxes.get(tuple(np.round(box["translation"], 5)))
            if row is not None:
                assert scene.tracks.size[row] == pytest.approx(box["size"])
                seen += 1
        assert len(boxes) >= 0.9 * len(scene.tracks)
        sample = real.nusc.get("sample", sample["next"])
    assert seen > 1500


@pytest.mark.parametrize("name", ["scene-0103", "scene-0655", "scene-0916"])
def test_maps_of_the_records(records: Path, name: str) -> None:
    reader = ScenarioNetReader(records)
    log = reader.log(name)
    for time in np.linspace(0.0, log.end, 4):
        scene = reader.scene(name, float(time))
        assert scene.map is not None
        road = shapely.unary_union(scene.map.layers["drivable_area"])
        assert road.contains(shapely.Point(*scene.ego.xy))
        graph = scene.map.lane_graph
        off = shapely.distance(shapely.points(graph.points[:, :2]), road.intersection(shapely.box(*scene.map.bounds)))
        inside = shapely.box(*scene.map.bounds).contains(shapely.points(graph.points[:, :2]))
        assert (off[inside] > 0.5).mean() < 0.01
        gap = graph.points[:, :2] - scene.ego.xy
        near = np.hypot(*gap.T) < 2.5
        turn = np.abs(np.angle(np.exp(1j * (graph.points[near, 2] - scene.ego.yaw))))
        assert near.any() and turn.min() < 0.5
    ends = graph.points[graph.offsets[1:] - 1, :2]
    starts = graph.points[graph.offsets[:-1], :2]
    source = np.repeat(np.arange(len(graph)), np.diff(graph.successor_offsets))
    assert len(source) > 10
    assert np.median(np.hypot(*(ends[source] - starts[graph.successors]).T)) < 1.0
    assert (graph.left >= 0).sum() == (graph.right >= 0).sum() > 0
    assert np.isnan(graph.speed_limit).all()


@pytest.mark.parametrize("traffic", ["log", "idm"])
def test_the_recorded_drive_of_a_real_scene_is_free_of_collisions(records: Path, traffic: str) -> None:
    source = ScenarioNetSource(records, traffic)
    world = source.reset(0, {"scene": "scene-0103"})
    reader, steps = source.reader, 0
    closest = np.inf
    while not world.ended and steps < 90:
        time = min(world.scene.timestamp + DT, reader.log("scene-0103").end)
        world = source.step(world, reader.scene("scene-0103", time).ego, DT)
        tracks = world.scene.tracks
        cars = np.isin(tracks.class_ids, [CLASS_ID["car"], CLASS_ID["truck"]])
        middle = world.scene.ego.xy + world.scene.vehicle.centre_offset * world.scene.ego.pose[:2, 0]
        closest = min(closest, float(np.hypot(*(tracks.position[cars, :2] - middle).T).min()))
        steps += 1
    assert steps == 90
    assert closest > 1.5


def test_a_nuscenes_scene_takes_its_map_from_its_record(records: Path, real_root: Path) -> None:
    source = NuScenesSource(real_root, map_from=records)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start = float(source.reader.key_times("scene-0103")[1])
        world = source.reset(0, {"scene": "scene-0103", "start_time": start})
        assert source.history_frames(world).shape == (1, 6, 900, 1600, 3)
    assert world.scene.map is not None
    record = ScenarioNetReader(records).scene("scene-0103", start)
    assert [len(layer) for layer in world.scene.map.layers.values()] == [
        len(layer) for layer in record.map.layers.values()
    ]
    with pytest.warns(UserWarning, match="found no maps/expansion/singapore"):
        assert NuScenesReader(real_root, map_from=records).scene("scene-0061", 0.0).map is None


def test_it_drives_on_past_the_end_of_its_log(records: Path, real_root: Path) -> None:
    options = {"dataroot": real_root, "map_from": records}
    env = DriveWorldEnv(
        "nuscenes", "layout", "none", "physical", image_size=(18, 32), seconds=None, source_options=options
    )
    with pytest.warns(UserWarning, match="found no (file|pictures)"):
        env.reset(seed=0, options={"scene": "scene-0103", "start_time": 17.0})
    stop = np.array([[-2.0, 0.0]], np.float32)
    for _ in range(60):
        observation, _, terminated, truncated, _ = env.step(stop)
        assert not terminated and not truncated
    assert (
        env.scene.timestamp > 20.0 > env.source.reader.drive("scene-0103").span[1]
        and observation["CAM_FRONT"].max() > 0
    )
