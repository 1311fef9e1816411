"""Reactive traffic: one step of everybody, decisions spread over the steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from drivesim.scene import EgoState, Tracks, VehicleShape
from drivesim.traffic.driving import drive, ego_object, let_pass_who_leaves, next_junction, objects_of, untangle
from drivesim.traffic.idm import DriverModel
from drivesim.traffic.intent import PAST_LINE, EgoIntent, contenders
from drivesim.traffic.junctions import decide
from drivesim.traffic.lane_change import has_reason, must_change, try_change
from drivesim.traffic.perception import Objects, Sight, look_ahead
from drivesim.traffic.population import Demand, extend_paths, fill, refill, remove_far, remove_near, with_path
from drivesim.traffic.state import Float, Motion, TrafficState, empty_state
from drivesim.traffic.tables import LaneTables
from drivesim.traffic.walkers import choose_ways, walk

_PERIOD = 3  # steps between two decisions of one kind


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
        return step_index % _PERIOD == 0

    def step(
        self, state: TrafficState, tables: LaneTables, ego: EgoState, intent: EgoIntent | None, dt: float,
        ghost: bool = False,
    ) -> TrafficState:  # fmt: skip
        """Traffic after `dt` [s]. `intent` says which lanes the ego will take through the next junctions.

        A `ghost` of an ego is only the middle of the traffic; nobody reacts to it.
        """
        objects = objects_of(state, ego, self.shape)
        if ghost:
            objects.margin[len(state.motion.s)] = -np.inf
        vehicles = len(state.motion.s)
        phase = state.step_index % _PERIOD
        motion = state.motion
        if vehicles:
            origin = complex(objects.position[vehicles])
            sight = look_ahead(state.bodies, state.paths, motion, objects, origin)
            let_pass_who_leaves(sight, vehicles + 1)
            untangle(sight, motion.waiting)
            entry, clear = next_junction(state.paths, motion.s, state.bodies.half_length)
            if phase == 0:
                motion = self._grant(state, tables, sight, ego, intent, entry, clear)
                state = replace(state, motion=motion)
            motion = drive(self.driver, state, sight, self._stop(state, entry, clear), dt)
        walkers = walk(state.walkers, objects, vehicles + 1, dt) if len(state.walkers.position) else state.walkers
        state = replace(state, motion=motion, walkers=walkers, step_index=state.step_index + 1)
        if phase == 1:
            return self._change_lanes(state, tables, sight) if vehicles else state
        if phase == 2:
            return self._renew(state, tables, objects, ego)
        return state

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
        rows, who = contenders(state, tables, sight, entry, clear, ego.speed, self.shape, intent)
        if rows.size == 0:
            return state.motion
        passes, waits = decide(tables, who)
        granted, hold = np.full(len(entry), -np.inf), np.full(len(entry), np.inf)
        granted[rows] = np.where(passes[: len(rows)], clear[rows], -np.inf)
        hold[rows] = waits[: len(rows)]
        return replace(state.motion, granted=granted, hold=hold)

    def _change_lanes(self, state: TrafficState, tables: LaneTables, sight: Sight) -> TrafficState:
        """One vehicle that has a reason gets a path into another lane, if it is safe."""
        urgent = np.flatnonzero(must_change(state))
        turn = state.step_index // _PERIOD
        if urgent.size:
            row = int(urgent[turn % urgent.size])
        else:
            row = turn % len(state.motion.s)
            if not has_reason(state, sight)[row]:
                return state
        path = try_change(state, sight, tables, row)
        return state if path is None else with_path(state, row, path)

    def _renew(self, state: TrafficState, tables: LaneTables, objects: Objects, ego: EgoState) -> TrafficState:
        vehicles = len(state.motion.s) + 1
        state = replace(state, walkers=choose_ways(state, tables.walking, objects, vehicles))
        position = complex(objects.position[vehicles - 1])
        state = remove_far(self.demand, state, position)
        state = extend_paths(state, tables)
        return refill(self.demand, state, tables, position, ego.speed)


def tracks_of(state: TrafficState, standing: Tracks) -> Tracks:
    """All road users of a state, and standing objects after them, as tracks."""
    bodies, walkers = state.bodies, state.walkers
    direction = np.concatenate([state.motion.direction, walkers.direction])
    velocity = np.concatenate([state.motion.direction * state.motion.speed, walkers.velocity])
    moving, count = len(direction), len(direction) + len(standing)
    size = np.concatenate([bodies.size, walkers.bodies.size, standing.size])
    position, yaw = np.empty((count, 3)), np.empty(count)
    xy = position[:moving, :2]
    xy[:] = np.concatenate([state.motion.position, walkers.position]).view(np.float64).reshape(-1, 2)
    position[:moving, 2] = 0.5 * size[:moving, 2]
    position[moving:] = standing.position
    yaw[:moving], yaw[moving:] = np.arctan2(direction.imag, direction.real), standing.yaw
    return Tracks(
        ids=np.concatenate([bodies.ids, walkers.bodies.ids, standing.ids]),
        class_ids=np.concatenate([bodies.class_ids, walkers.bodies.class_ids, standing.class_ids]),
        position=position,
        size=size,
        yaw=yaw,
        velocity=np.concatenate([velocity.view(np.float64).reshape(-1, 2), standing.velocity]),
        color=np.concatenate([bodies.color, walkers.bodies.color, standing.color]),
    )
