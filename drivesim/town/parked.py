"""Objects that stand: parked vehicles, barriers and cones."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import CLASS_ID

PARKED_COLUMNS = 11  # class; x, y, z; width, length, height; yaw; red, green, blue
# (width, length, height) [m] of a middling member of every class, and how much each varies.
MEAN_SIZE = {
    "car": (1.85, 4.5, 1.6),
    "truck": (2.4, 6.9, 2.9),
    "construction_vehicle": (2.5, 6.2, 3.1),
    "bus": (2.7, 11.0, 3.4),
    "trailer": (2.6, 10.5, 3.7),
    "barrier": (2.0, 0.5, 1.0),
    "motorcycle": (0.77, 2.1, 1.45),
    "bicycle": (0.6, 1.7, 1.25),
    "pedestrian": (0.65, 0.7, 1.75),
    "traffic_cone": (0.4, 0.4, 0.95),
}
_SPREAD = {"truck": 0.1, "construction_vehicle": 0.08, "barrier": 0.0, "traffic_cone": 0.1}
_CAR_PAINT = (  # RGB and share of the cars
    (0.92, 0.92, 0.92, 0.20),
    (0.07, 0.07, 0.08, 0.16),
    (0.45, 0.46, 0.48, 0.12),
    (0.72, 0.73, 0.75, 0.13),
    (0.68, 0.08, 0.08, 0.10),
    (0.10, 0.22, 0.60, 0.10),
    (0.10, 0.36, 0.18, 0.05),
    (0.85, 0.68, 0.10, 0.04),
    (0.38, 0.24, 0.14, 0.03),
    (0.30, 0.60, 0.75, 0.03),
    (0.80, 0.36, 0.08, 0.02),
    (0.66, 0.60, 0.48, 0.02),
)
CAR_COLORS = np.array(_CAR_PAINT)[:, :3]
_CAR_SHARES = list(accumulate(paint[3] for paint in _CAR_PAINT))
_COLORS = {
    "construction_vehicle": [(0.92, 0.66, 0.08), (0.85, 0.45, 0.08)],
    "bus": [(0.85, 0.85, 0.82), (0.15, 0.3, 0.6), (0.75, 0.12, 0.1), (0.15, 0.45, 0.3)],
    "trailer": [(0.9, 0.9, 0.9), (0.55, 0.56, 0.58), (0.2, 0.3, 0.5), (0.5, 0.2, 0.15)],
    "truck": [(0.9, 0.9, 0.9), (0.7, 0.1, 0.1), (0.15, 0.25, 0.5), (0.85, 0.7, 0.2), (0.4, 0.4, 0.42)],
    "barrier": [(0.8, 0.3, 0.12), (0.85, 0.85, 0.82), (0.7, 0.7, 0.7)],
    "traffic_cone": [(0.95, 0.35, 0.05)],
}


def row(name: str, xy: NDArray[np.float64], yaw: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Table row [PARKED_COLUMNS] of an object of a class standing at xy [2] [m] with heading yaw [rad]."""
    spread = _SPREAD.get(name, 0.06)
    width, length, height = (
        mean * (1.0 + spread * (2.0 * draw - 1.0)) for mean, draw in zip(MEAN_SIZE[name], rng.random(3).tolist())
    )
    x, y = xy.tolist()
    return np.array([CLASS_ID[name], x, y, 0.5 * height, width, length, height, yaw, *_color(name, rng)])


def color_of(name: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Body colour [3], RGB in [0, 1], drawn for a class."""
    return np.array(_color(name, rng))


def _color(name: str, rng: np.random.Generator) -> list[float]:
    if name in _COLORS:
        choices = _COLORS[name]
        base = choices[int(rng.integers(len(choices)))]
    else:
        base = _CAR_PAINT[min(bisect_left(_CAR_SHARES, rng.random()), len(_CAR_PAINT) - 1)][:3]
    return [min(max(value + (0.06 * draw - 0.03), 0.02), 0.98) for value, draw in zip(base, rng.random(3).tolist())]


def table(rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Rows stacked into a table [N, PARKED_COLUMNS]."""
    return np.array(rows).reshape(-1, PARKED_COLUMNS)


def bay_row(stall: NDArray[np.float64], rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """What stands in one roadside stall whose middle has the pose [3]: mostly a car, now and then two-wheelers."""
    draw = rng.random()
    if draw < 0.9:
        yaw = stall[2] + rng.normal(0.0, 0.02)
        return [row("car", stall[:2], yaw, rng)]
    name = "motorcycle" if draw < 0.95 else "bicycle"
    ahead = np.array([math.cos(stall[2]), math.sin(stall[2])])
    across = stall[2] + 0.5 * math.pi + rng.normal(0.0, 0.08)
    return [row(name, stall[:2] + shift * ahead, across, rng) for shift in (-1.5, 0.0, 1.5) if rng.random() < 0.8]
