"""Plane curves that roads are made of. A curve is an array [K, 3] of x, y [m] and heading [rad]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

_MIN_TURN = math.radians(20.0)
_SPACING = 2.0  # [m] between points, about


def direction(angle: float) -> NDArray[np.float64]:
    """Unit vector [2] of a heading [rad]."""
    return np.array([math.cos(angle), math.sin(angle)])


def offset(curve: Curve, distance: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Points [K, 2] to the left of a curve by `distance` [m] (scalar or [K])."""
    points = np.empty((len(curve), 2))
    points[:, 0] = curve[:, 0] - np.sin(curve[:, 2]) * distance
    points[:, 1] = curve[:, 1] + np.cos(curve[:, 2]) * distance
    return points


def evenly(start: float, end: float, spacing: float, least: int = 2) -> NDArray[np.float64]:
    """Numbers from start to end, evenly spaced by at most about `spacing`, at least `least` of them."""
    count = max(least, math.ceil((end - start) / spacing) + 1)
    numbers = start + np.arange(count) * ((end - start) / (count - 1))
    numbers[-1] = end
    return numbers


def parallel(curve: Curve, distance: float) -> Curve:
    """Curve to the left by `distance` [m], same headings."""
    shifted = curve.copy()
    shifted[:, :2] = offset(curve, distance)
    return shifted


def reverse(curve: Curve) -> Curve:
    """The same curve driven the other way."""
    flipped = curve[::-1].copy()
    flipped[:, 2] += math.pi
    return flipped


def bezier(start: Curve, end: Curve, tension: float, count: int) -> Curve:
    """Cubic of `count` points from one pose [3] to another [3] with handles of `tension` times the chord.

    It must turn by less than pi.
    """
    handle = tension * math.hypot(end[0] - start[0], end[1] - start[1])
    first, last = handle * direction(start[2]), handle * direction(end[2])
    gap = end[:2] - start[:2]
    t = np.arange(count)[:, None] / (count - 1)
    # Power basis: start + t (a + t (b + t c)).
    a, b, c = 3.0 * first, 3.0 * gap - 6.0 * first - 3.0 * last, 3.0 * first + 3.0 * last - 2.0 * gap
    slope = a + t * (2.0 * b + 3.0 * t * c)
    curve = np.empty((count, 3))
    curve[:, :2] = start[:2] + t * (a + t * (b + t * c))
    turned = np.arctan2(slope[:, 1], slope[:, 0]) - start[2]
    curve[:, 2] = start[2] + (turned + math.pi) % (2 * math.pi) - math.pi
    curve[-1, :2] = end[:2]
    return curve


def turn(start: Curve, end: Curve, longest_tangent: float = math.inf, leads: tuple[float, float] = (0.0, 0.0)) -> Curve:
    """Curve from pose to pose: line, circular arc, line; a cubic where the headings nearly agree.

    The arc takes the longest tangent that fits both sides, at most `longest_tangent` [m], and leaves straight pieces
    of at least `leads` [m] before and after.
    """
    x0, y0, heading = start.tolist()
    x1, y1, last = end.tolist()
    angle = (last - heading + math.pi) % (2 * math.pi) - math.pi
    dx, dy = x1 - x0, y1 - y0
    if abs(angle) >= _MIN_TURN:
        sine = math.sin(angle)
        before = (dx * math.sin(last) - dy * math.cos(last)) / sine
        after = (math.cos(heading) * dy - math.sin(heading) * dx) / sine
        tangent = min(before - leads[0], after - leads[1], longest_tangent)
        if tangent > 0.0:
            return _line_arc_line(start, angle, before - tangent, after - tangent, tangent)
    return bezier(start, end, 0.4, max(4, int(math.hypot(dx, dy) / _SPACING) + 2))


def _line_arc_line(start: Curve, angle: float, lead: float, tail: float, tangent: float) -> Curve:
    """Line of `lead` [m], arc through `angle` [rad], line of `tail` [m], sampled evenly."""
    radius = tangent / math.tan(0.5 * abs(angle))
    arc = radius * abs(angle)
    side = math.copysign(1.0, angle)
    s = evenly(0.0, lead + arc + tail, _SPACING, 3)
    swept = np.clip((s - lead) / radius, 0.0, abs(angle))
    rest = np.maximum(s - (lead + arc), 0.0)
    along = np.minimum(s, lead) + radius * np.sin(swept) + rest * math.cos(angle)
    across = side * radius * (1.0 - np.cos(swept)) + rest * math.sin(angle)
    cosine, sine = math.cos(start[2]), math.sin(start[2])
    curve = np.empty((len(s), 3))
    curve[:, 0] = start[0] + cosine * along - sine * across
    curve[:, 1] = start[1] + sine * along + cosine * across
    curve[:, 2] = start[2] + side * swept
    return curve


def steps(curve: Curve) -> NDArray[np.float64]:
    """Distances [K - 1] between neighbouring points [m]."""
    dx, dy = curve[1:, 0] - curve[:-1, 0], curve[1:, 1] - curve[:-1, 1]
    return np.sqrt(dx * dx + dy * dy)


def sharpest_curvature(curve: Curve) -> float:
    """Largest curvature between neighbouring points [1/m]."""
    turned = np.abs(curve[1:, 2] - curve[:-1, 2])
    return float((turned / np.maximum(steps(curve), 1e-6)).max())


class Path:
    """A dense curve that is evaluated by distance from its start."""

    def __init__(self, curve: Curve) -> None:
        self._s = np.concatenate([[0.0], np.cumsum(steps(curve))])
        self._columns = curve.T.copy()
        self.length = float(self._s[-1])

    def at(self, s: NDArray[np.float64]) -> Curve:
        """Poses [K, 3] at distances s [K] [m]."""
        curve = np.empty((len(s), 3))
        for column, values in enumerate(self._columns):
            curve[:, column] = np.interp(s, self._s, values)
        return curve

    def between(self, start: float, end: float, spacing: float = 2.0) -> Curve:
        """Poses [K, 3] from distance start to end [m], evenly spaced by about `spacing`."""
        return self.at(evenly(start, end, spacing))
