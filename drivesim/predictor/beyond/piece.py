"""One more piece of a road beyond what is mapped: areas as they were predicted, lanes along the likeliest course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.data.nuscenes_lanes import lane_id
from drivesim.predictor.beyond.course import STEP, likeliest_course
from drivesim.predictor.beyond.ends import RoadEnd, Tip
from drivesim.predictor.beyond.grid import CLASSES, cell_centres, to_global, to_local
from drivesim.scene import LINE_CLASSES, MAP_CLASSES

LENGTH = 40.0  # [m] of a piece
_WIDE = 26.0  # [m] to both sides of the course that areas are taken over
_OVERLAP = 2.0  # [m] with what was there before
_SMALLEST = 4.0  # [m^2] of an area
_SHOULDER = 0.4  # [m] of drivable area beside the outermost lanes, at least
_FADING = 20.0  # [m] over which a lane comes to its course
_SMOOTH = 0.2  # [m] that outlines are simplified by


@dataclass(frozen=True, eq=False)
class PieceLane:
    """A predicted lane. It follows `after` and leads to `before`, where there are such (ids)."""

    tip: Tip  # at its outer end
    points: NDArray[np.float64]  # [K, 3] x, y [m], heading [rad], in driving direction
    after: int | None
    before: int | None
    left: int  # id of the neighbour of the same direction, -1 where none
    right: int


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of predicted map. A value: nothing in it is ever written to."""

    key: tuple[int, ...]  # of the road end that it continues
    region: shapely.Geometry
    layers: Mapping[str, tuple[shapely.Geometry, ...]]
    lanes: tuple[PieceLane, ...]
    end: RoadEnd


def make_piece(probability: NDArray[np.float32], end: RoadEnd) -> Piece:
    """The road goes on from an end, given the probabilities [C, SIDE, SIDE] of the patch around its pose.

    Learned: the areas, and by them the course. Rules: every lane goes on at its offset from the course, is drivable,
    and has the width, limit and dividers of the road before.
    """
    course = likeliest_course(probability, end)[: round(LENGTH / STEP) + 1]
    lines = [_line(end, tip, course) for tip in end.tips]
    middle = shapely.LineString(to_global(course[:, :2], end.pose))
    before = to_global(np.array([[-_OVERLAP, 0.0]]), end.pose)
    region = shapely.LineString([*before, *middle.coords]).buffer(_WIDE, cap_style="flat")
    layers = _areas(probability, end, region)
    widths = [0.5 * tip.width + _SHOULDER for tip in end.tips]
    strips = [shapely.LineString(line[:, :2]).buffer(wide, cap_style="flat") for line, wide in zip(lines, widths)]
    if len(strips) > 1:  # what lies between the lanes of a road is drivable, too
        strips.append(shapely.Polygon(np.concatenate([lines[0][:, :2], lines[-1][::-1, :2]])).buffer(0.0))
    layers["drivable_area"] = _polygons(shapely.union_all([*layers["drivable_area"], *strips]))
    layers |= _dividers(end, lines)
    lanes = _lanes(end, lines)
    last = RoadEnd(tuple(lane.tip for lane in lanes), np.append(*_last_pose(course, end)))
    return Piece(end.key, region, {name: tuple(layers.get(name, ())) for name in MAP_CLASSES}, lanes, last)


def _last_pose(course: NDArray[np.float64], end: RoadEnd) -> tuple[NDArray[np.float64], float]:
    return to_global(course[-1, :2], end.pose), float(end.pose[2] + course[-1, 2])


def _line(end: RoadEnd, tip: Tip, course: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses [K, 3] outward from a tip on, at its offset from the course."""
    along, offset = to_local(np.array(tip.xy), end.pose).tolist()
    turned = float(np.tan(np.clip(np.angle(np.exp(1j * (tip.outward - end.pose[2]))), -0.6, 0.6)))
    behind = np.arange(along, -0.5 * STEP, STEP)  # the straight way from the tip to the end of the outermost
    straight = np.column_stack([behind, np.zeros((len(behind), 2))])
    poses = np.concatenate([straight, course])
    way = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1)))
    fading = turned * way * np.clip(1.0 - way / _FADING, 0.0, None) ** 2
    left = np.column_stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])])
    xy = to_global(poses[:, :2] + (offset + fading)[:, None] * left, end.pose)
    step = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    xy = xy[np.append(True, step > 0.2)]  # inside a tight bend points come close to each other
    ahead = np.diff(xy, axis=0)
    heading = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    middle = 0.5 * (heading[1:] + heading[:-1])
    return np.column_stack([xy, np.concatenate([heading[:1], middle, heading[-1:]])])


def _lanes(end: RoadEnd, lines: list[NDArray[np.float64]]) -> tuple[PieceLane, ...]:
    ids = [lane_id(f"beyond {tip.lane} {'out' if tip.leads_out else 'in'}") for tip in end.tips]
    lanes = []
    for row, (tip, line) in enumerate(zip(end.tips, lines)):
        x, y, heading = line[-1].tolist()
        outer = Tip(ids[row], (x, y), heading, tip.leads_out, tip.width, tip.limit)
        sides = [
            ids[other] if 0 <= other < len(ids) and end.tips[other].leads_out == tip.leads_out else -1
            for other in ((row - 1, row + 1) if tip.leads_out else (row + 1, row - 1))
        ]
        points = line if tip.leads_out else line[::-1] + (0.0, 0.0, np.pi)
        links = (tip.lane, None) if tip.leads_out else (None, tip.lane)
        lanes.append(PieceLane(outer, np.ascontiguousarray(points), *links, *sides))
    return tuple(lanes)


def _dividers(end: RoadEnd, lines: list[NDArray[np.float64]]) -> dict[str, list[shapely.Geometry]]:
    """Lines half way between neighbouring lanes."""
    found: dict[str, list[shapely.Geometry]] = {name: [] for name in LINE_CLASSES}
    for one, other, first, second in zip(end.tips, end.tips[1:], lines, lines[1:]):
        count = min(len(first), len(second))
        name = "lane_divider" if one.leads_out == other.leads_out else "road_divider"
        found[name].append(shapely.LineString(0.5 * (first[-count:, :2] + second[-count:, :2])))
    return found


def _areas(
    probability: NDArray[np.float32], end: RoadEnd, region: shapely.Geometry
) -> dict[str, list[shapely.Geometry]]:
    """Polygons of the global frame in which an area class is likelier than not, within a region."""
    x, y = cell_centres()[:, 0, 0][::-1], cell_centres()[0, :, 1][::-1]
    areas = {}
    for name, field in zip(CLASSES, probability):
        if name in LINE_CLASSES or name not in MAP_CLASSES:
            continue
        contours = contourpy.contour_generator(x, y, field[::-1, ::-1].T, fill_type="OuterOffset")
        shapes = [
            shapely.Polygon(rings[0], rings[1:])
            for points, offsets in zip(*contours.filled(0.5, 2.0))
            for rings in [[to_global(ring, end.pose) for ring in np.split(points, offsets[1:-1])]]
        ]
        whole = shapely.make_valid(shapely.MultiPolygon(shapes)) if shapes else shapely.MultiPolygon()
        areas[name] = _polygons(shapely.intersection(shapely.simplify(whole, _SMOOTH), region))
    return areas


def _polygons(area: shapely.Geometry) -> list[shapely.Geometry]:
    """The polygons of a geometry that are not tiny."""
    parts = shapely.get_parts(shapely.get_parts(np.array([area], dtype=object)))
    return [part for part in parts if part.geom_type == "Polygon" and part.area >= _SMALLEST]
