"""Which way a road goes on beyond its end: of arcs that its lanes could follow, the likeliest by what was predicted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.beyond.ends import RoadEnd
from drivesim.predictor.beyond.grid import AHEAD, CELL, LANE_CENTRE, ROAD, SIDE, to_local

STEP = 2.0  # [m] between points of a course
_FORESIGHT = 56.0  # [m] that a course is judged over
_STRAIGHT = (0.0, 12.0, 24.0, 36.0)  # [m] before it bends
_CURVATURES = np.concatenate([-np.geomspace(1 / 14, 1 / 300, 9), [0.0], np.geomspace(1 / 300, 1 / 14, 9)])  # [1/m]
_MOST_TURN = 1.6  # [rad]
_LEAST = 0.02  # probability below which a place counts as no better
_WEIGHTS = (1.0, 0.4)  # of the drivable area, and of lane centres
_BEND = 0.1  # cost of a bend, per radian


def courses() -> NDArray[np.float64]:
    """Poses [K, P, 3] (x, y [m], heading [rad]) along K courses from the origin on; the first is straight."""
    s = np.arange(0.0, _FORESIGHT + STEP, STEP)
    bends = [(0.0, 0.0)] + [(float(k), start) for start in _STRAIGHT for k in _CURVATURES if k]
    curvature, start = np.array(bends).T[..., None]
    heading = np.clip(curvature * np.maximum(s - start, 0.0), -_MOST_TURN, _MOST_TURN)
    middle = 0.5 * (heading[:, 1:] + heading[:, :-1])
    x, y = (np.cumsum(STEP * part, axis=1) for part in (np.cos(middle), np.sin(middle)))
    zero = np.zeros((len(heading), 1))
    return np.stack([np.concatenate([zero, x], 1), np.concatenate([zero, y], 1), heading], axis=-1)


_COURSES = courses()


def likeliest_course(probability: NDArray[np.float32], end: RoadEnd) -> NDArray[np.float64]:
    """Poses [P, 3] in the frame of a road end along which its lanes keep best to what was predicted there: the mean
    logarithm of the probabilities [C, SIDE, SIDE] of drivable area and of lane centres under them, less for bends."""
    offsets = to_local(np.array([tip.xy for tip in end.tips]), end.pose)[:, 1]
    sides = np.concatenate([offsets, [offsets.min() - 1.2, offsets.max() + 1.2]])
    turn = np.abs(_COURSES[:, -1, 2])
    score = -_BEND * turn
    for index, aside, weight in ((ROAD, sides, _WEIGHTS[0]), (LANE_CENTRE, offsets, _WEIGHTS[1])):
        field = np.log(np.maximum(cv2.GaussianBlur(probability[index], (5, 5), 0.0), _LEAST))
        places = beside(_COURSES[:, 2:], aside)  # [K, P, M, 2]
        score = score + weight * _looked_up(field, places).mean((1, 2))
    return _COURSES[int(score.argmax())]


def beside(poses: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places [..., M, 2] that are `offset` [M] [m] to the left of poses [..., 3]."""
    heading = poses[..., None, 2]
    return poses[..., None, :2] + offset[:, None] * np.stack([-np.sin(heading), np.cos(heading)], axis=-1)


def _looked_up(field: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the cells of a patch under places [..., 2] of its frame; those outside count as unlikely."""
    row = np.floor((AHEAD - places[..., 0]) / CELL).astype(int)
    column = np.floor(0.5 * SIDE - places[..., 1] / CELL).astype(int)
    inside = (row >= 0) & (row < SIDE) & (column >= 0) & (column < SIDE)
    return np.where(inside, field[row.clip(0, SIDE - 1), column.clip(0, SIDE - 1)], np.log(_LEAST))
