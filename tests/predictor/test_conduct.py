"""What is counted as bad conduct, and what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.predictor.conduct import Conduct, Witness
from drivesim.scene import EgoState, Scene, Tracks
from drivesim.town.rig import nuscenes_rig
from tests.roads import RoadLane, road_map

ROAD = road_map([RoadLane(1, (-60.0, 0.0), (60.0, 0.0))])


def scene(*places: tuple[float, float], classes: tuple[int, ...] = (0, 0)) -> Scene:
    count = len(places)
    position = np.array([(*place, 0.75) for place in places])
    tracks = Tracks(np.arange(count) + 1, np.array(classes[:count]), position, np.tile([1.8, 4.2, 1.5], (count, 1)),
                    np.zeros(count), np.zeros((count, 2)))  # fmt: skip
    return Scene(0.0, EgoState.at(-40.0, 0.0, 0.0), tracks, ROAD, nuscenes_rig((36, 64)))


def watched(*scenes: Scene) -> Conduct:
    witness = Witness()
    for one in scenes:
        witness.watch(one, np.array([1, 2]), 0.5)
    return witness.conduct()


def test_a_pair_that_touches_counts_once() -> None:
    apart, touching = scene((0.0, 0.0), (8.0, 0.0)), scene((0.0, 0.0), (3.9, 0.0))
    assert watched(apart).collisions == 0
    assert watched(touching, apart, touching).collisions == 1
    assert watched(scene((0.0, 0.0), (4.15, 0.0))).collisions == 0  # only grazes


def test_people_and_the_ego_are_counted_apart() -> None:
    on_foot = watched(scene((0.0, 0.0), (1.0, 0.0), classes=(0, 8)))
    assert (on_foot.collisions, on_foot.collisions_on_foot, on_foot.vehicles) == (0, 1, 1)
    assert watched(scene((-38.0, 0.0), (20.0, 0.0))).collisions_with_ego == 1


def test_leaving_the_road_counts_every_time() -> None:
    half = 0.5 * ROAD.lane_graph.width[0]
    on, off = scene((0.0, 0.0), (20.0, 0.0)), scene((0.0, half + 1.0), (20.0, 0.0))
    assert watched(on, on).off_road == 0
    assert watched(on, off, off, on, off).off_road == 2
    assert watched(replace(off, map=None)).off_road == 0


def test_rates_are_per_vehicle_and_minute() -> None:
    both = watched(scene((0.0, 0.0), (8.0, 0.0))).plus(Conduct(1.0, collisions=3, metres=61.0))
    assert both.mean_speed == pytest.approx(1.0)
    assert both.vehicle_minutes == pytest.approx(1.0 + 2 * 0.5 / 60.0)
    assert both.per_minute(both.collisions) == pytest.approx(3.0 / both.vehicle_minutes)
