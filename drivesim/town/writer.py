"""Drives written as a nuScenes-format data set that the official devkit loads without a patch.

Pictures are taken at 12 Hz by all cameras at once; every sixth frame is an annotated key frame with a LIDAR sweep. The
reader (`drivesim.data.nuscenes`) gets the same boxes, poses and map back. See `writer_sheets` for where towns are laid.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.geometry import transform_points
from drivesim.scene import CameraRig, Scene
from drivesim.town.lidar import lidar_sweep
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import LIDAR_EXTRINSICS
from drivesim.town.writer_drive import town_drive
from drivesim.town.writer_labels import points_in_boxes, visible_share
from drivesim.town.writer_map import write_sheets
from drivesim.town.writer_sheets import SeenMap, bounds_around, lay_out
from drivesim.town.writer_tables import LIDAR, DriveRecord, KeyFrame, SensorFile, Tables

FPS = 12
KEY_STEP = 6  # frames from key frame to key frame
FIRST_STAMP = 1_600_000_000_000_000  # [us] of the first drive
STAMP_STEP = 1_000_000_000  # [us] between the first frames of drives
JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


@dataclass(frozen=True)
class Drive:
    """What is to be recorded: scenes at 12 Hz, all with map, statics and the same rig."""

    name: str
    scenes: Iterable[Scene]
    frames: int  # 6 k + 1, so that the drive ends with a key frame


def write_dataset(
    out_dir: str | Path,
    seeds: Sequence[int],
    seconds: float = 20.0,
    image_size: tuple[int, int] = (225, 400),
    traffic: str = "idm",
    version: str = "v1.0-town",
    samples_per_pixel: int = 1,
    progress: bool = True,
) -> Path:
    """Drive through the towns of some seeds and write the drives as a data set; the new dataroot.

    Each drive lasts `seconds`, cut to whole half seconds. Raises ValueError if `out_dir` exists already or if the
    drives do not fit on the map sheets.
    """
    keys = int(seconds * FPS + 1e-6) // KEY_STEP
    if keys < 1 or len(seeds) == 0 or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds, seconds: found {list(seeds)}, {seconds}, accepted different seeds and at least 0.5 s")
    frames = keys * KEY_STEP + 1
    drives = [Drive(f"town-{seed:06d}", town_drive(seed, image_size, traffic), frames) for seed in seeds]
    return write_drives(out_dir, drives, version, samples_per_pixel, progress)


def describe(scene: Scene) -> str:
    """Scene description that begins with the look, as nuScenes does: "Rain, night, town 7"."""
    words = [scene.tags.weather, scene.tags.time_of_day, scene.description]
    return ", ".join(word for word in words if word).capitalize()


def _check_target(out_dir: Path) -> None:
    if out_dir.exists():
        raise ValueError(f"out_dir: found {out_dir} already there, accepted a path that does not exist yet")


def write_drives(
    out_dir: str | Path,
    drives: Sequence[Drive],
    version: str = "v1.0-town",
    samples_per_pixel: int = 1,
    progress: bool = True,
) -> Path:
    """Record drives into a new dataroot. It appears only when it is complete; ValueError if it exists already."""
    out_dir = Path(out_dir)
    _check_target(out_dir)
    partial = out_dir.with_name(f".{out_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with tqdm(total=sum(drive.frames for drive in drives), unit="frame", disable=not progress) as bar:
            records = [
                _rendered(partial, drive, FIRST_STAMP + index * STAMP_STEP, samples_per_pixel, bar)
                for index, drive in enumerate(drives)
            ]
        write_tables(partial, version, records)
        os.replace(partial, out_dir)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out_dir


def _rendered(root: Path, drive: Drive, start: int, samples_per_pixel: int, bar: tqdm) -> DriveRecord:
    """Ray-casts a drive and writes it."""
    writer, raycaster = DriveWriter(root, drive.name, start), None
    for scene in _scenes(drive):
        raycaster = raycaster or Raycaster(scene.rig, samples_per_pixel)
        picture = raycaster.render(scene)
        writer.add(scene, picture.images, picture.depth)
        bar.update()
    return writer.finish()


def write_tables(root: Path, version: str, records: Sequence[DriveRecord]) -> None:
    """Lay the drives on map sheets, then write sheets and tables. ValueError if they do not all fit."""
    places = lay_out([record.map.bounds for record in records])
    locations = write_sheets(root, [record.map for record in records], places)
    tables = Tables()
    for record, place in zip(records, places):
        tables.add(record, place)
    tables.write(root / version, locations)


def _scenes(drive: Drive) -> Iterator[Scene]:
    """The scenes of a drive; ValueError if they are too few or too many, have no map, or change the rig."""
    if drive.frames < 1 or drive.frames % KEY_STEP != 1:
        raise ValueError(
            f"frames of {drive.name}: found {drive.frames}, accepted {KEY_STEP} k + 1, to end on a key frame"
        )
    count, rig = 0, None
    for count, scene in enumerate(islice(drive.scenes, drive.frames), 1):
        rig = rig or scene.rig
        if scene.map is None or scene.rig is not rig:
            raise ValueError(
                f"scene {count - 1} of {drive.name}: found no map or another rig, accepted one rig and a map"
            )
        yield scene
    if count != drive.frames:
        raise ValueError(f"scenes of {drive.name}: found {count}, accepted {drive.frames}")


class DriveWriter:
    """Writes the files of one drive, frame by frame at 12 Hz, and keeps what the tables need."""

    def __init__(self, root: Path, name: str, start: int) -> None:
        self.root, self.name, self.start = root, name, start
        self.stamps: list[int] = []
        self.poses: list[NDArray[np.float64]] = []
        self.files: list[SensorFile] = []
        self.keys: list[KeyFrame] = []
        self.seen = SeenMap(name)
        self._first: Scene | None = None

    @property
    def expects_key(self) -> bool:
        """Whether the next frame is a key frame."""
        return len(self.stamps) % KEY_STEP == 0

    def add(self, scene: Scene, images: NDArray[np.uint8], depth: NDArray[np.float32] | None = None) -> None:
        """One frame: pictures [V, H, W, 3] and, for key frames, depth [V, H, W] along the optical axes [m].

        Without depth nothing hides a box from a camera. ValueError for a scene without map.
        """
        if scene.map is None:
            raise ValueError(f"scene {len(self.stamps)} of {self.name}: found no map, accepted scenes with a map")
        frame, self._first = len(self.stamps), self._first or scene
        self.stamps.append(self.start + round(1e6 * (scene.timestamp - self._first.timestamp)))
        self.poses.append(scene.ego.pose)
        self.seen.add(scene.map)
        rig = scene.rig.resized((images.shape[1], images.shape[2]))
        for channel, image in zip(rig.names, images, strict=True):
            cv2.imwrite(str(self._path(frame, channel, ".jpg")), image[..., ::-1], JPEG)
        if frame % KEY_STEP == 0:
            far = np.full(images.shape[:3], np.inf, np.float32)
            self._annotate(frame, scene, rig, far if depth is None else depth)
        self._size = rig.image_size

    def finish(self) -> DriveRecord:
        """The whole drive up to its last key frame; ValueError if it has fewer than two."""
        if len(self.keys) < 2 or self._first is None:
            raise ValueError(f"{self.name}: found {len(self.stamps)} frames, accepted at least {KEY_STEP + 1}")
        last = self.keys[-1].frame
        for item in self.files:
            if item.frame > last:
                (self.root / item.file).unlink()
        return DriveRecord(
            name=self.name,
            description=describe(self._first),
            stamps=np.array(self.stamps[: last + 1], np.int64),
            poses=np.array(self.poses[: last + 1]),
            rig=self._first.rig.resized(self._size),
            lidar_extrinsics=LIDAR_EXTRINSICS,
            files=[item for item in self.files if item.frame <= last],
            key_frames=self.keys,
            map=self.seen.cropped(bounds_around(np.array(self.poses)[:, :2, 3])),
        )

    def _path(self, frame: int, channel: str, suffix: str) -> Path:
        """Where a reading goes, folder made; noted for the tables."""
        folder = "samples" if frame % KEY_STEP == 0 else "sweeps"
        file = f"{folder}/{channel}/{self.name}__{channel}__{self.stamps[frame]}{suffix}"
        self.files.append(SensorFile(channel, frame, file))
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        return self.root / file

    def _annotate(self, frame: int, scene: Scene, rig: CameraRig, depth: NDArray[np.float32]) -> None:
        """LIDAR sweep and boxes of a key frame; the sweep is empty where it is not known what stands around."""
        sweep = lidar_sweep(scene) if scene.statics is not None else np.zeros((0, 5), np.float32)
        sweep.tofile(self._path(frame, LIDAR, ".pcd.bin"))
        points = transform_points(scene.ego.pose @ LIDAR_EXTRINSICS, sweep[:, :3].astype(np.float64))
        poses = scene.exposure_poses
        if poses is None:
            poses = np.broadcast_to(scene.ego.pose, (len(rig.names), 4, 4))
        visible = visible_share(scene.tracks, rig, poses, depth)
        self.keys.append(KeyFrame(frame, scene.tracks, visible, points_in_boxes(scene.tracks, points)))
