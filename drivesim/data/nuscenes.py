"""nuScenes-format data: the reader, and its recorded drives as a source of worlds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.data.interpolation import PoseLog, tracks_at
from drivesim.data.nuscenes_reader import FRAME, NuScenesReader
from drivesim.data.recorded_start import first_scene
from drivesim.geometry import yaw_of_pose
from drivesim.scene import CAMERAS, EgoState, Scene, Tracks

__all__ = ["NuScenesReader", "NuScenesSource", "RecordedRoute", "RecordedWorld"]

TRAFFIC = ("log", "none")
ROUTE_STEP = 1.0  # [m] between route points
ROUTE_BEFORE, ROUTE_BEYOND = 20.0, 400.0  # [m] of straight road added to both ends of the recorded path


@dataclass(frozen=True, eq=False)
class RecordedRoute:
    """The path that the recording vehicle took, led on straight at both ends."""

    points: NDArray[np.float64]  # [R, 3] x, y [m], heading [rad]


@dataclass(frozen=True, eq=False)
class RecordedWorld:
    """One instant of a recorded drive in which the ego goes its own way."""

    scene: Scene
    route: RecordedRoute
    name: str
    seed: int
    step_index: int = 0


def recorded_route(poses: PoseLog) -> RecordedRoute:
    """Route along recorded ego poses."""
    path = poses.at(poses.times)
    kept = [0]
    for row in range(1, len(path)):
        if np.hypot(*(path[row, :2, 3] - path[kept[-1], :2, 3])) >= ROUTE_STEP:
            kept.append(row)
    xy, heading = path[kept, :2, 3], np.unwrap(yaw_of_pose(path[kept]))
    before, beyond = np.arange(-ROUTE_BEFORE, 0.0, ROUTE_STEP), np.arange(ROUTE_STEP, ROUTE_BEYOND, ROUTE_STEP)
    return RecordedRoute(np.concatenate([_straight(xy[0], heading[0], before), np.column_stack([xy, heading]),
                                         _straight(xy[-1], heading[-1], beyond)]))  # fmt: skip


def _straight(xy: NDArray[np.float64], heading: float, along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [N, 3] on the line through a pose, at distances `along` [N] [m]."""
    points = xy + along[:, None] * (np.cos(heading), np.sin(heading))
    return np.column_stack([points, np.full(len(along), heading)])


class NuScenesSource:
    """World source over a nuScenes-format data set: the agent drives, the others do what they did.

    Others replay their log (they do not react); after the last key frame they go on with constant velocity, so a drive
    never ends for lack of data. The route is the recorded path. Without map expansion nothing counts as off the road;
    `map_from` names ScenarioNet records of the same scenes whose maps are taken then.
    """

    def __init__(
        self,
        dataroot: str | Path,
        version: str = "v1.0-mini",
        traffic: str = "log",
        map_radius: float = 100.0,
        map_from: str | Path | None = None,
    ) -> None:
        if traffic not in TRAFFIC:
            raise ValueError(f"traffic: found {traffic!r}, accepted for recorded drives {TRAFFIC}")
        self.reader = NuScenesReader(dataroot, version, map_radius, map_from)
        self.traffic = traffic
        self._routes: dict[str, RecordedRoute] = {}

    def check(self, seed: int, options: Mapping[str, Any]) -> None:
        """Raises ValueError if `reset` would."""
        first_scene(self.reader, seed, options, "recorded drives")

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> RecordedWorld:
        """Begin a recorded drive. Options: scene (default: one drawn by the seed), start_time [s] after the first key
        frame (default 0), weather and time_of_day (default: those of the scene's description)."""
        name, scene = first_scene(self.reader, seed, options or {}, "recorded drives")
        tracks = scene.tracks if self.traffic == "log" else Tracks.empty()
        if name not in self._routes:
            self._routes[name] = recorded_route(self.reader.drive(name).poses)
        return RecordedWorld(replace(scene, tracks=tracks), self._routes[name], name, int(seed))

    def step(self, world: RecordedWorld, ego: EgoState, dt: float) -> RecordedWorld:
        """The world `dt` [s] later with the ego where the agent took it."""
        time = world.scene.timestamp + dt
        tracks = world.scene.tracks
        if self.traffic == "log":
            tracks = tracks_at(self.reader.drive(world.name).boxes, time)
        scene = replace(world.scene, timestamp=time, ego=ego, tracks=tracks, map=self.reader.map_at(world.name, ego.xy),
                        exposure_poses=None)  # fmt: skip
        return replace(world, scene=scene, step_index=world.step_index + 1)

    def history_frames(self, world: RecordedWorld) -> NDArray[np.uint8] | None:
        """Recorded pictures [1, V, H, W, 3] of the first instant; None later and, with a warning, where none are."""
        if world.step_index > 0:
            return None
        time, cameras = world.scene.timestamp, self.reader.drive(world.name).cameras
        if any(np.abs(cameras[channel].times - time).min() > FRAME for channel in CAMERAS):
            warnings.warn(f"{world.name}: found no pictures within {FRAME:.3f} s of {time:.3f} s", stacklevel=2)
            return None
        try:
            return self.reader.pictures(world.name, time)[None]
        except ValueError as fault:
            warnings.warn(str(fault), stacklevel=2)
            return None
