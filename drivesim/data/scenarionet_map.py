"""The map of a ScenarioNet record as layers and lane graph.

Lanes are LANE_SURFACE_STREET, connectors inside junctions LANE_SURFACE_UNSTRUCTURE. Records of nuScenes hold the border
of the drivable area as rings (`boundary_...`), islands as further rings inside; where there are none, the drivable
area is that of the lanes and crosswalks. Road lines are dividers: yellow ones part directions, others lanes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.data.nuscenes_lanes import DEFAULT_WIDTH, REPEATED, lane_id, neighbours
from drivesim.data.nuscenes_map import MapSheet
from drivesim.data.scenarionet_file import Record
from drivesim.scene import MAP_CLASSES, LaneGraph

_LANE, _CONNECTOR = "LANE_SURFACE_STREET", "LANE_SURFACE_UNSTRUCTURE"
_PLACEHOLDER = 100.0  # [km/h] that records of nuScenes give every connector
_CLOSED = 1e-3  # [m] between the ends of a ring
_SEAM = 0.3  # [m] gaps between lane areas that are closed


def read_map(record: Record) -> MapSheet:
    """The whole map of a record; ValueError that names file and field."""
    features = record["map_features"].items()
    kinds = [(name, feature, feature["type"].text()) for name, feature in features]
    dataset = record["metadata"]["dataset"].text()
    lanes = [(name, feature, kind == _CONNECTOR) for name, feature, kind in kinds if kind.startswith("LANE")]
    layers: dict[str, list[shapely.Geometry]] = {name: [] for name in MAP_CLASSES}
    rings = []
    for name, feature, kind in kinds:
        if kind == "CROSSWALK":
            layers["ped_crossing"].append(_polygon(feature["polygon"]))
        elif kind == "ROAD_EDGE_SIDEWALK" and feature.has("polygon"):
            layers["walkway"].append(_polygon(feature["polygon"]))
        elif name.startswith("boundary_"):
            rings.append(feature["polyline"])
        elif kind.startswith("ROAD_LINE"):
            layers["road_divider" if "YELLOW" in kind else "lane_divider"].append(_line(feature["polyline"]))
    areas = [_lane_area(feature) for _, feature, _ in lanes]
    road = (
        _inside(rings) if rings else shapely.unary_union([*areas, *layers["ped_crossing"]]).buffer(_SEAM).buffer(-_SEAM)
    )
    layers["drivable_area"] = [part for part in shapely.get_parts(road) if part.geom_type == "Polygon"]
    for name in ("ped_crossing", "walkway"):
        layers[name] = [part for area in layers[name] for part in _valid_parts(area)]
    layers["lane_divider"] = [line for line in layers["lane_divider"] if line.length > 0.0]
    layers["road_divider"] = [line for line in layers["road_divider"] if line.length > 0.0]
    return MapSheet(layers, _lane_graph(lanes, dataset))


def _points(field: Record) -> NDArray[np.float64]:
    """Points [K, 2] of a line or ring; further columns (heights, or headings in records of nuScenes) are not used."""
    value = np.asarray(field.value)
    columns = value.shape[1] if value.ndim == 2 and value.shape[1] in (2, 3) else 2
    points = field.array(None, columns)[:, :2].copy()
    if len(points) < 2:
        raise field.error(f"{len(points)} points", "at least 2")
    return points


def _line(field: Record) -> shapely.LineString:
    return shapely.LineString(_points(field))


def _polygon(field: Record) -> shapely.Polygon:
    points = _points(field)
    if len(points) < 3:
        raise field.error(f"{len(points)} points", "at least 3")
    return shapely.Polygon(points)


def _valid_parts(area: shapely.Geometry) -> Iterable[shapely.Polygon]:
    valid = area if area.is_valid else shapely.make_valid(area)
    parts = shapely.get_parts(shapely.get_parts(np.array([valid], dtype=object)))
    return [part for part in parts if part.geom_type == "Polygon" and part.area > 0.0]


def _inside(rings: list[Record]) -> shapely.Geometry:
    """What lies inside an odd number of rings: islands are rings inside the border of the road."""
    lines = []
    for field in rings:
        points = _points(field)
        if len(points) < 4 or np.abs(points[0] - points[-1]).max() > _CLOSED:
            raise field.error("a line with loose ends", "a closed ring")
        points[-1] = points[0]
        lines.append(shapely.LineString(points))
    return shapely.build_area(shapely.MultiLineString(lines))


def _lane_area(feature: Record) -> shapely.Geometry:
    if feature.has("polygon") and len(np.asarray(feature["polygon"].value)) >= 3:
        return shapely.make_valid(_polygon(feature["polygon"]))
    return _line(feature["polyline"]).buffer(0.5 * DEFAULT_WIDTH, cap_style="flat")


def _centre_line(feature: Record) -> NDArray[np.float64]:
    """Points [K, 3] (x, y, heading), headings from the points themselves and continuous."""
    points = _points(feature["polyline"])
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    points = points[np.append(True, step > REPEATED)]
    if len(points) < 2:
        return np.zeros((0, 3))
    ahead = np.diff(points, axis=0)
    heading = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    middle = 0.5 * (heading[1:] + heading[:-1])
    return np.column_stack([points, np.concatenate([heading[:1], middle, heading[-1:]])])


def _limit(feature: Record, dataset: str) -> float:
    """Speed limit [m/s], NaN where none is known."""
    if feature.has("speed_limit_kmh"):
        value = feature["speed_limit_kmh"].value
        if value is None or (dataset == "nuscenes" and value == _PLACEHOLDER):
            return float("nan")
        return feature["speed_limit_kmh"].number() / 3.6
    if feature.has("speed_limit_mph") and feature["speed_limit_mph"].value is not None:
        return feature["speed_limit_mph"].number() * 0.44704
    return float("nan")


def _lane_graph(lanes: list[tuple[str, Record, bool]], dataset: str) -> LaneGraph:
    """All lanes that have a centre line, ordered by id; links to lanes that the record does not hold are dropped."""
    found = [(lane_id(name), name, feature, connector, _centre_line(feature)) for name, feature, connector in lanes]
    found = sorted((lane for lane in found if len(lane[4])), key=lambda lane: lane[0])
    index = {lane[1]: row for row, lane in enumerate(found)}
    links = [_links(feature, name, index) for _, name, feature, _, _ in found]
    lines = [lane[4] for lane in found]
    offsets = np.append(0, np.cumsum([len(line) for line in lines])).astype(np.int64)
    points = np.concatenate(lines) if lines else np.zeros((0, 3))
    connector = np.array([lane[3] for lane in found], bool)
    left, right = neighbours(points, offsets, connector)
    return LaneGraph(
        ids=np.array([lane[0] for lane in found], np.int64),
        points=points,
        offsets=offsets,
        width=np.array([_width(lane[2], lane[4]) for lane in found], np.float64),
        speed_limit=np.array([_limit(lane[2], dataset) for lane in found], np.float64),
        successors=np.array([row for rows in links for row in rows], np.int64),
        successor_offsets=np.append(0, np.cumsum([len(rows) for rows in links])).astype(np.int64),
        left=left,
        right=right,
        in_junction=connector,
        priority=np.zeros(len(found), np.int64),
    )


def _links(feature: Record, name: str, index: dict[str, int]) -> list[int]:
    if not feature.has("exit_lanes"):
        return []
    return [index[other] for other in dict.fromkeys(feature["exit_lanes"].names()) if other in index and other != name]


def _width(feature: Record, line: NDArray[np.float64]) -> float:
    length = float(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1).sum())
    if not feature.has("polygon") or length < 1.0 or len(np.asarray(feature["polygon"].value)) < 3:
        return DEFAULT_WIDTH
    return float(np.clip(shapely.make_valid(_polygon(feature["polygon"])).area / length, 2.0, 6.0))
