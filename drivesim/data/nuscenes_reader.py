"""nuScenes-format data, read through the official devkit into a `Scene` at any time."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.data.interpolation import ego_at, tracks_at
from drivesim.data.nuscenes_log import RecordedDrive, camera_rig, read_drive
from drivesim.data.nuscenes_map import MapSheet, open_sheet
from drivesim.data.nuscenes_tables import open_tables
from drivesim.data.scenarionet_files import RecordFiles
from drivesim.scene import CAMERAS, HdMap, Scene, VehicleShape

# A picture belongs to a time if it was taken within one frame of it [s]; else there was no exposure then.
FRAME = 1.0 / 12.0


class NuScenesReader:
    """Scenes of a nuScenes-format dataroot (nuScenes itself or written by the town).

    Times are seconds from the first key frame of the scene. Boxes are interpolated (see `drivesim.data.interpolation`),
    categories outside the ten detection classes are left out, and the map is cut to `map_radius` [m] around the ego. A
    data set without map expansion gives scenes without a map and says so once; with `map_from`, a folder of ScenarioNet
    records (or one of them), scenes of which there is a record take their map from it.
    """

    def __init__(
        self,
        dataroot: str | Path,
        version: str = "v1.0-mini",
        map_radius: float = 100.0,
        map_from: str | Path | None = None,
    ) -> None:
        self.dataroot = Path(dataroot)
        self.version = version
        self.map_radius = map_radius
        self.nusc = open_tables(self.dataroot, version)
        self._scenes = {record["name"]: record for record in self.nusc.scene}
        self._drives: dict[str, RecordedDrive] = {}
        self._sheets: dict[str, MapSheet | None] = {}
        self._unmapped: set[str] = set()  # locations of which it has been said that they have no map
        self._records = None if map_from is None else RecordFiles(Path(map_from))

    @property
    def scene_names(self) -> tuple[str, ...]:
        """Names of all scenes in the order of the table."""
        return tuple(self._scenes)

    def drive(self, name: str) -> RecordedDrive:
        """The whole recorded drive of one scene; ValueError for an unknown name."""
        if name not in self._scenes:
            raise ValueError(f"scene: found {name!r}, accepted one of {list(self._scenes)}")
        if name not in self._drives:
            self._drives[name] = read_drive(self.nusc, self._scenes[name])
        return self._drives[name]

    def key_times(self, name: str) -> NDArray[np.float64]:
        """Times [K] [s] of the annotated key frames, the first at zero."""
        return self.drive(name).boxes.times

    def frame_times(self, name: str, channel: str = "CAM_FRONT") -> NDArray[np.float64]:
        """Times [F] [s] of the pictures of one camera."""
        return self.drive(name).cameras[_known_channel(channel)].times

    def scene(self, name: str, time: float) -> Scene:
        """The scene at a time [s]; ValueError outside the recorded time."""
        drive = self.drive(name)
        first, last = drive.span
        if not first - 1e-6 <= time <= last + 1e-6:
            raise ValueError(f"time of {name}: found {time} s, accepted {first:.6f} to {last:.6f} s")
        vehicle = VehicleShape()
        ego = ego_at(drive.poses, time, vehicle)
        return Scene(
            timestamp=time,
            ego=ego,
            tracks=tracks_at(drive.boxes, time),
            map=self.map_at(name, ego.xy),
            rig=drive.rig,
            tags=drive.tags,
            vehicle=vehicle,
            exposure_poses=_exposures(drive, time),
            description=drive.description,
        )

    def camera_scene(self, name: str, channel: str, sample_data_token: str) -> Scene:
        """The scene at the time stamp of one picture, with that camera alone in the rig."""
        camera = self.drive(name).cameras[_known_channel(channel)]
        if sample_data_token not in camera.tokens:
            raise ValueError(f"sample_data_token: found {sample_data_token!r}, accepted a token of {channel} in {name}")
        index = camera.tokens.index(sample_data_token)
        scene = self.scene(name, float(camera.times[index]))
        rig = camera_rig(self.nusc, [self.nusc.get("sample_data", sample_data_token)])
        pose = camera.poses[index]
        return replace(scene, ego=replace(scene.ego, pose=pose), rig=rig, exposure_poses=pose[None])

    def pictures(self, name: str, time: float, image_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Recorded pictures [V, H, W, 3] nearest to a time [s], in ring order, resized to (height, width)."""
        drive = self.drive(name)
        files = [drive.cameras[channel].files[drive.cameras[channel].nearest(time)] for channel in CAMERAS]
        return np.stack([self._picture(file, image_size or drive.rig.image_size) for file in files])

    def _picture(self, file: str, image_size: tuple[int, int]) -> NDArray[np.uint8]:
        path = self.dataroot / file
        if not path.is_file():
            raise ValueError(f"picture: found no file {path}, accepted the pictures that sample_data.json names")
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"picture: found a file that is no image, {path}, accepted JPEG or PNG")
        height, width = image_size
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(image[..., ::-1])

    def map_at(self, name: str, xy: NDArray[np.float64]) -> HdMap | None:
        """Map around a point [2] of the scene's location; None where the data set has none."""
        sheet = self.sheet(name)
        return sheet.window(xy, self.map_radius) if sheet else None

    def sheet(self, name: str) -> MapSheet | None:
        """The whole map of the scene's location, likewise."""
        location = self.drive(name).location
        if location not in self._sheets:
            self._sheets[location] = open_sheet(self.dataroot, location)
        sheet = self._sheets[location]
        if sheet is None and self._records is not None and self._records.has(name):
            return self._records.sheet(name)
        if sheet is None and location not in self._unmapped:
            self._unmapped.add(location)
            warnings.warn(f"{self.dataroot}: found no maps/expansion/{location}.json (the map expansion); scenes "
                          f"of {location} come without a map", stacklevel=4)  # fmt: skip
        return sheet


def _known_channel(channel: str) -> str:
    if channel not in CAMERAS:
        raise ValueError(f"camera: found {channel!r}, accepted one of {list(CAMERAS)}")
    return channel


def _exposures(drive: RecordedDrive, time: float) -> NDArray[np.float64]:
    """Ego poses [V, 4, 4] when each camera fired; the pose at `time` for a camera that took no picture near it."""
    poses = np.repeat(drive.poses.at(time)[None], len(CAMERAS), axis=0)
    for view, channel in enumerate(CAMERAS):
        camera = drive.cameras[channel]
        index = camera.nearest(time)
        if abs(camera.times[index] - time) <= FRAME:
            poses[view] = camera.poses[index]
    return poses
