"""Lane changes after MOBIL (Kesting, Treiber, Helbing 2007): only if safe, and if there is something to gain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.traffic.paths import follow_lanes, make_path
from drivesim.traffic.perception import Sight
from drivesim.traffic.state import PATH_POINTS, Paths, TrafficState
from drivesim.traffic.tables import LaneTables

BEHIND = 10.0  # [m] of path kept behind a vehicle when it gets a new one
_ROOM = 30.0  # [m] of lane that must be left
_GAIN = 0.75  # of the wanted speed; a faster leader is no reason to change
_REASON_RANGE = 35.0  # [m] within which a slow leader is a reason
_OBSTACLE_RANGE = 70.0  # [m]


def has_reason(state: TrafficState, sight: Sight) -> NDArray[np.bool_]:
    """Vehicles [N] held up by a slow leader or by an obstacle on their lane."""
    motion, paths, bodies = state.motion, state.paths, state.bodies
    allowed = paths.speed[np.arange(len(motion.s)), motion.s.astype(np.int64)]
    wanted = np.minimum(allowed * bodies.eagerness, bodies.top_speed)
    slow = sight.hit & (sight.gap < _REASON_RANGE) & (sight.speed > -0.5) & (sight.speed < _GAIN * wanted)
    return slow.any(axis=0) | must_change(state)


def must_change(state: TrafficState) -> NDArray[np.bool_]:
    """Vehicles [N] that come to an obstacle on their lane."""
    return state.paths.blocked - state.motion.s < _OBSTACLE_RANGE


def try_change(state: TrafficState, sight: Sight, tables: LaneTables, row: int) -> Paths | None:
    """New path of a vehicle into a neighbouring lane where the vehicle is at distance BEHIND, or None."""
    paths, s = state.paths, float(state.motion.s[row])
    slot = int(np.searchsorted(paths.lane_end[row], s))
    lane = int(tables.index(paths.lanes[row, slot : slot + 1])[0])
    left_over = float(paths.lane_end[row, slot]) - s
    forced = bool(must_change(state)[row])
    if lane < 0 or tables.controlled[lane] or left_over < (12.0 if forced else _ROOM):
        return None
    for neighbour, side in ((int(tables.graph.left[lane]), 1.0), (int(tables.graph.right[lane]), -1.0)):
        if neighbour < 0 or not _is_open(tables, neighbour, s - float(paths.lane_start[row, slot])):
            continue
        width = 0.5 * float(tables.graph.width[lane] + tables.graph.width[neighbour])
        if is_safe(state, sight, row, side * width, None if forced else _front_speed(state, sight, row)):
            return _path_into(state, tables, row, neighbour)
    return None


def _is_open(tables: LaneTables, lane: int, s: float) -> bool:
    blocked = float(tables.blocked[lane])
    return not s - 5.0 < blocked < np.inf


def _front_speed(state: TrafficState, sight: Sight, row: int) -> float:
    """Speed [m/s] of the slowest leader in reach."""
    leaders = sight.hit[:, row] & (sight.gap[:, row] < _REASON_RANGE)
    return float(sight.speed[leaders, row].min()) if leaders.any() else np.inf


def is_safe(state: TrafficState, sight: Sight, row: int, offset: float, to_beat: float | None) -> bool:
    """Whether the lane `offset` [m] to the left is free beside, ahead and behind; with `to_beat` [m/s], and also faster."""
    bodies, speed = state.bodies, float(state.motion.speed[row])
    half = float(bodies.half_length[row])
    centre = sight.along[:, row] + half  # from middle to middle
    # Clearance to a body on the target lane, from the clearance to the present one.
    sideways = sight.clearance[:, row] - np.abs(sight.lateral[:, row]) + np.abs(sight.lateral[:, row] - offset)
    there = (sideways < 0.3) & (np.abs(centre) < 60.0)
    there[row] = False
    reach = np.abs(sight.along[:, row] - sight.gap[:, row])  # half length of the others along the path
    ahead = centre - half - reach
    behind = -centre - half - reach
    closing = speed - sight.speed[:, row]
    tight = (ahead < 2.0 + 0.3 * speed + 1.5 * np.maximum(closing, 0.0)) & (
        behind < 2.5 + 0.4 * np.maximum(sight.speed[:, row], 0.0) + 2.5 * np.maximum(-closing, 0.0)
    )
    slower = np.zeros(len(centre), bool)
    if to_beat is not None:
        slower = (centre > 0.0) & (ahead < _REASON_RANGE) & (sight.speed[:, row] < to_beat + 1.0)
    return not bool((there & (tight | slower)).any())


def _path_into(state: TrafficState, tables: LaneTables, row: int, lane: int) -> Paths | None:
    position = complex(state.motion.position[row])
    bounds = slice(tables.graph.offsets[lane], tables.graph.offsets[lane + 1])
    point = int(np.argmin(np.abs(tables.points[bounds] - position)))
    heading = np.exp(1j * tables.graph.points[bounds][point, 2])
    relative = (position - tables.points[bounds][point]) * np.conj(heading)
    start = float(tables.graph.arc_length[bounds][point]) + relative.real - BEHIND
    if start < 0.0:
        return None
    lanes = follow_lanes(tables, lane, start + PATH_POINTS, (state.seed, state.step_index, int(state.bodies.ids[row])))
    over = max(14.0, 2.6 * float(state.motion.speed[row]))
    return make_path(tables, lanes, start, shift=1j * relative.imag * heading, over=over)
