"""What a control step came to: position on the route, events and reward terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivesim.events import Events, ego_corners, find_collisions
from drivesim.map_raster import map_raster
from drivesim.rewards import Motion, reward_terms
from drivesim.route_frame import RoutePosition, locate
from drivesim.scene import EgoState, Scene

if TYPE_CHECKING:
    from drivesim.world import World

LANE_WIDTH = 3.5  # [m], where the route does not tell


@dataclass(frozen=True)
class Verdict:
    """Outcome of one control step."""

    route: RoutePosition
    events: Events
    terms: dict[str, float]
    distance: float  # [m] driven


def judge(start: EgoState, worlds: Sequence[World], dt: float) -> Verdict:
    """Outcome of the frames `worlds`, `dt` [s] apart, that began with the ego at `start`."""
    position, events = _frame(worlds[0])
    for world in worlds[1:]:
        position, later = _frame(world)
        events = events if events.collisions or events.off_road else later
    ego = worlds[-1].scene.ego
    dx, dy = (ego.pose[:2, 3] - start.pose[:2, 3]).tolist()
    duration = dt * len(worlds)
    motion = Motion(
        duration=duration,
        progress=dx * position.direction[0] + dy * position.direction[1],
        lane_offset=position.offset,
        lane_width=LANE_WIDTH,
        speed=ego.speed,
        acceleration=ego.acceleration,
        jerk=(ego.acceleration - start.acceleration) / duration,
        yaw_rate=ego.yaw_rate,
    )
    return Verdict(position, events, reward_terms(motion, events), math.hypot(dx, dy))


def _frame(world: World) -> tuple[RoutePosition, Events]:
    scene = world.scene
    position = locate(world.route.points, scene.ego)
    corners = ego_corners(scene.ego, scene.vehicle)
    straddles = abs(position.offset) + 0.5 * scene.vehicle.width > 0.5 * LANE_WIDTH
    collisions = find_collisions(scene.ego, scene.vehicle, corners, scene.tracks, straddles)
    corners_off, centre_off = _off_road(scene, corners)
    return position, Events(collisions, centre_off or corners_off == 4, corners_off)


def _off_road(scene: Scene, corners: list[tuple[float, float]]) -> tuple[int, bool]:
    """Corners of the body that are off the road, and whether its centre is; nothing is off where no map is known."""
    if scene.map is None:
        return 0, False
    (x0, y0), _, (x1, y1), _ = corners
    *corners_on, centre_on = map_raster(scene.map).are_on_road([*corners, (0.5 * (x0 + x1), 0.5 * (y0 + y1))])
    return corners_on.count(False), not centre_on
