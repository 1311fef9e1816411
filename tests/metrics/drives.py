"""Small drives made by formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drivesim.metrics.drive_log import DriveLog, TrackLog
from drivesim.scene import CLASS_ID, HdMap, Tracks

DT = 0.1


def thing(
    x: float, y: float, yaw: float = 0.0, speed: float = 0.0, name: str = "car", number: int = 7, length: float = 4.0
) -> Tracks:
    """One object, 2 m wide."""
    return Tracks(
        np.array([number]), np.array([CLASS_ID[name]]), np.array([[x, y, 0.75]]), np.array([[2.0, length, 1.5]]),
        np.array([yaw]), speed * np.array([[np.cos(yaw), np.sin(yaw)]]),
    )  # fmt: skip


def both(first: Tracks, second: Tracks) -> Tracks:
    """Two sets of tracks in one."""
    return Tracks(
        *(np.concatenate([getattr(first, name), getattr(second, name)]) for name in first.__dataclass_fields__)
    )


def moving(tracks: Tracks, steps: int, dt: float = DT) -> list[Tracks]:
    """The tracks at every step, each with its constant velocity."""
    shift = np.pad(tracks.velocity, ((0, 0), (0, 1)))
    return [replace(tracks, position=tracks.position + step * dt * shift) for step in range(steps)]


def drive(
    x: ArrayLike,
    y: ArrayLike = 0.0,
    yaw: ArrayLike = 0.0,
    speed: ArrayLike | None = None,
    tracks: list[Tracks] | Tracks | None = None,
    hd_map: HdMap | None = None,
    route: NDArray[np.float64] | None = None,
    dt: float = DT,
    **parts: Any,
) -> DriveLog:
    """A drive with the rear axle at x [T], y [m]; the speed is that of the positions along the heading unless given."""
    x = np.atleast_1d(np.asarray(x, np.float64))
    steps = len(x)
    y, yaw = np.broadcast_to(y, steps).astype(float), np.broadcast_to(yaw, steps).astype(float)
    time = dt * np.arange(steps)
    if speed is None:
        speed = np.gradient(x, dt) * np.cos(yaw) + np.gradient(y, dt) * np.sin(yaw) if steps > 1 else 0.0
    velocity = np.stack([np.broadcast_to(speed, steps).astype(float), np.zeros(steps)], axis=-1)
    tracks = Tracks.empty() if tracks is None else tracks
    there = tracks if isinstance(tracks, list) else moving(tracks, steps, dt)
    zeros = np.zeros(steps, np.int64)
    if hd_map is not None:
        parts |= {"maps": (hd_map,), "map_index": zeros}
    if route is not None:
        parts |= {"routes": (route,), "route_index": zeros}
    parts = {"acceleration": np.zeros((steps, 2)), "yaw_rate": np.zeros(steps)} | parts
    return DriveLog(time, np.stack([x, y], axis=-1), yaw, velocity, steering=np.zeros(steps), tracks=TrackLog.of(there),
                    **parts)  # fmt: skip


def straight_route(length: float = 400.0) -> NDArray[np.float64]:
    """Along x from -50 m on."""
    along = np.arange(-50.0, length, 2.0)
    return np.stack([along, np.zeros(len(along)), np.zeros(len(along))], axis=-1)
