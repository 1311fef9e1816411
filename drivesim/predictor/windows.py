"""Windows of layouts to learn from and to measure on: a second of the past and three of the future, with the ways that
everybody might be taking. From any drive given as scenes, of the town or recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.predictor.layout import FAR, PERIOD, STOPS, WAY_POINTS
from drivesim.predictor.network import HISTORY
from drivesim.predictor.ways import candidate_paths, way_rows
from drivesim.scene import CLASS_ID, HdMap, Scene
from drivesim.traffic.tables import LaneTables, lane_tables

FUTURE = 12  # layouts after the present one
ROWS = 32  # road users of a window, the ego in the first row
CANDIDATES = 4  # ways of each
_LEAST = 1.0  # [m] that somebody moves during the drive to count as a road user
_STANDING = (CLASS_ID["barrier"], CLASS_ID["traffic_cone"])
_ON_FOOT = CLASS_ID["pedestrian"]

TablesOf = Callable[[HdMap], LaneTables]


def windows_of(scenes: Sequence[Scene], tables_of: TablesOf | None, stride: int) -> dict[str, NDArray]:
    """All windows of a drive whose scenes are PERIOD apart, one every `stride` scenes.

    W windows of N road users with K candidate ways: motion [W, T, N, 5] (x, y, yaw, speed, presence, from the ego's
    present place), body [W, N, 3] (width, length, class), points [W, N, K, P, 2] from everybody's own present place,
    allowed [W, N, K, P], stops [W, N, K, STOPS] and candidates [W, N, K]. Raises ValueError for other times.
    """
    times = np.array([scene.timestamp for scene in scenes])
    if len(times) and np.abs(np.diff(times) - PERIOD).max(initial=0.0) > 0.05:
        raise ValueError(f"scenes: found steps of {np.diff(times).min():g} to {np.diff(times).max():g} s, "
                         f"accepted {PERIOD:g} s")  # fmt: skip
    motion, body, _ = dense(scenes)
    starts = range(HISTORY, len(scenes) - FUTURE, stride)
    rows = [_window(scenes[at], motion, body, at, tables_of) for at in starts]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}


def movers(scenes: Sequence[Scene]) -> NDArray[np.int64]:
    """Ids of all that move at some time of a drive."""
    return dense(scenes)[2]


def dense(
    scenes: Sequence[Scene], wanted: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Motion [F, I, 5] (x, y, yaw, speed, presence) and bodies [I, 3] of the ego and of all that move at some time, or
    of the `wanted` ids, and the ids of the others [I - 1]."""
    ids = np.unique(np.concatenate([scene.tracks.ids for scene in scenes]))
    motion, body = np.zeros((len(scenes), len(ids), 5)), np.zeros((len(ids), 3))
    ego = np.zeros((len(scenes), 1, 5))
    for frame, scene in enumerate(scenes):
        tracks = scene.tracks
        row = np.searchsorted(ids, tracks.ids)
        motion[frame, row, :2], motion[frame, row, 2] = tracks.position[:, :2], tracks.yaw
        motion[frame, row, 3], motion[frame, row, 4] = np.hypot(*tracks.velocity.T), 1.0
        body[row, :2], body[row, 2] = tracks.size[:, :2], tracks.class_ids
        ego[frame, 0] = ego_motion(scene)
    there = motion[..., 4:] > 0.5
    least = np.where(there, motion[..., :2], np.inf).min(0)
    most = np.where(there, motion[..., :2], -np.inf).max(0)
    kept = (np.hypot(*(most - least).T) > _LEAST) if wanted is None else np.isin(ids, wanted)
    kept &= ~np.isin(body[:, 2], _STANDING)
    vehicle = scenes[0].vehicle
    first = np.array([[vehicle.width, vehicle.length, CLASS_ID["car"]]])
    return np.concatenate([ego, motion[:, kept]], 1), np.concatenate([first, body[kept]]), ids[kept]


def ego_motion(scene: Scene) -> tuple[float, float, float, float, float]:
    """Middle of the ego's body x, y [m], yaw [rad], speed [m/s], and presence."""
    yaw = scene.ego.yaw
    x, y = scene.ego.xy + scene.vehicle.centre_offset * np.array([np.cos(yaw), np.sin(yaw)])
    return x, y, yaw, abs(scene.ego.speed), 1.0


def _window(scene: Scene, motion: NDArray, body: NDArray, at: int, tables_of: TablesOf | None) -> dict[str, NDArray]:
    now = motion[at]
    origin = now[0, :2]
    distance = np.where(now[:, 4] > 0.5, np.hypot(*(now[:, :2] - origin).T), np.inf)
    distance[0] = -1.0
    rows = np.argsort(distance)[:ROWS]
    rows = rows[np.isfinite(distance[rows])]
    part = motion[at - HISTORY : at + FUTURE + 1, rows].copy()
    part[..., :2] = (part[..., :2] - origin) * part[..., 4:]
    window = {
        "motion": np.zeros((len(part), ROWS, 5), np.float32),
        "body": np.zeros((ROWS, 3), np.float32),
        **blank_candidates(ROWS),
    }
    window["motion"][:, : len(rows)], window["body"][: len(rows)] = part, body[rows]
    if tables_of is not None and scene.map is not None and len(scene.map.lane_graph):
        tables = tables_of(scene.map)
        for slot, row in enumerate(rows):
            if body[row, 2] != _ON_FOOT:
                fill_candidates(window, slot, tables, complex(*now[row, :2]), float(now[row, 2]))
    return window


def blank_candidates(rows: int) -> dict[str, NDArray]:
    """No ways for a number of road users."""
    return {
        "points": np.zeros((rows, CANDIDATES, WAY_POINTS, 2), np.float16),
        "allowed": np.zeros((rows, CANDIDATES, WAY_POINTS), np.float16),
        "stops": np.full((rows, CANDIDATES, STOPS), FAR, np.float16),
        "candidates": np.zeros((rows, CANDIDATES), bool),
    }


def fill_candidates(window: Mapping[str, NDArray], slot: int, tables: LaneTables, place: complex, yaw: float) -> None:
    """Writes the ways that somebody may be taking into a row of a window."""
    for k, path in enumerate(candidate_paths(tables, place, yaw, CANDIDATES)):
        s = np.abs(path.points[0, :40] - place).argmin(keepdims=True).astype(np.float64)
        points, allowed, stops = way_rows(path, s)
        offset = points[0] - place
        window["points"][slot, k] = np.column_stack([offset.real, offset.imag])
        window["allowed"][slot, k], window["stops"][slot, k] = allowed[0], stops[0]
        window["candidates"][slot, k] = True


def tables_at(hd_map: HdMap | None) -> LaneTables | None:
    """Lane tables of a map; None where there are no lanes."""
    return None if hd_map is None or not len(hd_map.lane_graph) else lane_tables(hd_map)


@dataclass(frozen=True, eq=False)
class Past:
    """What is known up to an instant: a window without a future, the ego in its first row, and N others at present."""

    window: Mapping[str, NDArray]
    ids: NDArray[np.int64]  # [N]
    places: NDArray[np.complex128]  # [N] [m]
    yaws: NDArray[np.float64]  # [N] [rad]
    speed: NDArray[np.float64]  # [N] [m/s]


def past_of(scenes: Sequence[Scene], moving: NDArray[np.int64] | None = None, rows: int | None = None) -> Past:
    """The past up to the last of some scenes that are PERIOD apart; with fewer than HISTORY + 1 the earlier is unknown.

    Of those who are `moving` (by default who moves in these scenes); of so many `rows`, the ego included, if given.
    """
    motion, body, ids = dense(scenes[-HISTORY - 1 :], moving)
    kept = np.flatnonzero(motion[-1, :, 4] > 0.5)
    if rows is not None:
        distance = np.hypot(*(motion[-1, kept, :2] - motion[-1, 0, :2]).T)
        kept = kept[np.argsort(distance, kind="stable")[:rows]]
    motion, body, ids = motion[:, kept], body[kept], ids[kept[1:] - 1]
    total = rows or len(kept)
    window = {
        "motion": np.zeros((HISTORY + 1, total, 5), np.float32),
        "body": np.zeros((total, 3), np.float32),
        **blank_candidates(total),
    }
    relative = motion.copy()
    relative[..., :2] = (motion[..., :2] - motion[-1, 0, :2]) * motion[..., 4:]
    window["motion"][HISTORY + 1 - len(motion) :, : len(kept)], window["body"][: len(kept)] = relative, body
    places, yaws, tables = motion[-1, :, 0] + 1j * motion[-1, :, 1], motion[-1, :, 2], tables_at(scenes[-1].map)
    if tables is not None:
        for row in np.flatnonzero(body[:, 2] != _ON_FOOT).tolist():
            fill_candidates(window, row, tables, complex(places[row]), float(yaws[row]))
    return Past(window, ids, places[1:], yaws[1:], motion[-1, 1:, 3])


def batch_of(windows: list[dict[str, NDArray]]) -> dict[str, Tensor]:
    """Windows as tensors, all places counted from the ego's present one."""
    joined = {name: torch.from_numpy(np.stack([window[name] for window in windows])) for name in windows[0]}
    batch = {name: value.float() if value.is_floating_point() else value for name, value in joined.items()}
    batch["points"] = batch["points"] + batch["motion"][:, HISTORY, :, None, None, :2]
    return batch
