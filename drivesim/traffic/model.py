"""Reactive traffic: one step of everybody, decisions spread over the steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import EgoState, Tracks, VehicleShape
from drivesim.traffic.driving import (
    advance,
    choose_acceleration,
    ego_object,
    next_junction,
    objects_of,
    untangle,
)
from drivesim.traffic.idm import DriverModel
from drivesim.traffic.intent import PAST_LINE, EgoIntent, contenders
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
from drivesim.traffic.state import Bodies, Float, Motion, TrafficState, Walkers, empty_state
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
                state = replace(state, walkers=self._walk(state, tables, objects, dt))
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
        origin = complex(objects.position[len(state.motion.s)])
        sight = look_ahead(state.bodies, state.paths, state.motion, objects, origin)
        sight = untangle(sight, state.motion.waiting)
        entry, clear = next_junction(state.paths, state.motion.s, state.bodies.half_length)
        at_junctions = self.decides_at(state.step_index)
        if at_junctions:
            state = replace(state, motion=self._grant(state, tables, sight, ego, intent, entry, clear))
        rate = choose_acceleration(self.driver, state, sight, self._stop(state, entry, clear))
        state = replace(state, motion=replace(state.motion, acceleration=rate))
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

    def _stop(self, state: TrafficState, entry: Float, clear: Float) -> Float:
        """Where each vehicle must stop [N] [m]: stop line without a grant, obstacle, end of the road."""
        motion, paths = state.motion, state.paths
        front = motion.s + state.bodies.half_length
        may_pass = (motion.granted >= clear - 0.5) | (entry - front < PAST_LINE)
        line = np.where(may_pass, motion.hold, entry)
        return np.minimum(line, np.minimum(paths.blocked, paths.end))

    def _grant(
        self, state: TrafficState, tables: LaneTables, sight: Sight, ego: EgoState, intent: EgoIntent | None,
        entry: Float, clear: Float,
    ) -> Motion:  # fmt: skip
        who = contenders(state, tables, sight, entry, clear, ego.speed, self.shape, intent)
        passes, hold = decide(tables, who)
        granted = np.where(passes[: len(entry)], clear, -np.inf)
        return replace(state.motion, granted=granted, hold=hold[: len(entry)])

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


@lru_cache(maxsize=32)
def _fixed_columns(bodies: Bodies, people: Bodies, standing: Tracks) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Ids, classes, sizes and colours; they change only when somebody comes or goes."""
    return (
        np.concatenate([bodies.ids, people.ids, standing.ids]),
        np.concatenate([bodies.class_ids, people.class_ids, standing.class_ids]),
        np.concatenate([bodies.size, people.size, standing.size]),
        np.concatenate([bodies.color, people.color, standing.color]),
    )


def tracks_of(state: TrafficState, standing: Tracks) -> Tracks:
    """All road users of a state, and standing objects after them, as tracks."""
    walkers, motion = state.walkers, state.motion
    ids, class_ids, size, color = _fixed_columns(state.bodies, walkers.bodies, standing)
    vehicles, moving, count = len(motion.s), len(state), len(ids)
    place, velocity = np.zeros(count, np.complex128), np.zeros(count, np.complex128)
    place[:vehicles], place[vehicles:moving] = motion.position, walkers.position
    np.multiply(motion.direction, motion.speed, out=velocity[:vehicles])
    velocity[vehicles:moving] = walkers.velocity
    position, yaw = np.empty((count, 3)), np.empty(count)
    position[:, 0], position[:, 1] = place.real, place.imag
    np.multiply(size[:, 2], 0.5, out=position[:, 2])
    position[moving:] = standing.position
    yaw[:vehicles] = np.arctan2(motion.direction.imag, motion.direction.real)
    yaw[vehicles:moving] = np.arctan2(walkers.direction.imag, walkers.direction.real)
    yaw[moving:] = standing.yaw
    return Tracks(ids, class_ids, position, size, yaw, velocity.view(np.float64).reshape(-1, 2), color)
