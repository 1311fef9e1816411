"""The reader on the toy data set: times, look, and what it says about faults."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from drivesim.data.nuscenes import NuScenesReader
from drivesim.data.nuscenes_log import tags_of
from drivesim.data.nuscenes_map import open_sheet
from drivesim.geometry import wrap_angle
from drivesim.scene import CAMERAS, Tags
from tests.data.conftest import SHARED
from tests.data.toy import EGO_SPEED, EGO_YAW_RATE, toy_pose, toy_tracks, write_toy

VERSION = "v1.0-toy"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp("toy")
    return root, write_toy(root)


@pytest.fixture
def broken(toy: tuple[Path, np.ndarray], tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(toy[0], tmp_path / "broken"))


@pytest.mark.parametrize("time", [0.0, 0.2, 0.5, 0.9, 1.37, 2.0])
def test_scene_at_any_time(toy: tuple[Path, np.ndarray], time: float) -> None:
    root, offset = toy
    reader = NuScenesReader(root, VERSION)
    scene = reader.scene("toy", time)
    truth = {round(float(row[2]), 3): row for row in toy_tracks(time, [1, 2, 3, 4, 5]).position}
    assert len(scene.tracks) >= 4
    for row in scene.tracks.position - offset:
        np.testing.assert_allclose(row, truth[round(float(row[2]), 3)], atol=1e-5)
    expected = toy_pose(time)
    np.testing.assert_allclose(scene.ego.pose[:3, 3] - offset, expected[:3, 3], atol=1e-5)
    np.testing.assert_allclose(scene.ego.pose[:3, :3], expected[:3, :3], atol=1e-6)
    assert scene.ego.yaw_rate == pytest.approx(EGO_YAW_RATE, abs=1e-5)
    assert float(np.hypot(EGO_SPEED, 0.5 * EGO_SPEED)) >= scene.ego.speed > 5.0
    assert scene.rig.names == CAMERAS and scene.rig.image_size == (36, 64)
    assert len(scene.map.layers["drivable_area"]) == 1


def test_camera_scene_takes_the_time_of_its_picture(toy: tuple[Path, np.ndarray]) -> None:
    root, offset = toy
    reader = NuScenesReader(root, VERSION)
    token = reader.drive("toy").cameras["CAM_BACK"].tokens[7]
    scene = reader.camera_scene("toy", "CAM_BACK", token)
    assert scene.timestamp == pytest.approx(7 / 12, abs=1e-6) and scene.tracks.interpolated.all()
    np.testing.assert_allclose(scene.exposure_poses[0][:3, 3] - offset, toy_pose(scene.timestamp)[:3, 3], atol=1e-6)
    turned = {round(float(z), 3): yaw for z, yaw in zip(scene.tracks.position[:, 2], scene.tracks.yaw)}
    for truth in (toy_tracks(scene.timestamp, [number]) for number in (1, 2, 3)):
        assert wrap_angle(turned[round(float(truth.position[0, 2]), 3)] - truth.yaw[0]) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("description", "tags"),
    [
        ("Night, after rain, many peds", Tags("rain", "night")),
        ("Parked truck, construction, intersection", Tags()),
        ("Overcast, dusk, town 3", Tags("overcast", "dusk")),
        ("Train station, drainage, brainy sign", Tags()),
        ("Heavy Rain", Tags("rain", "day")),
    ],
)
def test_looks_in_descriptions(description: str, tags: Tags) -> None:
    assert tags_of(description) == tags


def test_wrong_requests(toy: tuple[Path, np.ndarray]) -> None:
    reader = NuScenesReader(toy[0], VERSION)
    with pytest.raises(ValueError, match="found 'nowhere', accepted one of .'toy'."):
        reader.scene("nowhere", 0.0)
    with pytest.raises(ValueError, match=r"time of toy: found 2.5 s, accepted 0.000000 to 2.000000"):
        reader.scene("toy", 2.5)
    with pytest.raises(ValueError, match="found 'CAM_TOP', accepted one of"):
        reader.frame_times("toy", "CAM_TOP")
    with pytest.raises(ValueError, match="found 'x', accepted a token of CAM_BACK in toy"):
        reader.camera_scene("toy", "CAM_BACK", "x")
    with pytest.raises(ValueError, match="found no file .*samples/CAM_FRONT_LEFT/6.jpg"):
        reader.pictures("toy", 0.5)


def test_spoilt_picture(broken: Path) -> None:
    picture = broken / "samples" / "CAM_FRONT_LEFT" / "6.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_text("no picture")
    with pytest.raises(ValueError, match="no image, .*CAM_FRONT_LEFT/6.jpg"):
        NuScenesReader(broken, VERSION).pictures("toy", 0.5)


def test_missing_places(toy: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no folder"):
        NuScenesReader(tmp_path / "nothing", VERSION)
    with pytest.raises(ValueError, match="version: found 'v1.0-mini', accepted for .*v1.0-toy"):
        NuScenesReader(toy[0], "v1.0-mini")


def _edit(path: Path, change) -> None:
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def test_missing_table(broken: Path) -> None:
    (broken / VERSION / "ego_pose.json").unlink()
    with pytest.raises(ValueError, match="found no ego_pose.json, accepted all 13 tables"):
        NuScenesReader(broken, VERSION)


def test_corrupt_table(broken: Path) -> None:
    path = broken / VERSION / "sample_data.json"
    path.write_text(path.read_text()[:1000])
    with pytest.raises(ValueError, match="sample_data.json: found corrupt JSON"):
        NuScenesReader(broken, VERSION)


def test_table_of_another_shape(broken: Path) -> None:
    (broken / VERSION / "sensor.json").write_text('{"token": "a"}')
    with pytest.raises(ValueError, match="sensor.json: found dict, accepted a list of records"):
        NuScenesReader(broken, VERSION)


def test_missing_field(broken: Path) -> None:
    _edit(broken / VERSION / "calibrated_sensor.json", lambda rows: rows[3].pop("sensor_token"))
    with pytest.raises(
        ValueError, match="calibrated_sensor.json row 3: found no field 'sensor_token', accepted the fields"
    ):
        NuScenesReader(broken, VERSION)


def test_dangling_token(broken: Path) -> None:
    _edit(broken / VERSION / "sample_annotation.json", lambda rows: rows[5].update(instance_token="lost"))
    with pytest.raises(
        ValueError, match="row 5, field instance_token: found 'lost', accepted a token of instance.json"
    ):
        NuScenesReader(broken, VERSION)


def test_missing_mask(broken: Path) -> None:
    next((broken / "maps").glob("*.png")).unlink()
    with pytest.raises(ValueError, match=r"map.json row 0, field filename: found no file .*png"):
        NuScenesReader(broken, VERSION)


def test_log_without_map(broken: Path) -> None:
    _edit(broken / VERSION / "map.json", lambda rows: rows[0].update(log_tokens=[]))
    with pytest.raises(ValueError, match="field log_tokens: found no"):
        NuScenesReader(broken, VERSION)


def test_missing_camera(broken: Path) -> None:
    def drop(rows: list[dict]) -> None:
        rows[:] = [row for row in rows if "CAM_BACK/" not in row["filename"]]

    _edit(broken / VERSION / "sample_data.json", drop)
    with pytest.raises(ValueError, match="scene toy: found cameras .* accepted all of"):
        NuScenesReader(broken, VERSION).drive("toy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "singapore-onenorth.json: found corrupt JSON"),
        ('{"version": "1.3"}', "singapore-onenorth.json: found no 'canvas_edge'"),
        ('{"version": "1.2"}', "found an outdated map, accepted version 1.3"),
    ],
)
def test_spoilt_map(broken: Path, content: str, message: str) -> None:
    (broken / "maps" / "expansion" / "singapore-onenorth.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        NuScenesReader(broken, VERSION).scene("toy", 0.0)


def test_map_of_another_maker(tmp_path: Path) -> None:
    """Null tokens, empty layers, lists in place of dictionaries, self-crossing polygons."""
    path = SHARED / "data" / "map-expansion-schema" / "boston-thomaspark.json"
    if not path.is_file():
        pytest.skip(f"no {path} (set DRIVESIM_SHARED)")
    (tmp_path / "maps" / "expansion").mkdir(parents=True)
    shutil.copy(path, tmp_path / "maps" / "expansion" / "boston-seaport.json")
    sheet = open_sheet(tmp_path, "boston-seaport")
    window = sheet.window(np.array([700.0, 400.0]), 100.0)
    assert len(window.layers["road_divider"]) > 0 and len(window.lane_graph) == 0
    assert all(line.within(line.envelope.buffer(1e-6)) for line in window.layers["road_divider"])
    assert open_sheet(tmp_path, "singapore-onenorth") is None
