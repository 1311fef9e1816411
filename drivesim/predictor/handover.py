"""Recorded road users in the predictor's hands: from the first instant of a log, or from where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.closed_loop import PredictedState, PredictedTraffic, realigned
from drivesim.predictor.imagination import begin, likeliest_ways
from drivesim.predictor.network import HISTORY
from drivesim.predictor.recording import batch_of
from drivesim.predictor.ways import candidate_paths
from drivesim.predictor.windows import CANDIDATES, blank_candidates, dense, fill_candidates
from drivesim.scene import CLASS_ID, EgoState, HdMap, Scene, Tracks
from drivesim.traffic import LaneTables, lane_tables, tracks_of
from drivesim.traffic.state import PATH_POINTS, Bodies, Motion, Paths, append, empty_state, take

HAND_OVER = ("start", "end")
_BEHIND = 10  # [m] of straight path behind those who follow no lane
_MOVES = 1.0  # [m] that somebody who is no part of the standing world moves during a log


@dataclass(frozen=True, eq=False)
class PredictedLog:
    """Road users that a log began and the predictor goes on with. A value: nothing in it is ever written to."""

    state: PredictedState
    standing: Tracks

    @property
    def tracks(self) -> Tracks:
        """Everybody and everything at this instant."""
        return tracks_of(self.state.traffic, self.standing)


def moving_ids(ids: NDArray[np.int64], position: NDArray[np.float64]) -> NDArray[np.int64]:
    """Those of the ids [M] whose rows [M, 2..] are at different places [m]."""
    unique, row = np.unique(ids, return_inverse=True)
    least, most = np.full((len(unique), 2), np.inf), np.full((len(unique), 2), -np.inf)
    np.minimum.at(least, row, position[:, :2])
    np.maximum.at(most, row, position[:, :2])
    return unique[np.hypot(*(most - least).T) > _MOVES]


def tables_at(hd_map: HdMap | None) -> LaneTables | None:
    """Lane tables of a map; None where there are no lanes."""
    return None if hd_map is None or not len(hd_map.lane_graph) else lane_tables(hd_map)


def hand_over(
    traffic: PredictedTraffic, scenes: Sequence[Scene], moving: NDArray[np.int64], next_id: int, seed: int
) -> PredictedLog:
    """Predicted road users from the last of some scenes on; those before it, PERIOD apart, are what is known of the
    past. Who is among `moving` goes on, everything else stands; newcomers count from `next_id`."""
    now, tables = scenes[-1], tables_at(scenes[-1].map)
    motion, body, ids = dense(scenes[-HISTORY - 1 :], moving)
    there = motion[-1, :, 4] > 0.5
    motion, body, ids = motion[:, there], body[there], ids[there[1:]]
    past = np.zeros((HISTORY + 1, *motion.shape[1:]), np.float32)
    origin = motion[-1, 0, :2]
    relative = motion.copy()
    relative[..., :2] = (motion[..., :2] - origin) * motion[..., 4:]
    past[HISTORY + 1 - len(motion) :] = relative
    window = {"motion": past, "body": body.astype(np.float32), **blank_candidates(len(body))}
    places, yaws = motion[-1, :, 0] + 1j * motion[-1, :, 1], motion[-1, :, 2]
    if tables is not None:
        for row in range(1, len(body)):
            if body[row, 2] != CLASS_ID["pedestrian"]:
                fill_candidates(window, row, tables, complex(places[row]), float(yaws[row]))
    batch = batch_of([window])
    imagined = begin(traffic.predictor, batch, seed)
    chosen = likeliest_ways(traffic.predictor, batch)[0].tolist()
    state = empty_state(seed)
    paths, along = state.paths, np.zeros(len(ids))
    for row in range(1, len(body)):
        found = [] if tables is None or not window["candidates"][row].any() else candidate_paths(
            tables, complex(places[row]), float(yaws[row]), CANDIDATES
        )  # fmt: skip
        path = (
            found[chosen[row]] if found else straight_path(complex(places[row]), float(yaws[row]), motion[-1, row, 3])
        )
        along[row - 1] = np.abs(path.points[0, :40] - places[row]).argmin()
        paths = append(paths, path)
    zero, speed = np.zeros(len(ids)), motion[-1, 1:, 3]
    never = np.full(len(ids), np.inf)
    at = Motion(along, speed, zero, places[1:], np.exp(1j * yaws[1:]), -never, never, zero)
    bodies = _bodies(now.tracks, ids)
    latest = replace(state, bodies=bodies, paths=paths, motion=at, next_id=next_id)
    curvature = imagined.layout.curvature[0, 1:].double().numpy()
    h, s = (values[0, 1:].float().numpy().copy() for values in (imagined.minds.h, imagined.minds.s))
    standing = now.tracks.take(~np.isin(now.tracks.ids, ids))
    still = replace(standing, velocity=np.zeros_like(standing.velocity))
    return PredictedLog(PredictedState(latest, h, s, curvature), still)


def _bodies(tracks: Tracks, ids: NDArray[np.int64]) -> Bodies:
    order = np.argsort(tracks.ids)
    rows = order[np.searchsorted(tracks.ids, ids, sorter=order)]
    count = len(ids)
    return Bodies(ids, tracks.class_ids[rows], tracks.size[rows], tracks.color[rows], np.ones(count),
                  np.full(count, 40.0))  # fmt: skip


def straight_path(place: complex, yaw: float, speed: float) -> Paths:
    """Path of one row straight ahead, along no lane."""
    heading = np.exp(1j * yaw)
    blank = empty_state(0).paths
    columns = {
        name: np.full((1, *getattr(blank, name).shape[1:]), np.inf) for name in ("end", "blocked", "lane_start",
        "lane_end", "entry", "clear")
    }  # fmt: skip
    points = place + (np.arange(PATH_POINTS) - _BEHIND)[None] * heading
    return Paths(
        points=points, heading=np.full_like(points, heading), speed=np.full((1, PATH_POINTS), max(speed, 2.0)),
        lanes=np.full((1, blank.lanes.shape[1]), -1), controlled=np.zeros((1, blank.lanes.shape[1]), bool), **columns,
    )  # fmt: skip


def step(
    traffic: PredictedTraffic, log: PredictedLog, hd_map: HdMap | None, before: EgoState, ego: EgoState, dt: float
) -> PredictedLog:
    """The road users `dt` [s] later, the ego having gone from `before` to `ego`."""
    state = log.state
    tables = tables_at(hd_map)
    if tables is None:
        state = _without_far(traffic, state, ego)
    return replace(log, state=traffic.step(state, tables, before, ego, dt))


def _without_far(traffic: PredictedTraffic, state: PredictedState, ego: EgoState) -> PredictedState:
    """The state without those far from the ego, where no map says where they could go."""
    motion = state.traffic.motion
    keep = np.flatnonzero(np.abs(motion.position - complex(*ego.xy)) < traffic.demand.vanish)
    if len(keep) == len(motion.s):
        return state
    t = state.traffic
    return realigned(
        state, replace(t, bodies=take(t.bodies, keep), paths=take(t.paths, keep), motion=take(motion, keep))
    )
