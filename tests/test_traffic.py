"""Reactive traffic: car following against closed forms, right of way, people, obstacles, and state as a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from drivesim.geometry import box_footprints, rectangles_overlap
from drivesim.scene import CLASS_ID, EgoState, Tracks
from drivesim.traffic import Demand, DriverModel, LaneTables, ReactiveTraffic, TrafficState, empty_state, tracks_of
from drivesim.traffic.idm import equilibrium_gap, stopping_acceleration
from drivesim.traffic.newcomers import add_walker
from drivesim.traffic.paths import GENTLE_BRAKING, LATERAL_ACCELERATION, allowed_speed
from drivesim.traffic.population import fill
from drivesim.traffic.state import CROSSING, WAITING
from drivesim.vehicle import KinematicBicycle
from tests.roads import DT, FAR_AWAY, cars, crossing, put, straight, tables_of, zebra

CLOSED = ReactiveTraffic(Demand(density=0, vanish=1e9))  # nobody comes or goes
BICYCLE = KinematicBicycle()


def drive(
    state: TrafficState, tables: LaneTables, seconds: float, ego: EgoState = FAR_AWAY, braking: float | None = None
) -> Iterator[tuple[TrafficState, EgoState]]:
    """Steps of closed traffic; the ego stands, or keeps straight on with an acceleration."""
    for _ in range(round(seconds / DT)):
        state = CLOSED.step(state, tables, ego, None, DT)
        if braking is not None:
            ego = BICYCLE.step(ego, braking, 0.0, DT)
        yield state, ego


def overlaps(state: TrafficState, ego: EgoState | None = None) -> int:
    """Pairs of road users, the ego included, that overlap."""
    tracks = tracks_of(state, Tracks.empty())
    boxes = box_footprints(tracks.position, tracks.size, tracks.yaw)
    if ego is not None:
        shape = CLOSED.shape
        middle = np.append(ego.xy + shape.centre_offset * ego.pose[:2, 0], 0.0)
        size = np.array([[shape.width, shape.length, shape.height]])
        boxes = np.concatenate([boxes, box_footprints(middle[None], size, np.array([ego.yaw]))])
    first, second = np.triu_indices(len(boxes), 1)
    return int(rectangles_overlap(boxes[first], boxes[second]).sum())


def arrays_of(value: object) -> list[np.ndarray]:
    """All arrays inside nested dataclasses."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for f in fields(value) for array in arrays_of(getattr(value, f.name))] if is_dataclass(value) else []


def gap_between(state: TrafficState, leader: int, follower: int) -> float:
    distance = abs(state.motion.position[leader] - state.motion.position[follower])
    return float(distance - state.bodies.half_length[leader] - state.bodies.half_length[follower])


def test_followers_settle_at_the_equilibrium_gap() -> None:
    tables = tables_of(straight(limit=15.0))
    state = cars(tables, (1, 40.0, 6.0), (1, 20.0, 6.0))
    slow = np.array([6.0, 40.0])
    state = replace(state, bodies=replace(state.bodies, top_speed=slow, eagerness=np.ones(2)))
    *_, (state, _) = drive(state, tables, 55.0)
    assert state.motion.speed == pytest.approx([6.0, 6.0], abs=0.05)
    assert gap_between(state, 0, 1) == pytest.approx(equilibrium_gap(DriverModel(), 6.0, 15.0), rel=0.03)


def test_free_vehicle_reaches_the_limit_and_not_more() -> None:
    tables = tables_of(straight(limit=10.0))
    speeds = [float(state.motion.speed[0]) for state, _ in drive(cars(tables, (1, 20.0, 0.0)), tables, 20.0)]
    assert max(speeds) <= 10.0 + 1e-9
    assert speeds[-1] == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("speed", [6.0, 12.0])
@pytest.mark.parametrize("braking", [-3.0, -8.0])
def test_no_collision_behind_a_leader_that_brakes(speed: float, braking: float) -> None:
    tables = tables_of(straight())
    gap = equilibrium_gap(DriverModel(), speed, 14.0)
    ahead = EgoState.at(-150.0, 0.0, 0.0, speed=speed)
    start = cars(tables, (1, 280.0 - 150.0 - gap - 4.0, speed))
    for state, ego in drive(start, tables, 15.0, ahead, braking):
        assert overlaps(state, ego) == 0
    assert state.motion.speed[0] == 0.0


def test_stopping_acceleration_is_the_parabola_to_the_line() -> None:
    speed, distance = np.array([10.0, 10.0, 0.5]), np.array([20.0, 60.0, 0.1])
    found = stopping_acceleration(speed, distance)
    assert found[0] == pytest.approx(-100.0 / 40.0)
    assert found[1] == np.inf
    assert found[2] == -2.0


def test_allowed_speed_in_and_before_a_bend() -> None:
    radius, straight_part = 10.0, 40
    angle = np.concatenate([np.zeros(straight_part), np.arange(30) / radius])
    speed = allowed_speed(np.exp(1j * angle), np.full(70, 14.0))
    bend = np.sqrt(LATERAL_ACCELERATION * radius)
    assert speed[45:60] == pytest.approx(np.full(15, bend), rel=5e-3)
    assert speed[20] == pytest.approx(np.sqrt(bend**2 + 2.0 * GENTLE_BRAKING * 20.0), rel=0.02)


def test_conflict_zone_of_a_crossing_is_around_its_middle() -> None:
    tables = tables_of(crossing())
    a, b = tables.rank[tables.index(np.array([11, 21]))]
    assert tables.conflict_in[a, b] == pytest.approx(8.0 - 2.0)
    assert tables.conflict_out[a, b] == pytest.approx(8.0 + 2.0)
    assert tables.conflict_in[a, a] == np.inf


def test_lower_priority_gives_way_at_a_crossing() -> None:
    tables = tables_of(crossing())
    start = cars(tables, (10, 150.0, 10.0), (20, 150.0, 10.0))
    slowest, through = np.full(2, np.inf), []
    for state, _ in drive(start, tables, 12.0):
        assert overlaps(state) == 0
        slowest = np.minimum(slowest, state.motion.speed)
        past = [state.motion.position[0].real > 5.0, state.motion.position[1].imag > 5.0]
        through += [row for row in (0, 1) if past[row] and row not in through]
    assert through == [0, 1]
    assert slowest[0] > 9.0
    assert slowest[1] < 7.0


def test_crossing_streams_flow_without_contact() -> None:
    tables = tables_of(crossing())
    places = [(road, 60.0 + 18.0 * k, 8.0) for road in (10, 20) for k in range(6)]
    passed: set[int] = set()
    for state, _ in drive(cars(tables, *places), tables, 45.0):
        assert overlaps(state) == 0
        position = state.motion.position
        passed |= set(state.bodies.ids[(position.real > 8.0) | (position.imag > 8.0)].tolist())
    assert len(passed) == 12


def test_long_waiting_beats_priority() -> None:
    tables = tables_of(crossing())
    stream = [(10, 20.0 + 9.0 * k, 3.0) for k in range(18)]
    start = put(cars(tables, *stream), tables, 20, 180.0, 0.0)
    start = replace(start, bodies=replace(start.bodies, top_speed=np.full(len(start), 3.0)))
    for state, _ in drive(start, tables, 40.0):
        assert overlaps(state) == 0
        row = state.bodies.ids.tolist().index(19)
        if state.motion.position[row].imag > 4.0:
            break
    assert state.motion.position[row].imag > 4.0
    assert (state.motion.position.real < -20.0).any()  # the stream had not ended


def test_traffic_stops_for_an_ego_that_stands_on_the_crossing() -> None:
    tables = tables_of(crossing())
    ego = EgoState.at(-1.0, 0.0, 0.5)
    for state, _ in drive(cars(tables, (10, 120.0, 10.0), (20, 150.0, 10.0)), tables, 15.0, ego):
        assert overlaps(state, ego) == 0
    assert state.motion.speed.tolist() == [0.0, 0.0]


def barrier(x: float, y: float) -> Tracks:
    return Tracks(
        ids=np.array([99]),
        class_ids=np.array([CLASS_ID["barrier"]]),
        position=np.array([[x, y, 0.5]]),
        size=np.array([[2.0, 0.5, 1.0]]),
        yaw=np.zeros(1),
        velocity=np.zeros((1, 2)),
    )


def test_stops_before_an_obstacle_where_there_is_one_lane() -> None:
    tables = tables_of(straight(), barrier(0.0, 0.3))
    *_, (state, _) = drive(cars(tables, (1, 200.0, 10.0)), tables, 20.0)
    front = state.motion.position[0].real + state.bodies.half_length[0]
    assert state.motion.speed[0] == 0.0
    assert -8.0 < front < -1.0


def test_changes_lane_before_an_obstacle() -> None:
    tables = tables_of(straight(lanes=2), barrier(0.0, 0.0))
    *_, (state, _) = drive(cars(tables, (1, 200.0, 8.0)), tables, 18.0)
    assert state.motion.position[0].imag == pytest.approx(3.5, abs=0.05)
    assert state.motion.position[0].real > 10.0


def test_changes_lane_to_pass_a_slow_leader_but_not_into_a_neighbour() -> None:
    tables = tables_of(straight(lanes=2))
    state = put(cars(tables, (1, 60.0, 10.0)), tables, 1, 85.0, 4.0, "bicycle")
    state = replace(state, bodies=replace(state.bodies, top_speed=np.array([30.0, 4.0])))
    *_, (passed, _) = drive(state, tables, 12.0)
    assert passed.motion.position[0].real > passed.motion.position[1].real
    beside = put(state, tables, 2, 62.0, 4.0, "bicycle")
    beside = replace(beside, bodies=replace(beside.bodies, top_speed=np.array([30.0, 4.0, 4.0])))
    for state, _ in drive(beside, tables, 12.0):
        assert overlaps(state) == 0


def walker_at_the_kerb(tables: LaneTables, phase: int) -> TrafficState:
    """One person at the near end of the zebra whose way leads across."""
    state = add_walker(empty_state(3), tables, 0.0 + 0.0j, (0.0, 30.0), 5)
    walkers = replace(
        state.walkers,
        position=np.array([1.5 - 2.35j]),
        source=np.array([1.5 - 2.35j]),
        target=np.array([1.5 + 2.35j]),
        velocity=np.zeros(1, np.complex128),
        phase=np.array([phase]),
    )
    return replace(state, walkers=walkers)


def test_vehicles_stop_for_people_on_a_crossing() -> None:
    tables = tables_of(zebra())
    start = put(walker_at_the_kerb(tables, CROSSING), tables, 1, 175.0, 9.0)
    slowest = np.inf
    for state, _ in drive(start, tables, 10.0):
        assert overlaps(state) == 0
        slowest = min(slowest, float(state.motion.speed[0]))
    assert slowest < 3.5
    assert state.motion.position[0].real > 5.0


@pytest.mark.parametrize(("distance", "goes_first"), [(10.0, False), (90.0, True)])
def test_people_wait_for_vehicles_that_cannot_stop(distance: float, goes_first: bool) -> None:
    tables = tables_of(zebra())
    start = put(walker_at_the_kerb(tables, WAITING), tables, 1, 200.0 - distance, 10.0)
    first = None
    for state, _ in drive(start, tables, 12.0):
        assert overlaps(state) == 0
        if first is None and state.walkers.position[0].imag > -1.0:
            first = "walker"
        if first is None and state.motion.position[0].real > 4.0:
            first = "car"
    assert first == ("walker" if goes_first else "car")


def test_people_stay_on_the_walkway() -> None:
    tables = tables_of(zebra())
    start = empty_state(1)
    for key in range(12):
        start = add_walker(start, tables, 0.0 + 0.0j, (0.0, 100.0), key)
    for state, _ in drive(start, tables, 30.0):
        y = np.abs(state.walkers.position.imag)
        on_zebra = state.walkers.phase == CROSSING
        assert ((y > 1.75) & (y < 4.25) | on_zebra).all()


def test_same_seed_same_traffic_and_another_seed_another() -> None:
    tables = tables_of(straight(lanes=2))
    model = ReactiveTraffic(Demand(density=12, walking_share=0.0))
    ends = []
    for seed in (4, 4, 5):
        state = model.reset(seed, tables, EgoState.at(0.0, 0.0, 0.0))
        for _ in range(120):
            state = model.step(state, tables, EgoState.at(0.0, 0.0, 0.0), None, DT)
        ends.append(state)
    for first, second in zip(arrays_of(ends[0]), arrays_of(ends[1]), strict=True):
        assert np.array_equal(first, second)
    assert not np.array_equal(ends[0].motion.position, ends[2].motion.position)


def test_a_step_changes_nothing_of_the_state_before() -> None:
    tables = tables_of(zebra())
    model = ReactiveTraffic(Demand(density=14))
    state = model.reset(2, tables, EgoState.at(0.0, 0.0, 0.0))
    for _ in range(36):
        before = [array.copy() for array in arrays_of(state)]
        following = model.step(state, tables, EgoState.at(0.0, 0.0, 0.0), None, DT)
        for old, kept in zip(before, arrays_of(state), strict=True):
            assert np.array_equal(old, kept)
        state = following


def test_newcomers_appear_out_of_sight_and_apart() -> None:
    tables = tables_of(straight(lanes=2))
    demand = Demand(density=8, walking_share=0.0)
    model, ego = ReactiveTraffic(demand), EgoState.at(0.0, 0.0, 0.0)
    state = model.reset(1, tables, ego)
    assert len(state) > 4
    assert np.abs(state.motion.position).min() > demand.first - 3.0
    newcomers = 0
    for _ in range(360):
        known = set(state.bodies.ids.tolist())
        state = model.step(state, tables, ego, None, DT)
        assert overlaps(state) == 0
        fresh = ~np.isin(state.bodies.ids, list(known))
        newcomers += int(fresh.sum())
        distance = np.abs(state.motion.position)
        assert (distance[fresh] > demand.appear[0] - 3.0).all()
        assert (distance < demand.vanish + 10.0).all()
    assert newcomers > 0


def test_starting_traffic_does_not_overlap() -> None:
    tables = tables_of(straight(lanes=3))
    for seed in range(8):
        assert overlaps(fill(Demand(density=40), empty_state(seed), tables, 0j)) == 0


def test_no_lanes_near_means_no_traffic() -> None:
    model = ReactiveTraffic(Demand(density=10))
    state = model.reset(0, tables_of(straight()), EgoState.at(0.0, 5000.0, 0.0))
    for _ in range(12):
        state = model.step(state, tables_of(straight()), EgoState.at(0.0, 5000.0, 0.0), None, DT)
    assert len(state) == 0
