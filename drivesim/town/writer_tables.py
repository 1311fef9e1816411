"""The 13 tables of a nuScenes-format data set.

Category, attribute and visibility names are those of nuScenes; tokens are our own. Beyond the official schema,
instances carry the `color` of their object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from drivesim.scene import OBJECT_CLASSES, CameraRig, Tracks
from drivesim.town.writer_labels import VISIBILITY_LEVELS, attribute, fastest_speeds, visibility_tokens
from drivesim.town.writer_map import token
from drivesim.town.writer_sheets import SHEETS, CroppedMap, Place

# Category that each of our classes is written as; the devkit maps it back to the class.
CATEGORY_OF_CLASS = dict(zip(OBJECT_CLASSES, (
    "vehicle.car", "vehicle.truck", "vehicle.construction", "vehicle.bus.rigid", "vehicle.trailer",
    "movable_object.barrier", "vehicle.motorcycle", "vehicle.bicycle", "human.pedestrian.adult",
    "movable_object.trafficcone",
)))  # fmt: skip
# All categories of nuScenes, in the order of its table.
CATEGORIES = (
    "human.pedestrian.adult", "human.pedestrian.child", "human.pedestrian.wheelchair", "human.pedestrian.stroller",
    "human.pedestrian.personal_mobility", "human.pedestrian.police_officer", "human.pedestrian.construction_worker",
    "animal", "vehicle.car", "vehicle.motorcycle", "vehicle.bicycle", "vehicle.bus.bendy", "vehicle.bus.rigid",
    "vehicle.truck", "vehicle.construction", "vehicle.emergency.ambulance", "vehicle.emergency.police",
    "vehicle.trailer", "movable_object.barrier", "movable_object.trafficcone", "movable_object.pushable_pullable",
    "movable_object.debris", "static_object.bicycle_rack",
)  # fmt: skip
ATTRIBUTES = (
    "vehicle.moving", "vehicle.stopped", "vehicle.parked", "cycle.with_rider", "cycle.without_rider",
    "pedestrian.sitting_lying_down", "pedestrian.standing", "pedestrian.moving",
)  # fmt: skip
LIDAR = "LIDAR_TOP"
TABLES = (
    "category", "attribute", "visibility", "instance", "sensor", "calibrated_sensor", "ego_pose", "log", "scene",
    "sample", "sample_data", "sample_annotation", "map",
)  # fmt: skip
SPLIT = "town"  # name in splits.json of the split with all scenes, for the devkit's evaluations
Row = dict[str, object]


@dataclass(frozen=True)
class SensorFile:
    """One reading of a sensor: a picture or a LIDAR sweep."""

    channel: str
    frame: int
    file: str  # relative to the dataroot


@dataclass(frozen=True)
class KeyFrame:
    """Annotations of one key frame."""

    frame: int
    tracks: Tracks
    visible: NDArray[np.float64]  # [N] share seen by the cameras
    lidar_points: NDArray[np.int64]  # [N]


@dataclass(frozen=True)
class DriveRecord:
    """One recorded drive, in the coordinates of its town."""

    name: str
    description: str
    stamps: NDArray[np.int64]  # [F] [us]
    poses: NDArray[np.float64]  # [F, 4, 4]
    rig: CameraRig
    lidar_extrinsics: NDArray[np.float64]  # [4, 4]
    files: Sequence[SensorFile]
    key_frames: Sequence[KeyFrame]
    map: CroppedMap


def quaternion(matrix: NDArray[np.float64]) -> list[float]:
    """Rotation (w, x, y, z), w >= 0, of the upper left of a matrix [4, 4]."""
    x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat(canonical=True).tolist()
    return [w, x, y, z]


def _linked(rows: list[Row]) -> list[Row]:
    """Rows with prev and next filled in, in the order given."""
    tokens = [str(row["token"]) for row in rows]
    for row, before, after in zip(rows, ["", *tokens[:-1]], [*tokens[1:], ""]):
        row |= {"prev": before, "next": after}
    return rows


class Tables:
    """The rows of all tables while drives are added."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in TABLES}
        self.rows["category"] = [_named("category", name) for name in CATEGORIES]
        self.rows["attribute"] = [_named("attribute", name) for name in ATTRIBUTES]
        self.rows["visibility"] = [
            {"token": str(index + 1), "level": level, "description": f"visible share of the object: {level[1:]} %"}
            for index, level in enumerate(VISIBILITY_LEVELS)
        ]

    def add(self, drive: DriveRecord, place: Place) -> None:
        """All rows of one drive that lies at a place of the map sheets."""
        offset = np.array([*place.offset, 0.0])
        self._add_scene(drive, place.location)
        self._add_poses(drive, offset)
        self._add_sensor_data(drive)
        self._add_annotations(drive, offset)

    def _add_scene(self, drive: DriveRecord, location: str) -> None:
        samples = [token(drive.name, "sample", key.frame) for key in drive.key_frames]
        scene, log = token(drive.name, "scene"), token(drive.name, "log")
        self.rows["log"].append({"token": log, "logfile": drive.name, "vehicle": "town", "date_captured": "2000-01-01",
                                 "location": location})  # fmt: skip
        self.rows["scene"].append({"token": scene, "log_token": log, "nbr_samples": len(samples), "name": drive.name,
                                   "first_sample_token": samples[0], "last_sample_token": samples[-1],
                                   "description": drive.description})  # fmt: skip
        self.rows["sample"] += _linked([
            {"token": sample, "timestamp": int(drive.stamps[key.frame]), "scene_token": scene}
            for sample, key in zip(samples, drive.key_frames)
        ])  # fmt: skip

    def _add_poses(self, drive: DriveRecord, offset: NDArray[np.float64]) -> None:
        """One ego pose per frame: all sensors read at the same instant."""
        self.rows["ego_pose"] += [
            {"token": token(drive.name, "pose", frame), "timestamp": int(stamp), "rotation": quaternion(pose),
             "translation": (pose[:3, 3] + offset).tolist()}
            for frame, (stamp, pose) in enumerate(zip(drive.stamps, drive.poses))
        ]  # fmt: skip

    def _add_sensor_data(self, drive: DriveRecord) -> None:
        keys = [key.frame for key in drive.key_frames]
        sensors = [*zip(drive.rig.names, drive.rig.extrinsics, drive.rig.intrinsics.tolist(), strict=True),
                   (LIDAR, drive.lidar_extrinsics, [])]  # fmt: skip
        for channel, extrinsics, intrinsics in sensors:
            calibration = token(drive.name, "calibration", channel)
            self.rows["calibrated_sensor"].append({
                "token": calibration, "sensor_token": self._sensor(channel), "rotation": quaternion(extrinsics),
                "translation": extrinsics[:3, 3].tolist(), "camera_intrinsic": intrinsics,
            })  # fmt: skip
            height, width = (0, 0) if channel == LIDAR else drive.rig.image_size
            self.rows["sample_data"] += _linked([
                {"token": token(drive.name, channel, item.frame),
                 "ego_pose_token": token(drive.name, "pose", item.frame),
                 # As in nuScenes: sweeps belong to the key frame that follows.
                 "sample_token": token(drive.name, "sample", keys[int(np.searchsorted(keys, item.frame))]),
                 "calibrated_sensor_token": calibration, "timestamp": int(drive.stamps[item.frame]),
                 "fileformat": "pcd" if channel == LIDAR else "jpg", "is_key_frame": item.frame in keys,
                 "height": height, "width": width, "filename": item.file}
                for item in drive.files if item.channel == channel
            ])  # fmt: skip

    def _sensor(self, channel: str) -> str:
        row: Row = {"token": token("sensor", channel), "channel": channel,
                    "modality": "lidar" if channel == LIDAR else "camera"}  # fmt: skip
        if row not in self.rows["sensor"]:
            self.rows["sensor"].append(row)
        return str(row["token"])

    def _add_annotations(self, drive: DriveRecord, offset: NDArray[np.float64]) -> None:
        fastest = fastest_speeds([key.tracks for key in drive.key_frames])
        histories: dict[int, list[Row]] = {}
        first_seen: dict[int, tuple[Tracks, int]] = {}
        for key in drive.key_frames:
            levels = visibility_tokens(key.visible)
            for row, number in enumerate(key.tracks.ids.tolist()):
                annotation = _annotation(drive.name, key, row, offset, fastest[number])
                histories.setdefault(number, []).append(annotation | {"visibility_token": levels[row]})
                first_seen.setdefault(number, (key.tracks, row))
        for number, history in histories.items():
            self.rows["instance"].append(_instance(drive.name, number, *first_seen[number], _linked(history)))
        # The rows of one key frame after the other, as in nuScenes.
        order = {token(drive.name, "sample", key.frame): index for index, key in enumerate(drive.key_frames)}
        rows = [row for history in histories.values() for row in history]
        self.rows["sample_annotation"] += sorted(rows, key=lambda row: order[str(row["sample_token"])])

    def write(self, folder: Path, locations: Iterable[str]) -> None:
        """Write all tables and the file of splits; `locations` are the map sheets in use."""
        for location in locations:
            mask = SHEETS[location][1]
            logs = [row["token"] for row in self.rows["log"] if row["location"] == location]
            self.rows["map"].append({"token": mask, "category": "semantic_prior", "filename": f"maps/{mask}.png",
                                     "log_tokens": logs})  # fmt: skip
        folder.mkdir(parents=True)
        for name, rows in self.rows.items():
            (folder / f"{name}.json").write_text(json.dumps(rows, indent=0))
        (folder / "splits.json").write_text(json.dumps({SPLIT: [row["name"] for row in self.rows["scene"]]}))


def _named(table: str, name: str) -> Row:
    return {"token": token(table, name), "name": name, "description": name.replace(".", ", ").replace("_", " ")}


def _instance(drive: str, number: int, tracks: Tracks, row: int, history: list[Row]) -> Row:
    """Row of one object, with its annotations in order of time."""
    category = CATEGORY_OF_CLASS[OBJECT_CLASSES[tracks.class_ids[row]]]
    known = bool(np.isfinite(tracks.color[row]).all())
    return {
        "token": token(drive, "instance", number), "category_token": token("category", category),
        "nbr_annotations": len(history), "first_annotation_token": history[0]["token"],
        "last_annotation_token": history[-1]["token"],
    } | ({"color": tracks.color[row].tolist()} if known else {})  # fmt: skip


def _annotation(drive: str, key: KeyFrame, row: int, offset: NDArray[np.float64], fastest: float) -> Row:
    """Row of one box, without visibility and links."""
    tracks = key.tracks
    half = 0.5 * float(tracks.yaw[row])
    name = attribute(int(tracks.class_ids[row]), float(np.hypot(*tracks.velocity[row])), fastest)
    number = int(tracks.ids[row])
    return {
        "token": token(drive, "annotation", key.frame, number), "sample_token": token(drive, "sample", key.frame),
        "instance_token": token(drive, "instance", number),
        "attribute_tokens": [token("attribute", name)] if name else [],
        "translation": (tracks.position[row] + offset).tolist(), "size": tracks.size[row].tolist(),
        "rotation": [float(np.cos(half)), 0.0, 0.0, float(np.sin(half))],
        "num_lidar_pts": int(key.lidar_points[row]), "num_radar_pts": 0,
    }  # fmt: skip
