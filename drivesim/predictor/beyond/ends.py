"""Where mapped roads end: lanes that nothing follows at the rim, with those that come the other way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.predictor.beyond.grid import to_local
from drivesim.scene import LaneGraph

_BESIDE, _ALONG = 8.0, 24.0  # [m] between neighbouring tips of one road, across and along it
_ALIGNED = 0.9  # least cosine between their headings
_AHEAD = np.arange(12.0, 61.0, 4.0)  # [m] ahead of a road end where it is looked whether anything is mapped,
_NEAR = np.arange(4.0, 25.0, 4.0)  # [m] and whether there is a road, where that is known
_EVERY = 6.0  # [m] between the points of lanes that the mapped area is drawn around
_RATIO = 0.25  # of the concave hull around them: 0 follows every point, 1 is convex
_MARGIN = 15.0  # [m] that is mapped beside the outermost lanes
_MORE = 1.5  # times the mapped area from which on a drivable area counts as known on its own


@dataclass(frozen=True, eq=False)
class Tip:
    """An end of a lane at the rim: the last point of one that leads out, or the first of one that leads in."""

    lane: int  # id
    xy: tuple[float, float]  # [m]
    outward: float  # [rad] heading out of the map
    leads_out: bool
    width: float  # [m]
    limit: float  # [m/s], NaN where unknown


@dataclass(frozen=True, eq=False)
class RoadEnd:
    """Tips of one road, from left to right, and the pose (x, y [m], heading out [rad]) that it ends at."""

    tips: tuple[Tip, ...]
    pose: NDArray[np.float64]

    @property
    def key(self) -> tuple[int, ...]:
        """What the end is known by: its lanes."""
        return tuple(sorted(tip.lane for tip in self.tips))


@dataclass(frozen=True, eq=False)
class MappedArea:
    """What of the ground is mapped at all."""

    lanes: shapely.Geometry  # where lanes, crossings and everything else that is painted would be known
    margin: shapely.Geometry  # the same with what lies beside the outermost lanes
    road: shapely.Geometry | None = None  # where the drivable area is known, if that is more,
    drivable: shapely.Geometry | None = None  # and that area


def mapped_area(graph: LaneGraph, road: Sequence[shapely.Geometry] | NDArray) -> MappedArea:
    """The area around the lanes of a whole map, and that around its drivable area where that goes on much further."""
    stride = (graph.arc_length // _EVERY).astype(np.int64)
    kept = np.append(True, stride[1:] != stride[:-1])
    hull = shapely.concave_hull(shapely.multipoints(graph.points[kept, :2]), ratio=_RATIO)
    margin = shapely.buffer(hull, _MARGIN)
    around = shapely.convex_hull(shapely.GeometryCollection(list(road)))
    if around.area < _MORE * shapely.convex_hull(margin).area:
        return MappedArea(hull, margin)
    drivable = shapely.union_all(list(road))
    shapely.prepare(drivable)
    return MappedArea(hull, margin, around, drivable)


def road_ends(tips: Sequence[Tip], mapped: MappedArea | None) -> list[RoadEnd]:
    """Tips that belong to one road, as road ends that some lane leads out of; without those that lie within what is
    mapped, or where it is known that no road goes on."""
    left, ends = list(tips), []
    while left:
        group = [left.pop(0)]
        for tip in group:
            found = [other for other in left if _are_of_one_road(tip, other)]
            group += found
            left = [other for other in left if other not in found]
        if any(tip.leads_out for tip in group):
            ends.append(_end(group))
    return [end for end in ends if mapped is None or _leads_out(end, mapped)]


def _are_of_one_road(one: Tip, other: Tip) -> bool:
    if math.dist(one.xy, other.xy) > _ALONG + _BESIDE or math.cos(one.outward - other.outward) < _ALIGNED:
        return False
    along, beside = np.abs(to_local(np.array(other.xy), np.array([*one.xy, one.outward])))
    return bool(along < _ALONG and beside < _BESIDE)


def _end(tips: list[Tip]) -> RoadEnd:
    """The pose in the middle of the tips, as far out as the outermost."""
    heading = float(np.angle(np.exp(1j * np.array([tip.outward for tip in tips])).mean()))
    xy = np.array([tip.xy for tip in tips])
    along, beside = to_local(xy, np.array([0.0, 0.0, heading])).T
    place = np.exp(1j * heading) * complex(along.max(), 0.5 * (beside.min() + beside.max()))
    order = np.argsort(-beside, kind="stable")
    return RoadEnd(tuple(tips[row] for row in order), np.array([place.real, place.imag, heading]))


def _leads_out(end: RoadEnd, mapped: MappedArea) -> bool:
    """Whether less than half of what is straight ahead is mapped, and a road goes on there, as far as that is known."""
    x, y, heading = end.pose
    inside = shapely.contains_xy(mapped.lanes, x + _AHEAD * np.cos(heading), y + _AHEAD * np.sin(heading))
    if mapped.drivable is None:
        return bool(inside.mean() < 0.5)
    road = shapely.contains_xy(mapped.drivable, x + _NEAR * np.cos(heading), y + _NEAR * np.sin(heading))
    return bool(inside.mean() < 0.5 and road.mean() >= 0.5)


def loose_tips(graph: LaneGraph) -> list[Tip]:
    """Ends of lanes that nothing follows, and starts of those that nothing leads to."""
    followed = np.diff(graph.successor_offsets) > 0
    reached = np.zeros(len(graph), bool)
    reached[graph.successors] = True
    out = [tip_of(graph, int(lane), True) for lane in np.flatnonzero(~followed)]
    return out + [tip_of(graph, int(lane), False) for lane in np.flatnonzero(~reached)]


def tip_of(graph: LaneGraph, lane: int, leads_out: bool) -> Tip:
    """An end of a lane (index)."""
    line = graph.centre_line(lane)
    x, y, heading = line[-1 if leads_out else 0].tolist()
    return Tip(
        int(graph.ids[lane]), (x, y), heading if leads_out else heading + np.pi, leads_out, float(graph.width[lane]),
        float(graph.speed_limit[lane]),
    )  # fmt: skip
