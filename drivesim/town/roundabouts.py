"""A node as a roundabout: one lane around an island, counter-clockwise; who is on the ring has right of way."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.map_raster import outlines_of
from drivesim.town.curves import Curve, evenly, reverse, sharpest_curvatures
from drivesim.town.elements import Element
from drivesim.town.hashing import generator
from drivesim.town.ids import entry_id, exit_id, lane_id, ring_id
from drivesim.town.lanes import Lane
from drivesim.town.layers import area, polygons
from drivesim.town.network import RING_HALF_WIDTH, RING_RADIUS, Junction
from drivesim.town.turns import Arc, Cubic, bezier, drawn, turn

_SPREAD = math.radians(38.0)  # between an arm's middle and where its lanes join and leave the ring
_KERB_SPREAD = math.radians(42.0)
_RING_SPEED, _RAMP_SPEED = 5.5, 6.5  # [m/s]
_TENSIONS = (0.3, 0.4, 0.5, 0.6)  # of the shapes of a ramp that are tried
_RING_PRIORITY, _ENTRY_PRIORITY = 20, 0


def make_roundabout(junction: Junction, seed: int) -> Element:
    """The piece of town of a node with a roundabout."""
    element = Element()
    shell = area(_boundary(junction, "kerb", RING_RADIUS + RING_HALF_WIDTH))
    walkway = min(arm.profile.walkway for arm in junction.arms)
    outline = area(_boundary(junction, "outer", RING_RADIUS + RING_HALF_WIDTH + walkway))
    island = shapely.Point(junction.position).buffer(RING_RADIUS - RING_HALF_WIDTH, 12)
    inside, around = polygons([shell, outline])
    ground = shapely.union(around, inside)
    (element.outline,) = outlines_of([ground])
    element.layers["drivable_area"] += outlines_of([shapely.difference(inside, island)])
    element.layers["walkway"] += outlines_of([shapely.difference(ground, inside)])
    element.lanes = [lane for index in range(len(junction.arms)) for lane in _arm_lanes(junction, index)]
    element.trees = _island_trees(junction, generator(seed, 30, *junction.node))
    return element


def _circle_pose(junction: Junction, angle: float, radius: float = RING_RADIUS) -> Curve:
    """Pose [3] on a circle around the middle, driving counter-clockwise."""
    return _circle(junction, np.array([angle]), radius)[0]


def _circle(junction: Junction, angles: NDArray[np.float64], radius: float = RING_RADIUS) -> Curve:
    """Poses [K, 3] on a circle around the middle at the angles [K] [rad], driving counter-clockwise."""
    x, y = junction.position
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles), angles + 0.5 * math.pi], axis=-1)


def _boundary(junction: Junction, measure: str, radius: float) -> NDArray[np.float64]:
    """Ring [K, 2] around the roundabout and its mouths: at the kerb or at the walkway's far edge."""
    corners, arcs = [], []
    for index, arm in enumerate(junction.arms):
        following = (index + 1) % len(junction.arms)
        other, gap = junction.arms[following], junction.gap(index)
        spread = min(_KERB_SPREAD, 0.5 * gap - 0.02)
        start = junction.side_pose(index, getattr(arm.profile, measure)(arm.left_side))
        end = junction.side_pose(following, -getattr(other.profile, measure)(other.right_side))
        start[2] += math.pi
        first, last = arm.angle + spread, arm.angle + gap - spread
        arc = _circle(junction, np.linspace(first, last, max(2, int((last - first) * 6))), radius)
        arcs.append(arc[1:-1])
        corners += [turn(start, arc[0]), turn(arc[-1], end)]
    curves = drawn(corners)
    pieces = [piece for three in zip(curves[::2], arcs, curves[1::2], strict=True) for piece in three]
    return np.concatenate(pieces)[:, :2]


def _spread(junction: Junction, index: int) -> float:
    """Angle [rad] between an arm and where it meets the ring; leaves room for the neighbours."""
    count = len(junction.arms)
    return min(_SPREAD, 0.5 * junction.gap(index) - 0.07, 0.5 * junction.gap((index - 1) % count) - 0.07)


def _arm_lanes(junction: Junction, index: int) -> list[Lane]:
    """Ring lanes past an arm and onward to the next, and the ramps of the arm."""
    arm, following = junction.arms[index], (index + 1) % len(junction.arms)
    node, spread, other = junction.node, _spread(junction, index), junction.arms[following]
    leaving = [exit_id(node, other, lane) for lane in range(other.profile.lanes[other.right_side])]
    joined = arm.angle + spread
    lanes = [
        _lane(ring_id(node, arm, False), _arc(junction, arm.angle - spread, joined), [ring_id(node, arm, True)], True),
        _lane(
            ring_id(node, arm, True),
            _arc(junction, joined, arm.angle + junction.gap(index) - _spread(junction, following)),
            [ring_id(node, other, False), *leaving],
            True,
        ),
    ]
    arriving, departing = range(arm.profile.lanes[arm.left_side]), range(arm.profile.lanes[arm.right_side])
    onto, off = _circle_pose(junction, joined), _backwards(_circle_pose(junction, arm.angle - spread))
    ends = [(junction.lane_pose(arm, lane, arriving=True), onto) for lane in arriving]
    # An exit is an entry driven backwards.
    ends += [(_backwards(junction.lane_pose(arm, lane, arriving=False)), off) for lane in departing]
    ramps = _ramps(ends)
    for lane, ramp in zip(arriving, ramps):
        lanes.append(_lane(entry_id(node, arm, lane), ramp, [ring_id(node, arm, True)], False))
    for lane, ramp in zip(departing, ramps[len(arriving) :]):
        lanes.append(_lane(exit_id(node, arm, lane), reverse(ramp), [lane_id(arm.edge, arm.right_side, lane)], True))
    return lanes


def _backwards(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    return pose + (0.0, 0.0, math.pi)


def _lane(identity: int, curve: Curve, successors: list[int], on_ring: bool) -> Lane:
    return Lane(
        id=identity,
        curve=curve,
        width=3.6,
        speed_limit=_RING_SPEED if on_ring else _RAMP_SPEED,
        successors=tuple(successors),
        in_junction=True,
        priority=_RING_PRIORITY if on_ring else _ENTRY_PRIORITY,
    )


def _arc(junction: Junction, start: float, end: float) -> Curve:
    return _circle(junction, evenly(start, end, 2.0 / RING_RADIUS, 3))


def _ramps(ends: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> list[Curve]:
    """From arriving lanes onto the ring, tangentially: for each pair of poses the gentlest of several shapes."""
    shapes: list[Arc | Cubic] = []
    for start, end in ends:
        count = int(np.hypot(*(end - start)[:2]) / 2.0) + 3
        shapes += [turn(start, end), *(bezier(start, end, tension, count) for tension in _TENSIONS)]
    curves, each = drawn(shapes), 1 + len(_TENSIONS)
    bends = sharpest_curvatures(curves)
    choices = [range(first, first + each) for first in range(0, len(curves), each)]
    return [curves[min(rows, key=bends.__getitem__)] for rows in choices]


def _island_trees(junction: Junction, rng: np.random.Generator) -> NDArray[np.float64]:
    """A few small trees on the island: rows of `elements.TREE_COLUMNS`."""
    count = int(rng.integers(0, 5))
    radius = rng.uniform(1.0, RING_RADIUS - RING_HALF_WIDTH - 3.0, count)
    angle = rng.uniform(0.0, 2 * math.pi) + 2 * math.pi * np.arange(count) / max(count, 1)
    xy = junction.position + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    size = rng.uniform((2.0, 1.2, 1.8), (2.6, 2.0, 3.0), (count, 3))
    return np.concatenate([xy, size, rng.uniform((0.1, 0.3, 0.06), (0.25, 0.5, 0.16), (count, 3))], axis=1)
