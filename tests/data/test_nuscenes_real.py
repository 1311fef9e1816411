"""The reader against the official devkit on the real tables."""

import warnings

import numpy as np
import pytest
from nuscenes.utils.geometry_utils import view_points

from drivesim.data.nuscenes import NuScenesReader
from drivesim.geometry import box_corners, invert_pose, project, transform_points
from drivesim.scene import CAMERAS, CLASS_ID, OBJECT_CLASSES, Scene

pytestmark = pytest.mark.filterwarnings("ignore:.*found no maps/expansion")
PICTURED = (("scene-0061", 0), ("scene-0103", 1))  # scene, index of its key frame with pictures


def _projected(scene: Scene, view: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners [N, 8, 2] of all boxes in one picture and their depths."""
    corners = box_corners(scene.tracks.position, scene.tracks.size, scene.tracks.yaw)
    camera = scene.rig.camera_from_ego[view] @ invert_pose(scene.exposure_poses[view])
    return project(transform_points(camera, corners), scene.rig.intrinsics[view])


def _devkit_sample(reader: NuScenesReader, name: str, key: int) -> dict:
    record = next(scene for scene in reader.nusc.scene if scene["name"] == name)
    sample = reader.nusc.get("sample", record["first_sample_token"])
    for _ in range(key):
        sample = reader.nusc.get("sample", sample["next"])
    return sample


def test_scenes_of_the_tables(real: NuScenesReader) -> None:
    assert real.scene_names == ("scene-0061", "scene-0103", "scene-0916")
    assert [len(real.key_times(name)) for name in real.scene_names] == [1, 40, 41]
    assert real.scene("scene-0103", 3.0).rig.image_size == (900, 1600)


@pytest.mark.parametrize(("name", "key"), PICTURED)
def test_projected_boxes_are_the_devkits(real: NuScenesReader, name: str, key: int) -> None:
    scene = real.scene(name, float(real.key_times(name)[key]))
    assert not scene.tracks.interpolated.any()
    sample, compared = _devkit_sample(real, name, key), 0
    for view, channel in enumerate(CAMERAS):
        _, boxes, intrinsic = real.nusc.get_sample_data(sample["data"][channel])
        pixels, depth = _projected(scene, view)
        for box in boxes:
            instance = real.nusc.get("sample_annotation", box.token)["instance_token"]
            row = np.flatnonzero(scene.tracks.ids == real.nusc.getind("instance", instance))
            if len(row) == 0:
                continue  # a category outside the ten classes
            expected = view_points(box.corners(), intrinsic, normalize=True)[:2].T
            seen = (box.corners()[2] > 0.1) & (np.abs(expected) < 1e5).all(axis=1)
            np.testing.assert_allclose(pixels[row[0]][seen], expected[seen], atol=0.5)
            np.testing.assert_allclose(depth[row[0]], box.corners()[2], atol=1e-6)
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("name", ["scene-0103", "scene-0916"])
def test_velocities_are_the_devkits(real: NuScenesReader, name: str) -> None:
    for key in (0, 7, 20, 39):
        scene = real.scene(name, float(real.key_times(name)[key]))
        rows = dict(zip(scene.tracks.ids.tolist(), scene.tracks.velocity))
        for token in _devkit_sample(real, name, key)["anns"]:
            number = real.nusc.getind("instance", real.nusc.get("sample_annotation", token)["instance_token"])
            if number in rows:
                expected = np.nan_to_num(real.nusc.box_velocity(token)[:2])
                np.testing.assert_allclose(rows[number], expected, atol=1e-4)


def test_classes_are_the_detection_classes(real: NuScenesReader) -> None:
    scene = real.scene("scene-0916", 0.0)
    names = [
        real.nusc.get("sample_annotation", t)["category_name"] for t in _devkit_sample(real, "scene-0916", 0)["anns"]
    ]
    assert any(name == "static_object.bicycle_rack" for name in names)
    others = ("static_object.bicycle_rack", "movable_object.pushable_pullable", "movable_object.debris")
    assert len(scene.tracks) == sum(name not in others for name in names)
    assert (scene.tracks.class_ids == CLASS_ID["pedestrian"]).sum() == sum("pedestrian" in name for name in names)
    assert scene.tracks.class_ids.max() < len(OBJECT_CLASSES)


def test_between_key_frames_boxes_follow_the_devkits_interpolation(real: NuScenesReader) -> None:
    times = real.key_times("scene-0103")
    first, second = _devkit_sample(real, "scene-0103", 3), _devkit_sample(real, "scene-0103", 4)
    boxes = [
        {real.nusc.get("sample_annotation", t)["instance_token"]: real.nusc.get_box(t) for t in sample["anns"]}
        for sample in (first, second)
    ]
    tracks = real.scene("scene-0103", float(0.25 * times[3] + 0.75 * times[4])).tracks
    common = boxes[0].keys() & boxes[1].keys()
    checked = 0
    for row, number in enumerate(tracks.ids):
        instance = real.nusc.instance[number]["token"]
        if instance in common:
            centre = 0.25 * boxes[0][instance].center + 0.75 * boxes[1][instance].center
            np.testing.assert_allclose(tracks.position[row], centre, atol=1e-6)
            checked += 1
    assert checked > 10 and tracks.interpolated.all()


def test_camera_scene_lies_at_the_exposure(real: NuScenesReader) -> None:
    token = _devkit_sample(real, "scene-0103", 4)["data"]["CAM_BACK"]
    record = real.nusc.get("sample_data", token)
    pose = real.nusc.get("ego_pose", record["ego_pose_token"])
    scene = real.camera_scene("scene-0103", "CAM_BACK", token)
    assert scene.rig.names == ("CAM_BACK",) and scene.exposure_poses.shape == (1, 4, 4)
    np.testing.assert_allclose(scene.ego.pose[:3, 3], pose["translation"], atol=1e-9)
    assert scene.timestamp == pytest.approx(1e-6 * (record["timestamp"] - real.drive("scene-0103").start), abs=1e-9)


def test_pictures(real: NuScenesReader) -> None:
    time = float(real.key_times("scene-0103")[1])
    small = real.pictures("scene-0103", time, (45, 80))
    assert small.shape == (6, 45, 80, 3) and small.dtype == np.uint8
    assert small.reshape(6, -1).std(axis=1).min() > 20
    assert real.pictures("scene-0103", time).shape == (6, 900, 1600, 3)
    with pytest.raises(ValueError, match="found no file .*CAM_FRONT_LEFT.*jpg"):
        real.pictures("scene-0103", 5.0)


def test_no_map_is_said_once(real_root) -> None:
    reader = NuScenesReader(real_root)
    with pytest.warns(UserWarning, match="found no maps/expansion/boston-seaport.json"):
        assert reader.scene("scene-0103", 0.0).map is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reader.scene("scene-0103", 1.0).map is None
