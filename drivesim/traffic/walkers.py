"""Pedestrians: along walkways from node to node, over crossings when the traffic lets them."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.town.hashing import unit
from drivesim.traffic.perception import Objects
from drivesim.traffic.state import (
    CROSSING,
    WAITING,
    WALKING,
    Complex,
    Float,
    TrafficState,
    Walkers,
    lengths,
    scaled,
)
from drivesim.traffic.walking import WalkingGraph

_ARRIVED = 0.5  # [m]
_AGILITY = 3.0  # [1/s] with which people change their velocity
_COMFORTABLE_BRAKING = 2.0  # [m/s^2] that people expect of drivers,
_FIRM_BRAKING = 4.0  # and after a long wait
_LONG = 6.0  # [s]
_CROSSING_SHARE = 0.45  # of people at a crossing who take it
_STRIDE = 0.9  # [m]
_PATIENCE = 4.0  # [s] after which people squeeze past what stands in their way
_ROOM = 1.8  # [m] that vehicles must stand clear of the middle of a crossing
_BUBBLE = 0.35  # [m] kept to vehicles and to people in front


def move(walkers: Walkers, dt: float) -> Walkers:
    """People after `dt` [s] of walking as they do."""
    w, way = walkers, walkers.velocity * dt
    way += w.position
    return Walkers(w.bodies, way, w.velocity, w.direction, w.source, w.target, w.pace, w.side, w.phase, w.waiting)


def steer(walkers: Walkers, objects: Objects, vehicles: int, dt: float) -> Walkers:
    """People with the velocity that they choose for the next `dt` [s].

    `vehicles` counts the leading rows of `objects` that are vehicles, the ego included; people come after them.
    """
    w, o = walkers, objects
    velocity, direction, waiting = steered(
        w.position, w.velocity, w.direction, w.source, w.target, w.pace, w.side, w.phase, w.waiting,
        o.position, o.direction, o.speed, o.half_length, o.half_width, vehicles, dt,
    )  # fmt: skip
    return Walkers(w.bodies, w.position, velocity, direction, w.source, w.target, w.pace, w.side, w.phase, waiting)


@compiled
def steered(
    position: Complex, velocity: Complex, direction: Complex, source: Complex, target: Complex, pace: Float,
    side: Float, phase: NDArray[np.int64], waiting: Float, places: Complex, facing: Complex, speed: Float,
    half_length: Float, half_width: Float, vehicles: int, dt: float,
) -> tuple[Complex, Complex, Float]:  # fmt: skip
    """Velocity, direction and waiting of `steer` from columns of people and of objects."""
    way = _goal(source, target, side) - position
    ahead = scaled(way, 1.0 / np.maximum(lengths(way), 1e-6))
    share = min(1.0, _AGILITY * dt)
    objects = Objects(places, facing, speed, half_length, half_width, half_width)
    blocked = _is_in_the_way(position, ahead, objects, vehicles)
    goes = (phase != WAITING) & (~blocked | (waiting > _PATIENCE))
    turned = direction + scaled(ahead, np.full(len(ahead), share))
    chosen = scaled(velocity, np.full(len(ahead), 1.0 - share)) + scaled(ahead, share * pace * goes)
    waited = np.maximum(waiting + np.where(goes, -dt, dt), 0.0)
    return chosen, scaled(turned, 1.0 / np.maximum(lengths(turned), 1e-6)), waited


def _goal(source: Complex, target: Complex, side: Float) -> Complex:
    """Where people head: beside the target node, to the right of their way."""
    way = target - source
    aside = scaled(way, side / np.maximum(lengths(way), 1e-6))
    goal = np.empty_like(target)
    goal.real, goal.imag = target.real + aside.imag, target.imag - aside.real
    return goal


def _is_in_the_way(position: Complex, ahead: Complex, objects: Objects, vehicles: int) -> NDArray[np.bool_]:
    """Who [W] would, with the next stride, touch a vehicle or someone who walks on in the same direction."""
    c, s = objects.direction.real, objects.direction.imag
    x = (position.real + _STRIDE * ahead.real)[:, None] - objects.position.real
    y = (position.imag + _STRIDE * ahead.imag)[:, None] - objects.position.imag
    inside = np.abs(x * c + y * s) < objects.half_length + _BUBBLE
    inside &= np.abs(y * c - x * s) < objects.half_width + _BUBBLE
    people = inside[:, vehicles:]
    if np.count_nonzero(people):
        people &= ahead.real[:, None] * c[vehicles:] + ahead.imag[:, None] * s[vehicles:] > 0.3
        people &= objects.speed[vehicles:] > 0.2
    return np.logical_or.reduce(inside, axis=1)


def choose_ways(state: TrafficState, graph: WalkingGraph, objects: Objects, vehicles: int) -> Walkers:
    """People with a new target where they arrived at theirs, and across the road where it is free."""
    walkers = state.walkers
    rows = deciding(walkers.position, walkers.source, walkers.target, walkers.side, walkers.phase)
    if not rows or len(graph.nodes) == 0:
        return walkers
    source, target = walkers.source.copy(), walkers.target.copy()
    phase, waiting = walkers.phase.copy(), walkers.waiting.copy()
    for row in rows:
        if phase[row] == WAITING:
            braking = _FIRM_BRAKING if waiting[row] > _LONG else _COMFORTABLE_BRAKING
            if road_is_free(source[row], target[row], objects, vehicles, braking):
                phase[row], waiting[row] = CROSSING, 0.0
            continue
        node = nearest_node(graph.nodes, target[row])
        key = (state.seed, state.step_index, int(walkers.bodies.ids[row]))
        following, crosses = next_node(graph, node, complex(source[row]), key)
        source[row], target[row] = target[row], following
        phase[row] = WAITING if crosses else WALKING
    w = walkers
    return Walkers(w.bodies, w.position, w.velocity, w.direction, source, target, w.pace, w.side, phase, waiting)


@compiled
def deciding(position: Complex, source: Complex, target: Complex, side: Float, phase: NDArray[np.int64]) -> list[int]:
    """Rows of people who arrived at their target or wait at a crossing."""
    left = lengths(_goal(source, target, side) - position)
    return ((left < _ARRIVED) | (phase == WAITING)).nonzero()[0].tolist()


@compiled
def nearest_node(nodes: Complex, place: complex) -> int:
    """Index of the node [V] nearest to a place."""
    offset = nodes - place
    return int((offset.real * offset.real + offset.imag * offset.imag).argmin())


def next_node(graph: WalkingGraph, node: int, behind: complex, key: tuple[int, ...]) -> tuple[complex, bool]:
    """A neighbour of a node, rather straight on than back, and whether the way there crosses a road."""
    places, crossing = graph.links_of(node)
    here = complex(graph.nodes[node])
    if not places:
        return behind, False
    if True in crossing:
        beyond = places[crossing.index(True)]
        if abs(beyond - behind) > 1.0 and unit(*key, 1) < _CROSSING_SHARE:
            return beyond, True
    back = ((here - behind) / max(abs(here - behind), 1e-6)).conjugate()
    weights = [
        0.0 if crosses else math.exp(3.0 * ((place - here) * back).real / max(abs(place - here), 1e-6)) + 1e-9
        for place, crosses in zip(places, crossing)
    ]
    shares = list(accumulate(weights))
    if shares[-1] == 0.0:
        return places[0], crossing[0]
    draw = unit(*key, 2)
    return next(place for place, share in zip(places, shares) if share / shares[-1] >= draw), False


def road_is_free(source: complex, target: complex, objects: Objects, vehicles: int, braking: float) -> bool:
    """Whether every vehicle is off the way across and stands, leaves or can stop by `braking` [m/s^2]."""
    return is_free(
        source, target, objects.position, objects.direction, objects.speed, objects.half_length, vehicles, braking
    )


@compiled
def is_free(
    source: complex, target: complex, places: Complex, facing: Complex, speed: Float, half_length: Float,
    vehicles: int, braking: float,
) -> bool:  # fmt: skip
    """`road_is_free` with columns of the objects."""
    (x0, y0), (way_x, way_y) = (source.real, source.imag), (target.real - source.real, target.imag - source.imag)
    length = math.sqrt(way_x * way_x + way_y * way_y)
    fx, fy = way_x / length, way_y / length
    place, facing, half, speed = places[:vehicles], facing[:vehicles], half_length[:vehicles], speed[:vehicles]
    x, y = place.real - x0, place.imag - y0
    along, across = x * fx + y * fy, y * fx - x * fy
    on_it = (np.abs(across) < half + _ROOM) & (along > -half) & (along < length + half)
    x, y = (x0 + 0.5 * way_x) - place.real, (y0 + 0.5 * way_y) - place.imag
    distance = x * facing.real + y * facing.imag - half - 2.0
    across = y * facing.real - x * facing.imag
    comes = (distance > -2.0) & (np.abs(across) < 0.5 * length + 2.0) & (speed > 0.8)
    cannot_stop = comes & (distance < speed * speed / (2.0 * braking) + speed)
    return not bool((on_it | cannot_stop).any())
