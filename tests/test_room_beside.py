"""Room beside the route, on a road whose edges are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.map_raster import map_raster
from drivesim.road_ahead import RoadAhead
from drivesim.room_beside import PLACES, REACH, STEP, room_beside
from drivesim.route_frame import locate
from drivesim.world import TownSource


def road(seed: int) -> RoadAhead:
    world = TownSource(density=0).reset(seed, {"town": 3})
    return RoadAhead(world.scene, world.route, locate(world.route.points, world.scene.ego))


@pytest.mark.parametrize("seed", range(6))
def test_the_road_ends_where_the_room_does(seed: int) -> None:
    ahead = road(seed)
    room = room_beside(ahead)
    assert room.shape == (2, len(PLACES)) and (room >= 1.0).all() and (room <= REACH).all()
    raster, ego = map_raster(ahead.scene.map), ahead.scene.ego
    for column, row in enumerate(PLACES):
        x, y, heading = ahead.line[row, :3]
        left = np.array([-np.sin(heading), np.cos(heading)])
        for side, way in ((0, left), (1, -left)):
            for distance in np.arange(STEP, REACH, STEP):
                place = ego.pose[:2, :2] @ (np.array([x, y]) + distance * way) + ego.xy
                if distance <= room[side, column]:
                    assert raster.on_road(place)
                elif distance <= room[side, column] + STEP + 1e-9:
                    assert not raster.on_road(place)


def test_without_a_map_there_is_room_everywhere() -> None:
    ahead = road(0)
    blank = RoadAhead(replace(ahead.scene, map=None, statics=None), ahead.way, ahead.position)
    assert (room_beside(blank) == REACH).all()
