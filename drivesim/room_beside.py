"""How much road there is beside the route: where the body could go to pass something."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import map_raster
from drivesim.road_ahead import RoadAhead

PLACES = (0, 4, 8, 12)  # rows of the road's table, every 2 m
REACH, STEP = 5.0, 0.5  # [m] that is looked at on either side of the route, in steps
_OFFSETS = np.arange(STEP, REACH + 0.5 * STEP, STEP) * np.array([[1.0], [-1.0]])  # [2, K] to the left, to the right


def room_beside(road: RoadAhead) -> NDArray[np.float64]:
    """Room [2, 4] [m] left and right of the route, 0, 8, 16 and 24 m ahead, up to the edge of what may be driven or
    parked on, at most 5 m. All 5 m where no map is known, since nothing is off the road then."""
    hd_map, ego = road.scene.map, road.scene.ego
    if hd_map is None:
        return np.full((2, len(PLACES)), REACH)
    x, y, heading = road.line[list(PLACES), :3].T[:, None, :, None]
    sideways = _OFFSETS[:, None, :]
    local = np.stack([x - sideways * np.sin(heading), y + sideways * np.cos(heading)], axis=-1)  # [2, P, K, 2]
    on_road = map_raster(hd_map).on_road(local @ ego.pose[:2, :2].T + ego.xy)
    return STEP * np.logical_and.accumulate(on_road, axis=-1).sum(-1)
