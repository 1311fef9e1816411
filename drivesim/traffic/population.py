"""Who comes and goes: vehicles and people appear out of sight and vanish far from the ego; paths grow at their ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drivesim.scene import CLASS_ID
from drivesim.town.hashing import generator
from drivesim.town.parked import MEAN_SIZE, color_of
from drivesim.traffic.lane_change import BEHIND
from drivesim.traffic.paths import follow_lanes, make_path
from drivesim.traffic.state import (
    PATH_LANES,
    PATH_POINTS,
    WALKING,
    Bodies,
    Motion,
    Paths,
    TrafficState,
    Walkers,
    append,
    take,
)
from drivesim.traffic.tables import LaneTables
from drivesim.traffic.walkers import next_node

_STAYS = 75.0  # [m] from the ego within which a vehicle that drives away may still appear
_LATER = 1000  # keeps keys of newcomers apart from those at the start

# Share, wanted speed over the allowed one, and top speed [m/s] of the classes that drive.
_CLASSES = (
    ("car", 0.74, 1.0, 40.0), ("truck", 0.07, 0.92, 25.0), ("bus", 0.05, 0.9, 22.0), ("motorcycle", 0.06, 1.05, 40.0),
    ("bicycle", 0.05, 1.0, 6.5), ("construction_vehicle", 0.015, 0.8, 9.0), ("trailer", 0.015, 0.9, 20.0),
)  # fmt: skip


@dataclass(frozen=True)
class Demand:
    """How much traffic there is, and where it begins and ends around the ego [m]."""

    density: int = 30  # road users
    walking_share: float = 0.3
    vanish: float = 110.0
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
    motion = state.motion
    distance = np.abs(motion.position - ego)
    gone = (distance > demand.vanish) | ((state.paths.end - motion.s < 14.0) & (distance > 40.0))
    gone |= (motion.waiting > demand.patience) & (distance > 45.0)
    if gone.any():
        keep = np.flatnonzero(~gone)
        bodies, paths = take(state.bodies, keep), take(state.paths, keep)
        state = replace(state, bodies=bodies, paths=paths, motion=take(motion, keep))
    gone = np.abs(state.walkers.position - ego) > demand.vanish - 20.0
    if gone.any():
        state = replace(state, walkers=take(state.walkers, np.flatnonzero(~gone)))
    return state


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


def _at(points: np.ndarray, s: float) -> complex:
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


def add_vehicle(
    state: TrafficState, tables: LaneTables, ego: complex, ego_speed: float, ring: tuple[float, float], key: int
) -> TrafficState:
    """The state with one more vehicle within a ring [m] around the ego, if a few tries find a free place."""
    distance = np.abs(tables.place - ego)
    comes = (np.conj(tables.place_heading) * (ego - tables.place)).real > 0.0
    candidates = np.flatnonzero((distance > ring[0]) & (distance < ring[1]) & (comes | (distance < _STAYS)))
    if candidates.size == 0:
        return state
    rng = generator(state.seed, 1, key)
    body = _draw_vehicle(state.next_id, rng)
    half = float(body.half_length[0])
    for place in rng.choice(candidates, 6).tolist():
        lane, s = int(tables.place_lane[place]), float(tables.place_s[place])
        speed = min(0.8 * float(tables.limit[lane]), float(body.top_speed[0]))
        others = np.append(state.motion.position, ego)
        room = np.append(state.bodies.half_length, 4.0) + half + 5.0
        room = room + 0.5 * np.append(np.abs(state.motion.speed - speed), abs(ego_speed - speed)) + 0.4 * speed
        if (np.abs(others - tables.place[place]) < room).any():
            continue
        return place_vehicle(state, tables, body, lane, s, speed)
    return state


def place_vehicle(
    state: TrafficState, tables: LaneTables, body: Bodies, lane: int, s: float, speed: float
) -> TrafficState:
    """The state with one more vehicle at distance `s` [m] on a lane, unless something stands close ahead."""
    lanes = follow_lanes(tables, lane, PATH_POINTS + s, (state.seed, state.next_id))
    path = make_path(tables, lanes, s - BEHIND)
    if path.blocked[0] < BEHIND + 25.0:
        return state
    speed = min(speed, float(path.speed[0, int(BEHIND)]))
    one = np.ones(1)
    motion = Motion(
        s=BEHIND * one,
        speed=speed * one,
        acceleration=0.0 * one,
        position=path.points[:, int(BEHIND)],
        direction=path.heading[:, int(BEHIND)],
        granted=-np.inf * one,
        hold=np.inf * one,
        waiting=0.0 * one,
    )
    return replace(
        state,
        bodies=append(state.bodies, body),
        paths=append(state.paths, path),
        motion=append(state.motion, motion),
        next_id=state.next_id + 1,
    )


def _draw_vehicle(identity: int, rng: np.random.Generator) -> Bodies:
    shares = np.cumsum([share for _, share, _, _ in _CLASSES])
    name, _, eagerness, top = _CLASSES[int(np.searchsorted(shares, rng.random() * shares[-1]))]
    return make_body(identity, name, eagerness * rng.uniform(0.86, 1.1), top * rng.uniform(0.85, 1.1), rng)


def make_body(identity: int, name: str, eagerness: float, top: float, rng: np.random.Generator) -> Bodies:
    """One road user of a class, of a size and colour drawn for it; `top` is its top speed [m/s]."""
    size = np.array(MEAN_SIZE[name]) * rng.uniform(0.94, 1.06, 3)
    return Bodies(
        ids=np.array([identity], np.int64),
        class_ids=np.array([CLASS_ID[name]], np.int64),
        size=size[None],
        color=color_of(name, rng)[None].astype(np.float32),
        eagerness=np.array([eagerness]),
        top_speed=np.array([top]),
    )


def add_walker(
    state: TrafficState, tables: LaneTables, ego: complex, ring: tuple[float, float], key: int
) -> TrafficState:
    """The state with one more person on a walkway within a ring [m] around the ego."""
    graph = tables.walking
    distance = np.abs(graph.nodes - ego)
    candidates = np.flatnonzero((distance > ring[0]) & (distance < ring[1]) & (np.diff(graph.offsets) > 0))
    if candidates.size == 0:
        return state
    rng = generator(state.seed, 2, key)
    node = int(rng.choice(candidates))
    here = complex(graph.nodes[node])
    if len(state.walkers.position) and np.abs(state.walkers.position - here).min() < 2.0:
        return state
    target, crosses = next_node(graph, node, here - np.exp(2j * np.pi * rng.random()), (state.seed, key, 3))
    if crosses:
        return state
    body = make_body(state.next_id, "pedestrian", 1.0, 2.0, rng)
    one, ahead = np.ones(1), (target - here) / abs(target - here)
    pace, side = rng.uniform(1.0, 1.6), rng.uniform(0.4, 0.52)
    walker = Walkers(
        bodies=body,
        position=(here - 1j * side * ahead) * one,
        velocity=pace * ahead * one,
        direction=ahead * one,
        source=here * one,
        target=target * one,
        pace=pace * one,
        side=side * one,
        phase=np.array([WALKING]),
        waiting=0.0 * one,
    )
    return replace(state, walkers=append(state.walkers, walker), next_id=state.next_id + 1)


def fill(demand: Demand, state: TrafficState, tables: LaneTables, ego: complex) -> TrafficState:
    """The state at the very start, filled up everywhere around the ego."""
    for attempt in range(3 * demand.vehicles):
        if len(state.bodies.ids) < demand.vehicles:
            state = add_vehicle(state, tables, ego, 0.0, (demand.first, demand.appear[1]), attempt)
    for attempt in range(3 * demand.walkers):
        if len(state.walkers.position) < demand.walkers:
            state = add_walker(state, tables, ego, (demand.first, demand.appear_walking[1]), attempt)
    return state


def refill(demand: Demand, state: TrafficState, tables: LaneTables, ego: complex, ego_speed: float) -> TrafficState:
    """The state with at most one newcomer of each kind, out of sight."""
    key = state.step_index + _LATER
    if len(state.bodies.ids) < demand.vehicles:
        state = add_vehicle(state, tables, ego, ego_speed, demand.appear, key)
    if len(state.walkers.position) < demand.walkers:
        state = add_walker(state, tables, ego, demand.appear_walking, key)
    return state
