"""Curves from pose to pose, many at a time: lines with an arc between them, and cubics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivesim.town.curves import Curve

_MIN_TURN = math.radians(20.0)
_SPACING = 2.0  # [m] between points, about


class Arc(NamedTuple):
    """Line of `lead` [m], arc through `angle` [rad] with tangents of `tangent` [m], line of `tail` [m]."""

    x: float
    y: float
    heading: float
    angle: float
    lead: float
    tail: float
    tangent: float


class Cubic(NamedTuple):
    """Cubic of some points from one pose to another, handles of `tension` times the chord; it turns by less than
    pi."""

    x: float
    y: float
    heading: float
    end_x: float
    end_y: float
    end_heading: float
    tension: float
    points: int


def turn(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    longest_tangent: float = math.inf,
    leads: tuple[float, float] = (0.0, 0.0),
) -> Arc | Cubic:
    """From pose [3] to pose [3]: line, circular arc, line; a cubic where the headings nearly agree.

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
            return Arc(x0, y0, heading, angle, before - tangent, after - tangent, tangent)
    return Cubic(x0, y0, heading, x1, y1, last, 0.4, max(4, int(math.hypot(dx, dy) / _SPACING) + 2))


def bezier(start: NDArray[np.float64], end: NDArray[np.float64], tension: float, count: int) -> Cubic:
    """Cubic of `count` points between poses [3]."""
    x, y, heading = start.tolist()
    end_x, end_y, end_heading = end.tolist()
    return Cubic(x, y, heading, end_x, end_y, end_heading, tension, count)


def drawn(turns: Sequence[Arc | Cubic]) -> list[Curve]:
    """The points of every curve, those of an arc about 2 m apart."""
    curves: dict[int, Curve] = {}
    arcs = [(row, one) for row, one in enumerate(turns) if isinstance(one, Arc)]
    cubics = [(row, one) for row, one in enumerate(turns) if isinstance(one, Cubic)]
    if arcs:
        curves.update(zip((row for row, _ in arcs), _draw_arcs([arc for _, arc in arcs])))
    if cubics:
        curves.update(zip((row for row, _ in cubics), _draw_cubics([cubic for _, cubic in cubics])))
    return [curves[row] for row in range(len(turns))]


def _draw_arcs(arcs: Sequence[Arc]) -> list[Curve]:
    counts, ends, rows = [], [], []
    for x, y, heading, angle, lead, tail, tangent in arcs:
        size, side = abs(angle), math.copysign(1.0, angle)
        radius = tangent / math.tan(0.5 * size)
        straight_again = lead + radius * size
        length = straight_again + tail
        counts.append(max(3, math.ceil(length / _SPACING) + 1))
        ends.append(length)
        rows.append((length / (counts[-1] - 1), lead, radius, size, straight_again, math.cos(angle), math.sin(angle),
                     side, side * radius, math.cos(heading), math.sin(heading), x, y, heading))  # fmt: skip
    index, last, columns = _points(counts, rows)
    (spacing, lead_, radius_, size_, straight, cos_angle, sin_angle, side_, across_radius, cosine, sine, x_, y_,
     heading_) = columns  # fmt: skip
    s = index * spacing
    s[last] = ends
    swept = np.minimum(np.maximum((s - lead_) / radius_, 0.0), size_)
    rest = np.maximum(s - straight, 0.0)
    along = np.minimum(s, lead_) + radius_ * np.sin(swept) + rest * cos_angle
    across = across_radius * (1.0 - np.cos(swept)) + rest * sin_angle
    curve = np.empty((len(s), 3))
    curve[:, 0] = x_ + cosine * along - sine * across
    curve[:, 1] = y_ + sine * along + cosine * across
    curve[:, 2] = heading_ + side_ * swept
    return _split(curve, counts)


def _draw_cubics(cubics: Sequence[Cubic]) -> list[Curve]:
    counts, rows = [cubic.points for cubic in cubics], []
    for x0, y0, heading, x1, y1, end_heading, tension, count in cubics:
        gap = complex(x1 - x0, y1 - y0)
        handle = tension * math.hypot(gap.real, gap.imag)
        first = complex(handle * math.cos(heading), handle * math.sin(heading))
        last = complex(handle * math.cos(end_heading), handle * math.sin(end_heading))
        # Power basis: start + t (a + t (b + t c)).
        a, b, c = 3.0 * first, 3.0 * gap - 6.0 * first - 3.0 * last, 3.0 * first + 3.0 * last - 2.0 * gap
        rows.append((count - 1.0, heading, x0, y0, a.real, a.imag, b.real, b.imag, c.real, c.imag))
    index, ends, (pieces, heading_, x, y, ax, ay, bx, by, cx, cy) = _points(counts, rows)
    t = index / pieces
    curve = np.empty((len(t), 3))
    curve[:, 0] = x + t * (ax + t * (bx + t * cx))
    curve[:, 1] = y + t * (ay + t * (by + t * cy))
    slope_x, slope_y = ax + t * (2.0 * bx + 3.0 * t * cx), ay + t * (2.0 * by + 3.0 * t * cy)
    turned = np.arctan2(slope_y, slope_x) - heading_
    curve[:, 2] = heading_ + (turned + math.pi) % (2 * math.pi) - math.pi
    curve[ends, :2] = [(cubic.end_x, cubic.end_y) for cubic in cubics]
    return _split(curve, counts)


def _points(
    counts: list[int], rows: Sequence[tuple[float, ...]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Index [P] of every point in its curve, rows [N] of the last ones, and columns [C, P] of what holds for curves."""
    ends = np.array(list(accumulate(counts)))
    size = np.array(counts)
    return np.arange(ends[-1]) - (ends - size).repeat(size), ends - 1, np.array(rows).repeat(size, axis=0).T.copy()


def _split(curve: Curve, counts: list[int]) -> list[Curve]:
    ends = list(accumulate(counts))
    return [curve[begin:end] for begin, end in zip([0, *ends], ends)]
