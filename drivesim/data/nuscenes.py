"""nuScenes-format data: the reader, and its recorded drives as a source of worlds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drivesim.data.interpolation import PoseLog, tracks_at
from drivesim.data.nuscenes_reader import FRAME, NuScenesReader
from drivesim.data.predicted_log import LogPredictor
from drivesim.data.recorded_start import first_scene
from drivesim.geometry import yaw_of_pose
from drivesim.scene import CAMERAS, EgoState, Scene, Tracks

if TYPE_CHECKING:
    from drivesim.predictor.handover import PredictedLog

__all__ = ["NuScenesReader", "NuScenesSource", "RecordedRoute", "RecordedWorld"]

TRAFFIC = ("log", "predicted", "none")
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
    predicted: PredictedLog | None = None  # from where the predictor has taken over


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
    never ends for lack of data. With `traffic="predicted"` the predictor (`predictor`: weights folder, by default the
    shipped one) moves them from the `hand_over` on, "start" or "end" of the log; from there they react. The
    route is the recorded path. Without map expansion nothing counts as off the road;
    `map_from` names ScenarioNet records of the same scenes whose maps are taken then.
    """

    def __init__(
        self,
        dataroot: str | Path,
        version: str = "v1.0-mini",
        traffic: str = "log",
        map_radius: float = 100.0,
        map_from: str | Path | None = None,
        hand_over: str = "start",
        predictor: str | None = None,
    ) -> None:
        if traffic not in TRAFFIC:
            raise ValueError(f"traffic: found {traffic!r}, accepted for recorded drives {TRAFFIC}")
        self.reader = NuScenesReader(dataroot, version, map_radius, map_from)
        self.traffic = traffic
        self.predicted = None if traffic != "predicted" else LogPredictor(hand_over, predictor)
        self._routes: dict[str, RecordedRoute] = {}

    def check(self, seed: int, options: Mapping[str, Any]) -> None:
        """Raises ValueError if `reset` would."""
        first_scene(self.reader, seed, options, "recorded drives")

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> RecordedWorld:
        """Begin a recorded drive. Options: scene (default: one drawn by the seed), start_time [s] after the first key
        frame (default 0), weather and time_of_day (default: those of the scene's description)."""
        name, scene = first_scene(self.reader, seed, options or {}, "recorded drives")
        scene = scene if self.traffic != "none" else replace(scene, tracks=Tracks.empty())
        if name not in self._routes:
            self._routes[name] = recorded_route(self.reader.drive(name).poses)
        world = RecordedWorld(scene, self._routes[name], name, int(seed))
        return world if self.predicted is None else self._handed_over(world)

    def _handed_over(self, world: RecordedWorld) -> RecordedWorld:
        """The world with its road users in the predictor's hands, if it is time."""
        assert self.predicted is not None
        drive = self.reader.drive(world.name)
        if world.predicted is not None or not self.predicted.is_time(
            world.scene.timestamp, float(drive.boxes.times[-1])
        ):
            return world
        before = partial(self._past, world.name, world.scene.timestamp)
        predicted = self.predicted.begin(world.scene, before, drive.boxes, world.seed)
        return replace(world, predicted=predicted, scene=replace(world.scene, tracks=predicted.tracks))

    def _past(self, name: str, now: float, ago: float) -> Scene | None:
        """The recorded scene some time ago [s]."""
        first, last = self.reader.drive(name).span
        return self.reader.scene(name, min(now - ago, last)) if now - ago >= first else None

    def step(self, world: RecordedWorld, ego: EgoState, dt: float) -> RecordedWorld:
        """The world `dt` [s] later with the ego where the agent took it."""
        time = world.scene.timestamp + dt
        tracks, predicted, hd_map = world.scene.tracks, world.predicted, self.reader.map_at(world.name, ego.xy)
        if predicted is not None and self.predicted is not None:
            predicted = self.predicted.step(predicted, world.scene, hd_map, ego, dt)
            tracks = predicted.tracks
        elif self.traffic != "none":
            tracks = tracks_at(self.reader.drive(world.name).boxes, time)
        scene = replace(world.scene, timestamp=time, ego=ego, tracks=tracks, map=hd_map, exposure_poses=None)
        world = replace(world, scene=scene, step_index=world.step_index + 1, predicted=predicted)
        return world if self.predicted is None else self._handed_over(world)

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
