"""Reactive traffic: one step of everybody, decisions spread over the steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from drivesim.kernels import compiled
from drivesim.scene import EgoState, Tracks, VehicleShape
from drivesim.traffic.driving import (
    advance,
    choose_acceleration,
    ego_object,
    next_junction,
    objects_of,
    stop_lines,
    untangle,
)
from drivesim.traffic.idm import DriverModel
from drivesim.traffic.intent import EgoIntent, contenders
from drivesim.traffic.junctions import decide
from drivesim.traffic.lane_change import held_up, must_change, try_change
from drivesim.traffic.perception import Objects, Sight, look_ahead
from drivesim.traffic.population import (
    Demand,
    extend_paths,
    fill,
    refill,
    remove_far,
    remove_near,
    with_path,
    without_newcomers_near,
)
from drivesim.traffic.state import Bodies, Complex, Float, Motion, TrafficState, Walkers, empty_state, scaled
from drivesim.traffic.tables import LaneTables
from drivesim.traffic.walkers import choose_ways, move, steer

# Drivers look at every third step, people at the ones after; rarer decisions take turns, so that steps cost alike.
_CYCLE = 6
_JUNCTIONS, _FIRST_STEER, _WAYS, _LANES, _SECOND_STEER, _RENEWAL = range(_CYCLE)


@dataclass(frozen=True)
class ReactiveTraffic:
    """Vehicles that follow lanes and each other (IDM), give way and change lanes, and people on foot."""

    demand: Demand = field(default_factory=Demand)
    driver: DriverModel = field(default_factory=DriverModel)
    shape: VehicleShape = field(default_factory=VehicleShape)

    def reset(self, seed: int, tables: LaneTables, ego: EgoState) -> TrafficState:
        """Traffic around the ego at the start of a drive."""
        position, _ = ego_object(ego, self.shape)
        return fill(self.demand, empty_state(seed), tables, position)

    def make_way(self, state: TrafficState, ego: EgoState, radius: float) -> TrafficState:
        """The state without vehicles and people within a radius [m] of the ego's body."""
        return remove_near(state, ego_object(ego, self.shape)[0], radius)

    @staticmethod
    def decides_at(step_index: int) -> bool:
        """Whether the step of that index looks at the ego's intent."""
        return step_index % _CYCLE == _JUNCTIONS

    def step(
        self, state: TrafficState, tables: LaneTables, ego: EgoState, intent: EgoIntent | None, dt: float,
        ghost: bool = False, scripted: Objects | None = None,
    ) -> TrafficState:  # fmt: skip
        """Traffic after `dt` [s]. `intent` says which lanes the ego will take through the next junctions.

        A `ghost` of an ego is only the middle of the traffic; nobody reacts to it. Everybody reacts to what is
        `scripted`.
        """
        phase = state.step_index % _CYCLE
        if phase == _RENEWAL:
            renewed = self._renew(state, tables, ego)
            state = renewed if scripted is None else without_newcomers_near(renewed, state.next_id, scripted)
        elif len(state):
            objects = objects_of(state, ego, self.shape, scripted)
            if ghost:
                objects.margin[len(state.motion.s)] = -np.inf
            if phase in (_JUNCTIONS, _LANES):
                state = self._drive(state, tables, objects, ego, intent)
            else:
                state = state.with_walkers(self._walk(state, tables, objects, dt))
        motion = advance(state.bodies.half_length, state.paths, state.motion, dt)
        return TrafficState(
            state.bodies, state.paths, motion, move(state.walkers, dt), state.seed, state.step_index + 1, state.next_id
        )

    def _drive(
        self, state: TrafficState, tables: LaneTables, objects: Objects, ego: EgoState, intent: EgoIntent | None
    ) -> TrafficState:
        """Drivers look and choose their acceleration; in turn they decide at junctions and about their lane."""
        if len(state.motion.s) == 0:
            return state
        sight = look_ahead(state.bodies, state.paths, state.motion, objects)
        sight = untangle(sight, state.motion.waiting)
        entry, clear = next_junction(state.paths.entry, state.paths.clear, state.motion.s, state.bodies.half_length)
        at_junctions = self.decides_at(state.step_index)
        granted, hold = state.motion.granted, state.motion.hold
        if at_junctions:
            granted, hold = self._grant(state, tables, sight, ego, intent, entry, clear)
        m, paths = state.motion, state.paths
        stop = stop_lines(m.s, state.bodies.half_length, entry, clear, granted, hold, paths.blocked, paths.end)
        rate = choose_acceleration(self.driver, state, sight, stop)
        state = state.with_motion(Motion(m.s, m.speed, rate, m.position, m.direction, granted, hold, m.waiting))
        return state if at_junctions else self._change_lanes(state, tables, objects, sight)

    @staticmethod
    def _walk(state: TrafficState, tables: LaneTables, objects: Objects, dt: float) -> Walkers:
        """People choose their velocity or, in turn, their way."""
        if len(state.walkers.position) == 0:
            return state.walkers
        vehicles = len(objects.position) - len(state.walkers.position)
        if state.step_index % _CYCLE == _WAYS:
            return choose_ways(state, tables.walking, objects, vehicles)
        return steer(state.walkers, objects, vehicles, 0.5 * _CYCLE * dt)

    def _renew(self, state: TrafficState, tables: LaneTables, ego: EgoState) -> TrafficState:
        """Newcomers take the place of those far off, and paths that run out are continued."""
        place, direction = ego_object(ego, self.shape)
        state = extend_paths(remove_far(self.demand, state, place), tables)
        return refill(self.demand, state, tables, place, ego.speed * direction)

    def _grant(
        self, state: TrafficState, tables: LaneTables, sight: Sight, ego: EgoState, intent: EgoIntent | None,
        entry: Float, clear: Float,
    ) -> tuple[Float, Float]:  # fmt: skip
        """`granted` and `hold` of `Motion` [N] [m] from now on."""
        who = contenders(state, tables, sight, entry, clear, ego.speed, self.shape, intent)
        passes, hold = decide(tables, who)
        return np.where(passes[: len(entry)], clear, -np.inf), hold[: len(entry)]

    def _change_lanes(self, state: TrafficState, tables: LaneTables, objects: Objects, sight: Sight) -> TrafficState:
        """One vehicle that has a reason gets a path into another lane, if it is safe."""
        urgent = np.flatnonzero(must_change(state))
        turn = state.step_index // _CYCLE
        if urgent.size:
            row, leader = int(urgent[turn % urgent.size]), -np.inf
        else:
            row = turn % len(state.motion.s)
            leader = held_up(state, sight, row)
        if leader == np.inf:
            return state
        path = try_change(state, tables, objects, row, leader)
        return state if path is None else with_path(state, row, path)


@lru_cache(maxsize=256)  # of many worlds in turn
def _at_rest(bodies: Bodies, people: Bodies, standing: Tracks) -> Tracks:
    """Tracks in which all that changes only when somebody comes or goes is filled in: everything of those that stand,
    and of the moving ones ids, classes, sizes, heights and colours."""
    moving = len(bodies.ids) + len(people.ids)
    size = np.concatenate([bodies.size, people.size, standing.size])
    position, yaw = np.zeros((len(size), 3)), np.zeros(len(size))
    position[:, 2] = 0.5 * size[:, 2]
    position[moving:], yaw[moving:] = standing.position, standing.yaw
    return Tracks(
        np.concatenate([bodies.ids, people.ids, standing.ids]),
        np.concatenate([bodies.class_ids, people.class_ids, standing.class_ids]),
        position,
        size,
        yaw,
        np.zeros((len(size), 2)),
        np.concatenate([bodies.color, people.color, standing.color]),
    )


def tracks_of(state: TrafficState, standing: Tracks) -> Tracks:
    """All road users of a state, and standing objects after them, as tracks."""
    walkers, motion = state.walkers, state.motion
    rest = _at_rest(state.bodies, walkers.bodies, standing)
    position, velocity, cosine, sine = placed(
        rest.position, motion.position, motion.direction, motion.speed, walkers.position, walkers.direction,
        walkers.velocity,
    )  # fmt: skip
    yaw = rest.yaw.copy()
    np.arctan2(sine, cosine, out=yaw[: len(sine)])
    return Tracks(rest.ids, rest.class_ids, position, rest.size, yaw, velocity, rest.color, rest.interpolated)


@compiled
def placed(
    rest: Float, position: Complex, direction: Complex, speed: Float, people: Complex, facing: Complex,
    velocity: Complex,
) -> tuple[Float, Float, Float, Float]:  # fmt: skip
    """Positions [T, 3] and velocities [T, 2] of tracks, and cosines and sines of the headings of those that move.

    `rest` holds the positions of those that stand, and the heights of all.
    """
    place, pace = rest.copy(), np.zeros((len(rest), 2))
    there = np.concatenate((position, people))
    place[: len(there), 0], place[: len(there), 1] = there.real, there.imag
    heading = np.concatenate((direction, facing))
    pace.view(np.complex128)[: len(there), 0] = np.concatenate((scaled(direction, speed), velocity))
    return place, pace, heading.real.copy(), heading.imag.copy()
