"""Recorded road users in the predictor's hands: from the first instant of a log, or from where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.closed_loop import PredictedState, PredictedTraffic, realigned
from drivesim.predictor.imagination import begin, likeliest_ways
from drivesim.predictor.ways import candidate_paths
from drivesim.predictor.windows import CANDIDATES, batch_of, past_of, tables_at
from drivesim.scene import EgoState, HdMap, Scene, Tracks
from drivesim.traffic import tracks_of
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


def hand_over(
    traffic: PredictedTraffic, scenes: Sequence[Scene], moving: NDArray[np.int64], next_id: int, seed: int
) -> PredictedLog:
    """Predicted road users from the last of some scenes on; those before it, PERIOD apart, are what is known of the
    past. Who is among `moving` goes on, everything else stands; newcomers count from `next_id`."""
    now, tables = scenes[-1], tables_at(scenes[-1].map)
    past = past_of(scenes, moving)
    batch = batch_of([dict(past.window)])
    imagined = begin(traffic.predictor, batch, seed)
    chosen = likeliest_ways(traffic.predictor, batch)[0].tolist()
    count = len(past.ids)
    # Compiled kernels read rows that lie side by side.
    places, speed = np.ascontiguousarray(past.places), np.ascontiguousarray(past.speed)
    yaws = past.yaws
    state = empty_state(seed)
    paths, along = state.paths, np.zeros(count)
    for row in range(count):
        path = straight_path(complex(places[row]), float(yaws[row]), float(speed[row]))
        if tables is not None and past.window["candidates"][row + 1].any():
            found = candidate_paths(tables, complex(places[row]), float(yaws[row]), CANDIDATES)
            path = found[chosen[row + 1]]
        along[row] = np.abs(path.points[0, :40] - places[row]).argmin()
        paths = append(paths, path)
    zero, never = np.zeros(count), np.full(count, np.inf)
    motion = Motion(along, speed, zero, places, np.exp(1j * yaws), -never, never, zero)
    bodies = _bodies(now.tracks, past.ids)
    latest = replace(state, bodies=bodies, paths=paths, motion=motion, next_id=next_id)
    curvature = imagined.layout.curvature[0, 1:].double().numpy()
    h, s = (values[0, 1:].float().numpy().copy() for values in (imagined.minds.h, imagined.minds.s))
    standing = now.tracks.take(~np.isin(now.tracks.ids, past.ids))
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
    state, tables = log.state, tables_at(hd_map)
    near = np.hypot(*(log.standing.position[:, :2] - ego.xy).T) < traffic.demand.vanish
    standing = log.standing if near.all() else log.standing.take(near)
    if tables is None:
        state = _without_far(traffic, state, ego)
    return PredictedLog(traffic.step(state, tables, before, ego, dt), standing)


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
