"""One recorded drive as arrays: annotated boxes, ego poses, camera frames, calibration and look."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from drivesim.data.interpolation import BoxLog, PoseLog
from drivesim.scene import CAMERAS, CLASS_ID, CameraRig, Tags

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

# Words of scene descriptions and the tags they stand for; the first that occurs decides.
WEATHER_WORDS = (("rain", "rain"), ("overcast", "overcast"), ("cloudy", "overcast"))
TIME_WORDS = (("night", "night"), ("dusk", "dusk"), ("dawn", "dusk"))


@dataclass(frozen=True)
class CameraLog:
    """Pictures of one camera in a drive, F of them in order of time."""

    times: NDArray[np.float64]  # [F] [s]
    tokens: tuple[str, ...]  # of sample_data
    files: tuple[str, ...]  # relative to the dataroot
    poses: NDArray[np.float64]  # [F, 4, 4] ego pose at the exposure

    def nearest(self, time: float) -> int:
        """Index of the picture nearest to a time [s]."""
        return int(np.argmin(np.abs(self.times - time)))


@dataclass(frozen=True)
class RecordedDrive:
    """One scene of a data set. Times count from its first key frame [s]."""

    name: str
    description: str
    tags: Tags
    location: str
    start: int  # time stamp of the first key frame [us]
    boxes: BoxLog
    poses: PoseLog
    rig: CameraRig
    cameras: Mapping[str, CameraLog]

    @property
    def span(self) -> tuple[float, float]:
        """First and last time [s] at which the drive is known."""
        return (min(float(self.boxes.times[0]), float(self.poses.times[0])),
                max(float(self.boxes.times[-1]), float(self.poses.times[-1])))  # fmt: skip


def tags_of(description: str) -> Tags:
    """Look of a scene from the words of its description; sunny and day where it says nothing."""
    words = set(re.findall(r"[a-z]+", description.lower().replace("raining", "rain").replace("rainy", "rain")))
    weather = next((tag for word, tag in WEATHER_WORDS if word in words), "sunny")
    return Tags(weather, next((tag for word, tag in TIME_WORDS if word in words), "day"))


def rigid(record: Mapping) -> NDArray[np.float64]:
    """Transform [4, 4] of a record with a translation [m] and a rotation quaternion (w, x, y, z)."""
    pose = np.eye(4)
    pose[:3, :3] = quaternion_matrix(np.array(record["rotation"], np.float64))
    pose[:3, 3] = record["translation"]
    return pose


def quaternion_matrix(quaternion: NDArray) -> NDArray[np.float64]:
    """Rotation matrices [..., 3, 3] of quaternions [..., 4] (w, x, y, z)."""
    return Rotation.from_quat(quaternion[..., [1, 2, 3, 0]]).as_matrix()


def _chain(get: Callable[[str], dict], token: str) -> list[dict]:
    """Records linked by prev and next, from the first to the last."""
    record = get(token)
    while record["prev"]:
        record = get(record["prev"])
    records = [record]
    while records[-1]["next"]:
        records.append(get(records[-1]["next"]))
    return records


def _boxes(nusc: NuScenes, samples: list[dict], times: NDArray) -> BoxLog:
    """All annotations of the ten detection classes; other categories are left out."""
    from nuscenes.eval.detection.utils import category_to_detection_name

    tokens = [(key, token) for key, sample in enumerate(samples) for token in sample["anns"]]
    rows = [(key, nusc.get("sample_annotation", token)) for key, token in tokens]
    rows = [(key, record) for key, record in rows if category_to_detection_name(record["category_name"])]
    instances = [nusc.getind("instance", record["instance_token"]) for _, record in rows]
    classes = [CLASS_ID[category_to_detection_name(record["category_name"])] for _, record in rows]
    matrices = quaternion_matrix(np.array([record["rotation"] for _, record in rows], np.float64).reshape(-1, 4)) \
        if rows else np.zeros((0, 3, 3))  # fmt: skip
    unknown = (np.nan, np.nan, np.nan)
    return BoxLog(
        times=times,
        key=np.array([key for key, _ in rows], np.int64),
        ids=np.array(instances, np.int64),
        class_ids=np.array(classes, np.int64),
        position=np.array([record["translation"] for _, record in rows], np.float64).reshape(-1, 3),
        size=np.array([record["size"] for _, record in rows], np.float64).reshape(-1, 3),
        yaw=np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]),
        # Town data sets carry the colour of every object; nuScenes has no such field.
        color=np.array([nusc.instance[i].get("color", unknown) for i in instances], np.float32).reshape(-1, 3),
    )


def _poses(nusc: NuScenes, records: list[dict], start: int) -> PoseLog:
    """Ego poses of all sensor readings, in order of time."""
    poses = [nusc.get("ego_pose", record["ego_pose_token"]) for record in records]
    stamps, first = np.unique(np.array([pose["timestamp"] for pose in poses], np.int64), return_index=True)
    return PoseLog(1e-6 * (stamps - start), np.array([poses[i]["translation"] for i in first], np.float64),
                   np.array([poses[i]["rotation"] for i in first], np.float64))  # fmt: skip


def _camera(nusc: NuScenes, records: list[dict], start: int) -> CameraLog:
    """Pictures of one camera."""
    poses = [rigid(nusc.get("ego_pose", record["ego_pose_token"])) for record in records]
    return CameraLog(np.array([1e-6 * (record["timestamp"] - start) for record in records]),
                     tuple(record["token"] for record in records), tuple(record["filename"] for record in records),
                     np.array(poses))  # fmt: skip


def camera_rig(nusc: NuScenes, records: list[dict]) -> CameraRig:
    """Calibration of one sample_data record per camera; all pictures must be of one size."""
    sizes = {(record["height"], record["width"]) for record in records}
    if len(sizes) != 1:
        raise ValueError(f"sample_data, fields height and width: found {sorted(sizes)}, accepted one size for all")
    sensors = [nusc.get("calibrated_sensor", record["calibrated_sensor_token"]) for record in records]
    intrinsics = np.array([sensor["camera_intrinsic"] for sensor in sensors], np.float64)
    return CameraRig(tuple(record["channel"] for record in records), intrinsics, np.array([rigid(s) for s in sensors]),
                     sizes.pop())  # fmt: skip


def read_drive(nusc: NuScenes, scene: Mapping) -> RecordedDrive:
    """All of one scene record; ValueError if a key frame lacks a camera."""
    samples = _chain(lambda token: nusc.get("sample", token), scene["first_sample_token"])
    data = samples[0]["data"]
    missing = [channel for channel in CAMERAS if channel not in data]
    if missing:
        raise ValueError(f"scene {scene['name']}: found cameras {sorted(data)}, accepted all of {list(CAMERAS)}")
    start = int(samples[0]["timestamp"])
    chains = {channel: _chain(lambda token: nusc.get("sample_data", token), token) for channel, token in data.items()}
    return RecordedDrive(
        name=scene["name"],
        description=scene["description"],
        tags=tags_of(scene["description"]),
        location=nusc.get("log", scene["log_token"])["location"],
        start=start,
        boxes=_boxes(nusc, samples, np.array([1e-6 * (sample["timestamp"] - start) for sample in samples])),
        poses=_poses(nusc, [record for chain in chains.values() for record in chain], start),
        rig=camera_rig(nusc, [chains[channel][0] for channel in CAMERAS]),
        cameras={channel: _camera(nusc, chains[channel], start) for channel in CAMERAS},
    )
