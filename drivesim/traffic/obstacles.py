"""Which lanes are blocked by what stands on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import Tracks
from drivesim.traffic.centre_lines import CentreLines

_REACH = 1.1  # [m] from the centre line that an obstacle must reach to block a lane
_SPACING = 2.0  # [m] of the samples that obstacles are found with
_PAIRS = 1 << 16  # of an obstacle and a sample that are looked at together


def first_obstacles(lines: CentreLines, standing: Tracks) -> NDArray[np.float64]:
    """Share [L] of every lane before the first obstacle on it, inf without."""
    blocked = np.full(len(lines), np.inf)
    if not len(lines) or not len(standing):
        return blocked
    lane, share, place = lines.sampled(np.arange(len(lines)), _SPACING)
    hit, at_once = np.zeros(len(lane), bool), max(1, _PAIRS // len(lane))
    for first in range(0, len(standing), at_once):
        hit |= _hit(place, standing, slice(first, first + at_once))
    np.minimum.at(blocked, lane[hit], share[hit])
    return blocked


def _hit(place: NDArray[np.complex128], standing: Tracks, rows: slice) -> NDArray[np.bool_]:
    """Which places [R] are too close to some of what stands."""
    centre = standing.position[rows, :1] + 1j * standing.position[rows, 1:2]
    local = (place - centre) * np.exp(-1j * standing.yaw[rows])[:, None]  # [N, R] in the frames of the obstacles
    half = 0.5 * standing.size[rows, :2, None]
    ahead = np.maximum(np.abs(local.real) - half[:, 1], 0.0)
    aside = np.maximum(np.abs(local.imag) - half[:, 0], 0.0)
    return (np.hypot(ahead, aside) < _REACH).any(axis=0)
