"""The moving part of a ScenarioNet record: boxes and ego poses as logs, in nuScenes conventions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.data.interpolation import BoxLog, PoseLog
from drivesim.data.scenarionet_file import Record
from drivesim.scene import CLASS_ID, OBJECT_CLASSES, VehicleShape

MEASURED_EVERY = 5  # steps of 0.1 s: nuScenes is annotated at 2 Hz, all between is interpolated
_TYPES = {
    "VEHICLE": "car", "PEDESTRIAN": "pedestrian", "CYCLIST": "bicycle", "TRAFFIC_CONE": "traffic_cone",
    "TRAFFIC_BARRIER": "barrier",
}  # fmt: skip
_LONG = 6.5  # [m] from which a vehicle whose kind is not given counts as a truck
_UNEVEN = 0.2  # share of the period by which time stamps may be off


@dataclass(frozen=True)
class ScenarioLog:
    """One recorded drive. Times count from its first step [s]."""

    name: str
    dataset: str
    location: str
    boxes: BoxLog
    poses: PoseLog  # of the middle of the rear axle
    vehicle: VehicleShape
    measured: NDArray[np.bool_]  # [K] which steps are measured, not interpolated
    left_out: tuple[str, ...]  # types of tracks that no class of ours stands for

    @property
    def end(self) -> float:
        """Time of the last step [s]."""
        return float(self.poses.times[-1])


def read_log(record: Record) -> ScenarioLog:
    """The log of a record; ValueError that names file and field."""
    metadata = record["metadata"]
    dataset = metadata["dataset"].text()
    length = int(record["length"].number())
    if length < 2:
        raise record["length"].error(str(length), "at least 2")
    times = _times(metadata, length)
    tracks, sdc = dict(record["tracks"].items()), metadata["sdc_id"].text()
    if sdc not in tracks:
        raise metadata["sdc_id"].error(repr(sdc), "the name of a track")
    ego = tracks.pop(sdc)
    vehicle = _vehicle(ego, dataset, length)
    boxes, left_out = _boxes(tracks, dataset, times)
    steps = np.arange(length)
    measured = steps % MEASURED_EVERY == 0 if dataset == "nuscenes" else np.ones(length, bool)
    location = metadata["map"].text() if metadata.has("map") else ""
    poses = _poses(ego, times, 0.0 if dataset == "nuscenes" else vehicle.centre_offset)
    return ScenarioLog(record["id"].text(), dataset, location, boxes, poses, vehicle, measured, left_out)


def _times(metadata: Record, length: int) -> NDArray[np.float64]:
    """Times [K] from the first step on. `sample_rate` is a period [s] whatever its name says."""
    period = metadata["sample_rate"].number()
    if not 0.001 <= period <= 10.0:
        raise metadata["sample_rate"].error(f"{period:g}", "a period of 0.001 to 10 s")
    if not metadata.has("ts"):
        return period * np.arange(length)
    times = metadata["ts"].array(length)
    steps = np.diff(times)
    if steps.min() <= 0.0 or abs(float(np.median(steps)) - period) > _UNEVEN * period:
        raise metadata["ts"].error(
            f"steps of {steps.min():g} to {steps.max():g}", f"ascending seconds, about {period:g} s apart"
        )
    return times - times[0]


def _vehicle(ego: Record, dataset: str, length: int) -> VehicleShape:
    """The ego's body. In records of nuScenes its length and width are swapped: no car is wider than long."""
    if dataset == "nuscenes":
        return VehicleShape()
    state = ego["state"]
    valid = _valid(state, length)
    long, wide, high = (float(_side(state, name, valid)[valid][0]) for name in ("length", "width", "height"))
    long, wide = max(long, wide), min(long, wide)
    return VehicleShape(long, wide, high, wheelbase=0.63 * long, rear_overhang=0.22 * long)


def _valid(state: Record, length: int) -> NDArray[np.bool_]:
    valid = state["valid"].array(length) > 0.5
    if not valid.any():
        raise state["valid"].error("no valid step", "at least one")
    return valid


def _side(state: Record, name: str, valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Length, width or height [K], which may be a column."""
    value = np.asarray(state[name].value)
    shape = (len(valid), 1) if value.ndim == 2 else (len(valid),)
    found = state[name].array(*shape, finite=valid).reshape(-1)
    if found[valid].min() <= 0.0:
        raise state[name].error(f"{found[valid].min():g}", "more than 0 m")
    return found


def _poses(ego: Record, times: NDArray[np.float64], to_centre: float) -> PoseLog:
    """Poses of the rear axle, `to_centre` [m] behind the recorded position."""
    state = ego["state"]
    valid = _valid(state, len(times))
    position = state["position"].array(len(times), 3, finite=valid)[valid]
    yaw = state["heading"].array(len(times), finite=valid)[valid]
    position = position - to_centre * np.column_stack([np.cos(yaw), np.sin(yaw), np.zeros(len(yaw))])
    zero = np.zeros(len(yaw))
    return PoseLog(times[valid], position, np.column_stack([np.cos(0.5 * yaw), zero, zero, np.sin(0.5 * yaw)]))


def _boxes(tracks: dict[str, Record], dataset: str, times: NDArray[np.float64]) -> tuple[BoxLog, tuple[str, ...]]:
    """All tracks of the ten classes, numbered in the order of the record, and the types of the others."""
    parts: dict[str, list[NDArray]] = {name: [] for name in ("key", "ids", "class_ids", "position", "size", "yaw",
                                                             "velocity")}  # fmt: skip
    left_out = set()
    for number, track in enumerate(tracks.values()):
        state, valid = track["state"], _valid(track["state"], len(times))
        size = np.stack([_side(state, name, valid) for name in ("width", "length", "height")], axis=-1)
        class_name = _class_of(track, dataset, float(size[valid][0, 1]))
        if class_name is None:
            left_out.add(track["type"].text())
            continue
        steps = np.flatnonzero(valid)
        count = len(steps)
        parts["key"].append(steps)
        parts["ids"].append(np.full(count, number))
        parts["class_ids"].append(np.full(count, CLASS_ID[class_name]))
        parts["position"].append(state["position"].array(len(times), 3, finite=valid)[valid])
        parts["size"].append(size[valid])
        parts["yaw"].append(state["heading"].array(len(times), finite=valid)[valid])
        parts["velocity"].append(state["velocity"].array(len(times), 2, finite=valid)[valid])
    empty = {"position": (0, 3), "size": (0, 3), "velocity": (0, 2)}
    joined = {name: np.concatenate([np.zeros(empty.get(name, (0,))), *rows]) for name, rows in parts.items()}
    whole = {name: joined[name].astype(np.int64) for name in ("key", "ids", "class_ids")}
    color = np.full((len(joined["yaw"]), 3), np.nan, np.float32)
    return BoxLog(times, **(joined | whole), color=color), tuple(sorted(left_out))


def _class_of(track: Record, dataset: str, length: float) -> str | None:
    kind = track["type"].text()
    if dataset == "nuscenes" and track.has("metadata") and track["metadata"].has("type"):
        from nuscenes.eval.detection.utils import category_to_detection_name

        named = category_to_detection_name(track["metadata"]["type"].text())
        if named is not None:
            return str(named)
    if kind == "VEHICLE" and length > _LONG:
        return "truck"
    name = _TYPES.get(kind)
    return name if name in OBJECT_CLASSES else None
