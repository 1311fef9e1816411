"""A toy data set: objects with constant velocity and yaw rate, one drive of two seconds, no pictures."""

from pathlib import Path

import numpy as np
import shapely

from drivesim.geometry import pose_from_xy_yaw, wrap_angle
from drivesim.scene import CAMERAS, MAP_CLASSES, CameraRig, Tracks
from drivesim.town.writer_map import write_sheets
from drivesim.town.writer_sheets import CroppedMap, lay_out
from drivesim.town.writer_tables import DriveRecord, KeyFrame, SensorFile, Tables

FPS, KEY_STEP = 12, 6
# Constant velocity [m/s] and yaw rate [rad/s] of the toy objects, and the key frames at which each is annotated.
# Object 3 turns through +-pi; 4 appears and 5 disappears between key frames.
TOY = {
    1: ((4.0, -2.0), 0.3, range(5)),
    2: ((0.0, 0.0), 0.0, range(5)),
    3: ((-3.0, 1.0), 2.0, range(5)),
    4: ((6.0, 0.5), -0.4, range(2, 5)),
    5: ((1.0, 1.0), 0.1, range(3)),
}
EGO_SPEED, EGO_YAW_RATE = 8.0, 0.25


def toy_tracks(time: float, numbers: list[int]) -> Tracks:
    """Toy objects at a time [s], exactly."""
    velocity = np.array([TOY[number][0] for number in numbers], float)
    yaw_rate = np.array([TOY[number][1] for number in numbers])
    ids = np.array(numbers, np.int64)
    xy = np.stack([10.0 * ids, -5.0 * ids], axis=-1) + time * velocity
    return Tracks(ids, ids % 3, np.column_stack([xy, 0.5 + 0.1 * ids]), np.tile([1.8, 4.2, 1.5], (len(ids), 1)),
                  wrap_angle(ids * 1.0 + time * yaw_rate), velocity)  # fmt: skip


def toy_pose(time: float) -> np.ndarray:
    """Ego pose at a time [s]: straight path, constant yaw rate (which interpolation reproduces exactly)."""
    return pose_from_xy_yaw(EGO_SPEED * time, 0.5 * EGO_SPEED * time, EGO_YAW_RATE * time)


def _toy_rig() -> CameraRig:
    extrinsics = np.tile(pose_from_xy_yaw(1.5, 0.0, 0.0, 1.5), (6, 1, 1))
    return CameraRig(
        CAMERAS, np.tile([[50.0, 0.0, 32.0], [0.0, 50.0, 18.0], [0.0, 0.0, 1.0]], (6, 1, 1)), extrinsics, (36, 64)
    )


def write_toy(root: Path) -> np.ndarray:
    """Write the data set; what the map sheet adds to its coordinates [3]."""
    square = {name: [] for name in MAP_CLASSES} | {"drivable_area": [shapely.box(0, 0, 100, 100)]}
    stamps = 1_500_000_000_000_000 + np.round(1e6 * np.arange(25) / FPS).astype(np.int64)
    seconds = 1e-6 * (stamps - stamps[0])
    keys = []
    for frame in range(0, 25, KEY_STEP):
        present = [number for number in TOY if frame // KEY_STEP in TOY[number][2]]
        ones = np.ones(len(present))
        keys.append(KeyFrame(frame, toy_tracks(float(seconds[frame]), present), ones, ones.astype(np.int64)))
    drive = DriveRecord(
        name="toy",
        description="Night, after rain, many peds",
        stamps=stamps,
        poses=np.array([toy_pose(float(time)) for time in seconds]),
        rig=_toy_rig(),
        lidar_extrinsics=np.eye(4),
        files=[SensorFile(name, frame, f"samples/{name}/{frame}.jpg") for name in CAMERAS for frame in range(25)],
        key_frames=keys,
        map=CroppedMap("toy", (0.0, 0.0, 100.0, 100.0), square, {}),
    )
    tables, place = Tables(), lay_out([drive.map.bounds])[0]
    tables.add(drive, place)
    tables.write(root / "v1.0-toy", write_sheets(root, [drive.map], [place]))
    return np.array([*place.offset, 0.0])
