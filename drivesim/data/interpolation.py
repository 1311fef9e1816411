"""Boxes and ego poses between their annotated instants.

nuScenes annotates boxes at 2 Hz and gives an ego pose for every sensor reading. Everything here interpolates at the
real time asked for: box centres linearly and headings along the shorter arc (exact for constant velocity and constant
yaw rate), ego poses linearly and by slerp.

A box that is annotated at only one end of an interval is moved with its own velocity and exists in that half of the
interval that touches its annotation. Whatever is not annotated at the very instant is flagged in `Tracks.interpolated`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from drivesim.geometry import wrap_angle, yaw_of_pose
from drivesim.scene import EgoState, Tracks, VehicleShape

# Time stamps are whole microseconds; anything nearer than this is the same instant [s].
SAME_INSTANT = 0.6e-6
# Longest gap over which two annotations give a velocity [s], as in the devkit; doubled for centred differences.
MAX_VELOCITY_GAP = 1.5
# Half width of the window over which ego motion is measured [s]: poses of neighbouring sensors are milliseconds apart.
MOTION_WINDOW = 0.25


def annotation_velocity(ids: NDArray, times: NDArray, position: NDArray) -> NDArray[np.float64]:
    """Velocity [M, 2] [m/s] of annotation rows: difference between the previous and the next row of the same id.

    One-sided at the ends of a track, zero where a single annotation or a long gap leaves it unknown.
    """
    order = np.lexsort((times, ids))
    rows = np.arange(len(ids))
    same = ids[order][1:] == ids[order][:-1]
    has_previous = np.concatenate([[False], same]) if len(ids) else np.zeros(0, bool)
    has_next = np.concatenate([same, [False]]) if len(ids) else np.zeros(0, bool)
    first, last = order[rows - has_previous], order[rows + has_next]
    gap = times[last] - times[first]
    known = (gap > 0.0) & (gap <= np.where(has_previous & has_next, 2.0, 1.0) * MAX_VELOCITY_GAP)
    step = position[last, :2] - position[first, :2]
    velocity = np.zeros((len(ids), 2))
    velocity[order] = np.where(known[:, None], step / np.where(known, gap, 1.0)[:, None], 0.0)
    return velocity


@dataclass(frozen=True)
class BoxLog:
    """Annotated boxes of one drive: M rows over K key frames, sorted by key frame and id."""

    times: NDArray[np.float64]  # [K] ascending [s]
    key: NDArray[np.int64]  # [M] index into times
    ids: NDArray[np.int64]  # [M]
    class_ids: NDArray[np.int64]  # [M]
    position: NDArray[np.float64]  # [M, 3] [m]
    size: NDArray[np.float64]  # [M, 3] (width, length, height) [m]
    yaw: NDArray[np.float64]  # [M] [rad]
    color: NDArray[np.float32]  # [M, 3]
    velocity: NDArray[np.float64] = None  # type: ignore[assignment]  # [M, 2] [m/s]; taken from the rows if None

    def __post_init__(self) -> None:
        order = np.lexsort((self.ids, self.key))
        for name in (f.name for f in fields(self) if f.name not in ("times", "velocity")):
            object.__setattr__(self, name, getattr(self, name)[order])
        if self.velocity is None:
            velocity = annotation_velocity(self.ids, self.times[self.key], self.position)
        else:
            velocity = self.velocity[order]
        object.__setattr__(self, "velocity", velocity)

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        """First row of every key frame, and the end [K + 1]."""
        return np.searchsorted(self.key, np.arange(len(self.times) + 1))

    @cached_property
    def _intervals(self) -> dict[int, tuple[Tracks, Tracks, NDArray, NDArray]]:
        return {}

    def rows(self, key: int) -> Tracks:
        """Boxes of one key frame; none for an index outside."""
        if not 0 <= key < len(self.times):
            return Tracks.empty()
        rows = slice(self._offsets[key], self._offsets[key + 1])
        return Tracks(self.ids[rows], self.class_ids[rows], self.position[rows], self.size[rows], self.yaw[rows],
                      self.velocity[rows], self.color[rows])  # fmt: skip

    def interval(self, key: int) -> tuple[Tracks, Tracks, NDArray, NDArray]:
        """Boxes at key and key + 1, and the rows of either that belong to the same objects."""
        if key not in self._intervals:
            before, after = self.rows(key), self.rows(key + 1)
            _, i, j = np.intersect1d(before.ids, after.ids, assume_unique=True, return_indices=True)
            self._intervals[key] = (before, after, i, j)
        return self._intervals[key]


def _moved(tracks: Tracks, seconds: float) -> Tracks:
    """Tracks carried on with constant velocity."""
    position = tracks.position.copy()
    position[:, :2] += seconds * tracks.velocity
    return Tracks(tracks.ids, tracks.class_ids, position, tracks.size, tracks.yaw, tracks.velocity, tracks.color,
                  np.ones(len(tracks), bool))  # fmt: skip


def _between(before: Tracks, after: Tracks, fraction: float) -> Tracks:
    """Objects that are annotated at both ends of an interval, row by row, at a fraction of it."""
    yaw = before.yaw + fraction * wrap_angle(after.yaw - before.yaw)
    mix = [(1.0 - fraction) * getattr(before, name) + fraction * getattr(after, name)
           for name in ("position", "size", "velocity")]  # fmt: skip
    return Tracks(before.ids, before.class_ids, mix[0], mix[1], wrap_angle(yaw), mix[2], before.color,
                  np.ones(len(before), bool))  # fmt: skip


def _sorted_by_id(*parts: Tracks) -> Tracks:
    """All parts as one, rows ascending by id."""
    names = [f.name for f in fields(Tracks)]
    joined = Tracks(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    return joined.take(np.argsort(joined.ids, kind="stable"))


def tracks_at(log: BoxLog, time: float) -> Tracks:
    """Boxes at a time [s]; rows ascending by id. Before the first and after the last key frame all move on."""
    key = int(np.searchsorted(log.times, time + SAME_INSTANT, side="right")) - 1
    if key >= 0 and abs(time - log.times[key]) <= SAME_INSTANT:
        return log.rows(key)
    if key < 0 or key == len(log.times) - 1:
        edge = max(key, 0)
        return _moved(log.rows(edge), time - float(log.times[edge]))
    start, end = float(log.times[key]), float(log.times[key + 1])
    before, after, i, j = log.interval(key)
    common = _between(before.take(i), after.take(j), (time - start) / (end - start))
    if 2.0 * time < start + end:
        alone, offset = before.take(np.setdiff1d(np.arange(len(before)), i)), time - start
    else:
        alone, offset = after.take(np.setdiff1d(np.arange(len(after)), j)), time - end
    return _sorted_by_id(common, _moved(alone, offset)) if len(alone) else common


@dataclass(frozen=True)
class PoseLog:
    """Ego poses of one drive, P of them; times must ascend strictly."""

    times: NDArray[np.float64]  # [P] [s]
    translation: NDArray[np.float64]  # [P, 3] [m]
    rotation: NDArray[np.float64]  # [P, 4] quaternion (w, x, y, z)

    @cached_property
    def _slerp(self) -> Slerp:
        rotations = Rotation.from_quat(self.rotation[:, [1, 2, 3, 0]])
        if len(self.times) == 1:
            return Slerp([self.times[0], self.times[0] + 1.0], Rotation.concatenate([rotations, rotations]))
        return Slerp(self.times, rotations)

    def at(self, times: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Poses [..., 4, 4] at times [...] [s]; the first or last pose outside the recorded time."""
        clipped = np.clip(np.asarray(times, np.float64), self.times[0], self.times[-1])
        poses = np.zeros((*clipped.shape, 4, 4))
        poses[..., :3, :3] = self._slerp(clipped.reshape(-1)).as_matrix().reshape(*clipped.shape, 3, 3)
        for axis in range(3):
            poses[..., axis, 3] = np.interp(clipped, self.times, self.translation[:, axis])
        poses[..., 3, 3] = 1.0
        return poses


def ego_at(log: PoseLog, time: float, shape: VehicleShape) -> EgoState:
    """Ego at a time [s]: interpolated pose, motion from the poses a quarter of a second around it."""
    marks = np.clip([time - MOTION_WINDOW, time, time + MOTION_WINDOW], log.times[0], log.times[-1])
    poses = log.at(marks)
    pose, span = poses[1], float(marks[2] - marks[0])
    if span < SAME_INSTANT:
        return EgoState(pose)
    forward = pose[:2, 0] / np.linalg.norm(pose[:2, 0])
    steps, gaps = np.diff(poses[:, :2, 3], axis=0) @ forward, np.diff(marks)
    speed = float(steps.sum()) / span
    yaw_rate = float(wrap_angle(yaw_of_pose(poses[2]) - yaw_of_pose(poses[0]))) / span
    centred = gaps.min() > SAME_INSTANT
    acceleration = float(np.diff(steps / gaps)[0]) / (0.5 * span) if centred else 0.0
    # A standing car shows no steering angle; below walking pace the quotient is noise.
    steering = float(np.arctan(shape.wheelbase * yaw_rate / speed)) if abs(speed) > 0.5 else 0.0
    return EgoState(pose, speed, acceleration, steering, yaw_rate)
