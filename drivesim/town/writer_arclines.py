"""Centre lines as nuScenes arc-line paths.

An arc-line path is three pieces with one radius, each an arc or a line. Between two neighbouring points of a centre
line there is a biarc: two circular arcs that leave the first point and reach the second with their own headings (Bolton
1975, equal handles). So the devkit, discretising the path, passes through every point with its heading.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import wrap_angle

STRAIGHT = 1e-9  # [rad] arcs that turn less are lines
RADIUS_OF_LINES = 100.0  # [m], not used by the devkit for straight pieces but read


def _arc(start: NDArray[np.float64], end_xy: NDArray[np.float64]) -> tuple[dict, NDArray[np.float64]]:
    """Arc-line record of the one arc from a pose [3] to a point [2], and the pose at its end."""
    step = end_xy - start[:2]
    chord = float(np.hypot(*step))
    half = float(wrap_angle(np.arctan2(step[1], step[0]) - start[2]))
    end = np.array([*end_xy, start[2] + 2.0 * half])
    if abs(half) < STRAIGHT:
        shape, radius, lengths = "LSL", RADIUS_OF_LINES, [0.0, chord, 0.0]
    else:
        radius = 0.5 * chord / abs(np.sin(half))
        shape, lengths = ("LSL" if half > 0 else "RSR"), [2.0 * abs(half) * float(radius), 0.0, 0.0]
    record = {"start_pose": start.tolist(), "end_pose": end.tolist(), "shape": shape, "radius": float(radius),
              "segment_length": lengths}  # fmt: skip
    return record, end


def _joint(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Point [2] where the two arcs of the biarc from pose to pose meet; None if one arc does."""
    chord = end[:2] - start[:2]
    bearing = np.arctan2(chord[1], chord[0])
    if abs(wrap_angle(bearing - start[2]) - wrap_angle(end[2] - bearing)) < STRAIGHT:
        return None
    first, last = (np.array([np.cos(pose[2]), np.sin(pose[2])]) for pose in (start, end))
    # Handles of one length d meet smoothly: |chord - d (first + last)| = 2 d.
    along = float(chord @ (first + last))
    quadratic = 2.0 * (1.0 - float(first @ last))
    square = float(chord @ chord)
    if quadratic < 1e-12:
        handle = square / (2.0 * along)
    else:
        handle = (-along + np.sqrt(along**2 + quadratic * square)) / quadratic
    return 0.5 * (start[:2] + end[:2] + handle * (first - last))


def arcline_path(line: NDArray[np.float64]) -> list[dict]:
    """Arc-line records of a centre line [K, 3] (x, y, heading), one or two per interval."""
    records = []
    for start, end in zip(line[:-1], line[1:]):
        joint = _joint(start, end)
        if joint is None:
            records.append(_arc(start, end[:2])[0])
        else:
            first, middle = _arc(start, joint)
            records += [first, _arc(middle, end[:2])[0]]
    return records
