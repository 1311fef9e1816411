"""Short drives through a real town for the tests of the writer: every class around the ego, constant velocities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from drivesim.scene import OBJECT_CLASSES, EgoState, Scene, Tags, Tracks
from drivesim.town.rig import nuscenes_rig
from drivesim.town.town import Town
from tests.town.scenes import SIZES

IMAGE_SIZE = (45, 80)
FPS = 12
SPEED = 6.0  # [m/s]


def actors(ego: EgoState, time: float) -> Tracks:
    """One object of every class and a second car, near the path of the ego, moving steadily; the pedestrian turns."""
    names = [*OBJECT_CLASSES, "car"]
    forward, side = ego.pose[:2, 0], ego.pose[:2, 1]
    ahead = np.array([9.0, 17.0, -9.0, -16.0, 20.0, 5.0, 12.0, -5.0, 7.0, 3.0, 34.0])
    aside = np.array([-0.3, 0.4, 0.2, -0.4, 4.5, 2.6, 2.4, -2.2, -2.5, 1.8, 0.3])
    along = np.array([SPEED, 6.5, 5.5, SPEED, 6.2, 0.0, 5.0, 6.4, 1.2, 0.0, 0.0])
    ids = np.arange(len(names), dtype=np.int64) + (1 << 40)
    size = np.array([SIZES[name] for name in names])
    xy = ego.xy + (ahead + along * time)[:, None] * forward + aside[:, None] * side
    turning = np.where(np.array(names) == "pedestrian", 0.8, 0.0)
    color = np.linspace(0.1, 0.9, 3 * len(names)).astype(np.float32).reshape(-1, 3)
    color[-1] = np.nan
    classes = np.array([OBJECT_CLASSES.index(name) for name in names])
    position = np.column_stack([xy, 0.5 * size[:, 2]])
    return Tracks(ids, classes, position, size, ego.yaw + turning * time, along[:, None] * forward, color)


def town_scenes(seed: int, tags: Tags | None = None) -> Iterator[Scene]:
    """Endless scenes of an ego that goes straight on from a start pose at constant speed."""
    town = Town(seed)
    number, along = town.start(np.random.default_rng(seed))
    graph = town.window(np.array([55.0, 55.0])).map.lane_graph
    lane = int(np.searchsorted(graph.ids, number))
    line = graph.centre_line(lane)
    row = int(np.searchsorted(graph.arc_length[graph.offsets[lane] : graph.offsets[lane + 1]], along))
    x, y, yaw = line[row]
    start = EgoState.at(float(x), float(y), float(yaw), SPEED)
    rig, frame = nuscenes_rig(IMAGE_SIZE), 0
    while True:
        time = frame / FPS
        ego = EgoState.at(
            float(x + SPEED * time * np.cos(yaw)), float(y + SPEED * time * np.sin(yaw)), float(yaw), SPEED
        )
        window = town.window(ego.xy)
        near = np.abs(window.parked.position[:, :2] - start.xy).max(axis=1) < 60.0
        tracks = _joined(window.parked.take(near), actors(start, time))
        yield Scene(time, ego, tracks, window.map, rig, tags or town.tags, window.statics, description=f"town {seed}")
        frame += 1


def _joined(first: Tracks, second: Tracks) -> Tracks:
    return Tracks(
        *(np.concatenate([getattr(first, name), getattr(second, name)]) for name in Tracks.__dataclass_fields__)
    )
