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
    normal = np.stack([-np.sin(curve[:, 2]), np.cos(curve[:, 2])], axis=-1)
    return curve[:, :2] + normal * np.asarray(distance)[..., None]


def parallel(curve: Curve, distance: float) -> Curve:
    """Curve to the left by `distance` [m], same headings."""
    return np.column_stack([offset(curve, distance), curve[:, 2]])


def reverse(curve: Curve) -> Curve:
    """The same curve driven the other way."""
    flipped = curve[::-1].copy()
    flipped[:, 2] += math.pi
    return flipped


def bezier(start: Curve, end: Curve, tension: float, count: int) -> Curve:
    """Cubic of `count` points from one pose [3] to another [3] with handles of `tension` times the chord."""
    handle = tension * float(np.hypot(*(end[:2] - start[:2])))
    p0, p3 = start[:2], end[:2]
    p1, p2 = p0 + handle * direction(start[2]), p3 - handle * direction(end[2])
    t = np.linspace(0.0, 1.0, count)[:, None]
    u = 1.0 - t
    xy = u**3 * p0 + 3 * u**2 * t * p1 + 3 * u * t**2 * p2 + t**3 * p3
    slope = u**2 * (p1 - p0) + 2 * u * t * (p2 - p1) + t**2 * (p3 - p2)
    heading = np.unwrap(np.arctan2(slope[:, 1], slope[:, 0]))
    return np.column_stack([xy, heading])


def turn(start: Curve, end: Curve, longest_tangent: float = math.inf, leads: tuple[float, float] = (0.0, 0.0)) -> Curve:
    """Curve from pose to pose: line, circular arc, line; a cubic where the headings nearly agree.

    The arc takes the longest tangent that fits both sides, at most `longest_tangent` [m], and leaves straight pieces
    of at least `leads` [m] before and after.
    """
    angle = (end[2] - start[2] + math.pi) % (2 * math.pi) - math.pi
    gap = end[:2] - start[:2]
    if abs(angle) < _MIN_TURN:
        return bezier(start, end, 0.4, max(4, int(np.hypot(*gap) / _SPACING) + 2))
    a, b = direction(start[2]), direction(end[2])
    cross = a[0] * b[1] - a[1] * b[0]
    before = (gap[0] * b[1] - gap[1] * b[0]) / cross
    after = (a[0] * gap[1] - a[1] * gap[0]) / cross
    tangent = min(before - leads[0], after - leads[1], longest_tangent)
    if tangent <= 0.0:
        return bezier(start, end, 0.4, max(4, int(np.hypot(*gap) / _SPACING) + 2))
    return _line_arc_line(start, end, angle, before - tangent, after - tangent, tangent)


def _line_arc_line(start: Curve, end: Curve, angle: float, lead: float, tail: float, tangent: float) -> Curve:
    """Line of `lead` [m], arc through `angle` [rad], line of `tail` [m], sampled evenly."""
    radius = tangent / math.tan(0.5 * abs(angle))
    arc = radius * abs(angle)
    total = lead + arc + tail
    s = np.linspace(0.0, total, max(3, math.ceil(total / _SPACING) + 1))
    swept = np.clip((s - lead) / radius, 0.0, abs(angle))
    side = math.copysign(1.0, angle)
    along = np.minimum(s, lead) + radius * np.sin(swept)
    across = side * radius * (1.0 - np.cos(swept))
    rest = np.maximum(s - lead - arc, 0.0)
    forward, left = direction(start[2]), direction(start[2] + 0.5 * math.pi)
    xy = start[:2] + along[:, None] * forward + across[:, None] * left + rest[:, None] * direction(end[2])
    return np.column_stack([xy, start[2] + side * swept])


def sharpest_curvature(curve: Curve) -> float:
    """Largest curvature between neighbouring points [1/m]."""
    step = np.hypot(*np.diff(curve[:, :2], axis=0).T)
    return float(np.max(np.abs(np.diff(curve[:, 2])) / np.maximum(step, 1e-6)))


class Path:
    """A dense curve that is evaluated by distance from its start."""

    def __init__(self, curve: Curve) -> None:
        step = np.hypot(*np.diff(curve[:, :2], axis=0).T)
        self._s = np.concatenate([[0.0], np.cumsum(step)])
        self._curve = curve
        self.length = float(self._s[-1])

    def at(self, s: NDArray[np.float64]) -> Curve:
        """Poses [K, 3] at distances s [K] [m]."""
        return np.stack([np.interp(s, self._s, self._curve[:, column]) for column in range(3)], axis=-1)

    def between(self, start: float, end: float, spacing: float = 2.0) -> Curve:
        """Poses [K, 3] from distance start to end [m], evenly spaced by about `spacing`."""
        return self.at(np.linspace(start, end, max(2, math.ceil((end - start) / spacing) + 1)))
