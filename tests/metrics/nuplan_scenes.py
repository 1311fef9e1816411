"""nuPlan's metric test scenes as drive logs (layout: README.md beside the files)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from drivesim.metrics.drive_log import DriveLog, TrackLog
from drivesim.scene import CLASS_ID, MAP_CLASSES, HdMap, LaneGraph, Tracks, VehicleShape

FOLDER = Path(os.environ.get("DRIVESIM_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / (
    "nuplan-metric-tests"
)  # fmt: skip
PACIFICA = VehicleShape(length=5.176, width=2.297, height=1.777, wheelbase=3.089, rear_overhang=1.127)
CLASSES = {"vehicles": "car", "bicycles": "bicycle", "pedestrians": "pedestrian", "genericobjects": "barrier"}


def scene(name: str) -> dict[str, Any]:
    """The content of one file; skips where the files are not there."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"no nuPlan metric test files in {FOLDER} (set DRIVESIM_SHARED)")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def log_of(content: dict[str, Any], expert: bool = False, **parts: Any) -> DriveLog:
    """The recorded drive of the ego, or of the expert (without the others)."""
    states = content["expert_ego_states"] if expert else [content["ego"], *content.get("ego_future_states", [])]
    worlds = [{}] * len(states) if expert else [content["world"], *content.get("world_future_states", [])]
    pose = np.array([state["pose"] for state in states], np.float64)
    time = np.array([state["time_us"] for state in states]) * 1e-6
    still = np.zeros(len(states))
    return DriveLog(
        time, pose[:, :2], pose[:, 2], np.array([state["velocity"] for state in states], np.float64),
        np.array([state["acceleration"] for state in states], np.float64), still, still,
        TrackLog.of([_tracks(world) for world in worlds]), PACIFICA, **parts,
    )  # fmt: skip


def _tracks(world: dict[str, Any]) -> Tracks:
    found = [(CLASS_ID[name], record) for key, name in CLASSES.items() for record in world.get(key, [])]
    pose = np.array([record["box"]["pose"] for _, record in found], np.float64).reshape(-1, 3)
    size = np.array([[*record["box"]["size"], 1.5] for _, record in found], np.float64).reshape(-1, 3)
    speed = np.array([record["speed"] for _, record in found], np.float64)
    return Tracks(
        np.array([record["id"] for _, record in found], np.int64), np.array([kind for kind, _ in found], np.int64),
        np.column_stack([pose[:, :2], np.zeros(len(pose))]), size, pose[:, 2],
        speed[:, None] * np.stack([np.cos(pose[:, 2]), np.sin(pose[:, 2])], axis=-1),
    )  # fmt: skip


def line(start: tuple[float, float], heading: float, length: float = 400.0) -> np.ndarray:
    """Points [N, 3] every 2 m of a straight line through a place, which is its middle."""
    along = np.linspace(-0.5 * length, 0.5 * length, int(length / 2.0) + 1)[:, None]
    xy = np.array(start) + along * (np.cos(heading), np.sin(heading))
    return np.column_stack([xy, np.full(len(xy), heading)])


def stand_in_map(lines: list[np.ndarray], width: float, speed_limit: float = np.nan) -> HdMap:
    """A map of lanes along lines, on drivable ground everywhere: nuPlan's own is not among the files."""
    lanes, points = len(lines), np.concatenate(lines)
    x0, y0 = points[:, :2].min(0) - 50.0
    x1, y1 = points[:, :2].max(0) + 50.0
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in lines])])
    graph = LaneGraph(
        np.arange(lanes), points, offsets, np.full(lanes, width), np.full(lanes, speed_limit), np.zeros(0, np.int64),
        np.zeros(lanes + 1, np.int64), np.full(lanes, -1), np.full(lanes, -1), np.zeros(lanes, bool),
        np.zeros(lanes, np.int64),
    )  # fmt: skip
    ground = {"drivable_area": (shapely.box(x0, y0, x1, y1),)}
    return HdMap(dict.fromkeys(MAP_CLASSES, ()) | ground, graph, (x0, y0, x1, y1))
