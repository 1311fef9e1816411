"""Topology of the endless town: a lattice of jittered nodes, the edges that survive, their lanes and where they meet.

Everything is a pure function of (seed, lattice index); caches only save time. Traffic keeps right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivesim.town.curves import Path
from drivesim.town.hashing import between, mix, unit
from drivesim.town.turns import bezier, drawn

Node = tuple[int, int]
Edge = tuple[int, int, int]  # node (i, j) to (i + 1, j) for axis 0, to (i, j + 1) for axis 1

SPACING = 110.0  # [m] between lattice nodes
THROAT = 6.0  # [m] straight piece between the mouth of a junction and the lanes: crossing and stop line
KERB_TANGENT = 7.0  # [m] least length of the rounding of a junction's corner along each road
RING_RADIUS = 13.0  # [m] centre line of a roundabout's lane
RING_HALF_WIDTH = 2.8  # [m]
_JITTER = 11.0
_BEND_MOUTH = 16.0
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True)
class Profile:
    """Cross-section of an edge, the same along its length. Sides: 0 right (forward lanes), 1 left (backward lanes)."""

    lanes: tuple[int, int]
    lane_width: float  # [m]
    median: float  # [m], 0 without
    bays: tuple[float, float]  # width of the parking bays [m], 0 without
    walkway: float  # [m]
    speed_limit: float  # [m/s]
    rank: int  # right of way of the road: 0 street, 1 main road

    def kerb(self, side: int) -> float:
        """Distance of the kerb from the centre line, where there is no bay [m]."""
        return 0.5 * self.median + self.lanes[side] * self.lane_width

    def outer(self, side: int) -> float:
        """Distance of the walkway's far edge from the centre line [m]."""
        return self.kerb(side) + self.bays[side] + self.walkway

    def lane_offset(self, lane: int) -> float:
        """Distance of a lane's centre from the centre line, lane 0 innermost [m]."""
        return 0.5 * self.median + (lane + 0.5) * self.lane_width


@dataclass(frozen=True)
class Arm:
    """One road as seen from a node, looking outward."""

    edge: Edge
    outward: bool  # whether the edge starts at the node
    slot: int  # 0 +x, 1 +y, 2 -x, 3 -y
    angle: float  # [rad] outward
    profile: Profile

    @property
    def right_side(self) -> int:
        """Profile side on the right of someone who leaves the node: where its lanes lead away."""
        return 0 if self.outward else 1

    @property
    def left_side(self) -> int:
        """Profile side on the left: where its lanes arrive."""
        return 1 - self.right_side


@dataclass(frozen=True)
class Junction:
    """A node with its arms counter-clockwise and the distance of every arm's mouth from the middle [m]."""

    node: Node
    position: NDArray[np.float64]
    kind: str  # "junction", "bend" or "roundabout"
    arms: tuple[Arm, ...]
    mouths: tuple[float, ...]

    def mouth_pose(self, index: int, beyond: float = 0.0) -> NDArray[np.float64]:
        """Pose [3] at the mouth of an arm, `beyond` [m] further out, looking outward."""
        return np.array(self._mouth(index, beyond))

    def _mouth(self, index: int, beyond: float) -> tuple[float, float, float]:
        angle, distance = self.arms[index].angle, self.mouths[index] + beyond
        x, y = self.position.tolist()
        return x + distance * math.cos(angle), y + distance * math.sin(angle), angle

    def index_of(self, edge: Edge) -> int:
        """Index of the arm that an edge is."""
        return next(index for index, arm in enumerate(self.arms) if arm.edge == edge)

    def side_pose(self, index: int, distance: float, beyond: float = 0.0) -> NDArray[np.float64]:
        """Outward pose [3] at the mouth of an arm, `distance` [m] left of its centre line."""
        x, y, angle = self._mouth(index, beyond)
        left = angle + 0.5 * math.pi
        return np.array((x + distance * math.cos(left), y + distance * math.sin(left), angle))

    def lane_pose(self, arm: Arm, lane: int, arriving: bool) -> NDArray[np.float64]:
        """Pose [3] in driving direction where a lane of an arm ends at (arriving) or starts from the junction."""
        distance = arm.profile.lane_offset(lane)
        pose = self.side_pose(self.index_of(arm.edge), distance if arriving else -distance, THROAT)
        pose[2] += math.pi * arriving
        return pose

    def gap(self, index: int) -> float:
        """Angle from an arm counter-clockwise to the next [rad], in (0, 2 pi]."""
        following = self.arms[(index + 1) % len(self.arms)].angle
        return (following - self.arms[index].angle - 1e-9) % (2 * math.pi) + 1e-9


class Network:
    """The road network of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.bendiness = between(0.15, 1.0, seed, 1)
        self.position = lru_cache(4096)(self._position)
        self.exists = lru_cache(8192)(self._exists)
        self.draw = lru_cache(8192)(self._draw)
        self.profile = lru_cache(8192)(self._profile)
        self.junction = lru_cache(2048)(self._junction)
        self.path = lru_cache(2048)(self._path)

    def _position(self, node: Node) -> NDArray[np.float64]:
        reach = _JITTER * self.bendiness
        jitter = [between(-reach, reach, self.seed, 2, *node, axis) for axis in (0, 1)]
        return SPACING * np.array(node, np.float64) + jitter

    def _exists(self, edge: Edge) -> bool:
        """An edge goes when its hash is the lowest at both ends: a node loses at most one per round, two in all."""
        removed_first = self._lowest(edge, 3) and unit(self.seed, 4, *edge) < 0.75
        removed_second = self._lowest(edge, 5) and unit(self.seed, 6, *edge) < 0.35
        return not (removed_first or removed_second)

    def _lowest(self, edge: Edge, salt: int) -> bool:
        own = self.draw(salt, edge)
        others = {*incident_edges(edge[:2]), *incident_edges(end_node(edge))} - {edge}
        return all(own < self.draw(salt, other) for other in others)

    def _draw(self, salt: int, edge: Edge) -> int:
        return mix(self.seed, salt, *edge)

    def _is_main(self, edge: Edge) -> bool:
        line = edge[1] if edge[2] == 0 else edge[0]
        return unit(self.seed, 7, edge[2], line) < 0.35

    def _profile(self, edge: Edge) -> Profile:
        choice = [unit(self.seed, 8, *edge, index) for index in range(8)]
        main = self._is_main(edge)
        if main:
            lanes = (3, 3) if choice[0] < 0.25 else (2, 2)
        else:
            lanes = (1, 1) if choice[0] < 0.6 else (2, 2) if choice[0] < 0.8 else (2, 1) if choice[0] < 0.9 else (1, 2)
        median = 1.6 + 1.4 * choice[1] if choice[2] < (0.6 if main else 0.12) else 0.0
        may_park = not main and max(lanes) < 3
        right, left = (2.6 if may_park and choice[3 + side] < 0.55 else 0.0 for side in (0, 1))
        speed = 13.9 if main else (8.3 if choice[5] < 0.4 else 11.1)
        return Profile(lanes, 3.2 + 0.4 * choice[6], median, (right, left), 2.0 + choice[7], speed, int(main))

    def _angles(self, node: Node) -> list[float]:
        """Outward directions of the four arms: between the bearing of its neighbour and the node's own right-angled
        cross."""
        x, y = self.position(node).tolist()
        bearings = []
        for index, (di, dj) in enumerate(_STEPS):
            there_x, there_y = self.position((node[0] + di, node[1] + dj)).tolist()
            bearing = math.atan2(there_y - y, there_x - x)
            bearings.append((bearing - 0.5 * math.pi * index + math.pi) % (2 * math.pi) - math.pi)
        swing = 0.2 * self.bendiness
        rotation = sum(bearings) / 4 + between(-swing, swing, self.seed, 9, *node)
        return [0.5 * math.pi * slot + 0.5 * (rotation + bearing) for slot, bearing in enumerate(bearings)]

    def _kind(self, node: Node, arms: tuple[Arm, ...]) -> str:
        if len(arms) == 2:
            return "bend"
        narrow = all(
            max(arm.profile.lanes) < 3 and arm.profile.median + max(arm.profile.lanes) * 3.4 < 9 for arm in arms
        )
        return "roundabout" if narrow and unit(self.seed, 10, *node) < 0.3 else "junction"

    def _junction(self, node: Node) -> Junction:
        arms = tuple(
            Arm(edge, slot < 2, slot, angle, self.profile(edge))
            for slot, (edge, angle) in enumerate(zip(incident_edges(node), self._angles(node)))
            if self.exists(edge)
        )
        kind = self._kind(node, arms)
        smallest = {"roundabout": RING_RADIUS + RING_HALF_WIDTH + 4.0, "bend": _BEND_MOUTH}.get(kind, 8.0)
        mouths = [smallest] * len(arms)
        for index, arm in enumerate(arms):
            following = (index + 1) % len(arms)
            other = arms[following]
            gap = (other.angle - arm.angle) % (2 * math.pi)
            here, there = corner_reach(arm, other, gap)
            mouths[index] = max(mouths[index], here)
            mouths[following] = max(mouths[following], there)
        if kind == "bend":
            mouths = [max(mouths)] * 2  # lanes and kerbs then turn around the same point
        return Junction(node, self.position(node), kind, arms, tuple(mouths))

    def _path(self, edge: Edge) -> Path:
        """Centre line from the mouth of the first junction to the mouth of the second."""
        first, second = self.junction(edge[:2]), self.junction(end_node(edge))
        a, b = first.index_of(edge), second.index_of(edge)
        end = second.mouth_pose(b)
        start_throat, end_throat = first.mouth_pose(a, THROAT), second.mouth_pose(b, THROAT)
        end_throat[2] += math.pi
        chord = float(np.hypot(*(end_throat - start_throat)[:2]))
        (middle,) = drawn([bezier(start_throat, end_throat, 1 / 3, int(chord) + 2)])
        middle[:, 2] += first.arms[a].angle - middle[0, 2]
        end[2] = middle[-1, 2]
        return Path(np.vstack([first.mouth_pose(a), middle, end]))


def side_sign(side: int) -> float:
    """Sign of offsets to a side of an edge: right (0) is negative, left (1) positive."""
    return 1.0 if side else -1.0


def incident_edges(node: Node) -> tuple[Edge, Edge, Edge, Edge]:
    """Lattice edges at a node in arm slot order."""
    i, j = node
    return (i, j, 0), (i, j, 1), (i - 1, j, 0), (i, j - 1, 1)


def end_node(edge: Edge) -> Node:
    """Node at the far end of an edge."""
    i, j, axis = edge
    return (i + 1, j) if axis == 0 else (i, j + 1)


def corner_reach(arm: Arm, other: Arm, gap: float) -> tuple[float, float]:
    """Least mouth distances [m] of an arm and of the next one counter-clockwise that leave room for their corner."""
    if gap > math.radians(150.0):
        return 0.0, 0.0
    sine, cosine = math.sin(gap), math.cos(gap)
    here = there = 0.0
    for a, b, extra in (
        (arm.profile.kerb(arm.left_side), other.profile.kerb(other.right_side), KERB_TANGENT),
        (arm.profile.outer(arm.left_side), other.profile.outer(other.right_side), 1.5),
    ):
        here = max(here, (b + a * cosine) / sine + extra)
        there = max(there, (a + b * cosine) / sine + extra)
    return here, there
