"""Predicted traffic in towns and after logs: a value that reacts."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import shapely

from drivesim.data.nuscenes import NuScenesSource
from drivesim.env import DriveWorldEnv
from drivesim.predictor.closed_loop import PredictedTraffic, guided, realigned
from drivesim.predictor.shipped import shipped_predictor
from drivesim.scene import EgoState, VehicleShape
from drivesim.traffic.driving import AXLE_SHARE
from drivesim.traffic.state import append, take
from drivesim.vehicle import KinematicBicycle
from drivesim.world import TownSource, TownWorld
from tests.data.toy import write_toy
from tests.predictor.cars import cars

DT = 1.0 / 12.0
BICYCLE = KinematicBicycle()


@pytest.fixture(scope="module")
def source() -> TownSource:
    return TownSource(traffic="predicted", density=16)


@pytest.fixture(scope="module")
def start(source: TownSource) -> TownWorld:
    return source.reset(3, {"town": 5})


def ride(source: TownSource, world: TownWorld, steps: int, acceleration: float = 0.0) -> TownWorld:
    for _ in range(steps):
        world = source.step(world, BICYCLE.step(world.scene.ego, acceleration, 0.0, DT), DT)
    return world


def test_the_same_world_goes_on_the_same_way(source: TownSource, start: TownWorld) -> None:
    middle = ride(source, start, 5)
    again = copy.deepcopy(middle)
    first, second = (
        ride(source, middle, 8).scene.tracks,
        ride(TownSource("predicted", density=16), again, 8).scene.tracks,
    )
    assert np.array_equal(first.position, second.position)
    assert np.array_equal(first.velocity, second.velocity)
    assert np.array_equal(first.ids, second.ids)


def test_a_saved_environment_goes_on_the_same_way() -> None:
    env = DriveWorldEnv(traffic="predicted", generator=None, reset_options={"town": 5}, source_options={"density": 12})
    env.reset(seed=1)
    action = np.array([0.0, 0.3])
    for _ in range(4):
        env.step(action)
    saved = env.get_state()
    first = [env.step(action)[0] for _ in range(5)][-1]
    env.set_state(saved)
    second = [env.step(action)[0] for _ in range(5)][-1]
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_bodies_move_as_vehicles_do(source: TownSource, start: TownWorld) -> None:
    before, after = start, ride(source, start, 1)
    a, b = before.traffic, after.traffic
    assert np.array_equal(a.bodies.ids, b.bodies.ids)
    step = b.motion.position - a.motion.position
    middle = a.motion.direction + b.motion.direction
    assert np.abs((step * middle.conj()).imag).max() < 1e-9  # along the arc, never sideways
    assert np.abs(step) == pytest.approx(0.5 * DT * (a.motion.speed + b.motion.speed), abs=1e-3)


def follower(action: float, seconds: float = 3.0) -> float:
    """Speed of a car that drove 8 m/s 16 m behind an ego that drove as fast, after some seconds of the ego's action."""
    traffic = PredictedTraffic(shipped_predictor(), shape=VehicleShape())
    state = traffic.take_over(cars([-16.0 + 0j], [0.0], [8.0]))
    ego = EgoState.at(0.0, 0.0, 0.0, speed=8.0)
    for _ in range(round(seconds / DT)):
        after = BICYCLE.step(ego, action, 0.0, DT)
        state = traffic.step(state, None, ego, after, DT)
        ego = after
    return float(state.traffic.motion.speed[0])


def test_both_axles_of_a_bus_keep_to_its_way_through_bends() -> None:
    source = TownSource(traffic="predicted")
    world = source.reset(10, {"town": 10})  # two buses
    watched, bends = 0, 0.0
    for _ in range(100):
        world = ride(source, world, 1)
        assert world.predicted is not None
        traffic = world.predicted.traffic
        for row in np.flatnonzero((traffic.bodies.half_length > 4.0) & guided(traffic)):
            reach = 2.0 * AXLE_SHARE * traffic.bodies.half_length[row] * traffic.motion.direction[row]
            line = shapely.LineString(traffic.paths.points[row].view(float).reshape(-1, 2))
            for axle in traffic.motion.position[row] + reach * np.array([-1.0, 1.0]):
                assert line.distance(shapely.Point(axle.real, axle.imag)) < 0.1
            turned = traffic.paths.heading[row, int(traffic.motion.s[row])] * np.conj(traffic.motion.direction[row])
            watched, bends = watched + 1, max(bends, abs(np.angle(turned)))
    assert watched > 100 and bends > 0.02


def test_a_braking_ego_makes_its_follower_brake() -> None:
    assert follower(action=-4.0) < 2.0
    assert follower(action=0.0) > 5.0


def test_who_stays_keeps_its_mind(start: TownWorld) -> None:
    state = start.predicted
    assert state is not None
    count = len(state.traffic.bodies.ids)
    marked = replace(state, curvature=np.arange(count) + 1.0)
    rows = np.arange(1, count)[::-1]
    t = marked.traffic
    fewer = replace(t, bodies=take(t.bodies, rows), paths=take(t.paths, rows), motion=take(t.motion, rows))
    assert realigned(marked, fewer).curvature.tolist() == (rows + 1.0).tolist()
    fresh = replace(take(t.bodies, np.array([0])), ids=np.array([t.next_id]))
    more = replace(fewer, bodies=append(fewer.bodies, fresh))
    assert realigned(marked, more).curvature.tolist() == [*(rows + 1.0).tolist(), 0.0]


def test_a_log_is_handed_over_where_it_is_asked_for(tmp_path) -> None:
    write_toy(tmp_path)
    source = NuScenesSource(tmp_path, "v1.0-toy", traffic="predicted", hand_over="end")
    log = NuScenesSource(tmp_path, "v1.0-toy", traffic="log")
    end = float(source.reader.drive("toy").boxes.times[-1])
    start = {"scene": "toy", "start_time": end - 1.0}
    world, recorded = source.reset(0, start), log.reset(0, start)
    while world.scene.timestamp + DT < end - 1e-6:
        assert world.predicted is None
        assert np.array_equal(world.scene.tracks.position, recorded.scene.tracks.position)
        world, recorded = (s.step(w, w.scene.ego, DT) for s, w in ((source, world), (log, recorded)))
    for _ in range(30):
        world = source.step(world, world.scene.ego, DT)
    assert world.predicted is not None
    assert set(world.predicted.standing.ids) <= set(world.scene.tracks.ids)
    assert np.isfinite(world.scene.tracks.position).all()


def test_unknown_ways_of_handing_over_are_refused(tmp_path) -> None:
    write_toy(tmp_path)
    with pytest.raises(ValueError, match="hand_over: found 'middle', accepted"):
        NuScenesSource(tmp_path, "v1.0-toy", traffic="predicted", hand_over="middle")
