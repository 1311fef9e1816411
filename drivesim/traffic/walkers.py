"""Pedestrians: along walkways from node to node, over crossings when the traffic lets them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drivesim.town.hashing import unit
from drivesim.traffic.perception import Objects
from drivesim.traffic.state import CROSSING, WAITING, WALKING, Complex, Float, TrafficState, Walkers
from drivesim.traffic.walking import WalkingGraph

_ARRIVED = 0.5  # [m]
_AGILITY = 3.0  # [1/s] with which people change their velocity
_COMFORTABLE_BRAKING = 2.0  # [m/s^2] that people expect of drivers
_CROSSING_SHARE = 0.45  # of people at a crossing who take it
_BUBBLE = 0.35  # [m] kept to vehicles


def walk(walkers: Walkers, objects: Objects, vehicles: int, dt: float) -> Walkers:
    """People after `dt` [s]; `vehicles` counts the leading rows of `objects` that are vehicles, the ego included."""
    goal = _goal(walkers.source, walkers.target, walkers.side)
    way = goal - walkers.position
    ahead = way / np.maximum(np.abs(way), 1e-6)
    wanted = np.where(walkers.phase == WAITING, 0.0, walkers.pace) * ahead
    halted = _is_in_the_way(walkers, ahead, objects, vehicles)
    velocity = walkers.velocity + min(1.0, _AGILITY * dt) * (np.where(halted, 0.0, wanted) - walkers.velocity)
    turned = walkers.direction + min(1.0, _AGILITY * dt) * ahead
    return replace(
        walkers,
        position=walkers.position + velocity * dt,
        velocity=velocity,
        direction=turned / np.maximum(np.abs(turned), 1e-6),
        waiting=np.where(walkers.phase == WAITING, walkers.waiting + dt, 0.0),
    )


def _goal(source: Complex, target: Complex, side: Float) -> Complex:
    """Where people head: beside the target node, to the right of their way."""
    way = target - source
    return target - 1j * side * way / np.maximum(np.abs(way), 1e-6)


def _is_in_the_way(walkers: Walkers, ahead: Complex, objects: Objects, vehicles: int) -> NDArray[np.bool_]:
    """Who [W] would, with the next stride, touch a vehicle or someone who walks on in the same direction."""
    stride = walkers.position + 0.9 * ahead
    local = (stride[:, None] - objects.position) * objects.direction.conj()
    inside = (np.abs(local.real) < objects.half_length + _BUBBLE) & (np.abs(local.imag) < objects.half_width + _BUBBLE)
    people = inside[:, vehicles:]
    if people.any():
        people &= (ahead[:, None] * np.conj(objects.direction[vehicles:])).real > 0.3
        people &= objects.speed[vehicles:] > 0.2
    return inside.any(axis=1)


def choose_ways(state: TrafficState, graph: WalkingGraph, objects: Objects, vehicles: int) -> Walkers:
    """People with a new target where they arrived at theirs, and across the road where it is free."""
    walkers = state.walkers
    left = np.abs(_goal(walkers.source, walkers.target, walkers.side) - walkers.position)
    deciding = np.flatnonzero(((left < _ARRIVED) & (walkers.phase != WAITING)) | (walkers.phase == WAITING))
    if deciding.size == 0 or len(graph.nodes) == 0:
        return walkers
    source, target, phase = walkers.source.copy(), walkers.target.copy(), walkers.phase.copy()
    for row in deciding.tolist():
        if phase[row] == WAITING:
            if road_is_free(source[row], target[row], objects, vehicles):
                phase[row] = CROSSING
            continue
        node = nearest_node(graph, target[row])
        key = (state.seed, state.step_index, int(walkers.bodies.ids[row]))
        following, crosses = next_node(graph, node, source[row], key)
        source[row], target[row] = target[row], following
        phase[row] = WAITING if crosses else WALKING
    return replace(walkers, source=source, target=target, phase=phase)


def nearest_node(graph: WalkingGraph, place: complex) -> int:
    """Index of the node nearest to a place."""
    offset = graph.nodes - place
    return int(np.argmin(offset.real**2 + offset.imag**2))


def next_node(graph: WalkingGraph, node: int, behind: complex, key: tuple[int, ...]) -> tuple[complex, bool]:
    """A neighbour of a node, rather straight on than back, and whether the way there crosses a road."""
    rows, crossing = graph.links_of(node)
    here = complex(graph.nodes[node])
    if len(rows) == 0:
        return behind, False
    places = graph.nodes[rows]
    if crossing.any() and abs(places[crossing][0] - behind) > 1.0 and unit(*key, 1) < _CROSSING_SHARE:
        return complex(places[crossing][0]), True
    way = (here - behind) / max(abs(here - behind), 1e-6)
    onward = places - here
    straight = (onward * np.conj(way)).real / np.maximum(np.abs(onward), 1e-6)
    weight = np.where(crossing, 0.0, np.exp(3.0 * straight) + 1e-9)
    if weight.sum() == 0.0:
        return complex(places[0]), bool(crossing[0])
    share = np.cumsum(weight) / weight.sum()
    return complex(places[int(np.searchsorted(share, unit(*key, 2)))]), False


def road_is_free(source: complex, target: complex, objects: Objects, vehicles: int) -> bool:
    """Whether every vehicle is off the way across and either stands, leaves or can stop with ease."""
    way = target - source
    length = abs(way)
    forward = way / length
    relative = (objects.position[:vehicles] - source) * np.conj(forward)
    half = objects.half_length[:vehicles]
    on_it = (np.abs(relative.imag) < half + 1.0) & (relative.real > -half) & (relative.real < length + half)
    to_middle = source + 0.5 * way - objects.position[:vehicles]
    distance = (to_middle * objects.direction[:vehicles].conj()).real - half - 2.0
    beside = np.abs((to_middle * objects.direction[:vehicles].conj()).imag) < 0.5 * length + 2.0
    speed = objects.speed[:vehicles]
    cannot_stop = (distance > -2.0) & beside & (distance < speed * speed / (2.0 * _COMFORTABLE_BRAKING) + speed)
    return not bool((on_it | (cannot_stop & (speed > 0.8))).any())
