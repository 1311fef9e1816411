"""Plane curves that roads are made of. A curve is an array [K, 3] of x, y [m] and heading [rad]."""

from __future__ import annotations

import math
from collections.abc import Iterable

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
    x0, y0, heading = start.tolist()
    x1, y1, last_heading = end.tolist()
    gap = complex(x1 - x0, y1 - y0)
    handle = tension * math.hypot(gap.real, gap.imag)
    first = complex(handle * math.cos(heading), handle * math.sin(heading))
    last = complex(handle * math.cos(last_heading), handle * math.sin(last_heading))
    t = np.arange(count) / (count - 1)
    # Power basis: start + t (a + t (b + t c)).
    a, b, c = 3.0 * first, 3.0 * gap - 6.0 * first - 3.0 * last, 3.0 * first + 3.0 * last - 2.0 * gap
    slope = a + t * (2.0 * b + 3.0 * t * c)
    place = complex(x0, y0) + t * (a + t * (b + t * c))
    curve = np.empty((count, 3))
    curve[:, 0], curve[:, 1] = place.real, place.imag
    turned = np.arctan2(slope.imag, slope.real) - heading
    curve[:, 2] = heading + (turned + math.pi) % (2 * math.pi) - math.pi
    curve[-1, :2] = x1, y1
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
            return _line_arc_line((x0, y0, heading), angle, before - tangent, after - tangent, tangent)
    return bezier(start, end, 0.4, max(4, int(math.hypot(dx, dy) / _SPACING) + 2))


def _line_arc_line(start: tuple[float, float, float], angle: float, lead: float, tail: float, tangent: float) -> Curve:
    """Line of `lead` [m], arc through `angle` [rad], line of `tail` [m], sampled evenly."""
    radius = tangent / math.tan(0.5 * abs(angle))
    arc = radius * abs(angle)
    side = math.copysign(1.0, angle)
    s = evenly(0.0, lead + arc + tail, _SPACING, 3)
    swept = np.minimum(np.maximum((s - lead) / radius, 0.0), abs(angle))
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
