"""A recorded drive as data: one array per quantity over all steps, with what was around the ego."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivesim.events import Collision
from drivesim.scene import OBJECT_CLASSES, HdMap, Tracks, VehicleShape

ENDINGS = ("collision", "off_road", "goal", "time", "policy")
TRAFFIC = ("idm", "log", "none", "unknown")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, eq=False, repr=False)
class TrackLog:
    """Other road users and objects at every step, global frame; step t has the rows offsets[t] to offsets[t + 1]."""

    offsets: NDArray[np.int64]  # [T + 1]
    ids: NDArray[np.int64]  # [M], stable over time
    class_ids: NDArray[np.int64]  # [M], index into OBJECT_CLASSES
    position: NDArray[np.float64]  # [M, 3], box centre [m]
    size: NDArray[np.float64]  # [M, 3], (width, length, height) [m]
    yaw: NDArray[np.float64]  # [M] [rad]
    velocity: NDArray[np.float64]  # [M, 2] [m/s]

    def __post_init__(self) -> None:
        m = len(self.ids)
        accepted = {"class_ids": (m,), "position": (m, 3), "size": (m, 3), "yaw": (m,), "velocity": (m, 2)}
        for name, shape in accepted.items():
            found = getattr(self, name).shape
            _require(found == shape, f"TrackLog.{name}: found shape {found}, accepted {shape} (one row per id)")
        offsets = self.offsets
        ordered = offsets.ndim == 1 and len(offsets) > 0 and offsets[0] == 0 and bool((np.diff(offsets) >= 0).all())
        _require(ordered and int(offsets[-1]) == m, f"TrackLog.offsets: accepted ascending row numbers from 0 to {m}")
        known = (self.class_ids >= 0) & (self.class_ids < len(OBJECT_CLASSES))
        _require(bool(known.all()), f"TrackLog.class_ids: accepted 0 to {len(OBJECT_CLASSES) - 1}")

    @cached_property
    def step(self) -> NDArray[np.int64]:
        """Step [M] of every row."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def at(self, step: int) -> Tracks:
        """The tracks of one step."""
        rows = slice(int(self.offsets[step]), int(self.offsets[step + 1]))
        return Tracks(self.ids[rows], self.class_ids[rows], self.position[rows], self.size[rows], self.yaw[rows],
                      self.velocity[rows])  # fmt: skip

    @classmethod
    def of(cls, steps: list[Tracks]) -> TrackLog:
        """The tracks of all steps in one."""
        offsets = np.concatenate([[0], np.cumsum([len(tracks) for tracks in steps])]).astype(np.int64)
        names = ("ids", "class_ids", "position", "size", "yaw", "velocity")
        return cls(offsets, *(np.concatenate([getattr(tracks, name) for tracks in steps]) for name in names))


@dataclass(frozen=True)
class CollisionEvent:
    """A collision as the environment reported it at a step."""

    step: int
    collision: Collision


@dataclass(frozen=True, eq=False, repr=False)
class DriveLog:
    """T recorded instants of a drive, the first of them the start; global frame unless said otherwise.

    Compared by identity and never written to, so what is derived from a log may be kept as long as the log lives.
    Raises ValueError for arrays that do not fit together, time that does not increase and numbers that are not finite.
    """

    time: NDArray[np.float64]  # [T] since the start [s]
    position: NDArray[np.float64]  # [T, 2] middle of the rear axle [m]
    yaw: NDArray[np.float64]  # [T] [rad]
    velocity: NDArray[np.float64]  # [T, 2] of the rear axle, forward and to the left [m/s]
    acceleration: NDArray[np.float64]  # [T, 2] of the rear axle, forward and to the left [m/s^2]
    yaw_rate: NDArray[np.float64]  # [T] [rad/s]
    steering: NDArray[np.float64]  # [T] front wheel angle [rad]
    tracks: TrackLog
    vehicle: VehicleShape = field(default_factory=VehicleShape)
    maps: tuple[HdMap, ...] = ()  # the windows of the map that the drive went through
    map_index: NDArray[np.int64] = None  # type: ignore[assignment]  # [T] into maps, -1 where no map is known
    routes: tuple[NDArray[np.float64], ...] = ()  # each [R, 3]: x, y [m], heading [rad]
    route_index: NDArray[np.int64] = None  # type: ignore[assignment]  # [T] into routes, -1 where there is none
    collisions: tuple[CollisionEvent, ...] = ()  # as the environment reported them
    off_road: NDArray[np.bool_] = None  # type: ignore[assignment]  # [T], as the environment reported it
    corners_off_road: NDArray[np.int64] = None  # type: ignore[assignment]  # [T] of the body, likewise
    ending: str = "policy"
    traffic: str = "unknown"  # who moves the others: idm reacts to the ego, log does not
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the environment, JSON-able

    def __post_init__(self) -> None:
        steps = len(self.time)
        _require(self.time.ndim == 1 and steps > 0, f"DriveLog.time: found shape {self.time.shape}, accepted (T,)")
        filling = {"map_index": (-1, np.int64), "route_index": (-1, np.int64), "off_road": (0, bool),
                   "corners_off_road": (0, np.int64)}  # fmt: skip
        for name, (value, kind) in filling.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(steps, value, kind))
        accepted = {"position": (steps, 2), "yaw": (steps,), "velocity": (steps, 2), "acceleration": (steps, 2),
                    "yaw_rate": (steps,), "steering": (steps,), "map_index": (steps,), "route_index": (steps,),
                    "off_road": (steps,), "corners_off_road": (steps,)}  # fmt: skip
        for name, shape in accepted.items():
            found = getattr(self, name).shape
            _require(found == shape, f"DriveLog.{name}: found shape {found}, accepted {shape} (one row per time)")
        for name in ("time", "position", "yaw", "velocity", "acceleration", "yaw_rate", "steering"):
            _require(bool(np.isfinite(getattr(self, name)).all()), f"DriveLog.{name}: found NaN or infinity")
        _require(bool((np.diff(self.time) > 0).all()), "DriveLog.time: accepted increasing times")
        found_steps = len(self.tracks.offsets) - 1
        _require(found_steps == steps, f"DriveLog.tracks: found {found_steps} steps, accepted {steps}")
        for name, parts in (("map_index", self.maps), ("route_index", self.routes)):
            index = getattr(self, name)
            known = bool(((index >= -1) & (index < len(parts))).all())
            _require(known, f"DriveLog.{name}: found {index.min()} to {index.max()}, accepted -1 to {len(parts) - 1}")
        for route in self.routes:
            _require(route.ndim == 2 and route.shape[1] == 3 and len(route) > 1,
                     f"DriveLog.routes: found shape {route.shape}, accepted (R, 3) with R > 1")  # fmt: skip
        for event in self.collisions:
            _require(
                0 <= event.step < steps, f"DriveLog.collisions: found step {event.step}, accepted 0 to {steps - 1}"
            )
        _require(self.ending in ENDINGS, f"DriveLog.ending: found {self.ending!r}, accepted {ENDINGS}")
        _require(self.traffic in TRAFFIC, f"DriveLog.traffic: found {self.traffic!r}, accepted {TRAFFIC}")

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"<DriveLog of {len(self)} instants over {self.time[-1] - self.time[0]:.1f} s, ended by {self.ending}>"

    @property
    def step_seconds(self) -> float:
        """Mean time between two steps [s]; NaN for a single one."""
        return float(np.diff(self.time).mean()) if len(self) > 1 else float("nan")

    @cached_property
    def speed(self) -> NDArray[np.float64]:
        """Magnitude [T] of the velocity [m/s]."""
        return np.hypot(self.velocity[:, 0], self.velocity[:, 1])

    @cached_property
    def heading(self) -> NDArray[np.float64]:
        """Unit vectors [T, 2] along the ego's x axis."""
        return np.stack([np.cos(self.yaw), np.sin(self.yaw)], axis=-1)

    @cached_property
    def global_velocity(self) -> NDArray[np.float64]:
        """Velocity [T, 2] in the global frame [m/s]."""
        left = np.stack([-self.heading[:, 1], self.heading[:, 0]], axis=-1)
        return self.velocity[:, :1] * self.heading + self.velocity[:, 1:] * left

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """Middle [T, 2] of the ego's body [m]."""
        return self.position + self.vehicle.centre_offset * self.heading

    @cached_property
    def footprint(self) -> NDArray[np.float64]:
        """Ground rectangles [T, 4, 2] of the ego's body, counter-clockwise from the front left corner [m]."""
        forward, left = 0.5 * self.vehicle.length * self.heading, 0.5 * self.vehicle.width * self.heading
        left = np.stack([-left[:, 1], left[:, 0]], axis=-1)
        return self.centre[:, None] + np.stack(
            [forward + left, left - forward, -forward - left, forward - left], axis=1
        )


Derived = TypeVar("Derived")


def once_per_log(function: Callable[[DriveLog], Derived]) -> Callable[[DriveLog], Derived]:
    """Keeps what a pure function makes of a log for as long as the log lives."""
    kept: weakref.WeakKeyDictionary[DriveLog, Derived] = weakref.WeakKeyDictionary()

    @wraps(function)
    def remembered(log: DriveLog) -> Derived:
        if log not in kept:
            kept[log] = function(log)
        return kept[log]

    return remembered
