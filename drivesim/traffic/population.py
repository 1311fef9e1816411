"""Who comes and goes: vehicles and people appear out of sight and vanish far from the ego; paths grow at their ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drivesim.kernels import compiled
from drivesim.traffic.newcomers import VANISH, add_vehicle, add_walker
from drivesim.traffic.paths import BEHIND, follow_lanes, make_path
from drivesim.traffic.perception import Objects
from drivesim.traffic.state import PATH_LANES, PATH_POINTS, Complex, Float, Paths, TrafficState, take
from drivesim.traffic.tables import LaneTables

_END = 14.0  # [m] to the end of the path from which a vehicle vanishes, if it is
_FAR_AT_END = 40.0  # [m] away; who is stuck vanishes
_FAR_AND_STUCK = 45.0  # [m] away
_APART = 25.0  # [m] of newcomers from scripted road users
_LATER = 1000  # keeps keys of newcomers apart from those at the start


@dataclass(frozen=True)
class Demand:
    """How much traffic there is, and where it begins and ends around the ego [m]."""

    density: int = 30  # road users
    walking_share: float = 0.3
    vanish: float = VANISH
    appear: tuple[float, float] = (62.0, 100.0)
    appear_walking: tuple[float, float] = (45.0, 80.0)
    first: float = 13.0  # nearest at the very start
    patience: float = 45.0  # [s] after which a stuck vehicle out of sight is towed away

    @property
    def walkers(self) -> int:
        """Wanted number of people on foot."""
        return round(self.density * self.walking_share)

    @property
    def vehicles(self) -> int:
        """Wanted number of vehicles."""
        return self.density - self.walkers


def remove_far(demand: Demand, state: TrafficState, ego: complex) -> TrafficState:
    """The state without those far from the ego, at the end of the map, or stuck for long out of sight."""
    motion, people = state.motion, state.walkers.position
    rows = staying(motion.position, motion.s, state.paths.end, motion.waiting, ego, demand.vanish, demand.patience)
    if len(rows) < len(motion.s):
        keep = np.array(rows, np.int64)
        bodies, paths = take(state.bodies, keep), take(state.paths, keep)
        state = replace(state, bodies=bodies, paths=paths, motion=take(motion, keep))
    rows = within(people, ego, demand.vanish - 20.0)
    if len(rows) < len(people):
        state = replace(state, walkers=take(state.walkers, np.array(rows, np.int64)))
    return state


@compiled
def staying(
    position: Complex, s: Float, end: Float, waiting: Float, ego: complex, vanish: float, patience: float
) -> list[int]:
    """Rows of vehicles [N] that are neither far from the ego, nor at the end of the map or stuck out of sight."""
    offset = position - ego
    squared = offset.real * offset.real + offset.imag * offset.imag
    gone = (squared > vanish * vanish) | ((end - s < _END) & (squared > _FAR_AT_END * _FAR_AT_END))
    gone |= (waiting > patience) & (squared > _FAR_AND_STUCK * _FAR_AND_STUCK)
    return (~gone).nonzero()[0].tolist()


@compiled
def within(position: Complex, place: complex, reach: float) -> list[int]:
    """Rows of positions [N] within a reach [m] of a place."""
    offset = position - place
    return (~(offset.real * offset.real + offset.imag * offset.imag > reach * reach)).nonzero()[0].tolist()


def remove_near(state: TrafficState, place: complex, radius: float) -> TrafficState:
    """The state without those within a radius [m] of a place."""
    keep = np.flatnonzero(np.abs(state.motion.position - place) - state.bodies.half_length > radius)
    stay = np.flatnonzero(np.abs(state.walkers.position - place) > 0.5 * radius)
    return replace(
        state,
        bodies=take(state.bodies, keep),
        paths=take(state.paths, keep),
        motion=take(state.motion, keep),
        walkers=take(state.walkers, stay),
    )


def without_newcomers_near(state: TrafficState, first_id: int, scripted: Objects) -> TrafficState:
    """The state without vehicles from `first_id` on that appeared close to something scripted."""
    new = np.flatnonzero(state.bodies.ids >= first_id)
    if new.size == 0 or len(scripted.position) == 0:
        return state
    apart = np.abs(state.motion.position[new, None] - scripted.position).min(axis=1)
    keep = np.delete(np.arange(len(state.bodies.ids)), new[apart < _APART])
    return replace(
        state, bodies=take(state.bodies, keep), paths=take(state.paths, keep), motion=take(state.motion, keep)
    )


def extend_paths(state: TrafficState, tables: LaneTables) -> TrafficState:
    """The state with the path of one vehicle, that needs it most, continued."""
    left = state.paths.end - state.motion.s
    rows = np.flatnonzero((left < 120.0) & (state.motion.s > BEHIND + 20.0))
    if rows.size == 0:
        return state
    row = int(rows[np.argmin(left[rows])])
    path = continued_path(state, tables, row)
    return state if path is None else with_path(state, row, path)


def continued_path(state: TrafficState, tables: LaneTables, row: int) -> Paths | None:
    """The path of a vehicle, from BEHIND [m] behind it on and along further lanes; None if its lanes are gone."""
    paths, begin = state.paths, float(state.motion.s[row]) - BEHIND
    slot = int(np.searchsorted(paths.lane_end[row], begin))
    ids = paths.lanes[row, slot:]
    lanes = tables.index(ids[ids >= 0]).tolist()
    if not lanes or -1 in lanes:
        return None
    start = begin - float(paths.lane_start[row, slot])
    missing = PATH_POINTS + start - float(tables.length[lanes[:-1]].sum())
    key = (state.seed, state.step_index, int(state.bodies.ids[row]))
    lanes = (lanes[:-1] + follow_lanes(tables, lanes[-1], missing, key))[:PATH_LANES]
    path = make_path(tables, lanes, start)
    # A lane change may be under way: keep the present distance to the lane and let it fade.
    shift = complex(_at(paths.points[row], begin + BEHIND) - _at(path.points[0], BEHIND))
    return path if abs(shift) < 0.02 else make_path(tables, lanes, start, shift, over=16.0)


def _at(points: Complex, s: float) -> complex:
    whole = int(s)
    return points[whole] + (s - whole) * (points[whole + 1] - points[whole])


def with_path(state: TrafficState, row: int, path: Paths) -> TrafficState:
    """The state in which a vehicle has a new path, on which it is at distance BEHIND."""
    moved = BEHIND - float(state.motion.s[row])
    motion = state.motion
    s, granted, hold = motion.s.copy(), motion.granted.copy(), motion.hold.copy()
    s[row], granted[row], hold[row] = BEHIND, granted[row] + moved, hold[row] + moved
    columns = {}
    for name in Paths.__dataclass_fields__:
        columns[name] = getattr(state.paths, name).copy()
        columns[name][row] = getattr(path, name)[0]
    return replace(state, paths=Paths(**columns), motion=replace(motion, s=s, granted=granted, hold=hold))


def fill(demand: Demand, state: TrafficState, tables: LaneTables, ego: complex) -> TrafficState:
    """The state at the very start, filled up everywhere around the ego."""
    for attempt in range(3 * demand.vehicles):
        if len(state.bodies.ids) < demand.vehicles:
            state = add_vehicle(state, tables, ego, 0.0j, (demand.first, demand.appear[1]), attempt)
    for attempt in range(3 * demand.walkers):
        if len(state.walkers.position) < demand.walkers:
            state = add_walker(state, tables, ego, (demand.first, demand.appear_walking[1]), attempt)
    return state


def refill(demand: Demand, state: TrafficState, tables: LaneTables, ego: complex, velocity: complex) -> TrafficState:
    """The state with at most one newcomer of each kind, out of sight."""
    key = state.step_index + _LATER
    if len(state.bodies.ids) < demand.vehicles:
        state = add_vehicle(state, tables, ego, velocity, demand.appear, key)
    if len(state.walkers.position) < demand.walkers:
        state = add_walker(state, tables, ego, demand.appear_walking, key)
    return state
