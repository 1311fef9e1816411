"""Lane graph of a nuScenes map expansion.

Lanes and lane connectors become lanes of a `LaneGraph`; centre lines are the arc-line paths, links the connectivity.
nuScenes says nothing of neighbours, so they are found by geometry. Lane records written by the town carry their width,
speed limit and priority; elsewhere the width is the lane's area over its length and the speed limit is unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from drivesim.geometry import wrap_angle
from drivesim.scene import LaneGraph

if TYPE_CHECKING:
    from nuscenes.map_expansion.map_api import NuScenesMap

RESOLUTION = 1.0  # [m] between points of centre lines
DEFAULT_WIDTH = 3.5  # [m] where a lane has no polygon
NEIGHBOUR_DISTANCE = (1.5, 6.0)  # [m] between centre lines of neighbours
NEIGHBOUR_TURN = 0.35  # [rad]
REPEATED = 1e-6  # [m] points nearer than this are one


def lane_id(token: str) -> int:
    """Stable 60-bit number of a lane token."""
    return int(hashlib.md5(token.encode()).hexdigest()[:15], 16)


def _centre_line(path: list[dict]) -> NDArray[np.float64]:
    """Points [K, 3] (x, y, heading) of an arc-line path, headings continuous, repeated joints dropped."""
    from nuscenes.map_expansion.arcline_path_utils import discretize_lane

    points = np.array(discretize_lane(path, RESOLUTION), np.float64).reshape(-1, 3)
    if len(points) == 0:
        return points
    step = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    points = points[np.concatenate([[True], step > REPEATED])]
    points[:, 2] = np.unwrap(points[:, 2])
    return points


def _width(devkit: NuScenesMap, record: Mapping, line: NDArray) -> float:
    """Width [m] of a lane record: its own field, else area over length."""
    if "width" in record:
        return float(record["width"])
    token = record.get("polygon_token")
    length = float(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1).sum())
    if not token or length < 1.0:
        return DEFAULT_WIDTH
    return float(np.clip(devkit.extract_polygon(token).area / length, 2.0, 6.0))


def _number(record: Mapping, name: str, default: float) -> float:
    value = record.get(name)
    return default if value is None else float(value)


def lane_graph(devkit: NuScenesMap) -> LaneGraph:
    """All lanes of a location that have a centre line."""
    # Some converters write empty lists where the schema has dictionaries.
    paths, links = (table if isinstance(table, dict) else {} for table in (devkit.arcline_path_3, devkit.connectivity))
    lanes = []
    for connector, records in ((False, devkit.lane), (True, devkit.lane_connector)):
        for record in records:
            line = _centre_line(paths.get(record["token"]) or [])
            if len(line) >= 2:
                lanes.append((lane_id(record["token"]), record, line, connector))
    lanes.sort(key=lambda lane: lane[0])
    return _assemble(devkit, lanes, links)


def _assemble(devkit: NuScenesMap, lanes: list[tuple[int, dict, NDArray, bool]], links: Mapping) -> LaneGraph:
    """Lane graph of (id, record, centre line, is connector) sorted by id."""
    index = {lane[1]["token"]: row for row, lane in enumerate(lanes)}
    following = [[index[token] for token in links.get(lane[1]["token"], {}).get("outgoing", []) if token in index]
                 for lane in lanes]  # fmt: skip
    lines = [lane[2] for lane in lanes]
    points = np.concatenate(lines) if lines else np.zeros((0, 3))
    offsets = _offsets([len(line) for line in lines])
    connector = np.array([lane[3] for lane in lanes], bool)
    left, right = neighbours(points, offsets, connector)
    return LaneGraph(
        ids=np.array([lane[0] for lane in lanes], np.int64),
        points=points,
        offsets=offsets,
        width=np.array([_width(devkit, lane[1], lane[2]) for lane in lanes], np.float64),
        speed_limit=np.array([_number(lane[1], "speed_limit", np.nan) for lane in lanes], np.float64),
        successors=np.array([lane for lanes_after in following for lane in lanes_after], np.int64),
        successor_offsets=_offsets([len(lanes_after) for lanes_after in following]),
        left=left,
        right=right,
        in_junction=connector,
        priority=np.array([_number(lane[1], "priority", 0.0) for lane in lanes], np.float64).astype(np.int64),
    )


def _offsets(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.array(counts, np.int64))]).astype(np.int64)


def neighbours(points: NDArray, offsets: NDArray, connector: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Left and right neighbours [L] of the same direction beside the middle of every lane; -1 where none."""
    lanes = len(offsets) - 1
    left, right = np.full(lanes, -1, np.int64), np.full(lanes, -1, np.int64)
    owner = np.repeat(np.arange(lanes), np.diff(offsets))
    usable = np.flatnonzero(~connector[owner]) if lanes else np.zeros(0, np.int64)
    if len(usable) == 0:
        return left, right
    tree = cKDTree(points[usable, :2])
    for lane in np.flatnonzero(~connector):
        x, y, heading = points[(offsets[lane] + offsets[lane + 1]) // 2]
        near = usable[tree.query_ball_point([x, y], NEIGHBOUR_DISTANCE[1] + RESOLUTION)]
        near = near[owner[near] != lane]
        step = points[near, :2] - (x, y)
        ahead = step @ (np.cos(heading), np.sin(heading))
        aside = step @ (-np.sin(heading), np.cos(heading))
        distance = np.abs(aside)
        fits = (np.abs(ahead) <= RESOLUTION) & (np.abs(wrap_angle(points[near, 2] - heading)) < NEIGHBOUR_TURN)
        fits &= (distance >= NEIGHBOUR_DISTANCE[0]) & (distance <= NEIGHBOUR_DISTANCE[1])
        for side, found in ((left, fits & (aside > 0)), (right, fits & (aside < 0))):
            if found.any():
                side[lane] = owner[near[found][np.argmin(distance[found])]]
    return left, right


def lanes_within(graph: LaneGraph, area: shapely.Geometry) -> LaneGraph:
    """The lanes whose centre lines touch an area; links to others are dropped."""
    lines = shapely.linestrings(graph.points[:, :2], indices=np.repeat(np.arange(len(graph)), np.diff(graph.offsets)))
    kept = np.flatnonzero(shapely.intersects(lines, area)) if len(graph) else np.zeros(0, np.int64)
    return lane_subset(graph, kept)


def lane_subset(graph: LaneGraph, kept: NDArray[np.int64]) -> LaneGraph:
    """The lanes of ascending indices `kept`, renumbered."""
    renumber = np.full(len(graph) + 1, -1, np.int64)  # the last entry answers for "no neighbour"
    renumber[kept] = np.arange(len(kept))
    following = [renumber[graph.successors_of(lane)] for lane in kept]
    following = [lanes[lanes >= 0] for lanes in following]
    rows = [graph.centre_line(lane) for lane in kept]
    return LaneGraph(
        ids=graph.ids[kept],
        points=np.concatenate(rows) if rows else np.zeros((0, 3)),
        offsets=_offsets([len(row) for row in rows]),
        width=graph.width[kept],
        speed_limit=graph.speed_limit[kept],
        successors=np.concatenate(following) if following else np.zeros(0, np.int64),
        successor_offsets=_offsets([len(lanes) for lanes in following]),
        left=renumber[graph.left[kept]],
        right=renumber[graph.right[kept]],
        in_junction=graph.in_junction[kept],
        priority=graph.priority[kept],
    )
