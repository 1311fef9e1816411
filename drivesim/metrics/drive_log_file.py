"""Drive logs as files: one compressed .npz each, without pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.events import Collision
from drivesim.metrics.drive_log import CollisionEvent, DriveLog, TrackLog
from drivesim.scene import MAP_CLASSES, HdMap, LaneGraph, VehicleShape

FORMAT = "drivesim-drive/1"
_STEP_ARRAYS = (
    "time", "position", "yaw", "velocity", "acceleration", "yaw_rate", "steering", "map_index", "route_index",
    "off_road", "corners_off_road",
)  # fmt: skip
_TRACK_ARRAYS = tuple(field.name for field in fields(TrackLog))
_LANE_ARRAYS = tuple(field.name for field in fields(LaneGraph))
Arrays = Mapping[str, NDArray]


def save_drive_log(log: DriveLog, path: str | Path) -> None:
    """Writes a log to a file that ends in .npz; it appears only when it is complete.

    ValueError for another ending and for settings that do not fit in JSON.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"drive log: found {str(path)!r}, accepted a path that ends in .npz")
    head = {
        "format": FORMAT, "vehicle": asdict(log.vehicle), "ending": log.ending, "traffic": log.traffic,
        "seed": log.seed, "settings": dict(log.settings), "collisions": [asdict(event) for event in log.collisions],
        "maps": len(log.maps), "routes": len(log.routes),
    }  # fmt: skip
    try:
        arrays: dict[str, NDArray] = {"head": np.array(json.dumps(head))}
    except TypeError as fault:
        raise ValueError(f"DriveLog.settings: {fault}; accepted what fits in JSON") from fault
    arrays |= {name: getattr(log, name) for name in _STEP_ARRAYS}
    arrays |= {f"tracks_{name}": getattr(log.tracks, name) for name in _TRACK_ARRAYS}
    arrays |= {f"route{index}": route for index, route in enumerate(log.routes)}
    for index, hd_map in enumerate(log.maps):
        arrays |= {f"map{index}_{name}": array for name, array in _map_arrays(hd_map).items()}
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    partial.replace(path)


def load_drive_log(path: str | Path) -> DriveLog:
    """Reads a log that `save_drive_log` wrote; ValueError that names the file and what is wrong with it."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: found no file, accepted a drive log written by save_drive_log")
    try:
        with np.load(path, allow_pickle=False) as file:
            return _read(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, shapely.GEOSException) as fault:
        raise ValueError(f"{path}: found a corrupt file ({fault}), accepted a drive log of save_drive_log") from fault
    except (KeyError, TypeError) as fault:
        raise ValueError(f"{path}: found no {fault}, accepted a drive log of save_drive_log") from fault
    except (ValueError, AttributeError) as fault:
        raise ValueError(f"{path}: {fault}; accepted a drive log of save_drive_log") from fault


def _read(file: Arrays) -> DriveLog:
    head = json.loads(str(file["head"]))
    found = head.get("format") if isinstance(head, dict) else None
    if found != FORMAT:
        raise ValueError(f"found format {found!r}, accepted {FORMAT!r}")
    return DriveLog(
        **{name: file[name] for name in _STEP_ARRAYS},
        tracks=TrackLog(*(file[f"tracks_{name}"] for name in _TRACK_ARRAYS)),
        vehicle=VehicleShape(**head["vehicle"]),
        maps=tuple(_map(file, f"map{index}_") for index in range(head["maps"])),
        routes=tuple(file[f"route{index}"] for index in range(head["routes"])),
        collisions=tuple(_event(record) for record in head["collisions"]),
        ending=head["ending"],
        traffic=head["traffic"],
        seed=head["seed"],
        settings=head["settings"],
    )


def _event(record: dict[str, Any]) -> CollisionEvent:
    return CollisionEvent(record["step"], Collision(**record["collision"]))


def _map_arrays(hd_map: HdMap) -> dict[str, NDArray]:
    """A map as arrays: its geometries as well-known binary one after the other, and the lane graph."""
    layers = [hd_map.layers[name] for name in MAP_CLASSES]
    binary = [shapely.to_wkb(shape) for layer in layers for shape in layer]
    arrays = {f"lane_{name}": getattr(hd_map.lane_graph, name) for name in _LANE_ARRAYS}
    return arrays | {
        "bounds": np.array(hd_map.bounds, np.float64),
        "shapes": np.frombuffer(b"".join(binary), np.uint8),
        "shape_sizes": np.array([len(shape) for shape in binary], np.int64),
        "layer_counts": np.array([len(layer) for layer in layers], np.int64),
    }


def _map(file: Arrays, prefix: str) -> HdMap:
    data, sizes, counts = (file[prefix + name] for name in ("shapes", "shape_sizes", "layer_counts"))
    if len(counts) != len(MAP_CLASSES) or counts.sum() != len(sizes) or sizes.sum() != data.size:
        raise ValueError(f"found {prefix}shapes that do not fit their counts")
    ends, content = np.cumsum(sizes).tolist(), data.tobytes()
    binary = [content[end - size : end] for end, size in zip(ends, sizes.tolist())]
    shapes = shapely.from_wkb(np.array(binary, dtype=object)) if binary else np.zeros(0, object)
    parts = np.split(shapes, np.cumsum(counts)[:-1])
    graph = LaneGraph(*(file[f"{prefix}lane_{name}"] for name in _LANE_ARRAYS))
    x0, y0, x1, y1 = file[prefix + "bounds"].tolist()
    return HdMap({name: tuple(part) for name, part in zip(MAP_CLASSES, parts)}, graph, (x0, y0, x1, y1))
