"""A tiny ScenarioNet record: one road with two lanes that leads into a connector, and a few road users."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

STEPS, PERIOD = 41, 0.1
EGO_SPEED = 8.0  # [m/s], along x from the origin
FOLLOWER = (-20.0, 10.0)  # where it starts [m] and its speed [m/s]


def track(
    kind: str, x: np.ndarray, y: np.ndarray, size: tuple[float, float, float], valid: slice = slice(None)
) -> dict:
    """A track along the given places, with (length, width, height) [m]."""
    there = np.zeros(STEPS)
    there[valid] = 1.0
    position = np.stack([x, y, np.full(STEPS, 0.5 * size[2])], axis=-1)
    velocity = np.gradient(position[:, :2], PERIOD, axis=0)
    state = {
        "position": np.where(there[:, None] > 0, position, 0.0),
        "velocity": np.where(there[:, None] > 0, velocity, 0.0),
        "heading": np.zeros(STEPS),
        "valid": there,
    }
    state |= {name: np.full((STEPS, 1), side) for name, side in zip(("length", "width", "height"), size)}
    return {"type": kind, "state": state, "metadata": {"object_id": "x"}}


def lane(kind: str, points: list, polygon: list | None, exits: list[str], **more: Any) -> dict:
    """A lane; its points' third column is no heading."""
    line = np.column_stack([np.array(points, float), np.full(len(points), 99.0)])
    found: dict[str, Any] = {"type": kind, "polyline": line, "exit_lanes": exits, "entry_lanes": []} | more
    return found | ({} if polygon is None else {"polygon": np.array(polygon, float)})


def record(dataset: str = "waymo") -> dict[str, Any]:
    """The content of a record."""
    time = PERIOD * np.arange(STEPS)
    still = np.zeros(STEPS)
    square = [[-60, -2], [100, -2], [100, 5.5], [-60, 5.5], [-60, -2]]
    island = [[50, 1.5], [54, 1.5], [54, 2], [50, 2], [50, 1.5]]
    street, connector = "LANE_SURFACE_STREET", "LANE_SURFACE_UNSTRUCTURE"
    right = [[-60, -1.75], [80, -1.75], [80, 1.75], [-60, 1.75]]
    left = [[-60, 1.75], [80, 1.75], [80, 5.25], [-60, 5.25]]
    features: dict[str, Any] = {
        "right": lane(street, [[-60 + 5 * k, 0] for k in range(29)], right, ["beyond", "gone"], speed_limit_kmh=36.0),
        "left": lane(street, [[-60 + 5 * k, 3.5] for k in range(29)], left, []),
        "beyond": lane(connector, [[80, 0], [90, 0], [100, 0]], None, [], speed_limit_kmh=100),
        "cross": {"type": "CROSSWALK", "polygon": np.array([[30, -2], [34, -2], [34, 5.5], [30, 5.5]], float)},
        "walk": {
            "type": "ROAD_EDGE_SIDEWALK",
            "polygon": np.array([[-60, -5], [100, -5], [100, -2], [-60, -2]], float),
        },
        "middle": {"type": "ROAD_LINE_BROKEN_SINGLE_WHITE", "polyline": np.array([[-60, 1.75], [80, 1.75]])},
        "edge": {"type": "ROAD_LINE_SOLID_SINGLE_YELLOW", "polyline": np.array([[-60, 5.25], [80, 5.25]])},
    }
    if dataset == "nuscenes":
        features["boundary_0"] = {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.array(square, float)}
        features["boundary_1"] = {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.array(island, float)}
    start, speed = FOLLOWER
    tracks = {
        "ego": track("VEHICLE", EGO_SPEED * time, still, (1.73, 4.08, 1.56)),  # length and width swapped
        "follower": track("VEHICLE", start + speed * time, still, (4.5, 1.8, 1.5)),
        "late": track("VEHICLE", 60.0 - 5.0 * time, still + 3.5, (9.0, 2.5, 3.0), slice(10, 30)),
        "parked": track("VEHICLE", still + 40.0, still - 8.0, (4.5, 1.8, 1.5)),
        "walker": track("PEDESTRIAN", still + 30.0, time - 4.0, (0.5, 0.6, 1.8)),
        "cone": track("TRAFFIC_CONE", still + 70.0, still, (0.4, 0.4, 0.7)),
        "kite": track("OTHER", still + 70.0, still, (0.4, 0.4, 0.7)),
    }
    metadata = {"dataset": dataset, "sample_rate": PERIOD, "ts": 100.0 + time, "sdc_id": "ego", "map": "toyland"}
    return {"id": "toy", "version": "v1", "length": STEPS, "metadata": metadata, "tracks": tracks,
            "dynamic_map_states": {}, "map_features": features}  # fmt: skip


def write(folder: Path, content: Any, name: str = "sd_toy_v1_toy.pkl", protocol: int = 4) -> Path:
    """A record file."""
    path = folder / name
    path.write_bytes(pickle.dumps(content, protocol))
    return path
