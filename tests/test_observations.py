"""What planners observe of the road, against the map itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from gymnasium.error import ResetNeeded

from drivesim.env import DriveWorldEnv
from drivesim.geometry import transform_points
from drivesim.observations import AREA_BEHIND, AREA_CELL, AREA_SHAPE
from tests.straight_road import ROAD_HALF_WIDTH, StraightRoad, track

KEYS = ("ego", "boxes", "centre_line", "drivable_area")


def straight(**settings: Any) -> DriveWorldEnv:
    road = {name: settings.pop(name) for name in ("tracks", "speed", "map") if name in settings}
    return DriveWorldEnv(**({"source": StraightRoad(**road), "generator": None, "observation": KEYS} | settings))


@pytest.fixture(scope="module")
def town() -> DriveWorldEnv:
    """A town, some way into a drive."""
    env = DriveWorldEnv(generator=None, observation=KEYS, reset_options={"town": 900_002})
    env.reset(seed=0)
    for _ in range(30):
        env.step(np.array([0.3, 0.05]))
    return env


def global_points(env: DriveWorldEnv, points: np.ndarray) -> np.ndarray:
    """Points [..., 2] of the ego frame in the global frame."""
    flat = np.pad(points.reshape(-1, 2), ((0, 0), (0, 1)))
    return transform_points(env.scene.ego.pose, flat)[:, :2].reshape(points.shape)


def test_centre_line_of_the_straight_road_begins_at_the_foot() -> None:
    env = straight(speed=9.0)
    observation, _ = env.reset(seed=0)
    for _ in range(7):
        observation, *_ = env.step(np.array([0.2, 0.04]))
    line = observation["centre_line"].astype(float)
    place = global_points(env, line[:, :2])
    np.testing.assert_allclose(
        place, np.stack([env.scene.ego.xy[0] + 2.0 * np.arange(64), np.zeros(64)], -1), atol=1e-3
    )
    np.testing.assert_allclose(line[:, 2], -env.scene.ego.yaw, atol=1e-5)
    assert not line[:, 3:].any()  # this route knows of no lanes


def test_centre_line_is_held_at_the_end_of_the_route() -> None:
    env = straight(speed=20.0)
    observation, _ = env.reset(seed=0)
    state = env.get_state()
    for _ in range(12 * 45):
        observation, *_, over, _, _ = env.step(np.array([0.0, 0.0]))
    line = global_points(env, observation["centre_line"][:, :2].astype(float))
    assert line[-1, 0] == pytest.approx(
        env.route[-1, 0] + (env.scene.ego.xy[0] - env.scene.ego.xy[0].round(0)), abs=1.1
    )
    np.testing.assert_array_equal(line[-10:], np.repeat(line[-1:], 10, axis=0))
    env.set_state(state)


def test_centre_line_follows_lanes_with_their_width_and_limit(town: DriveWorldEnv) -> None:
    observation, *_ = town.step(np.array([0.1, 0.0]))
    line, graph = observation["centre_line"].astype(float), town.scene.map.lane_graph
    lanes = [shapely.LineString(graph.centre_line(lane)[:, :2]) for lane in range(len(graph))]
    for point, (width, limit) in zip(global_points(town, line[:, :2]), line[:, 3:]):
        near = [lane for lane, curve in enumerate(lanes) if curve.distance(shapely.Point(point)) < 1.0]
        known = {(round(float(graph.width[lane]), 3), round(float(graph.speed_limit[lane]), 3)) for lane in near}
        assert (round(width, 3), round(limit, 3)) in known
    step = np.diff(line[:, :2], axis=0)
    assert np.hypot(*step.T) == pytest.approx(2.0, abs=0.4)
    turned = np.arctan2(step[:, 1], step[:, 0]) - 0.5 * (line[1:, 2] + line[:-1, 2])
    assert np.abs(np.sin(turned)).max() < 0.2


def test_drivable_area_is_that_of_the_map(town: DriveWorldEnv) -> None:
    observation, *_ = town.step(np.array([0.1, 0.0]))
    layers = town.scene.map.layers
    ground = shapely.union_all([*layers["drivable_area"], *layers["carpark_area"]])
    shapely.prepare(ground)
    row, column = np.mgrid[: AREA_SHAPE[0], : AREA_SHAPE[1]]
    middle = np.stack([AREA_CELL * (column + 0.5) - AREA_BEHIND, AREA_CELL * (row + 0.5 - AREA_SHAPE[0] / 2)], axis=-1)
    points = shapely.points(global_points(town, middle))
    edge = shapely.dwithin(ground.boundary, points, 0.4)  # as fine as the raster of the map
    seen = observation["drivable_area"].astype(bool)
    assert 0.05 < seen.mean() < 0.95 and edge.mean() < 0.3
    np.testing.assert_array_equal(seen[~edge], shapely.contains(ground, points)[~edge])


def test_everything_is_drivable_without_a_map() -> None:
    observation, _ = straight(map=None).reset(seed=0)
    assert observation["drivable_area"].all()
    observation, _ = straight().reset(seed=0)
    columns = observation["drivable_area"].sum(axis=0)
    assert columns == pytest.approx(2.0 * ROAD_HALF_WIDTH / AREA_CELL, abs=1.0)


# The copy of the world in which planners try things.


def test_imagination_goes_on_as_the_world_does() -> None:
    options = {"generator": "layout", "image_size": (16, 32), "action": "normalized", "seconds": 1.0}
    env = DriveWorldEnv(**options, observation=("default", "boxes"), reset_options={"town": 900_002})
    env.reset(seed=3)
    env.step(np.array([0.5, 0.0]))
    other = env.imagination("physical", ("ego", "boxes"))
    assert other.generator is None and set(other.observation_space.spaces) == {"ego", "boxes"}
    seen = other.follow(env)
    for pedal in (0.5, -0.2, 1.0):
        imagined, *_ = other.step(np.array([pedal * (3.0 if pedal > 0 else 8.0), 0.0]))
        observation, *_ = env.step(np.array([pedal, 0.0]))
        for key in ("ego", "boxes"):
            np.testing.assert_array_equal(imagined[key], observation[key])
    assert env.frames is not None and not np.array_equal(seen["ego"], imagined["ego"])


def test_imagination_never_reaches_the_world() -> None:
    env = straight(tracks=track(30.0, 0.0), speed=8.0, seconds=2.0)
    env.reset(seed=0)
    twin, other = env.copy(), env.imagination("physical", ("ego",))
    for _ in range(60):  # beyond the end of the drive, and into the car
        if other.step(np.array([0.0, 0.0]))[2]:
            break
    assert other.time > 2.0 and env.time == 0.0
    np.testing.assert_array_equal(env.step(np.zeros(2))[0]["ego"], twin.step(np.zeros(2))[0]["ego"])


def test_imagination_before_the_reset_waits_for_a_world() -> None:
    env = straight()
    other = env.imagination("physical", ("ego",))
    with pytest.raises(ResetNeeded):
        other.step(np.zeros(2))
    with pytest.raises(ResetNeeded, match="follow: found an environment before its first reset"):
        other.follow(env)
    env.reset(seed=0)
    assert set(other.follow(env)) == {"ego"}
    with pytest.raises(ValueError, match="follow: found an env with a generator"):
        DriveWorldEnv(generator="layout", image_size=(16, 32)).follow(env)
