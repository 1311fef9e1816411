"""One recorded drive as a file, for data sets that are written drive by drive: a compressed .npz without pickle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.scene import MAP_CLASSES, CameraRig, Tracks
from drivesim.town.writer_sheets import CroppedMap, SeenLane
from drivesim.town.writer_tables import DriveRecord, KeyFrame, SensorFile

FORMAT = "drivesim-drive-record/1"
_TRACKS = tuple(field.name for field in fields(Tracks))
_LANE_FACTS = ("width", "speed_limit", "priority", "connector")


def save_record(record: DriveRecord, path: Path) -> None:
    """Writes the record; the file appears only when it is complete."""
    lanes = record.map.lanes
    head = {
        "format": FORMAT, "name": record.name, "description": record.description,
        "cameras": record.rig.names, "image_size": record.rig.image_size,
        "files": [asdict(item) for item in record.files], "bounds": record.map.bounds,
        "key_frames": [key.frame for key in record.key_frames],
        "lanes": [[number, sorted(lane.successors), *(getattr(lane, name) for name in _LANE_FACTS)]
                  for number, lane in lanes.items()],
    }  # fmt: skip
    arrays: dict[str, NDArray] = {
        "head": np.array(json.dumps(head)), "stamps": record.stamps, "poses": record.poses,
        "intrinsics": record.rig.intrinsics, "extrinsics": record.rig.extrinsics, "lidar": record.lidar_extrinsics,
        **_joined("lane", [lane.line for lane in lanes.values()], np.zeros((0, 3))),
        **_joined("visible", [key.visible for key in record.key_frames], np.zeros(0)),
        **_joined("lidar_points", [key.lidar_points for key in record.key_frames], np.zeros(0, np.int64)),
    }  # fmt: skip
    for name in _TRACKS:
        arrays[f"tracks_{name}"] = np.concatenate([getattr(key.tracks, name) for key in record.key_frames])
    for name in MAP_CLASSES:
        binary = [np.frombuffer(shapely.to_wkb(shape), np.uint8) for shape in record.map.layers[name]]
        arrays |= _joined(f"layer_{name}", binary, np.zeros(0, np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    partial.replace(path)


def load_record(path: Path) -> DriveRecord:
    """Reads a record that `save_record` wrote; ValueError that names the file if it is not one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _read(dict(file), json.loads(str(file["head"])))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, EOFError, shapely.GEOSException) as fault:
        raise ValueError(
            f"{path}: found no readable record of a drive ({fault}); remove it to record it again"
        ) from None


def _read(file: Mapping[str, NDArray], head: Mapping) -> DriveRecord:
    if head["format"] != FORMAT:
        raise ValueError(f"format: found {head['format']!r}, accepted {FORMAT!r}")
    lines = _parted(file, "lane")
    lanes = {
        number: SeenLane(line, successors=set(following), **dict(zip(_LANE_FACTS, facts)))
        for line, (number, following, *facts) in zip(lines, head["lanes"], strict=True)
    }
    layers = {
        name: [shapely.from_wkb(part.tobytes()) for part in _parted(file, f"layer_{name}")] for name in MAP_CLASSES
    }
    visible, lidar_points = _parted(file, "visible"), _parted(file, "lidar_points")
    ends = np.cumsum([len(part) for part in visible])[:-1]
    tracks = [Tracks(*columns) for columns in zip(*(np.split(file[f"tracks_{name}"], ends) for name in _TRACKS))]
    x0, y0, x1, y1 = head["bounds"]
    return DriveRecord(
        name=head["name"],
        description=head["description"],
        stamps=file["stamps"],
        poses=file["poses"],
        rig=CameraRig(tuple(head["cameras"]), file["intrinsics"], file["extrinsics"], tuple(head["image_size"])),
        lidar_extrinsics=file["lidar"],
        files=[SensorFile(**item) for item in head["files"]],
        key_frames=[KeyFrame(*parts) for parts in zip(head["key_frames"], tracks, visible, lidar_points, strict=True)],
        map=CroppedMap(head["name"], (x0, y0, x1, y1), layers, lanes),
    )


def _joined(name: str, parts: Sequence[NDArray], empty: NDArray) -> dict[str, NDArray]:
    """Arrays of different lengths one after the other, and their lengths."""
    lengths = np.array([len(part) for part in parts], np.int64)
    return {name: np.concatenate([empty, *parts]), f"{name}_lengths": lengths}


def _parted(file: Mapping[str, NDArray], name: str) -> list[NDArray]:
    """What `_joined` has joined."""
    lengths = file[f"{name}_lengths"]
    return np.split(file[name], np.cumsum(lengths)[:-1]) if len(lengths) else []
