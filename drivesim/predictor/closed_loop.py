"""Predicted traffic in a closed loop: road users who do, four times a second, what the predictor expects of them.

Who comes and goes, and which way is taken where lanes part, is decided by the same stated rules as in the town
(`drivesim.traffic.population`); people who appear on foot walk by its rules, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.predictor.guard import braking_for_crossings, braking_for_lane, setting_off
from drivesim.predictor.kinematics import TIGHTEST_ON_FOOT, control_between
from drivesim.predictor.layout import FAR, PERIOD, STOPS, WAY_POINTS, Layouts, Ways
from drivesim.predictor.network import ConditionPredictor, Minds
from drivesim.predictor.ways import way_rows
from drivesim.scene import CLASS_ID, EgoState, VehicleShape
from drivesim.traffic.driving import STANDING, body_pose, ego_object, objects_of
from drivesim.traffic.lane_change import held_up, must_change, try_change
from drivesim.traffic.perception import Objects, Sight, look_ahead
from drivesim.traffic.population import (
    Demand,
    extend_paths,
    refill,
    remove_far,
    with_path,
    without_newcomers_near,
)
from drivesim.traffic.state import PATH_POINTS, Complex, Float, Motion, TrafficState
from drivesim.traffic.tables import LaneTables
from drivesim.traffic.walkers import choose_ways, move, steer

_CYCLE = 6  # steps in which all that is rare has its turn, as in the town's traffic
_LANES, _WAYS, _RENEWAL = 3, 2, 5
_SOON = 1e-6  # [s]
_LONG = 3.5  # [m] half the length from which a vehicle counts as long
_ALIGNING = 8.0  # [m] of way over which a long vehicle comes to its path
_ON_FOOT = CLASS_ID["pedestrian"]


@dataclass(frozen=True, eq=False)
class PredictedState:
    """Predicted road users, N of them, and people who walk by rules. A value: nothing in it is ever written to."""

    traffic: TrafficState
    h: NDArray[np.float32]  # [N, H] latent states
    s: NDArray[np.float32]  # [N, S]
    curvature: Float  # [N] held until the next decision [1/m]
    until: float = 0.0  # [s] until the next decision


@dataclass(frozen=True)
class PredictedTraffic:
    """Moves predicted road users on. Keeps weights and settings only.

    `guarded`: the rules of `drivesim.predictor.guard` have the last word. `spread` scales the noise of the latent
    states.
    """

    predictor: ConditionPredictor
    demand: Demand = field(default_factory=Demand)
    shape: VehicleShape = field(default_factory=VehicleShape)
    guarded: bool = True
    spread: float = 0.5

    def take_over(self, traffic: TrafficState) -> PredictedState:
        """Predicted traffic that begins with the road users of a state, of whose past nothing is known."""
        count, c = len(traffic.bodies.ids), self.predictor.config
        blank = np.zeros((count, c.width), np.float32), np.zeros((count, c.stochastic), np.float32)
        return PredictedState(traffic, *blank, np.zeros(count))

    def step(
        self, state: PredictedState, tables: LaneTables | None, before: EgoState, ego: EgoState, dt: float,
        scripted: Objects | None = None,
    ) -> PredictedState:  # fmt: skip
        """The state `dt` [s] later. The ego goes from `before` to `ego`; everybody sees scripted road users, too."""
        phase = state.traffic.step_index % _CYCLE
        if tables is not None:
            if phase == _RENEWAL:
                state = self._renewed(state, tables, before, scripted)
            elif len(state.traffic.walkers.position):
                state = replace(state, traffic=self._walk(state.traffic, tables, before, dt, phase, scripted))
        deciding = state.until < _SOON
        if len(state.traffic.bodies.ids) and (deciding or phase == _LANES):
            objects = objects_of(state.traffic, before, self.shape, scripted)
            sight = _sight(state.traffic, objects)
            if tables is not None and phase == _LANES:
                state = replace(state, traffic=_change_lanes(state.traffic, tables, objects, sight))
            if deciding:
                state = self._decide(state, objects, before, ego, dt)
                state = _guarded(state, objects, sight) if self.guarded else state
        until = (PERIOD if deciding else state.until) - dt
        traffic = replace(
            state.traffic,
            motion=advanced(state, dt, self.guarded),
            walkers=move(state.traffic.walkers, dt),
            step_index=state.traffic.step_index + 1,
        )
        return replace(state, traffic=traffic, until=max(until, 0.0))

    def _renewed(
        self, state: PredictedState, tables: LaneTables, ego: EgoState, scripted: Objects | None
    ) -> PredictedState:
        """Newcomers take the place of those far off, and ways that run out are continued."""
        place, direction = ego_object(ego, self.shape)
        before = state.traffic
        traffic = extend_paths(remove_far(self.demand, before, place), tables)
        if len(traffic) < self.demand.density:
            traffic = refill(self.demand, traffic, tables, place, ego.speed * direction)
        if scripted is not None:
            traffic = without_newcomers_near(traffic, before.next_id, scripted)
        return realigned(state, traffic)

    def _walk(
        self, traffic: TrafficState, tables: LaneTables, ego: EgoState, dt: float, phase: int, scripted: Objects | None
    ) -> TrafficState:
        if phase in (0, _LANES):
            return traffic
        objects = objects_of(traffic, ego, self.shape, scripted)
        vehicles = len(objects.position) - len(traffic.walkers.position)
        if phase == _WAYS:
            return traffic.with_walkers(choose_ways(traffic, tables.walking, objects, vehicles))
        return traffic.with_walkers(steer(traffic.walkers, objects, vehicles, 0.5 * _CYCLE * dt))

    @torch.inference_mode()
    def _decide(
        self, state: PredictedState, objects: Objects, before: EgoState, ego: EgoState, dt: float
    ) -> PredictedState:
        """Everybody's change of speed and curvature for the next PERIOD."""
        layout = layout_of(state, objects, action_between(before, ego, dt))
        count, total = len(state.h), layout.speed.shape[1]
        minds = self.predictor.minds(1, total)
        h, s = minds.h.clone(), minds.s.clone()
        h[0, 1 : count + 1], s[0, 1 : count + 1] = torch.from_numpy(state.h), torch.from_numpy(state.s)
        rng = np.random.default_rng([state.traffic.seed, 71, state.traffic.step_index])
        noise = torch.from_numpy(self.spread * rng.standard_normal((1, total, s.shape[-1])).astype(np.float32))
        foreseen = self.predictor.foresee(layout, Minds(h, s), noise)
        rows = slice(1, count + 1)
        motion = replace(state.traffic.motion, acceleration=foreseen.acceleration[0, rows].double().numpy())
        return replace(
            state,
            traffic=state.traffic.with_motion(motion),
            h=foreseen.minds.h[0, rows].numpy().copy(),
            s=foreseen.minds.s[0, rows].float().numpy().copy(),
            curvature=foreseen.curvature[0, rows].double().numpy(),
        )


def _guarded(state: PredictedState, objects: Objects, sight: Sight) -> PredictedState:
    """The state with what the rules ask for on top of the prediction."""
    traffic, lanes = state.traffic, guided(state.traffic)
    least = setting_off(traffic, sight, lanes)
    traffic = traffic.with_motion(
        replace(traffic.motion, acceleration=np.maximum(traffic.motion.acceleration, least))
    )  # fmt: skip
    most = np.minimum(braking_for_lane(traffic, sight), braking_for_crossings(traffic, objects, lanes))
    motion = replace(traffic.motion, acceleration=np.minimum(traffic.motion.acceleration, most))
    return replace(state, traffic=traffic.with_motion(motion))


def _sight(traffic: TrafficState, objects: Objects) -> Sight:
    """What is in the way of those who have one."""
    sight = look_ahead(traffic.bodies, traffic.paths, traffic.motion, objects)
    kept = guided(traffic)[sight.observer]
    return Sight(sight.observer[kept], sight.seen[kept], sight.gap[kept], sight.speed[kept])


def _change_lanes(traffic: TrafficState, tables: LaneTables, objects: Objects, sight: Sight) -> TrafficState:
    """One vehicle that has a reason gets a way into another lane, by the town's rule."""
    urgent = np.flatnonzero(must_change(traffic))
    turn = traffic.step_index // _CYCLE
    row = int(urgent[turn % urgent.size]) if urgent.size else turn % len(traffic.motion.s)
    leader = -np.inf if urgent.size else held_up(traffic, sight, row)
    path = None if leader == np.inf else try_change(traffic, tables, objects, row, leader)
    return traffic if path is None else with_path(traffic, row, path)


def guided(traffic: TrafficState) -> NDArray[np.bool_]:
    """Who follows lanes [N]."""
    return traffic.paths.lanes[:, 0] >= 0


def realigned(state: PredictedState, traffic: TrafficState) -> PredictedState:
    """The state with other road users; those who stay keep their latent states."""
    old, new = state.traffic.bodies.ids, traffic.bodies.ids
    if old is new:
        return replace(state, traffic=traffic)
    order = np.argsort(old)
    place = np.minimum(np.searchsorted(old, new, sorter=order), max(len(old) - 1, 0))
    row = order[place] if len(old) else place
    same = (old[row] == new) if len(old) else np.zeros(len(new), bool)

    def kept(values: NDArray) -> NDArray:
        taken = np.zeros((len(new), *values.shape[1:]), values.dtype)
        taken[same] = values[row[same]]
        return taken

    return replace(state, traffic=traffic, h=kept(state.h), s=kept(state.s), curvature=kept(state.curvature))


def action_between(before: EgoState, ego: EgoState, dt: float) -> tuple[float, float]:
    """Acceleration [m/s^2] and curvature [1/m] that take the ego from one instant to the next."""
    yaw, speed, turned, after = torch.tensor([before.yaw, abs(before.speed), ego.yaw, abs(ego.speed)])
    acceleration, curvature = control_between(yaw, speed, turned, after, dt)
    return float(np.clip(acceleration, -10.0, 10.0)), float(np.clip(curvature, -0.4, 0.4))


def layout_of(state: PredictedState, objects: Objects, action: tuple[float, float]) -> Layouts:
    """One scene [1, M]: the ego, the N predicted ones, then everybody else, places from the ego's on."""
    traffic, motion = state.traffic, state.traffic.motion
    count, total = len(motion.s), len(objects.position)
    order = np.concatenate([[count], np.arange(count), np.arange(count + 1, total)])
    origin = complex(objects.position[count])
    place, facing = objects.position[order] - origin, objects.direction[order]
    values = np.zeros((3, total))
    values[:, 0] = objects.speed[count], *action
    values[:, 1 : count + 1] = motion.speed, motion.acceleration, state.curvature
    values[0, count + 1 :] = objects.speed[count + 1 :]
    kind = np.full(total, CLASS_ID["car"])
    kind[1 : count + 1] = traffic.bodies.class_ids
    walkers = len(traffic.walkers.position)
    kind[total - walkers :] = _ON_FOOT
    points, allowed = np.zeros((total, WAY_POINTS, 2)), np.zeros((total, WAY_POINTS))
    stops, known = np.full((total, STOPS), FAR), np.zeros(total, bool)
    ways, rows = way_rows(traffic.paths, motion.s), slice(1, count + 1)
    points[rows, :, 0], points[rows, :, 1] = (ways[0] - origin).real, (ways[0] - origin).imag
    allowed[rows], stops[rows], known[rows] = ways[1], ways[2], guided(traffic)
    size = 2.0 * np.column_stack([objects.half_width[order], objects.half_length[order]])

    def one(values: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))[None]

    return Layouts(
        one(np.column_stack([place.real, place.imag])), one(np.angle(facing)), one(values[0]), one(values[1]),
        one(values[2]), one(size), torch.from_numpy(kind)[None], torch.ones(1, total, dtype=torch.bool),
        Ways(one(points), one(allowed), one(stops), torch.from_numpy(known)[None]),
    )  # fmt: skip


def advanced(state: PredictedState, dt: float, guarded: bool = True) -> Motion:
    """Motion after `dt` [s] of the present controls; nobody rolls backwards. `guarded`: long vehicles keep both axles
    on their way, as in the town; steered by their middle they would cut bends with a corner."""
    m, paths, lanes = state.traffic.motion, state.traffic.paths, guided(state.traffic)
    speed = np.maximum(m.speed + m.acceleration * dt, 0.0)
    way = 0.5 * dt * (m.speed + speed)
    turn = np.clip(state.curvature, -TIGHTEST_ON_FOOT, TIGHTEST_ON_FOOT) * way
    position = m.position + way * m.direction * np.exp(0.5j * turn)
    direction = m.direction * np.exp(1j * turn)
    direction /= np.abs(direction)
    s = np.where(lanes, _along(paths.points, m.s, position), m.s)
    long = np.flatnonzero(lanes & (state.traffic.bodies.half_length > _LONG)) if guarded else np.zeros(0, np.int64)
    if len(long):
        s[long] = np.minimum(m.s[long] + way[long], PATH_POINTS - 12.0)
        position[long], direction[long] = _on_both_axles(state.traffic, long, s[long], way[long])
    waiting = (m.waiting + dt) * (speed < STANDING)
    return Motion(s, speed, m.acceleration, position, direction, m.granted, m.hold, waiting)


def _on_both_axles(traffic: TrafficState, rows: NDArray[np.int64], s: Float, way: Float) -> tuple[Complex, Complex]:
    """Middle and heading of vehicles `way` [m] further on their paths; what they are beside them now fades."""
    m, half_length, points = traffic.motion, traffic.bodies.half_length[rows], traffic.paths.points[rows]
    middle, along = body_pose(half_length, points, m.s[rows])
    fading = np.exp(-way / _ALIGNING)
    beside = fading * ((m.position[rows] - middle) * along.conj()).imag
    turned = fading * np.angle(m.direction[rows] * along.conj())
    middle, along = body_pose(half_length, points, s)
    return middle + 1j * beside * along, along * np.exp(1j * turned)


def _along(points: Complex, s: Float, position: Complex) -> Float:
    """Distance along paths [N] [m] of places [N] near where they were before."""
    if len(s) == 0:
        return s
    near = np.clip(s.astype(np.int64)[:, None] + np.arange(-2, 8), 0, PATH_POINTS - 12)
    offset = position[:, None] - np.take_along_axis(points, near, 1)
    best = np.abs(offset).argmin(1)
    rows = np.arange(len(s))
    index = near[rows, best]
    ahead = points[rows, index + 1] - points[rows, index]
    along = (offset[rows, best] * ahead.conj()).real / np.maximum(np.abs(ahead), 1e-6)
    return np.clip(index + along, 0.0, PATH_POINTS - 12.0)
