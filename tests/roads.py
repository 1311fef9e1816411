"""Small hand-made maps: a straight road, and a crossing of two one-way roads with a zebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.scene import MAP_CLASSES, EgoState, HdMap, LaneGraph, Tracks
from drivesim.traffic import LaneTables, TrafficState, empty_state, lane_tables
from drivesim.traffic.newcomers import make_body, place_vehicle

FAR_AWAY = EgoState.at(0.0, 500.0, 0.0)
DT = 1.0 / 12.0


@dataclass(frozen=True)
class RoadLane:
    """A straight lane from start to end [m]."""

    id: int
    start: tuple[float, float]
    end: tuple[float, float]
    successors: tuple[int, ...] = ()
    left: int = -1
    right: int = -1
    in_junction: bool = False
    priority: int = 0
    limit: float = 12.0


def road_map(lanes: list[RoadLane], **layers: shapely.Geometry) -> HdMap:
    """Map of straight lanes; their surface is drivable."""
    lanes = sorted(lanes, key=lambda lane: lane.id)
    row = {lane.id: index for index, lane in enumerate(lanes)}
    curves = [_points(lane) for lane in lanes]
    counts = [len(curve) for curve in curves]
    graph = LaneGraph(
        ids=np.array([lane.id for lane in lanes], np.int64),
        points=np.concatenate(curves),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        width=np.full(len(lanes), 3.5),
        speed_limit=np.array([lane.limit for lane in lanes]),
        successors=np.array([row[link] for lane in lanes for link in lane.successors], np.int64),
        successor_offsets=np.concatenate([[0], np.cumsum([len(lane.successors) for lane in lanes])]),
        left=np.array([row.get(lane.left, -1) for lane in lanes]),
        right=np.array([row.get(lane.right, -1) for lane in lanes]),
        in_junction=np.array([lane.in_junction for lane in lanes]),
        priority=np.array([lane.priority for lane in lanes]),
    )
    strips = [shapely.LineString([lane.start, lane.end]).buffer(1.75, cap_style="flat") for lane in lanes]
    shapes = dict.fromkeys(MAP_CLASSES, ()) | {"drivable_area": tuple(strips)}
    shapes |= {name: (shape,) for name, shape in layers.items()}
    return HdMap(shapes, graph, (-300.0, -300.0, 300.0, 300.0))


def _points(lane: RoadLane) -> NDArray[np.float64]:
    start, end = np.array(lane.start), np.array(lane.end)
    share = np.linspace(0.0, 1.0, max(2, int(np.hypot(*(end - start)) / 2.0) + 1))[:, None]
    heading = np.arctan2(*(end - start)[::-1])
    return np.column_stack([start + share * (end - start), np.full(len(share), heading)])


def straight(lanes: int = 1, limit: float = 12.0) -> HdMap:
    """Parallel lanes along x from -280 to 280 m, the first on y = 0, the next to its left."""
    ids = range(1, lanes + 1)
    return road_map(
        [
            RoadLane(i, (-280.0, 3.5 * (i - 1)), (280.0, 3.5 * (i - 1)), left=i + 1 if i < lanes else -1,
                     right=i - 1 if i > 1 else -1, limit=limit)
            for i in ids
        ]
    )  # fmt: skip


def crossing() -> HdMap:
    """Two one-way roads: along x with the right of way (10, 11, 12) and along y (20, 21, 22); 11 and 21 cross."""
    return road_map(
        [
            RoadLane(10, (-200.0, 0.0), (-8.0, 0.0), (11,)),
            RoadLane(11, (-8.0, 0.0), (8.0, 0.0), (12,), in_junction=True, priority=5),
            RoadLane(12, (8.0, 0.0), (200.0, 0.0)),
            RoadLane(20, (0.0, -200.0), (0.0, -8.0), (21,)),
            RoadLane(21, (0.0, -8.0), (0.0, 8.0), (22,), in_junction=True, priority=1),
            RoadLane(22, (0.0, 8.0), (0.0, 200.0)),
        ]
    )


def zebra() -> HdMap:
    """A road along x with walkways on both sides and a crossing from x = 0 to 3 m."""
    lane = RoadLane(1, (-200.0, 0.0), (200.0, 0.0))
    walkways = shapely.MultiPolygon([shapely.box(-150.0, 1.75, 150.0, 4.25), shapely.box(-150.0, -4.25, 150.0, -1.75)])
    return road_map([lane], walkway=walkways, ped_crossing=shapely.box(0.0, -1.75, 3.0, 1.75))


def put(
    state: TrafficState,
    tables: LaneTables,
    lane_id: int,
    s: float,
    speed: float,
    name: str = "car",
    eagerness: float = 1.0,
) -> TrafficState:
    """The state with one more vehicle, on a lane at distance s [m] of its middle."""
    body = make_body(state.next_id, name, 1.0, 30.0, np.random.default_rng(state.next_id))
    lane = int(tables.index(np.array([lane_id]))[0])
    return place_vehicle(state, tables, body, lane, s, speed)


def cars(tables: LaneTables, *places: tuple[int, float, float]) -> TrafficState:
    """Traffic of cars at (lane id, s [m], speed [m/s])."""
    state = empty_state(7)
    for lane_id, s, speed in places:
        state = put(state, tables, lane_id, s, speed)
    return state


def tables_of(hd_map: HdMap, standing: Tracks | None = None) -> LaneTables:
    """Traffic tables of a map."""
    return lane_tables(hd_map, standing)
