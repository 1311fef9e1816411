"""One node of the network as a piece of town: the surface where roads meet and the connectors that cross it."""

from __future__ import annotations

import math

import numpy as np

from drivesim.map_raster import Outline
from drivesim.town.curves import sharpest_curvatures
from drivesim.town.elements import Element
from drivesim.town.ids import connector_id, entry_id, lane_id
from drivesim.town.lanes import Lane
from drivesim.town.layers import area, strip
from drivesim.town.network import KERB_TANGENT, THROAT, Arm, Edge, Junction, Network, Node
from drivesim.town.roundabouts import make_roundabout
from drivesim.town.turns import Arc, Cubic, drawn, turn

_KERB_CAP = KERB_TANGENT + 2.0  # [m] longest tangent of a kerb's corner
_WALKWAY_CAP = 4.0
_STRAIGHT = math.radians(40.0)


def entering_lanes(network: Network, edge: Edge, node: Node) -> list[tuple[int, ...]]:
    """For every lane of an edge that arrives at a node: the ids of the connectors it leads to."""
    junction = network.junction(node)
    entry = junction.arms[junction.index_of(edge)]
    count = entry.profile.lanes[entry.left_side]
    if junction.kind == "roundabout":
        return [(entry_id(node, entry, lane),) for lane in range(count)]
    moves = movements(junction, entry)
    return [
        tuple(connector_id(node, entry, lane, leaving, target) for source, leaving, target in moves if source == lane)
        for lane in range(count)
    ]


def movements(junction: Junction, entry: Arm) -> list[tuple[int, Arm, int]]:
    """Permitted (lane, leaving arm, target lane) of someone who arrives on an arm; lane 0 innermost."""
    count = entry.profile.lanes[entry.left_side]
    ways = {_turn_kind(entry, leaving): leaving for leaving in junction.arms if leaving is not entry}
    moves = []
    if "straight" in ways or junction.kind == "bend":
        through = ways.get("straight") or next(iter(ways.values()))
        width = through.profile.lanes[through.right_side]
        moves += [(lane, through, min(lane, width - 1)) for lane in range(count)]
        if junction.kind == "bend":
            return moves
    both = len({"left", "right"} & set(ways)) == 2 and "straight" not in ways
    lefts = range(math.ceil(count / 2)) if both else range(1)
    rights = range(count // 2, count) if both else range(count - 1, count)
    if "left" in ways:
        width = ways["left"].profile.lanes[ways["left"].right_side]
        moves += [(lane, ways["left"], min(lane, width - 1)) for lane in lefts]
    if "right" in ways:
        width = ways["right"].profile.lanes[ways["right"].right_side]
        moves += [(lane, ways["right"], max(width - (count - lane), 0)) for lane in rights]
    return moves


def _turn_kind(entry: Arm, leaving: Arm) -> str:
    return {1: "right", 2: "straight", 3: "left"}[(leaving.slot - entry.slot) % 4]


def make_junction(network: Network, node: Node) -> Element:
    """The piece of town of one node."""
    junction = network.junction(node)
    if junction.kind == "roundabout":
        return make_roundabout(junction, network.seed)
    element = Element()
    corners = drawn([side for index in range(len(junction.arms)) for side in _corner(junction, index)])
    kerbs, outers = ([curve[:, :2] for curve in corners[first::2]] for first in (0, 1))
    element.layers["walkway"] = [strip(kerb, outer) for kerb, outer in zip(kerbs, outers, strict=True)]
    element.layers["drivable_area"].append(area(np.concatenate(kerbs)))
    element.outline = area(np.concatenate(outers))
    element.lanes = _connectors(junction)
    if junction.kind == "bend":
        element.layers["road_divider"] = [_bend_line(junction, 0, 0)]
        for entry, leaving in ((0, 1), (1, 0)):
            arriving, departing = junction.arms[entry], junction.arms[leaving]
            common = min(arriving.profile.lanes[arriving.left_side], departing.profile.lanes[departing.right_side])
            element.layers["lane_divider"] += [_bend_line(junction, entry, lane) for lane in range(1, common)]
    return element


def _bend_line(junction: Junction, entry: int, lane: int) -> Outline:
    """Line that leads the marking between two lanes around a bend; lane 0 is the line between the directions."""
    poses = []
    for index, arm in enumerate(junction.arms):
        distance = 0.5 * arm.profile.median + lane * arm.profile.lane_width if lane else 0.0
        poses.append(junction.side_pose(index, distance if index == entry else -distance, THROAT))
    start, end = poses[entry], poses[1 - entry]
    start[2] += math.pi
    (line,) = drawn([turn(start, end, leads=(THROAT, THROAT))])
    return (line[:, :2],)


def _corner(junction: Junction, index: int) -> tuple[Arc | Cubic, Arc | Cubic]:
    """Kerb and far edge of the walkway from an arm's left side to the next arm's right side."""
    following = (index + 1) % len(junction.arms)
    arm, other = junction.arms[index], junction.arms[following]
    left, right = arm.left_side, other.right_side

    def side(distance: float, other_distance: float, cap: float) -> Arc | Cubic:
        start = junction.side_pose(index, distance)
        start[2] += math.pi
        end = junction.side_pose(following, -other_distance)
        return turn(start, end, math.inf if junction.kind == "bend" else cap)

    return (
        side(arm.profile.kerb(left), other.profile.kerb(right), _KERB_CAP),
        side(arm.profile.outer(left), other.profile.outer(right), _WALKWAY_CAP),
    )


def _connectors(junction: Junction) -> list[Lane]:
    """All lanes across the junction, those of one entry after the other."""
    ways = [(entry, *move) for entry in junction.arms for move in movements(junction, entry)]
    curves = drawn([_connector_turn(junction, *way) for way in ways])
    lanes = []
    for (entry, lane, leaving, target), curve, bend in zip(ways, curves, sharpest_curvatures(curves), strict=True):
        lanes.append(
            Lane(
                id=connector_id(junction.node, entry, lane, leaving, target),
                curve=curve,
                width=min(entry.profile.lane_width, leaving.profile.lane_width),
                speed_limit=_turn_speed(bend, min(entry.profile.speed_limit, leaving.profile.speed_limit)),
                successors=(lane_id(leaving.edge, leaving.right_side, target),),
                in_junction=junction.kind != "bend",
                priority=_priority(junction, entry, _turn_kind(entry, leaving)),
            )
        )
    return lanes


def _connector_turn(junction: Junction, entry: Arm, lane: int, leaving: Arm, target: int) -> Arc | Cubic:
    """Path across the junction; turns start and end inside the mouths, never in the throats."""
    start = junction.lane_pose(entry, lane, arriving=True)
    end = junction.lane_pose(leaving, target, arriving=False)
    kind = _turn_kind(entry, leaving)
    longest = _KERB_CAP + 1.5 if kind == "right" and junction.kind != "bend" else math.inf
    return turn(start, end, longest, (0.0, 0.0) if kind == "straight" else (THROAT, THROAT))


def _turn_speed(curvature: float, limit: float) -> float:
    """Speed [m/s] that keeps lateral acceleration below 2.5 m/s^2, at most the limit."""
    return min(limit, max(4.0, math.sqrt(2.5 / max(curvature, 1e-6))))


def _priority(junction: Junction, entry: Arm, kind: str) -> int:
    """Right of way: main road, then the through road of a T, then one axis; straight before right before left."""
    slots = {arm.slot for arm in junction.arms}
    stem = (entry.slot + 2) % 4 not in slots
    axis = entry.slot % 2 == (junction.node[0] + junction.node[1]) % 2
    rank = 4 * entry.profile.rank + 2 * (not stem) + axis
    return 3 * rank + {"straight": 2, "right": 1, "left": 0}[kind]
