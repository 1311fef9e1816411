"""The town's data set: what the official devkit makes of it, and what the reader gets back."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import shapely
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.detection.evaluate import DetectionEval
from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.map_expansion.bitmap import BitMap
from nuscenes.map_expansion.map_api import NuScenesMap
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import view_points

from drivesim.data.nuscenes import NuScenesReader
from drivesim.data.nuscenes_lanes import lane_id
from drivesim.geometry import wrap_angle
from drivesim.scene import CAMERAS, LINE_CLASSES, MAP_CLASSES, OBJECT_CLASSES, Scene, Tags
from drivesim.town.raycast import Raycaster
from drivesim.town.town import Town
from drivesim.town.writer import Drive, write_dataset, write_drives
from drivesim.town.writer_map import token
from drivesim.town.writer_sheets import GAP, SHEETS, lay_out
from drivesim.town.writer_tables import ATTRIBUTES, SPLIT
from tests.town.recording import IMAGE_SIZE, town_scenes

matplotlib.use("Agg")

FRAMES = 19
VERSION = "v1.0-town"
LOOKS = {"town-a": (11, Tags("rain", "day")), "town-b": (12, Tags("overcast", "day"))}


@pytest.fixture(scope="session")
def sources() -> dict[str, list[Scene]]:
    """The scenes that are written."""
    return {name: list(islice(town_scenes(seed, tags), FRAMES)) for name, (seed, tags) in LOOKS.items()}


@pytest.fixture(scope="session")
def root(sources: dict[str, list[Scene]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataroot with two drives."""
    drives = [Drive(name, scenes, FRAMES) for name, scenes in sources.items()]
    return write_drives(tmp_path_factory.mktemp("data") / "town", drives, VERSION, progress=False)


@pytest.fixture(scope="session")
def nusc(root: Path) -> NuScenes:
    """The official database."""
    return NuScenes(VERSION, str(root), verbose=False)


@pytest.fixture(scope="session")
def devkit_map(root: Path) -> NuScenesMap:
    """The official map."""
    return NuScenesMap(str(root), "singapore-onenorth")


@pytest.fixture(scope="session")
def reader(root: Path) -> NuScenesReader:
    """Our own view of the same data."""
    return NuScenesReader(root, VERSION)


def _offset(reader: NuScenesReader, source: Scene, name: str) -> np.ndarray:
    """What the map sheet added to the coordinates of a drive [3]."""
    return reader.drive(name).poses.translation[0] - source.ego.pose[:3, 3]


def test_devkit_loads_all_tables(nusc: NuScenes) -> None:
    assert [scene["name"] for scene in nusc.scene] == list(LOOKS)
    assert len(nusc.category) == 23 and len(nusc.attribute) == len(ATTRIBUTES) == 8 and len(nusc.visibility) == 4
    assert len(nusc.sample) == 2 * 4 and len(nusc.sample_data) == 2 * (6 * FRAMES + 4)
    assert {scene["description"] for scene in nusc.scene} == {"Rain, day, town 11", "Overcast, day, town 12"}
    for sample in nusc.sample:
        assert set(sample["data"]) == {*CAMERAS, "LIDAR_TOP"}
        assert {nusc.get("sample_data", token)["timestamp"] for token in sample["data"].values()} == {
            sample["timestamp"]
        }
    record = nusc.get("sample_data", nusc.sample[0]["data"]["CAM_BACK"])
    stamps = [record["timestamp"]]
    while record["next"]:
        record = nusc.get("sample_data", record["next"])
        stamps.append(record["timestamp"])
        assert nusc.get("sample", record["sample_token"])["timestamp"] >= record["timestamp"]
    np.testing.assert_allclose(np.diff(stamps), 1e6 / 12, atol=1.0)


def test_files_are_there(nusc: NuScenes, root: Path) -> None:
    for record in nusc.sample_data:
        path = root / record["filename"]
        assert path.is_file() and record["filename"].startswith("samples" if record["is_key_frame"] else "sweeps")
    picture = cv2.imread(str(root / next(row["filename"] for row in nusc.sample_data if row["channel"] == "CAM_FRONT")))
    assert picture.shape == (*IMAGE_SIZE, 3)
    sweep = LidarPointCloud.from_file(nusc.get_sample_data_path(nusc.sample[0]["data"]["LIDAR_TOP"]))
    assert sweep.points.shape[0] == 4 and sweep.points.shape[1] > 5000


def test_devkit_draws_boxes_on_pictures(nusc: NuScenes, tmp_path: Path) -> None:
    out = tmp_path / "boxes.png"
    nusc.render_sample_data(nusc.sample[1]["data"]["CAM_FRONT"], out_path=str(out), verbose=False)
    nusc.render_sample_data(nusc.sample[1]["data"]["LIDAR_TOP"], out_path=str(out), verbose=False, underlay_map=False)
    matplotlib.pyplot.close("all")
    assert out.stat().st_size > 1000


def test_boxes_of_the_devkit_hold_the_objects_in_the_pictures(nusc: NuScenes, sources: dict[str, list[Scene]]) -> None:
    scene = sources["town-a"][6]
    truth, sample = Raycaster(scene.rig).render(scene), nusc.sample[1]
    numbers = {token("town-a", "annotation", 6, number): number for number in scene.tracks.ids.tolist()}
    checked = 0
    for view, channel in enumerate(CAMERAS):
        _, boxes, intrinsic = nusc.get_sample_data(sample["data"][channel])
        for box in boxes:
            v, u = np.nonzero(truth.instance[view] == numbers[box.token])
            if len(v) < 6 or (box.corners()[2] < 0.1).any():
                continue
            x, y, _ = view_points(box.corners(), intrinsic, normalize=True)
            assert (
                x.min() - 1 <= u.min() and u.max() <= x.max() + 1 and y.min() - 1 <= v.min() and v.max() <= y.max() + 1
            )
            checked += 1
    assert checked >= 5


def test_annotations(nusc: NuScenes) -> None:
    attributes = {row["token"]: row["name"] for row in nusc.attribute}
    levels = {"1": 0, "2": 0, "3": 0, "4": 0}
    by_class: dict[str, set[str]] = {}
    for record in nusc.sample_annotation:
        levels[record["visibility_token"]] += 1
        names = {attributes[token] for token in record["attribute_tokens"]}
        by_class.setdefault(category_to_detection_name(record["category_name"]), set()).update(names)
        if record["visibility_token"] == "4":
            assert record["num_lidar_pts"] > 0 or record["category_name"] != "vehicle.car"
    assert levels["1"] > 0 and levels["4"] > 0
    assert by_class.keys() == set(OBJECT_CLASSES)
    assert by_class["car"] == {"vehicle.moving", "vehicle.parked"} and by_class["traffic_cone"] == set()
    assert by_class["pedestrian"] >= {"pedestrian.moving"} and "cycle.with_rider" in by_class["motorcycle"]


def _submission(nusc: NuScenes) -> dict:
    """Ground truth as a detection submission; the evaluation knows nothing of boxes without LIDAR points."""
    names = {row["token"]: row["name"] for row in nusc.attribute}
    results: dict[str, list[dict]] = {sample["token"]: [] for sample in nusc.sample}
    for record in nusc.sample_annotation:
        if record["num_lidar_pts"] == 0:
            continue
        results[record["sample_token"]].append({
            "sample_token": record["sample_token"], "translation": record["translation"], "size": record["size"],
            "rotation": record["rotation"], "velocity": nusc.box_velocity(record["token"])[:2].tolist(),
            "detection_name": category_to_detection_name(record["category_name"]), "detection_score": 0.9,
            "attribute_name": names[record["attribute_tokens"][0]] if record["attribute_tokens"] else "",
        })  # fmt: skip
    use = {f"use_{name}": False for name in ("camera", "lidar", "radar", "map", "external")}
    return {"meta": use, "results": results}


def test_ground_truth_scores_perfectly(nusc: NuScenes, tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    path.write_text(json.dumps(_submission(nusc)))
    evaluation = DetectionEval(
        nusc, config_factory("detection_cvpr_2019"), str(path), SPLIT, str(tmp_path), verbose=False
    )
    metrics, _ = evaluation.evaluate()
    assert metrics.mean_ap == pytest.approx(1.0)
    assert metrics.nd_score == pytest.approx(1.0)


def test_devkit_map(
    devkit_map: NuScenesMap, reader: NuScenesReader, sources: dict[str, list[Scene]], root: Path
) -> None:
    for name in LOOKS:
        x, y = reader.drive(name).poses.translation[0, :2]
        on = devkit_map.layers_on_point(x, y)
        assert on["drivable_area"] and not on["walkway"]
        lane = devkit_map.get_arcline_path(devkit_map.get_closest_lane(x, y, radius=3))
        assert len(lane) >= 1
        mask = devkit_map.get_map_mask((x, y, 60, 60), 0, ["drivable_area", "lane"], (60, 60))
        assert mask[0, 30, 30] == 1 and 0.05 < mask[0].mean() < 0.95
    for lane in devkit_map.lane[:20]:
        for following in devkit_map.get_outgoing_lane_ids(lane["token"]):
            assert lane["token"] in devkit_map.get_incoming_lane_ids(following)
    assert BitMap(str(root), "singapore-onenorth", "semantic_prior").image.shape == BitMap(
        str(root), "singapore-onenorth", "basemap").image.shape  # fmt: skip
    for location, ((width, height), _) in SHEETS.items():
        canvas = NuScenesMap(str(root), location).canvas_edge
        assert canvas[0] <= width and canvas[1] <= height


def test_mask_shows_the_road(nusc: NuScenes, reader: NuScenesReader, sources: dict[str, list[Scene]]) -> None:
    mask = nusc.map[0]["mask"]
    for name, scenes in sources.items():
        scene, offset = scenes[0], _offset(reader, scenes[0], name)
        ground = shapely.union_all([*scene.map.layers["drivable_area"], *scene.map.layers["walkway"]])
        points = scene.ego.xy + np.random.default_rng(0).uniform(-80, 80, (400, 2))
        points = points[shapely.distance(ground.boundary, shapely.points(points)) > 0.3]
        expected = shapely.contains_xy(ground, *points.T)
        moved = points + offset[:2]
        np.testing.assert_array_equal(mask.is_on_mask(moved[:, 0], moved[:, 1]), expected)


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("frame", [0, 6, 18])
def test_reader_gives_the_written_scene(
    reader: NuScenesReader, sources: dict[str, list[Scene]], name: str, frame: int
) -> None:
    source, found = sources[name][frame], reader.scene(name, float(reader.key_times(name)[frame // 6]))
    offset = _offset(reader, sources[name][0], name)
    np.testing.assert_allclose(found.ego.pose[:3, 3] - offset, source.ego.pose[:3, 3], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.ego.pose[:3, :3], source.ego.pose[:3, :3], atol=1e-7)
    assert found.ego.speed == pytest.approx(source.ego.speed, abs=1e-4)
    assert found.tags == source.tags and not found.tracks.interpolated.any()
    rows = [_row(found, source, row, offset) for row in range(len(source.tracks))]
    assert sorted(rows) == list(range(len(source.tracks)))
    tracks = found.tracks.take(np.array(rows))
    assert (tracks.class_ids == source.tracks.class_ids).all()
    np.testing.assert_allclose(tracks.position - offset, source.tracks.position, rtol=0, atol=1e-4)
    np.testing.assert_allclose(tracks.size, source.tracks.size, rtol=1e-7)
    np.testing.assert_allclose(wrap_angle(tracks.yaw - source.tracks.yaw), 0.0, atol=1e-6)
    np.testing.assert_allclose(tracks.velocity, source.tracks.velocity, atol=1e-4)
    np.testing.assert_allclose(tracks.color, source.tracks.color, atol=1e-6)
    for name_ in ("intrinsics", "extrinsics"):
        np.testing.assert_allclose(getattr(found.rig, name_), getattr(source.rig, name_), atol=1e-7)


def _row(found: Scene, source: Scene, row: int, offset: np.ndarray) -> int:
    """Row of the found track nearest to a written one."""
    return int(np.linalg.norm(found.tracks.position - offset - source.tracks.position[row], axis=1).argmin())


@pytest.mark.parametrize("name", LOOKS)
def test_reader_gives_the_frames_between(reader: NuScenesReader, sources: dict[str, list[Scene]], name: str) -> None:
    offset = _offset(reader, sources[name][0], name)
    for frame in (1, 4, 9):
        source, found = sources[name][frame], reader.scene(name, float(reader.frame_times(name)[frame]))
        np.testing.assert_allclose(found.exposure_poses[2][:3, 3] - offset, source.ego.pose[:3, 3], rtol=0, atol=1e-4)
        assert found.tracks.interpolated.all() and len(found.tracks) == len(source.tracks)
        rows = [_row(found, source, row, offset) for row in range(len(source.tracks))]
        np.testing.assert_allclose(found.tracks.position[rows] - offset, source.tracks.position, rtol=0, atol=1e-4)
        np.testing.assert_allclose(wrap_angle(found.tracks.yaw[rows] - source.tracks.yaw), 0.0, atol=1e-5)


def test_reader_gives_the_pictures(reader: NuScenesReader, sources: dict[str, list[Scene]]) -> None:
    scene = sources["town-b"][4]
    expected = Raycaster(scene.rig).render(scene).images.astype(float)
    found = reader.pictures("town-b", float(reader.frame_times("town-b")[4]))
    assert found.shape == expected.shape
    assert 10 * np.log10(255**2 / ((found - expected) ** 2).mean()) > 32.0


@pytest.mark.parametrize("name", LOOKS)
def test_reader_gives_the_map(reader: NuScenesReader, sources: dict[str, list[Scene]], name: str) -> None:
    source = sources[name][0]
    offset = _offset(reader, source, name)
    found = reader.scene(name, 0.0).map
    assert found is reader.scene(name, 0.01).map  # one object while the ego stays in its cell
    area = shapely.box(*(source.ego.xy - 100.0), *(source.ego.xy + 100.0))
    for layer in MAP_CLASSES:
        wanted = shapely.intersection(shapely.union_all(source.map.layers[layer]), area)
        moved = [shapely.affinity.translate(shape, *-offset[:2]) for shape in found.layers[layer]]
        got = shapely.intersection(shapely.union_all(moved), area)
        if layer in LINE_CLASSES:
            assert got.length == pytest.approx(wanted.length, abs=1e-3)
            assert shapely.hausdorff_distance(got, wanted) < 1e-4 if wanted.length else got.is_empty
        else:
            assert got.symmetric_difference(wanted, grid_size=1e-6).area < 1e-3


@pytest.mark.parametrize("name", LOOKS)
def test_reader_gives_the_lane_graph(reader: NuScenesReader, sources: dict[str, list[Scene]], name: str) -> None:
    source, offset = sources[name][0], _offset(reader, sources[name][0], name)
    graph, found = source.map.lane_graph, reader.scene(name, 0.0).map.lane_graph
    location = reader.drive(name).location
    number = {lane: lane_id(token(location, name, "lane", lane)) for lane in graph.ids.tolist()}
    reach = [np.abs(graph.centre_line(lane)[:, :2] - source.ego.xy).max(axis=1) for lane in range(len(graph))]
    # Lanes that the reader's window touches and that were not cut where the written ground ends.
    near = [lane for lane, far in enumerate(reach) if far.min() < 95.0 and far.max() < 145.0]
    assert len(near) > 8
    agreeing = 0
    for lane in near:
        row = int(np.searchsorted(found.ids, number[int(graph.ids[lane])]))
        line, wanted = found.centre_line(row) - offset, graph.centre_line(lane)
        distance = np.linalg.norm(line[None, :, :2] - wanted[:, None, :2], axis=-1)
        assert distance.min(axis=1).max() < 1e-4
        turn = wrap_angle(line[distance.argmin(axis=1), 2] - wanted[:, 2])
        np.testing.assert_allclose(turn, 0.0, atol=1e-5)
        assert found.width[row] == graph.width[lane] and found.speed_limit[row] == graph.speed_limit[lane]
        assert found.in_junction[row] == graph.in_junction[lane] and found.priority[row] == graph.priority[lane]
        following = {number[int(graph.ids[link])] for link in graph.successors_of(lane)}
        assert set(found.ids[found.successors_of(row)].tolist()) == following & set(found.ids.tolist())
        agreeing += all(
            _neighbour(found, side, row) == _neighbour(graph, side, lane, number) for side in ("left", "right")
        )
    assert agreeing == len(near)


def _neighbour(graph, side: str, lane: int, number: dict[int, int] | None = None) -> int:
    index = int(getattr(graph, side)[lane])
    return -1 if index < 0 else (number or {}).get(int(graph.ids[index]), int(graph.ids[index]))


def test_nothing_is_left_of_a_drive_that_fails(tmp_path: Path, sources: dict[str, list[Scene]]) -> None:
    with pytest.raises(ValueError, match="found 7, accepted 19"):
        write_drives(tmp_path / "out", [Drive("short", sources["town-a"][:7], FRAMES)], progress=False)
    with pytest.raises(ValueError, match="found 12, accepted 6 k . 1"):
        write_drives(tmp_path / "out", [Drive("odd", sources["town-a"], 12)], progress=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="already there"):
        write_drives(tmp_path, [], progress=False)


def test_sheets_are_filled_one_after_the_other() -> None:
    rectangles = [(-150.0, -150.0, 300.0, 250.0)] * 60
    places = lay_out(rectangles)
    assert len({place.location for place in places}) > 1
    corners: dict[str, list[tuple[float, float]]] = {}
    for place in places:
        (width, height), _ = SHEETS[place.location]
        x, y = place.offset[0] - 150.0, place.offset[1] - 150.0
        assert x >= 0 and y >= 0 and x + 450.0 <= width and y + 400.0 <= height
        for other in corners.get(place.location, []):
            assert abs(x - other[0]) >= 450.0 + GAP or abs(y - other[1]) >= 400.0 + GAP
        corners.setdefault(place.location, []).append((x, y))
    with pytest.raises(ValueError, match="fit on the four map sheets"):
        lay_out(rectangles * 10)


def test_drive_through_a_town(tmp_path: Path) -> None:
    out = write_dataset(tmp_path / "drive", [5], seconds=0.5, image_size=(18, 32), progress=False)
    reader = NuScenesReader(out, VERSION)
    assert reader.scene_names == ("town-000005",) and reader.drive("town-000005").description.endswith("town 5")
    first, last = reader.scene("town-000005", 0.0), reader.scene("town-000005", 0.5)
    assert len(first.tracks) > 10 and first.tags == Town(5).tags
    assert float(np.linalg.norm(last.ego.xy - first.ego.xy)) == pytest.approx(0.5 * first.ego.speed, rel=0.3)
    assert reader.pictures("town-000005", 0.25).shape == (6, 18, 32, 3)
    with pytest.raises(ValueError, match="accepted different seeds and at least 0.5 s"):
        write_dataset(tmp_path / "other", [5, 5])
