"""Collects a drive as a `DriveLog` while a policy drives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivesim.env import DriveWorldEnv
from drivesim.events import Collision
from drivesim.metrics.drive_log import TRAFFIC, CollisionEvent, DriveLog, TrackLog
from drivesim.rollout import Trace
from drivesim.scene import HdMap, Scene

_DEFAULT_TRAFFIC = {"town": "idm", "nuscenes": "log"}
Part = TypeVar("Part")


class DriveRecorder:
    """An `on_step` of `drivesim.rollout.run`; afterwards `log()` is the drive. A reset begins a new one."""

    def __init__(self) -> None:
        self._scenes: list[Scene] = []
        self._routes: list[NDArray[np.float64]] = []
        self._times: list[float] = []
        self._traffic = "unknown"
        self._trace: Trace | None = None

    def __call__(self, env: DriveWorldEnv, trace: Trace) -> None:
        """Takes in the present instant."""
        if not trace.steps:
            self._scenes, self._routes, self._times = [], [], []
        self._scenes.append(env.scene)
        self._routes.append(env.route)
        self._times.append(env.time)
        self._traffic, self._trace = _traffic(env), trace

    def log(self) -> DriveLog:
        """What was recorded so far; ValueError before the first instant."""
        if self._trace is None:
            raise ValueError("log: found no recorded instant, accepted after run(env, policy, on_step=recorder)")
        trace = self._trace
        events: list[dict[str, Any]] = [{}, *(step.events for step in trace.steps)]
        return drive_log(
            self._scenes, self._routes, np.array(self._times), events, trace.ending, self._traffic, trace.seed,
            trace.settings,
        )  # fmt: skip


def drive_log(
    scenes: Sequence[Scene],
    routes: Sequence[NDArray[np.float64]],
    times: NDArray[np.float64],
    events: Sequence[dict[str, Any]],
    ending: str,
    traffic: str,
    seed: int | None,
    settings: dict[str, Any],
) -> DriveLog:
    """The log of T scenes with the route points [R, 3] at each, `times` [T] [s] and the events of `info["events"]`."""
    egos = [scene.ego for scene in scenes]
    speed = np.array([ego.speed for ego in egos], np.float64)
    yaw_rate = np.array([ego.yaw_rate for ego in egos], np.float64)
    still = np.zeros(len(egos))
    maps, map_index = _distinct([scene.map for scene in scenes])
    paths, route_index = _distinct(routes)
    return DriveLog(
        time=times,
        position=np.stack([ego.xy for ego in egos]),
        yaw=np.array([ego.yaw for ego in egos]),
        velocity=np.stack([speed, still], axis=-1),
        acceleration=np.stack([np.array([ego.acceleration for ego in egos]), speed * yaw_rate], axis=-1),
        yaw_rate=yaw_rate,
        steering=np.array([ego.steering for ego in egos], np.float64),
        tracks=TrackLog.of([scene.tracks for scene in scenes]),
        vehicle=scenes[0].vehicle,
        maps=tuple(part for part in maps if isinstance(part, HdMap)),
        map_index=map_index,
        routes=tuple(np.asarray(path, np.float64) for path in paths),
        route_index=route_index,
        collisions=_collisions(events),
        off_road=np.array([event.get("off_road", False) for event in events], bool),
        corners_off_road=np.array([event.get("corners_off_road", 0) for event in events], np.int64),
        ending=ending,
        traffic=traffic,
        seed=seed,
        settings=settings,
    )


def _distinct(parts: Sequence[Part]) -> tuple[list[Part], NDArray[np.int64]]:
    """The different objects of a sequence, and which of them [T] stands where; None counts as none (-1)."""
    rows: dict[int, int] = {}
    found: list[Part] = []
    index = np.full(len(parts), -1, np.int64)
    for step, part in enumerate(parts):
        if part is None:
            continue
        if id(part) not in rows:
            rows[id(part)] = len(found)
            found.append(part)
        index[step] = rows[id(part)]
    return found, index


def _collisions(events: Sequence[dict[str, Any]]) -> tuple[CollisionEvent, ...]:
    return tuple(
        CollisionEvent(step, Collision(**collision))
        for step, event in enumerate(events)
        for collision in event.get("collisions", ())
    )


def _traffic(env: DriveWorldEnv) -> str:
    """Who moves the others: as set, else what the source says of itself, else what its name means."""
    chosen = env.settings["traffic"] or getattr(env.source, "traffic", None)
    chosen = chosen or _DEFAULT_TRAFFIC.get(str(env.settings["source"]), "unknown")
    return chosen if chosen in TRAFFIC else "unknown"
