"""Lane changes after MOBIL (Kesting, Treiber, Helbing 2007): only if safe, and if there is something to gain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.traffic.driving import wanted_speed
from drivesim.traffic.paths import BEHIND, follow_lanes, make_path
from drivesim.traffic.perception import Objects, Relation, Sight, surroundings
from drivesim.traffic.state import PATH_POINTS, Paths, TrafficState
from drivesim.traffic.tables import LaneTables

_ROOM = 30.0  # [m] of lane that must be left
_GAIN = 0.75  # of the wanted speed; a faster leader is no reason to change
_REASON_RANGE = 35.0  # [m] within which a slow leader is a reason
_OBSTACLE_RANGE = 70.0  # [m]
_SIDE = 0.3  # [m] least clearance to vehicles that are not on the new lane


def held_up(state: TrafficState, sight: Sight, row: int) -> float:
    """Speed [m/s] of the slowest leader in reach that is slower than a vehicle wants to be; inf without."""
    near = (sight.observer == row) & (sight.gap < _REASON_RANGE) & (sight.speed > -0.5)
    s, bodies = state.motion.s, state.bodies
    slowest = float(sight.speed[near].min(initial=np.inf))
    wanted = wanted_speed(s, bodies.eagerness, bodies.top_speed, state.paths.speed)
    return slowest if slowest < _GAIN * float(wanted[row]) else np.inf


def must_change(state: TrafficState) -> NDArray[np.bool_]:
    """Vehicles [N] that come to an obstacle on their lane."""
    return state.paths.blocked - state.motion.s < _OBSTACLE_RANGE


def try_change(state: TrafficState, tables: LaneTables, objects: Objects, row: int, leader: float) -> Paths | None:
    """New path of a vehicle into a neighbouring lane, on which the vehicle is at distance BEHIND, or None.

    `leader` [m/s] is the speed that the new lane must beat; -inf if the present one must be left anyhow.
    """
    paths, s = state.paths, float(state.motion.s[row])
    slot = int(np.searchsorted(paths.lane_end[row], s))
    lane = int(tables.index(paths.lanes[row, slot : slot + 1])[0])
    left_over = float(paths.lane_end[row, slot]) - s
    if lane < 0 or tables.controlled[lane] or left_over < (12.0 if leader < 0.0 else _ROOM):
        return None
    around = None
    for neighbour, side in ((int(tables.graph.left[lane]), 1.0), (int(tables.graph.right[lane]), -1.0)):
        if neighbour < 0 or not _is_open(tables, neighbour, s - float(paths.lane_start[row, slot])):
            continue
        around = around or surroundings(state.bodies, paths, state.motion, objects, row)
        width = 0.5 * float(tables.graph.width[lane] + tables.graph.width[neighbour])
        if is_safe(state, around, row, side * width, leader):
            return _path_into(state, tables, row, neighbour)
    return None


def _is_open(tables: LaneTables, lane: int, s: float) -> bool:
    blocked = float(tables.blocked[lane])
    return not s - 5.0 < blocked < np.inf


def is_safe(state: TrafficState, around: Relation, row: int, offset: float, leader: float) -> bool:
    """Whether the lane `offset` [m] to the left is free beside, ahead and behind, and faster than `leader` [m/s]."""
    half, speed = float(state.bodies.half_length[row]), float(state.motion.speed[row])
    sideways = np.abs(around.lateral - offset) - around.half_breadth - float(state.bodies.half_width[row])
    there = (sideways < _SIDE) & (np.abs(around.along) < 60.0)
    there[row] = False
    ahead = around.along - around.half_extent
    behind = -around.along - 2.0 * half - around.half_extent
    closing = speed - around.speed
    tight = (ahead < 2.0 + 0.3 * speed + 1.5 * np.maximum(closing, 0.0)) & (
        behind < 2.5 + 0.4 * np.maximum(around.speed, 0.0) + 2.5 * np.maximum(-closing, 0.0)
    )
    slow = (around.along > 0.0) & (ahead < _REASON_RANGE) & (around.speed < leader + 1.0)
    return not bool((there & (tight | slow)).any())


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
