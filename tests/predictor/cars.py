"""Cars on straight ways of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from drivesim.predictor.handover import straight_path
from drivesim.traffic.state import Bodies, Motion, TrafficState, append, empty_state

LENGTH, WIDTH = 4.2, 1.8
_BEHIND = 10.0  # [m] of path behind each


def cars(places: Sequence[complex], yaws: Sequence[float], speeds: Sequence[float]) -> TrafficState:
    """Cars that follow lanes straight ahead; the first has number 1."""
    count = len(places)
    bodies = Bodies(
        np.arange(count) + 1, np.zeros(count, np.int64), np.tile([WIDTH, LENGTH, 1.5], (count, 1)),
        np.full((count, 3), 0.5, np.float32), np.ones(count), np.full(count, 40.0),
    )  # fmt: skip
    paths = empty_state(0).paths
    for place, yaw in zip(places, yaws):
        paths = append(paths, straight_path(place, yaw, 13.0))
    lanes = paths.lanes.copy()
    lanes[:, 0] = 7  # any lane: they are guided
    never, zero = np.full(count, np.inf), np.zeros(count)
    motion = Motion(np.full(count, _BEHIND), np.array(speeds), zero, np.array(places), np.exp(1j * np.array(yaws)),
                    -never, never, zero)  # fmt: skip
    return replace(empty_state(0), bodies=bodies, paths=replace(paths, lanes=lanes), motion=motion, next_id=count + 1)
