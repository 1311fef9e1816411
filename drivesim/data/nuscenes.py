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

from drivesim.data.interpolation import tracks_at
from drivesim.data.nuscenes_reader import FRAME, NuScenesReader
from drivesim.data.predicted_log import LogPredictor, followed
from drivesim.data.recorded_route import RecordedRoute, recorded_route
from drivesim.data.recorded_start import first_scene
from drivesim.route import Route
from drivesim.scene import CAMERAS, EgoState, Scene, Tracks

if TYPE_CHECKING:
    from drivesim.predictor.beyond.growth import Beyond
    from drivesim.predictor.handover import PredictedLog

__all__ = ["NuScenesReader", "NuScenesSource", "RecordedWorld"]

TRAFFIC = ("log", "predicted", "none")


@dataclass(frozen=True, eq=False)
class RecordedWorld:
    """One instant of a recorded drive in which the ego goes its own way."""

    scene: Scene
    route: RecordedRoute | Route
    name: str
    seed: int
    step_index: int = 0
    predicted: PredictedLog | None = None  # from where the predictor has taken over
    beyond: Beyond | None = None  # with the predictor, the map that goes on where what is mapped ends


class NuScenesSource:
    """World source over a nuScenes-format data set: the agent drives, the others do what they did.

    Others replay their log (they do not react); after the last key frame they go on with constant velocity, so a drive
    never ends for lack of data. With `traffic="predicted"` the predictor (`predictor`: weights folder, by default the
    shipped one) moves them from the `hand_over` on, "start" or "end" of the log; from there they react. The
    route is the recorded path; with the predictor it goes on along lanes, and roads go on where the map ends. Without
    map expansion nothing counts as off the road; `map_from` names ScenarioNet records of the same scenes whose maps
    are taken then.
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
        poses = self.reader.drive(name).poses
        if self.predicted is None:
            if name not in self._routes:
                self._routes[name] = recorded_route(poses)
            return RecordedWorld(scene, self._routes[name], name, int(seed))
        sheet = self.reader.sheet(name)
        beyond = self.predicted.map_at(None, sheet, scene.map, scene.ego)
        route = self.predicted.route(poses, sheet, self.reader.map_radius, scene.ego, int(seed))
        scene = scene if beyond is None else replace(scene, map=beyond.map)
        return self._handed_over(RecordedWorld(scene, route, name, int(seed), beyond=beyond))

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
        route, beyond = world.route, world.beyond
        if beyond is not None and self.predicted is not None:
            beyond = self.predicted.map_at(beyond, self.reader.sheet(world.name), hd_map, ego)
            hd_map = hd_map if beyond is None else beyond.map
            route = followed(route, hd_map, ego)
        if predicted is not None and self.predicted is not None:
            predicted = self.predicted.step(predicted, world.scene, hd_map, ego, dt)
            tracks = predicted.tracks
        elif self.traffic != "none":
            tracks = tracks_at(self.reader.drive(world.name).boxes, time)
        scene = replace(world.scene, timestamp=time, ego=ego, tracks=tracks, map=hd_map, exposure_poses=None)
        world = replace(
            world, scene=scene, route=route, step_index=world.step_index + 1, predicted=predicted, beyond=beyond
        )  # fmt: skip
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
