"""Plane curves that roads are made of. A curve is an array [K, 3] of x, y [m] and heading [rad]."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]


def direction(angle: float) -> NDArray[np.float64]:
    """Unit vector [2] of a heading [rad]."""
    return np.array([math.cos(angle), math.sin(angle)])


def offset(curve: Curve, distance: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Points [K, 2] to the left of a curve by `distance` [m] (scalar or [K])."""
    return offsets(curve, (distance,))[0]


def offsets(curve: Curve, distances: Iterable[NDArray[np.float64] | float]) -> list[NDArray[np.float64]]:
    """Points [K, 2] to the left of a curve by each of some distances [m] (scalars or [K])."""
    sine, cosine, lines = np.sin(curve[:, 2]), np.cos(curve[:, 2]), []
    for distance in distances:
        points = np.empty((len(curve), 2))
        points[:, 0] = curve[:, 0] - sine * distance
        points[:, 1] = curve[:, 1] + cosine * distance
        lines.append(points)
    return lines


def evenly(start: float, end: float, spacing: float, least: int = 2) -> NDArray[np.float64]:
    """Numbers from start to end, evenly spaced by at most about `spacing`, at least `least` of them."""
    count = max(least, math.ceil((end - start) / spacing) + 1)
    numbers = start + np.arange(count) * ((end - start) / (count - 1))
    numbers[-1] = end
    return numbers


def parallels(curve: Curve, distances: Sequence[float]) -> list[Curve]:
    """Curves to the left by each of some distances [m], same headings."""
    shifted = []
    for points in offsets(curve, distances):
        shifted.append(np.empty_like(curve))
        shifted[-1][:, :2], shifted[-1][:, 2] = points, curve[:, 2]
    return shifted


def reverse(curve: Curve) -> Curve:
    """The same curve driven the other way."""
    flipped = curve[::-1].copy()
    flipped[:, 2] += math.pi
    return flipped


def steps(curve: Curve) -> NDArray[np.float64]:
    """Distances [K - 1] between neighbouring points [m]."""
    dx, dy = curve[1:, 0] - curve[:-1, 0], curve[1:, 1] - curve[:-1, 1]
    return np.sqrt(dx * dx + dy * dy)


def sharpest_curvatures(curves: Sequence[Curve]) -> list[float]:
    """Largest curvature between neighbouring points of every curve [1/m]."""
    joined = np.concatenate(curves)
    curvature = np.abs(joined[1:, 2] - joined[:-1, 2]) / np.maximum(steps(joined), 1e-6)
    ends = np.array([len(curve) for curve in curves]).cumsum()
    curvature[ends[:-1] - 1] = 0.0  # from one curve to the next
    return np.maximum.reduceat(curvature, np.append(0, ends[:-1])).tolist()


class Path:
    """A dense curve that is evaluated by distance from its start, linearly between its points."""

    def __init__(self, curve: Curve) -> None:
        lengths = steps(curve)
        self._s = np.concatenate([[0.0], np.cumsum(lengths)])
        self._curve = curve
        self._slope = np.zeros_like(curve)  # per metre; none beyond the end
        np.divide(curve[1:] - curve[:-1], (self._s[1:] - self._s[:-1])[:, None], out=self._slope[:-1])
        self.length = float(self._s[-1])

    def at(self, s: NDArray[np.float64]) -> Curve:
        """Poses [K, 3] at distances s [K] [m]; those of the ends beyond them."""
        s = np.minimum(np.maximum(s, 0.0), self.length)
        piece = self._s.searchsorted(s, side="right") - 1
        return self._slope.take(piece, 0) * (s - self._s.take(piece))[:, None] + self._curve.take(piece, 0)

    def between(self, start: float, end: float, spacing: float = 2.0) -> Curve:
        """Poses [K, 3] from distance start to end [m], evenly spaced by about `spacing`."""
        return self.at(evenly(start, end, spacing))
