"""On which lanes and areas of the map the ego was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.map_raster import ROAD_CLASSES
from drivesim.metrics.drive_log import DriveLog, once_per_log
from drivesim.scene import HdMap

_ALONG = 0.5  # [m] to both sides of a place, between which a lane's direction is taken
_TOUCHING = 1e-6  # [m] that a corner may be beyond an edge and still count as inside


@dataclass(frozen=True, eq=False)
class NearLanes:
    """The N lanes of a map that come near a drive."""

    rows: NDArray[np.int64]  # [N] in the lane graph
    lines: NDArray[np.object_]  # [N] centre lines
    areas: shapely.STRtree  # [N] as wide as the lanes are


@dataclass(frozen=True, eq=False)
class LanesAtCentre:
    """Every lane that held the middle of the ego, P pairs of step and lane, ordered by step."""

    step: NDArray[np.int64]  # [P]
    direction: NDArray[np.float64]  # [P, 2] unit vector of the lane there
    speed_limit: NDArray[np.float64]  # [P] [m/s], NaN where unknown
    in_junction: NDArray[np.bool_]  # [P]


@dataclass(frozen=True, eq=False)
class EgoArea:
    """Where the ego was at every step; all False (and infinitely near) where no map is known."""

    known: NDArray[np.bool_]  # [T] a map is known
    multiple_lanes: NDArray[np.bool_]  # [T] corners in more than one lane and no lane that holds all of them
    off_road: NDArray[np.bool_]  # [T] a corner is not on drivable or parking area
    in_junction: NDArray[np.bool_]  # [T] the middle is on a lane inside a junction
    corner_distance: NDArray[np.float64]  # [T, 4] from the road [m], 0 on it
    at_centre: LanesAtCentre


def _near_lanes(hd_map: HdMap, points: NDArray[np.object_]) -> NearLanes:
    """Lanes that may hold one of the points."""
    graph = hd_map.lane_graph
    owner = np.repeat(np.arange(len(graph)), np.diff(graph.offsets))
    lines = np.asarray(shapely.linestrings(graph.points[:, :2], indices=owner) if len(graph) else np.zeros(0, object))
    _, found = shapely.STRtree(lines).query(points, predicate="dwithin", distance=0.5 * graph.width.max(initial=0.0))
    rows = np.unique(found)
    areas = shapely.buffer(lines[rows], 0.5 * graph.width[rows], cap_style="flat")
    return NearLanes(rows, lines[rows], shapely.STRtree(areas))


@once_per_log
def ego_area(log: DriveLog) -> EgoArea:
    """Areas of all steps (nuPlan and NAVSIM: multiple lanes, non-drivable area, intersection)."""
    steps = len(log)
    known = log.map_index >= 0
    multiple, junction = np.zeros(steps, bool), np.zeros(steps, bool)
    distance = np.zeros((steps, 4))
    pairs = []
    for index, hd_map in enumerate(log.maps):
        here = np.flatnonzero(log.map_index == index)
        if not len(here):
            continue
        corners, centres = shapely.points(log.footprint[here].reshape(-1, 2)), shapely.points(log.centre[here])
        lanes = _near_lanes(hd_map, np.concatenate([corners, centres]))
        multiple[here] = _straddles(lanes, corners)
        distance[here] = _road_distance(hd_map, corners)
        pair = _at_centre(lanes, hd_map, centres, here)
        junction[pair.step[pair.in_junction]] = True
        pairs.append(pair)
    off_road = (distance > _TOUCHING).any(1)
    return EgoArea(known, multiple, off_road, junction, distance, _joined(pairs))


def _straddles(lanes: NearLanes, corners: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Whether bodies, four corners each [4 K], are in more than one lane and in none of them with all corners [K]."""
    many, bodies = max(len(lanes.rows), 1), len(corners) // 4
    point, lane = lanes.areas.query(corners, predicate="intersects")
    pair, count = np.unique(point // 4 * many + lane, return_counts=True)
    body = pair // many
    return (np.bincount(body, minlength=bodies) > 1) & ~(np.bincount(body, count == 4, minlength=bodies) > 0)


def _road_distance(hd_map: HdMap, corners: NDArray[np.object_]) -> NDArray[np.float64]:
    """Distance [K, 4] [m] of corners [4 K] from drivable and parking area, infinite where the map has none."""
    road = shapely.STRtree([shape for name in ROAD_CLASSES for shape in hd_map.layers[name]])
    found = np.full(len(corners), np.inf)
    if len(road.geometries):
        (point, _), distance = road.query_nearest(corners, return_distance=True, all_matches=False)
        found[point] = distance
    return found.reshape(-1, 4)


def _at_centre(
    lanes: NearLanes, hd_map: HdMap, centres: NDArray[np.object_], steps: NDArray[np.int64]
) -> LanesAtCentre:
    row, lane = lanes.areas.query(centres, predicate="intersects")
    lines, graph = lanes.lines[lane], hd_map.lane_graph
    along = shapely.line_locate_point(lines, centres[row])
    along = np.clip(along, _ALONG, np.maximum(shapely.length(lines) - _ALONG, _ALONG))
    ends = [shapely.get_coordinates(shapely.line_interpolate_point(lines, along + side)) for side in (-_ALONG, _ALONG)]
    direction = ends[1] - ends[0]
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    rows = lanes.rows[lane]
    return LanesAtCentre(steps[row], direction, graph.speed_limit[rows], graph.in_junction[rows])


def _joined(pairs: list[LanesAtCentre]) -> LanesAtCentre:
    if not pairs:
        return LanesAtCentre(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool))
    step = np.concatenate([pair.step for pair in pairs])
    order = np.argsort(step, kind="stable")
    columns = (np.concatenate([getattr(pair, name) for pair in pairs])[order]
               for name in ("direction", "speed_limit", "in_junction"))  # fmt: skip
    return LanesAtCentre(step[order], *columns)
