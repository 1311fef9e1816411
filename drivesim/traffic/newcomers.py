"""Vehicles and people that appear: where there is room, with bodies and paths drawn from the seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.scene import CLASS_ID
from drivesim.town.hashing import generator
from drivesim.town.parked import MEAN_SIZE, color_of
from drivesim.traffic.paths import BEHIND, follow_lanes, make_path
from drivesim.traffic.state import PATH_POINTS, WALKING, Bodies, Complex, Float, Motion, TrafficState, Walkers, append
from drivesim.traffic.tables import LaneTables
from drivesim.traffic.walkers import next_node

_EGO_HALF = 4.0  # [m]
_TRIES = 6  # places that a newcomer looks at
VANISH = 110.0  # [m] from the ego beyond which nobody is
_STAY = 8.0  # [s] that a newcomer should be there, if all keep their velocity

# Share, wanted speed over the allowed one, and top speed [m/s] of the classes that drive.
_CLASSES = (
    ("car", 0.74, 1.0, 40.0), ("truck", 0.07, 0.92, 25.0), ("bus", 0.05, 0.9, 22.0), ("motorcycle", 0.06, 1.05, 40.0),
    ("bicycle", 0.05, 1.0, 6.5), ("construction_vehicle", 0.015, 0.8, 9.0), ("trailer", 0.015, 0.9, 20.0),
)  # fmt: skip


def add_vehicle(
    state: TrafficState, tables: LaneTables, ego: complex, velocity: complex, ring: tuple[float, float], key: int
) -> TrafficState:
    """The state with one more vehicle within a ring [m] around the ego, if a few tries find a free place."""
    candidates = places_in(tables.place, tables.place_motion, ego, velocity, *ring)
    if candidates.size == 0:
        return state
    rng = generator(state.seed, 1, key)
    body = _draw_vehicle(state.next_id, rng)
    places = candidates[(rng.random(_TRIES) * candidates.size).astype(np.int64)]
    speed = np.minimum(0.8 * tables.limit[tables.place_lane[places]], body.top_speed)
    choice = first_free(
        state.motion.position, state.motion.speed, state.bodies.half_length, ego, abs(velocity), tables.place[places],
        speed, float(body.half_length[0]),
    )  # fmt: skip
    if choice < 0:
        return state
    place = int(places[choice])
    lane, s = int(tables.place_lane[place]), float(tables.place_s[place])
    return place_vehicle(state, tables, body, lane, s, float(speed[choice]))


@compiled
def first_free(
    position: Complex, speed: Float, half_length: Float, ego: complex, ego_speed: float, places: Complex,
    speeds: Float, half: float,
) -> int:  # fmt: skip
    """The first of places [T] where a vehicle with speeds [T] [m/s] and a half length [m] keeps its distance from all
    others [N] and the ego; -1 for none."""
    others, own = np.concatenate((position, (ego,))), speeds[:, None]
    room = np.concatenate((half_length, (_EGO_HALF,))) + (half + 5.0)
    room = room + 0.5 * np.abs(np.concatenate((speed, (ego_speed,))) - own) + 0.4 * own
    offset = others - places[:, None]
    free = ~(offset.real * offset.real + offset.imag * offset.imag < room * room).any(axis=1)
    return int(free.argmax()) if free.any() else -1


@compiled
def places_in(
    places: Complex, motions: Complex, ego: complex, velocity: complex, inner: float, outer: float
) -> NDArray[np.int64]:
    """Rows of places [S] within a ring [m] around the ego from where vehicles, with motions [S] [m/s], stay in its
    surroundings for a while."""
    offset = places - ego
    squared = offset.real * offset.real + offset.imag * offset.imag
    near = ((squared > inner * inner) & (squared < outer * outer)).nonzero()[0]
    # The time until a vehicle vanishes is the larger root of |offset + motion t| = VANISH.
    motion, offset, squared = motions.take(near) - velocity, offset.take(near), squared.take(near)
    a = np.maximum(motion.real * motion.real + motion.imag * motion.imag, 0.1)
    b = offset.real * motion.real + offset.imag * motion.imag
    root = np.sqrt(np.maximum(b * b + a * (VANISH * VANISH - squared), 0.0))
    return near[root - b > _STAY * a]


def place_vehicle(
    state: TrafficState, tables: LaneTables, body: Bodies, lane: int, s: float, speed: float
) -> TrafficState:
    """The state with one more vehicle at distance `s` [m] on a lane, unless something stands close ahead."""
    lanes = follow_lanes(tables, lane, PATH_POINTS + s, (state.seed, state.next_id))
    path = make_path(tables, lanes, s - BEHIND)
    if path.blocked[0] < BEHIND + 25.0:
        return state
    speed = min(speed, float(path.speed[0, int(BEHIND)]))
    motion = Motion(
        s=np.array([BEHIND]),
        speed=np.array([speed]),
        acceleration=np.zeros(1),
        position=path.points[:, int(BEHIND)],
        direction=path.heading[:, int(BEHIND)],
        granted=np.array([-np.inf]),
        hold=np.array([np.inf]),
        waiting=np.zeros(1),
    )
    bodies, paths, motions = append(state.bodies, body), append(state.paths, path), append(state.motion, motion)
    return TrafficState(bodies, paths, motions, state.walkers, state.seed, state.step_index, state.next_id + 1)


_SHARES = np.cumsum([share for _, share, _, _ in _CLASSES])


def _draw_vehicle(identity: int, rng: np.random.Generator) -> Bodies:
    name, _, eagerness, top = _CLASSES[int(_SHARES.searchsorted(rng.random() * _SHARES[-1]))]
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
    offset = graph.nodes - ego
    squared = offset.real * offset.real + offset.imag * offset.imag
    candidates = ((squared > ring[0] ** 2) & (squared < ring[1] ** 2) & graph.linked).nonzero()[0]
    if candidates.size == 0:
        return state
    rng = generator(state.seed, 2, key)
    node = int(candidates[int(rng.random() * candidates.size)])
    here = complex(graph.nodes[node])
    if len(state.walkers.position) and np.abs(state.walkers.position - here).min() < 2.0:
        return state
    target, crosses = next_node(graph, node, here - np.exp(2j * np.pi * rng.random()), (state.seed, key, 3))
    if crosses:
        return state
    body = make_body(state.next_id, "pedestrian", 1.0, 2.0, rng)
    ahead = (target - here) / abs(target - here)
    pace, side = rng.uniform(1.0, 1.6), rng.uniform(0.4, 0.52)
    walker = Walkers(
        bodies=body,
        position=np.array([here - 1j * side * ahead]),
        velocity=np.array([pace * ahead]),
        direction=np.array([ahead]),
        source=np.array([here]),
        target=np.array([target]),
        pace=np.array([pace]),
        side=np.array([side]),
        phase=np.array([WALKING]),
        waiting=np.zeros(1),
    )
    people = append(state.walkers, walker)
    return TrafficState(
        state.bodies, state.paths, state.motion, people, state.seed, state.step_index, state.next_id + 1
    )
