"""Others in the frame of the route: who stands is looked up once, and is where each is alone at every instant."""

from __future__ import annotations

import numpy as np

from drivesim.others_along import INSTANTS, RANGE, others_along
from drivesim.road_ahead import RoadAhead
from drivesim.route_frame import locate
from drivesim.world import TownSource


def test_places_of_all_are_those_of_the_nearest_points_of_the_route() -> None:
    world = TownSource().reset(3)
    scene, ego = world.scene, world.scene.ego
    road = RoadAhead(scene, world.route, locate(world.route.points, ego))
    others = others_along(scene, road)
    offset = scene.tracks.position[:, :2] - ego.xy
    near = np.flatnonzero(np.hypot(*offset.T) < RANGE)
    standing = ~scene.tracks.velocity[near].any(axis=1)
    assert standing.any() and not standing.all()
    assert len(others.s) == len(near) + (len(INSTANTS) - 1) * int((~standing).sum())
    assert others.places_until(1) == len(near) and others.places_until(len(INSTANTS)) == len(others.s)
    rotation, front = ego.pose[:2, :2], scene.vehicle.length - scene.vehicle.rear_overhang
    for instant, time in enumerate(INSTANTS):
        places = (offset[near] + time * scene.tracks.velocity[near]) @ rotation
        rows = np.hypot(*(places[:, None] - road.line[:, :2]).transpose(2, 0, 1)).argmin(axis=1)
        heading = road.line[rows, 2]
        x, y = (places - road.line[rows, :2]).T
        at = others.at[instant]
        np.testing.assert_allclose(others.d[at], np.cos(heading) * y - np.sin(heading) * x, atol=1e-9)
        s = road.along[rows] + np.cos(heading) * x + np.sin(heading) * y - front
        np.testing.assert_allclose(others.s[at], s, atol=1e-9)
