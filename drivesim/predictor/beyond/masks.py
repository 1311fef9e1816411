"""What of a patch is mapped, drawn at random: half planes, discs, corridors, and what lies between two roads' ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.beyond.grid import cell_centres

_ROAD_KNOWN = 0.2  # share of patches in which the drivable area is mapped everywhere, as in some recorded maps


def random_known(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where the drivable area and where everything else is mapped [2, SIDE, SIDE]; never everything."""
    kind = rng.choice(4, p=(0.5, 0.15, 0.15, 0.2))
    mapped = (_half_plane, _disc, _two_half_planes, _corridor)[kind](rng)
    road = np.ones_like(mapped) if rng.random() < _ROAD_KNOWN else mapped
    return np.stack([road, mapped])


def half_plane(distance: float, tilt: float = 0.0) -> NDArray[np.bool_]:
    """Mapped behind a line `distance` [m] ahead of the pose, turned by `tilt` [rad]."""
    return cell_centres() @ np.array([np.cos(tilt), np.sin(tilt)]) < distance


def _half_plane(rng: np.random.Generator) -> NDArray[np.bool_]:
    return half_plane(rng.uniform(-12.0, 30.0), rng.normal(0.0, 0.35))


def _two_half_planes(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mapped behind a bent line: the corner of a mapped rectangle, or all but the corner of an unmapped one."""
    first, second = _half_plane(rng), half_plane(rng.uniform(-10.0, 20.0), rng.choice((-1.0, 1.0)) * rng.uniform(1, 2))
    return first & second if rng.random() < 0.5 else first | second


def _disc(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mapped within a circle around a place near the pose, or beyond it."""
    middle = rng.uniform((-20.0, -20.0), (20.0, 20.0))
    apart = np.linalg.norm(cell_centres() - middle, axis=-1)
    radius = rng.uniform(15.0, 45.0)
    return apart < radius if rng.random() < 0.7 else apart > 0.7 * radius


def _corridor(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mapped beside the way that led to the pose, an arc, and a little further: what a log saw."""
    x, y = np.moveaxis(cell_centres(), -1, 0)
    beside = np.abs(y - 0.5 * rng.normal(0.0, 0.006) * x * x)
    return (x < rng.uniform(-6.0, 12.0)) & (beside < rng.uniform(8.0, 28.0))
