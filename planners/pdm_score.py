"""The score by which PDM-Closed chooses: terms and weights of nuPlan's closed-loop metrics (Dauner et al. 2023).

score = no collision at fault * drivable area * (5 progress + 5 time to collision + 2 comfort) / 12

The driving-direction factor of the publication is left out: observations do not tell the direction of lanes beside the
route, and no proposal leaves the route by more than a metre.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from drivesim.geometry import rectangles_overlap
from planners.bicycle import BX, BY, HEADING, SPEED
from planners.obstacles import Obstacles, drivable, rectangle_points
from planners.route_geometry import LANE_WIDTH, Path

PROGRESS_WEIGHT, TTC_WEIGHT, COMFORT_WEIGHT = 5.0, 5.0, 2.0
PROGRESS_THRESHOLD = 0.1  # [m] of the best progress, below which all progress counts as full
STOPPED = 5e-3  # [m/s]
TRACK_STOPPED = 0.05  # [m/s]
TTC_AHEAD = (0.0, 0.3, 0.6, 0.9)  # [s], below the horizon of one second
BUMPER_DEPTH = 0.3  # [m], part of the body that counts as its front
BEHIND_COSINE = float(np.cos(np.deg2rad(150.0)))  # a bearing beyond is behind
AHEAD_COSINE = float(np.cos(np.deg2rad(30.0)))  # one within is ahead
# Bounds of comfort: longitudinal and lateral acceleration [m/s^2], jerk [m/s^3], yaw rate and acceleration [rad/s^..].
LON_ACCELERATION, LAT_ACCELERATION, JERK, LON_JERK = (-4.05, 2.40), 4.89, 8.37, 4.13
YAW_RATE, YAW_ACCELERATION = 0.95, 1.93
_CORNERS = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)
_EVERY = 2  # simulation steps between instants that are compared with others
_WINDOW, _ORDER = 15, 2  # of the smoothing before derivatives


@dataclass(frozen=True, eq=False)
class Situation:
    """What is scored: P simulated drives and everything around them, in the ego frame of now."""

    states: NDArray  # [P, T, 5], see planners.bicycle
    dt: float  # [s] between states
    ego: NDArray  # [7], the observation
    path: Path
    obstacles: Obstacles
    drivable_area: NDArray  # [160, 200], the observation
    heed_all: bool = False  # whether collisions count that others cause, if they do not come from behind


@dataclass(frozen=True, eq=False)
class Score:
    """Terms [P] in [0, 1], the total [P], and when [s] [P] the first collision that counts happens (inf: never)."""

    no_collision: NDArray
    drivable_area: NDArray
    progress: NDArray
    time_to_collision: NDArray
    comfort: NDArray
    total: NDArray
    collision_time: NDArray


def score(situation: Situation) -> Score:
    """Scores of the drives."""
    drive = _Drive(situation)
    no_collision, first = _collisions(drive)
    on_road = drive.off_road.any((1, 2)) == 0
    factor = no_collision * on_road
    progress = _progress(situation, factor)
    ttc, comfort = _time_to_collision(drive), _comfort(situation)
    weighted = PROGRESS_WEIGHT * progress + TTC_WEIGHT * ttc + COMFORT_WEIGHT * comfort
    total = factor * weighted / (PROGRESS_WEIGHT + TTC_WEIGHT + COMFORT_WEIGHT)
    return Score(no_collision, on_road.astype(float), progress, ttc, comfort, total, first)


class _Drive:
    """Bodies of the ego at the instants that count: every second state, t [K]."""

    def __init__(self, situation: Situation) -> None:
        states, ego = situation.states[:, ::_EVERY], situation.ego
        self.obstacles, self.heed_all = situation.obstacles, situation.heed_all
        self.half_size = 0.5 * ego[4:6]
        self.times = situation.dt * _EVERY * np.arange(states.shape[1])
        self.heading, self.speed = states[..., HEADING], states[..., SPEED]
        self.direction = np.stack([np.cos(self.heading), np.sin(self.heading)], axis=-1)
        self.middle = states[..., [BX, BY]] + 0.5 * float(ego[6]) * self.direction  # [P, K, 2]
        self.corners = rectangle_points(self.middle, self.heading, self.half_size, _CORNERS)  # [P, K, 4, 2]
        self.off_road = ~drivable(situation.drivable_area, self.corners)  # [P, K, 4]
        offset = situation.path.project(self.middle)[1]
        self.beside_lane = (np.abs(offset) + self.half_size[1] > 0.5 * LANE_WIDTH) | self.off_road.any(-1)

        self.others = self.obstacles.position + self.times[:, None, None] * self.obstacles.velocity  # [K, N, 2]
        self.overlaps = self._overlaps()

    def _overlaps(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Look ahead, proposal, instant and obstacle [C] of all overlaps, everybody being moved on at constant velocity
        by TTC_AHEAD; in that order."""
        later = np.array(TTC_AHEAD)
        velocity = self.speed[..., None] * self.direction
        reach = np.hypot(*self.half_size) + np.hypot(*self.obstacles.half_size.T)
        found = []
        for look, ahead in enumerate(TTC_AHEAD):
            x, y = (
                (self.middle[..., axis] + ahead * velocity[..., axis])[:, :, None]
                - (self.others[..., axis] + ahead * self.obstacles.velocity[:, axis])
                for axis in (0, 1)
            )
            near = np.flatnonzero(x * x + y * y < reach * reach)
            found.append(np.stack([np.full(len(near), look), *np.unravel_index(near, x.shape)]))
        q, p, k, n = np.concatenate(found, axis=1)
        shift = later[q, None]
        ours = self.corners[p, k] + (shift * velocity[p, k])[:, None]
        place = self.others[k, n] + shift * self.obstacles.velocity[n]
        theirs = rectangle_points(place, self.obstacles.heading[n], self.obstacles.half_size[n], _CORNERS)
        hit = rectangles_overlap(ours, theirs)
        return q[hit], p[hit], k[hit], n[hit]


def _collisions(drive: _Drive) -> tuple[NDArray, NDArray]:
    """No-collision factor [P] (0; 1/2 if only things were hit), and when [s] [P] the first one that counts happens."""
    factor, first = np.ones(len(drive.speed)), np.full(len(drive.speed), np.inf)
    q, p, k, n = drive.overlaps
    p, k, n = p[q == 0], k[q == 0], n[q == 0]
    # Each is judged when it is first touched; what overlaps from the start is nothing that a plan can avoid.
    _, begin = np.unique(p * len(drive.obstacles) + n, return_index=True)
    kept = begin[k[begin] > 0]
    p, k, n = p[kept], k[kept], n[kept]
    fault = _at_fault(drive, p, k, n)
    p, k, n = p[fault], k[fault], n[fault]
    np.minimum.at(factor, p, np.where(drive.obstacles.agent[n], 0.0, 0.5))
    np.minimum.at(first, p, drive.times[k])
    return factor, first


def _at_fault(drive: _Drive, p: NDArray, k: NDArray, n: NDArray) -> NDArray:
    """Whether overlaps [C] are the ego's fault: with its front, with what stands, or from the side beside its lane; or
    whoever's, if all count."""
    stands = np.hypot(*drive.obstacles.velocity[n].T) <= TRACK_STOPPED
    corners, depth = drive.corners[p, k], BUMPER_DEPTH * drive.direction[p, k]
    bumper = np.stack([corners[:, 0], corners[:, 0] - depth, corners[:, 3] - depth, corners[:, 3]], axis=1)
    others = drive.others[k, n]
    theirs = rectangle_points(others, drive.obstacles.heading[n], drive.obstacles.half_size[n], _CORNERS)
    front = rectangles_overlap(bumper, theirs)
    behind = _bearing_cosine(drive, p, k, others) < BEHIND_COSINE
    return (drive.speed[p, k] > STOPPED) & (stands | ~behind & (front | drive.beside_lane[p, k] | drive.heed_all))


def _bearing_cosine(drive: _Drive, p: NDArray, k: NDArray, others: NDArray) -> NDArray:
    """Cosine [C] of the bearing of places [C, 2] from the ego."""
    offset = others - drive.middle[p, k]
    return (offset * drive.direction[p, k]).sum(-1) / np.maximum(np.linalg.norm(offset, axis=-1), 1e-6)


def _time_to_collision(drive: _Drive) -> NDArray:
    """1 where the ego, moved on at constant velocity, meets nothing ahead within a second, else 0 [P]."""
    value = np.ones(len(drive.speed))
    touching = np.zeros((len(drive.speed), len(drive.obstacles)), bool)
    q, p, k, n = drive.overlaps
    touching[p[q == 0], n[q == 0]] = True  # collisions are judged by their own term
    bearing = _bearing_cosine(drive, p, k, drive.others[k, n])
    ahead = (bearing > AHEAD_COSINE) | drive.beside_lane[p, k] & (bearing > BEHIND_COSINE)
    value[p[(drive.speed[p, k] > STOPPED) & ~touching[p, n] & ahead]] = 0.0
    return value


def _progress(situation: Situation, factor: NDArray) -> NDArray:
    """Progress along the route [P], as a share of the best one that breaks nothing."""
    ends = situation.states[:, [0, -1]][..., [BX, BY]]
    along = situation.path.project(ends)[0]
    progress = np.maximum(along[:, 1] - along[:, 0], 0.0)
    best = float((progress * factor).max())
    if best <= PROGRESS_THRESHOLD:
        return np.where(factor > 0.0, 1.0, 0.0)
    return np.minimum(progress / best, 1.0)


def _comfort(situation: Situation) -> NDArray:
    """1 where all six bounds of comfort hold all the time, else 0 [P]."""
    states, dt = situation.states, situation.dt
    smooth, slope = _smoothing(states.shape[1])
    speed, heading = states[..., SPEED], states[..., HEADING]
    lon = np.gradient(speed, dt, axis=1) @ smooth
    rate = heading @ slope / dt
    lat = (speed * np.gradient(heading, dt, axis=1)) @ smooth
    lon_jerk, lat_jerk = lon @ slope / dt, lat @ slope / dt
    bounds = (
        (lon >= LON_ACCELERATION[0]) & (lon <= LON_ACCELERATION[1]), np.abs(lat) <= LAT_ACCELERATION,
        np.hypot(lon_jerk, lat_jerk) <= JERK, np.abs(lon_jerk) <= LON_JERK,
        np.abs(rate) <= YAW_RATE, np.abs(rate @ slope / dt) <= YAW_ACCELERATION,
    )  # fmt: skip
    return np.logical_and.reduce([bound.all(1) for bound in bounds]).astype(float)


@cache
def _smoothing(count: int) -> tuple[NDArray, NDArray]:
    """Matrices [T, T] that smooth rows of T values, and that take their slope per step (Savitzky and Golay 1964)."""
    window, rows = min(_WINDOW, count - 1 + count % 2), np.eye(count)
    return savgol_filter(rows, window, _ORDER), savgol_filter(rows, window, _ORDER, deriv=1)
