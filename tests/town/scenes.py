"""A small synthetic scene for tests of rendering: one straight road along x with houses, trees, lamps and traffic."""

from __future__ import annotations

import numpy as np
import shapely

from drivesim.scene import CLASS_ID, MAP_CLASSES, EgoState, HdMap, LaneGraph, Scene, Statics, Tags, Tracks
from drivesim.town.rig import nuscenes_rig

HALF = 100.0


def lane_graph() -> LaneGraph:
    """One lane along x at y = -1.75."""
    x = np.linspace(-HALF, HALF, 101)
    points = np.stack([x, np.full_like(x, -1.75), np.zeros_like(x)], axis=1)
    none, link = np.full(1, -1), np.zeros(2, np.int64)
    return LaneGraph(
        np.array([1]),
        points,
        np.array([0, len(points)]),
        np.array([3.5]),
        np.array([13.9]),
        np.zeros(0, np.int64),
        link,
        none,
        none,
        np.zeros(1, bool),
        np.zeros(1, np.int64),
    )


def straight_road() -> HdMap:
    """Road of two lanes 7 m wide, walkways, a crossing at x = 20 .. 23, parking on the left."""
    layers: dict[str, tuple[shapely.Geometry, ...]] = dict.fromkeys(MAP_CLASSES, ())
    layers["drivable_area"] = (shapely.box(-HALF, -3.5, HALF, 3.5),)
    layers["walkway"] = (shapely.box(-HALF, 6.0, HALF, 8.5), shapely.box(-HALF, -6.0, HALF, -3.5))
    layers["carpark_area"] = (shapely.box(-60.0, 3.5, 60.0, 6.0),)
    layers["ped_crossing"] = (shapely.box(20.0, -3.5, 23.0, 3.5),)
    layers["stop_line"] = (shapely.box(18.5, -3.5, 19.0, 0.0),)
    layers["road_divider"] = (shapely.LineString([(-HALF, 0.0), (18.0, 0.0)]),)
    layers["lane_divider"] = (shapely.LineString([(25.0, 0.0), (HALF, 0.0)]),)
    return HdMap(layers, lane_graph(), (-HALF, -HALF, HALF, HALF))


def surroundings(buildings: bool = True, trees: bool = True) -> Statics:
    """Houses at both sides, trees and lamps along the road."""
    corners = np.array([[0, 0], [14, 0], [14, 12], [0, 12]], np.float64)
    places = np.array([[x, y] for x in range(-90, 80, 24) for y in (14.0, -28.0)]) if buildings else np.zeros((0, 2))
    b = len(places)
    tree_xy = (
        np.array([[x, y] for x in range(-80, 90, 16) for y in (9.5, -8.0)], np.float64) if trees else np.zeros((0, 2))
    )
    t = len(tree_xy)
    pole_xy = np.array([[x, -5.6] for x in range(-75, 90, 30)], np.float64)
    p = len(pole_xy)
    palette = np.array([[0.7, 0.42, 0.34], [0.8, 0.76, 0.66], [0.6, 0.64, 0.7]], np.float32)
    return Statics(
        7,
        places[:, None] + corners,
        8.0 + 4.0 * (np.arange(b) % 4),
        palette[np.arange(b) % 3],
        np.arange(b) % 5,
        tree_xy,
        np.tile([2.2, 1.9, 4.0], (t, 1)),
        np.tile(np.array([0.28, 0.44, 0.20], np.float32), (t, 1)),
        pole_xy,
        np.full(p, 7.0),
        np.full(p, np.pi / 2),
        np.arange(p) % 2,
    )


def traffic(rows: list[tuple[str, float, float, float, tuple[float, float, float]]]) -> Tracks:
    """Tracks on the ground from (class, x, y, yaw, size); ids 100, 101, ..."""
    n = len(rows)
    size = np.array([row[4] for row in rows], np.float64).reshape(n, 3)
    position = np.array([[row[1], row[2], 0.5 * row[4][2]] for row in rows], np.float64).reshape(n, 3)
    return Tracks(
        100 + np.arange(n),
        np.array([CLASS_ID[row[0]] for row in rows], np.int64),
        position,
        size,
        np.array([row[3] for row in rows], np.float64),
        np.zeros((n, 2)),
    )


SIZES = {
    "car": (1.85, 4.5, 1.55),
    "truck": (2.5, 8.0, 3.2),
    "construction_vehicle": (2.6, 6.5, 3.1),
    "bus": (2.9, 11.0, 3.4),
    "trailer": (2.4, 9.0, 3.4),
    "barrier": (2.4, 0.6, 1.0),
    "motorcycle": (0.8, 2.1, 1.5),
    "bicycle": (0.6, 1.8, 1.6),
    "pedestrian": (0.65, 0.7, 1.75),
    "traffic_cone": (0.4, 0.4, 0.9),
}


def mixed_traffic() -> Tracks:
    """One of each class around the origin."""
    places = {
        "car": (12, 1.75, np.pi),
        "truck": (30, 1.75, np.pi),
        "construction_vehicle": (-14, 1.9, np.pi),
        "bus": (40, -1.75, 0.0),
        "trailer": (-25, -1.75, 0.0),
        "barrier": (9, -4.5, 0.0),
        "motorcycle": (-8, -1.0, 0.0),
        "bicycle": (8, -2.9, 0.0),
        "pedestrian": (7, 5.5, 1.0),
        "traffic_cone": (6, 3.2, 0.0),
    }
    return traffic([(name, x, y, yaw, SIZES[name]) for name, (x, y, yaw) in places.items()])


def synthetic_scene(
    tracks: Tracks | None = None, tags: Tags | None = None, statics: Statics | None = None, **changes: object
) -> Scene:
    """Ego on the right lane at the origin, heading along x."""
    return Scene(
        0.0,
        EgoState.at(0.0, -1.75, 0.0),
        mixed_traffic() if tracks is None else tracks,
        straight_road(),
        nuscenes_rig(),
        tags or Tags(),
        statics or surroundings(),
        **changes,
    )
