"""The road along the route ahead of the ego, as a table: for observations, and for actions that follow it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drivesim.route_frame import RoutePosition, poses_ahead
from drivesim.scene import LaneGraph, Scene

if TYPE_CHECKING:
    from drivesim.world import RouteLike

LINE_POINTS = 64
LINE_SPACING = 2.0  # [m]
FALLBACK_SPEED = 13.9  # [m/s], where no limit is known
LATERAL_ACCELERATION = 3.0  # [m/s^2] that bends are taken with
EASY_BRAKING = 2.0  # [m/s^2] before bends and lower limits


@dataclass(frozen=True, eq=False)
class RoadAhead:
    """The road as one scene shows it. Nothing is computed before it is asked for."""

    scene: Scene
    way: RouteLike
    position: RoutePosition  # of the ego on that way

    @cached_property
    def line(self) -> NDArray[np.float64]:
        """[64, 5]: x, y [m], heading [rad], lane width [m] and speed limit [m/s] every 2 m from the ego's foot on.

        In the ego frame, held at the route's end. Width and limit are 0 where the route or the map does not tell.
        """
        poses, rows = poses_ahead(self.way.points, self.position, self.scene.ego, LINE_POINTS, LINE_SPACING)
        line = np.zeros((LINE_POINTS, 5))
        line[:, :3] = poses
        lane_ids = getattr(self.way, "lane_ids", None)
        if self.scene.map is not None and lane_ids is not None:
            _fill_lane_columns(line, self.scene.map.lane_graph, lane_ids.take(rows))
        return line

    @cached_property
    def along(self) -> NDArray[np.float64]:
        """Distance [64] of the points from the foot along the route [m]."""
        x, y = self.line[:, 0], self.line[:, 1]
        along = np.zeros(LINE_POINTS)
        np.hypot(x[1:] - x[:-1], y[1:] - y[:-1]).cumsum(out=along[1:])
        return along

    @cached_property
    def curvature(self) -> NDArray[np.float64]:
        """Curvature [64] at the points, positive to the left [1/m]."""
        heading, along = _continuous(self.line[:, 2]), self.along
        bend = np.zeros(LINE_POINTS)
        bend[1:-1] = (heading[2:] - heading[:-2]) / np.maximum(along[2:] - along[:-2], 0.5 * LINE_SPACING)
        bend[0] = bend[1]
        return bend

    @cached_property
    def free_speed(self) -> float:
        """Speed now [m/s] with which limits and bends ahead can be met by easy braking, if nobody is in the way."""
        limit = np.where(self.line[:, 4] > 0.0, self.line[:, 4], FALLBACK_SPEED)
        allowed = np.minimum(limit**2, LATERAL_ACCELERATION / np.maximum(np.abs(self.curvature), 1e-4))
        return float(np.sqrt((allowed + 2.0 * EASY_BRAKING * self.along).min()))


def _continuous(heading: NDArray[np.float64]) -> NDArray[np.float64]:
    """Headings [K] [rad] without jumps; `np.unwrap` takes its time even where there are none."""
    jumps = np.abs(heading[1:] - heading[:-1]).max() >= np.pi
    return np.unwrap(heading) if jumps else heading


def _fill_lane_columns(line: NDArray[np.float64], graph: LaneGraph, lane_ids: NDArray[np.int64]) -> None:
    """Fills in width [m] and speed limit [m/s] of lanes [K] where the map knows them."""
    lanes = np.minimum(graph.ids.searchsorted(lane_ids), len(graph) - 1)
    known = graph.ids.take(lanes) == lane_ids
    for column, values in ((3, graph.width.take(lanes)), (4, graph.speed_limit.take(lanes))):
        np.copyto(line[:, column], values, where=known & ~np.isnan(values))
