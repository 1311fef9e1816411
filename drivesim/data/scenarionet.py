"""ScenarioNet records (nuScenes, nuPlan, Waymo, Argoverse logs in one form) as a source of worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drivesim.data.interpolation import SAME_INSTANT, ego_at, tracks_at
from drivesim.data.nuscenes_map import MapSheet
from drivesim.data.predicted_log import LogPredictor, followed
from drivesim.data.reactive_log import ReactiveLog, begin, reactive_tracks, step
from drivesim.data.recorded_route import RecordedRoute, recorded_route
from drivesim.data.recorded_start import first_scene
from drivesim.data.scenarionet_files import RecordFiles
from drivesim.data.scenarionet_log import ScenarioLog
from drivesim.route import Route
from drivesim.scene import CameraRig, EgoState, HdMap, Scene, Tags, Tracks
from drivesim.town.rig import nuscenes_rig

if TYPE_CHECKING:
    from drivesim.predictor.beyond.growth import Beyond
    from drivesim.predictor.handover import PredictedLog

TRAFFIC = ("log", "idm", "predicted", "none")


class ScenarioNetReader:
    """Records of a folder (searched with all below it) or of one file, as scenes at any time.

    Scenes are named as the records' files, without `sd_<dataset>_<version>_` where that is unambiguous. Raises
    ValueError that names file and field for whatever is wrong with a record; see `load_record` for what is accepted.
    """

    def __init__(self, dataroot: str | Path, map_radius: float = 100.0, rig: CameraRig | None = None) -> None:
        self.files = RecordFiles(Path(dataroot))
        self.map_radius = map_radius
        self.rig = nuscenes_rig() if rig is None else rig

    @property
    def scene_names(self) -> tuple[str, ...]:
        """Names of all scenes, sorted."""
        return self.files.names

    def log(self, name: str) -> ScenarioLog:
        """The recorded drive of one scene; ValueError for an unknown name."""
        return self.files.log(name)

    def tracks(self, name: str, time: float) -> Tracks:
        """Recorded tracks at a time [s]; flagged as interpolated where the record itself is."""
        log = self.log(name)
        tracks = tracks_at(log.boxes, time)
        key = int(np.abs(log.boxes.times - time).argmin())
        if log.measured[key]:
            return tracks
        return replace(tracks, interpolated=np.ones(len(tracks), bool))

    def sheet(self, name: str) -> MapSheet:
        """The whole map of a scene."""
        return self.files.sheet(name)

    def map_at(self, name: str, xy: np.ndarray) -> HdMap:
        """Map around a point [2]."""
        return self.sheet(name).window(xy, self.map_radius)

    def scene(self, name: str, time: float) -> Scene:
        """The scene at a time [s] after the first step; ValueError outside the recorded time."""
        log = self.log(name)
        if not log.poses.times[0] - SAME_INSTANT <= time <= log.end + SAME_INSTANT:
            raise ValueError(f"time of {name}: found {time} s, accepted {log.poses.times[0]:g} to {log.end:g} s")
        ego = ego_at(log.poses, time, log.vehicle)
        return Scene(
            timestamp=time,
            ego=ego,
            tracks=self.tracks(name, time),
            map=self.map_at(name, ego.xy),
            rig=self.rig,
            tags=Tags(),
            vehicle=log.vehicle,
            description=f"{log.dataset} {log.name}, {log.location}".rstrip(", "),
        )


@dataclass(frozen=True, eq=False)
class ScenarioNetWorld:
    """One instant of a recorded drive in which the ego goes its own way."""

    scene: Scene
    route: RecordedRoute | Route
    name: str
    seed: int
    step_index: int = 0
    reactive: ReactiveLog | None = None  # where the others react
    ended: bool = False  # whether the log is over
    predicted: PredictedLog | None = None  # from where the predictor has taken over
    beyond: Beyond | None = None  # with the predictor, the map that goes on where what is mapped ends


class ScenarioNetSource:
    """World source over ScenarioNet records: the agent drives, the others do what they did (`traffic="log"`), keep
    their distance on the ways that they took (`"idm"`), or are not there (`"none"`). Drives end with the log, unless
    the predictor (`"predicted"`; `predictor`: weights folder, by default the shipped one) moves the others from the
    `hand_over` on, "start" or "end" of the log.
    """

    def __init__(
        self, dataroot: str | Path, traffic: str = "log", map_radius: float = 100.0, rig: CameraRig | None = None,
        hand_over: str = "start", predictor: str | None = None,
    ) -> None:  # fmt: skip
        if traffic not in TRAFFIC:
            raise ValueError(f"traffic: found {traffic!r}, accepted for ScenarioNet records {TRAFFIC}")
        self.reader = ScenarioNetReader(dataroot, map_radius, rig)
        self.traffic = traffic
        self.predicted = None if traffic != "predicted" else LogPredictor(hand_over, predictor)

    def check(self, seed: int, options: Mapping[str, Any]) -> None:
        """Raises ValueError if `reset` would."""
        first_scene(self.reader, seed, options, "ScenarioNet records")

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> ScenarioNetWorld:
        """Begin a recorded drive. Options: scene (default: one drawn by the seed), start_time [s] after the first step
        (default 0), weather and time_of_day (default sunny and day: records do not tell)."""
        name, scene = first_scene(self.reader, seed, options or {}, "ScenarioNet records")
        reactive = None
        if self.traffic == "idm":
            reactive = begin(self.reader.log(name).boxes, scene.timestamp)
        tracks = scene.tracks if self.traffic in ("log", "predicted") else Tracks.empty()
        if reactive is not None:
            tracks = reactive_tracks(reactive, scene.tracks)
        scene = replace(scene, tracks=tracks)
        poses, ended = self.reader.log(name).poses, self._is_over(name, scene)
        if self.predicted is None:
            return ScenarioNetWorld(
                scene, recorded_route(poses), name, int(seed), reactive=reactive, ended=ended
            )  # fmt: skip
        sheet = self.reader.sheet(name)
        beyond = self.predicted.map_at(None, sheet, scene.map, scene.ego)
        route = self.predicted.route(poses, sheet, self.reader.map_radius, scene.ego, int(seed))
        scene = scene if beyond is None else replace(scene, map=beyond.map)
        return self._handed_over(ScenarioNetWorld(scene, route, name, int(seed), ended=ended, beyond=beyond))

    def _handed_over(self, world: ScenarioNetWorld) -> ScenarioNetWorld:
        """The world with its road users in the predictor's hands, if it is time."""
        log, now = self.reader.log(world.name), world.scene.timestamp
        if self.predicted is None or world.predicted is not None or not self.predicted.is_time(now, log.end):
            return world
        predicted = self.predicted.begin(world.scene, partial(self._past, world.name, now), log.boxes, world.seed)
        return replace(world, predicted=predicted, scene=replace(world.scene, tracks=predicted.tracks), ended=False)

    def _past(self, name: str, now: float, ago: float) -> Scene | None:
        """The recorded scene some time ago [s]."""
        log = self.reader.log(name)
        first = float(log.poses.times[0])
        return self.reader.scene(name, min(now - ago, log.end)) if now - ago >= first else None

    def _is_over(self, name: str, scene: Scene) -> bool:
        return self.predicted is None and scene.timestamp >= self.reader.log(name).end - 1e-6

    def step(self, world: ScenarioNetWorld, ego: EgoState, dt: float) -> ScenarioNetWorld:
        """The world `dt` [s] later with the ego where the agent took it."""
        before, time = world.scene, world.scene.timestamp + dt
        tracks, reactive, predicted = before.tracks, world.reactive, world.predicted
        hd_map, route, beyond = self.reader.map_at(world.name, ego.xy), world.route, world.beyond
        if beyond is not None and self.predicted is not None:
            beyond = self.predicted.map_at(beyond, self.reader.sheet(world.name), hd_map, ego)
            hd_map = hd_map if beyond is None else beyond.map
            route = followed(route, hd_map, ego)
        if predicted is not None and self.predicted is not None:
            predicted = self.predicted.step(predicted, before, hd_map, ego, dt)
            tracks = predicted.tracks
        elif self.traffic != "none":
            tracks = self.reader.tracks(world.name, time)
        if reactive is not None:
            reactive = step(reactive, before, time, dt)
            tracks = reactive_tracks(reactive, tracks)
        scene = replace(before, timestamp=time, ego=ego, tracks=tracks, map=hd_map)
        after = replace(
            world, scene=scene, route=route, step_index=world.step_index + 1, reactive=reactive, predicted=predicted,
            beyond=beyond, ended=self._is_over(world.name, scene),
        )  # fmt: skip
        return self._handed_over(after)

    def history_frames(self, world: ScenarioNetWorld) -> None:
        """None: records have no pictures."""
        return None
