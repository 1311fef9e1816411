"""The town as a source of worlds: start, options, routes, windows, values."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from weakref import WeakSet, ref

import numpy as np
import pytest

from drivesim.route import AHEAD, BEHIND, SPACING, Route, follow, project, start_route
from drivesim.scene import EgoState, HdMap
from drivesim.town.town import Town
from drivesim.traffic.tables import _TABLES
from drivesim.vehicle import KinematicBicycle
from drivesim.world import TownSource, TownWorld, _tables
from tests.roads import RoadLane, crossing, road_map, tables_of
from tests.test_traffic import arrays_of, barrier

DT = 1.0 / 12.0
VEHICLE = KinematicBicycle()


@pytest.fixture(scope="module")
def source() -> TownSource:
    return TownSource()


@pytest.fixture(scope="module")
def first(source: TownSource) -> TownWorld:
    return source.reset(3, {"town": 5})


def on_rails(world: TownWorld, speed: float) -> EgoState:
    """The ego carried along its route."""
    here = project(world.route, world.scene.ego.xy)[0] - world.route.begin + speed * DT
    points = world.route.points
    along = SPACING * np.arange(len(points))
    x, y, heading = (float(np.interp(here, along, points[:, k])) for k in range(3))
    return EgoState.at(x, y, heading, speed)


def ride(source: TownSource, world: TownWorld, steps: int, speed: float) -> TownWorld:
    for _ in range(steps):
        world = source.step(world, on_rails(world, speed), DT)
    return world


def test_start_is_on_a_lane_with_room_ahead(source: TownSource, first: TownWorld) -> None:
    scene = first.scene
    s, lateral, error = project(first.route, scene.ego.xy, scene.ego.yaw)
    assert (s, lateral, error) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
    assert 3.0 < scene.ego.speed < 10.0
    distance = np.linalg.norm(scene.tracks.position[: len(first.traffic), :2] - scene.ego.xy, axis=1)
    assert distance.min() > 6.0
    assert len(first.traffic) > 15
    assert (np.abs(first.traffic.motion.speed) > 1.0).mean() > 0.4  # it has been moving for a while


def test_scene_speaks_of_the_same_objects_as_the_state(first: TownWorld) -> None:
    tracks, state = first.scene.tracks, first.traffic
    assert len(np.unique(tracks.ids)) == len(tracks)
    assert len(tracks) == len(state) + len(first.standing)
    assert tracks.position[: len(state.motion.s), 0] == pytest.approx(state.motion.position.real)
    assert tracks.position[:, 2] == pytest.approx(0.5 * tracks.size[:, 2], abs=0.02)
    assert np.isfinite(tracks.color).all()
    assert first.scene.map is first.window.map


def test_velocity_is_the_change_of_position(source: TownSource, first: TownWorld) -> None:
    world = ride(source, first, 10, 5.0)
    following = source.step(world, on_rails(world, 5.0), DT)
    before, after = world.scene.tracks, following.scene.tracks
    _, old, new = np.intersect1d(before.ids, after.ids, return_indices=True)
    moved = (after.position[new, :2] - before.position[old, :2]) / DT
    assert np.linalg.norm(moved - after.velocity[new], axis=1).max() < 1.0


def test_same_seed_same_world(source: TownSource) -> None:
    ends = [ride(TownSource(), TownSource().reset(8), 60, 6.0) for _ in range(2)]
    for one, other in zip(arrays_of(ends[0].traffic), arrays_of(ends[1].traffic), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(ends[0].route.points, ends[1].route.points)
    assert ends[0].town == ends[1].town
    assert source.reset(9).town != ends[0].town


def test_a_step_leaves_the_world_before_as_it_was(source: TownSource, first: TownWorld) -> None:
    kept = [array.copy() for array in arrays_of(first.traffic)]
    again = [ride(source, first, 24, 5.0), ride(source, first, 24, 5.0)]
    for old, now in zip(kept, arrays_of(first.traffic), strict=True):
        assert np.array_equal(old, now)
    assert np.array_equal(again[0].scene.tracks.position, again[1].scene.tracks.position)
    assert copy.deepcopy(first) is first


def test_agents_outlive_their_map_window(source: TownSource, first: TownWorld) -> None:
    world, changes = first, 0
    for _ in range(300):
        following = source.step(world, on_rails(world, 9.0), DT)
        if following.window is not world.window:
            changes += 1
            kept = np.isin(world.traffic.bodies.ids, following.traffic.bodies.ids)
            assert kept.sum() >= len(kept) - 2
            move = np.abs(following.traffic.motion.position[: kept.sum()] - world.traffic.motion.position[kept])
            assert move.max() < 3.0
        world = following
    assert changes > 0


def test_a_drive_keeps_no_more_than_the_windows_around_it() -> None:
    plain = TownSource(traffic="none")
    world = plain.reset(1, {"town": 11})
    seen: WeakSet[HdMap] = WeakSet()
    passed = 0
    for _ in range(400):
        following = plain.step(world, on_rails(world, 15.0), DT)
        passed += following.window is not world.window
        world = following
        seen.add(world.scene.map)
    assert passed >= 3
    assert len(seen) <= 2  # the present one, and the one before or after it


def test_towns_go_with_their_last_world() -> None:
    plain = TownSource(traffic="none")
    world = plain.reset(1, {"town": 21})
    town = ref(world.streets)
    assert plain.reset(2, {"town": 21}).streets is town()
    other = plain.reset(1, {"town": 22})
    assert plain.reset(2, {"town": 21}).streets is town()  # found again while a world is in it
    world = plain.reset(1, {"town": 22})
    assert town() is None and world.streets is other.streets


def test_the_window_ahead_is_made_a_piece_at_a_time() -> None:
    plain = TownSource(traffic="none")
    world, passed = plain.reset(1, {"town": 11}), 0
    for _ in range(300):
        pieces = len(world.streets._elements)
        following = plain.step(world, on_rails(world, 9.0), DT)
        more = len(world.streets._elements) - pieces
        if following.window is not world.window:
            passed += 1
            assert more == 0 and following.scene.map in _TABLES
        assert more <= 1
        world = following
    assert passed >= 1


def test_route_is_endless_and_continuous(source: TownSource) -> None:
    world = TownSource(traffic="none").reset(1, {"town": 11})
    plain, last = TownSource(traffic="none"), -1.0
    for _ in range(900):
        world = plain.step(world, on_rails(world, 15.0), DT)
        s, lateral, _ = project(world.route, world.scene.ego.xy)
        assert s > last
        assert abs(lateral) < 0.3
        last = s
        points = world.route.points
        step = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
        assert step == pytest.approx(np.full(len(step), SPACING), abs=0.25)
        assert np.abs(np.diff(points[:, 2])).max() < 0.7
        assert SPACING * (len(points) - world.route.at) >= AHEAD - 1.0
        assert SPACING * world.route.at <= BEHIND + 36.0
    assert last > 1000.0


def test_extension_keeps_the_points_that_remain() -> None:
    town = Town(11)
    tables = _tables(town.window(np.array([10.0, 10.0])))
    lane, s = town.start(np.random.default_rng(0))
    route = start_route(tables, int(tables.index(np.array([lane]))[0]), s, 4)
    ahead = route.points[route.at + 15]
    longer = follow(route, tables, EgoState.at(*ahead))
    while longer.begin == route.begin:
        ahead = longer.points[longer.at + 5]
        longer = follow(longer, tables, EgoState.at(*ahead))
    shift = round((longer.begin - route.begin) / SPACING)
    both = min(len(route.points) - shift, len(longer.points))
    assert longer.points[:both, :2] == pytest.approx(route.points[shift : shift + both, :2], abs=1e-6)


def test_projection_has_signs() -> None:
    tables = tables_of(crossing())
    route = start_route(tables, int(tables.index(np.array([10]))[0]), 100.0, 0)
    assert project(route, np.array([-99.3, 0.5]), 0.2) == pytest.approx((0.7, 0.5, 0.2))
    assert project(route, np.array([-101.0, -1.5]), 2.0 * math.pi - 0.1) == pytest.approx((-1.0, -1.5, -0.1))


def test_route_follows_an_ego_that_takes_another_lane() -> None:
    tables = tables_of(crossing())
    route = start_route(tables, int(tables.index(np.array([10]))[0]), 180.0, 0)
    moved = follow(route, tables, EgoState.at(0.0, 12.0, 0.5 * math.pi))
    assert moved.lane_ids[moved.at] == 22
    off = follow(route, tables, EgoState.at(-20.0, 30.0, 0.0))
    assert isinstance(off, Route)
    assert off.lane_ids[off.at] == 10


def test_options(source: TownSource) -> None:
    world = source.reset(1, {"town": 900_001, "weather": "rain", "time_of_day": "night", "start_time": 4.0, "route": 3})
    assert world.town == 900_001
    assert (world.scene.tags.weather, world.scene.tags.time_of_day) == ("rain", "night")
    assert world.scene.timestamp == 4.0
    assert source.reset(1, {"scene": 7, "weather": "dusk"}).scene.tags.time_of_day == "dusk"
    assert source.reset(1_000_000, {}).town < 900_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"twon": 3}, "found \\['twon'\\], accepted"),
        ({"town": "x"}, "options\\['town'\\]: found 'x'"),
        ({"town": -1}, "accepted an integer >= 0"),
        ({"weather": "hail"}, "options\\['weather'\\]: found 'hail'"),
        ({"start_time": float("nan")}, "start_time"),
    ],
)
def test_bad_options_are_named(source: TownSource, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        source.reset(0, options)


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="traffic: found 'log'"):
        TownSource(traffic="log")
    with pytest.raises(ValueError, match="density: found -1"):
        TownSource(density=-1)


def test_without_traffic_only_standing_objects_are_there() -> None:
    plain = TownSource(traffic="none")
    world = plain.step(plain.reset(2), plain.reset(2).scene.ego, DT)
    assert len(world.traffic) == 0
    assert len(world.scene.tracks) == len(world.standing)
    assert plain.history_frames(world) is None


def test_traffic_reacts_to_the_ego(source: TownSource, first: TownWorld) -> None:
    standing = going = first
    parked = replace(first.scene.ego, speed=0.0)
    for _ in range(120):
        standing = source.step(standing, parked, DT)
        going = source.step(going, on_rails(going, 8.0), DT)
    both = np.intersect1d(standing.traffic.bodies.ids, going.traffic.bodies.ids)
    assert not np.array_equal(standing.scene.tracks.position[:10], going.scene.tracks.position[:10])
    assert both.size > 0


def test_route_does_not_depend_on_how_it_is_driven() -> None:
    plain = TownSource(traffic="none")
    seen: list[dict[int, np.ndarray]] = [{}, {}]
    for places, speed in zip(seen, (4.0, 14.0), strict=True):
        world = plain.reset(2, {"town": 21, "route": 9})
        while world.route.begin < 350.0:
            world = plain.step(world, on_rails(world, speed), DT)
            marks = np.round(world.route.begin + SPACING * np.arange(len(world.route.points))).astype(int)
            places |= dict(zip(marks.tolist(), world.route.points[:, :2], strict=True))
    both = sorted(set(seen[0]) & set(seen[1]))
    assert len(both) > 150
    assert max(np.linalg.norm(seen[0][mark] - seen[1][mark]) for mark in both) < 0.05


def test_route_passes_beside_obstacles() -> None:
    lanes = [
        RoadLane(1, (-200.0, 0.0), (0.0, 0.0), (2,)),
        RoadLane(2, (0.0, 0.0), (200.0, 0.0), left=3),
        RoadLane(3, (0.0, 3.5), (200.0, 3.5), right=2),
    ]
    tables = tables_of(road_map(lanes), barrier(40.0, 0.0))
    route = start_route(tables, 0, 150.0, 0)
    y = np.interp(np.arange(-40.0, 100.0), route.points[:, 0], route.points[:, 1])
    assert y[:20] == pytest.approx(np.zeros(20), abs=1e-6)
    assert y[60:] == pytest.approx(np.full(80, 3.5), abs=1e-6)
    assert np.abs(np.diff(y)).max() < 0.25
