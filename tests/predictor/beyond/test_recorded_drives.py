"""Recorded drives that go on where log and map end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.data.predicted_log import followed
from drivesim.data.recorded_route import RecordedRoute, endless_route
from drivesim.data.scenarionet import ScenarioNetSource, ScenarioNetWorld
from drivesim.geometry import pose_from_xy_yaw
from drivesim.map_raster import map_raster
from drivesim.route import Route
from drivesim.scene import EgoState
from tests.data.scenarionet_toy import record, write

DT = 1.0 / 12.0
SPEED = 10.0  # [m/s]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ScenarioNetSource:
    folder = tmp_path_factory.mktemp("records")
    write(folder, record())
    return ScenarioNetSource(folder, traffic="predicted", hand_over="end")


def drive(source: ScenarioNetSource, world: ScenarioNetWorld, steps: int) -> list[ScenarioNetWorld]:
    """Along the route, as on rails."""
    worlds = [world]
    for _ in range(steps):
        world = worlds[-1]
        points, ego = world.route.points, world.scene.ego
        row = int(np.hypot(*(points[:, :2] - ego.xy).T).argmin()) + 2
        heading = float(np.arctan2(*(points[row, :2] - ego.xy)[::-1]))
        x, y = ego.xy + SPEED * DT * np.array([np.cos(heading), np.sin(heading)])
        worlds.append(source.step(world, replace(ego, pose=pose_from_xy_yaw(x, y, heading), speed=SPEED), DT))
    return worlds


@pytest.fixture(scope="module")
def worlds(source: ScenarioNetSource) -> list[ScenarioNetWorld]:
    return drive(source, source.reset(3, {"scene": "toy"}), 360)


def test_the_ego_drives_on_where_the_map_ended(worlds: list[ScenarioNetWorld]) -> None:
    last = worlds[-1]
    assert last.scene.ego.xy[0] > 250.0 and not last.ended  # the record's last lane ends at 100 m
    for world in worlds[::12]:
        assert world.scene.map is not None
        assert map_raster(world.scene.map).on_road(world.scene.ego.xy[None])[0]
    assert isinstance(last.route, Route)
    assert np.hypot(*(last.route.points[-1, :2] - last.scene.ego.xy)) > 60.0


def test_the_route_has_no_jumps(worlds: list[ScenarioNetWorld]) -> None:
    for world in worlds[::24]:
        steps = np.hypot(*np.diff(world.route.points[:, :2], axis=0).T)
        assert steps.max() < 2.5 and steps.min() > 0.8


def test_a_state_that_is_taken_up_again_leads_to_the_same_map(
    source: ScenarioNetSource, worlds: list[ScenarioNetWorld]
) -> None:
    again = drive(source, worlds[120], 60)[-1]
    there = worlds[180]
    assert again.scene.map is not None and there.scene.map is not None
    assert np.array_equal(again.scene.map.lane_graph.points, there.scene.map.lane_graph.points)
    assert np.array_equal(again.scene.tracks.position, there.scene.tracks.position)
    assert np.array_equal(again.route.points, there.route.points)


def test_the_map_does_not_grow_without_bound(worlds: list[ScenarioNetWorld]) -> None:
    counts = [len(world.beyond.pieces) for world in worlds[180:] if world.beyond is not None]
    assert len(counts) == 181 and max(counts) < 40
    lanes = [len(world.scene.map.lane_graph) for world in worlds[180:] if world.scene.map is not None]
    assert max(lanes) < 150


def test_the_route_is_the_recorded_path_and_then_the_lane(source: ScenarioNetSource) -> None:
    poses = source.reader.log("toy").poses
    hd_map = source.reader.map_at("toy", np.array([30.0, 0.0]))
    route = endless_route(poses, hd_map, EgoState.at(5.0, 0.0, 0.0), 0)
    assert isinstance(route, Route)
    assert np.allclose(route.points[:, 1], 0.0, atol=0.1) and np.allclose(np.diff(route.points[:, 0]), 2.0, atol=0.2)
    assert route.points[route.at, 0] == pytest.approx(5.0, abs=1.1)
    assert (route.lane_ids == -1).sum() == pytest.approx((32.0 + 20.0) / 2.0, abs=1.0)  # 4 s at 8 m/s, and before them
    off = endless_route(poses, source.reader.map_at("toy", np.array([5_000.0, 0.0])), EgoState.at(0, 0, 0), 0)
    assert isinstance(off, RecordedRoute)
    assert followed(off, hd_map, EgoState.at(5.0, 0.0, 0.0)) is off
