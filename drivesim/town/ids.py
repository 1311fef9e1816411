"""Stable ids of lanes and standing objects: the lattice cell and a slot in it, never a running number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.town.hashing import pack_id
from drivesim.town.network import Arm, Edge, Node

_CONNECTOR_SLOT = 64
_RING_SLOT, _ENTRY_SLOT, _EXIT_SLOT = 512, 544, 576
_PARKED_SLOT = 1 << 13


def lane_id(edge: Edge, side: int, lane: int) -> int:
    """Lane of an edge: side 0 forward, 1 backward; lane 0 innermost."""
    return pack_id(edge[0], edge[1], edge[2] * 16 + side * 8 + lane)


def connector_id(node: Node, entry: Arm, lane: int, leaving: Arm, target: int) -> int:
    """Connector from a lane of one arm to a lane of another."""
    return pack_id(*node, _CONNECTOR_SLOT + ((entry.slot * 4 + leaving.slot) * 4 + lane) * 4 + target)


def ring_id(node: Node, arm: Arm, onward: bool) -> int:
    """Ring lane of a roundabout past an arm (from its exit to its entry) or onward from its entry to the next exit."""
    return pack_id(*node, _RING_SLOT + arm.slot * 2 + onward)


def entry_id(node: Node, arm: Arm, lane: int) -> int:
    """Connector from an arriving lane to the ring of a roundabout."""
    return pack_id(*node, _ENTRY_SLOT + arm.slot * 4 + lane)


def exit_id(node: Node, arm: Arm, lane: int) -> int:
    """Connector from the ring of a roundabout to a leaving lane."""
    return pack_id(*node, _EXIT_SLOT + arm.slot * 4 + lane)


def parked_ids(cell: Node, group: int, count: int) -> NDArray[np.int64]:
    """Objects that stand on an element: group 0 and 1 edges by axis, 2 the block."""
    return pack_id(*cell, _PARKED_SLOT + group * 1024) + np.arange(count, dtype=np.int64)
