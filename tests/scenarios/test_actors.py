"""Scripted actors on a straight way: motion against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.scenarios.actors import NOBODY, START, Actors, Cast, objects_of, place, step, tracks_with
from drivesim.scenarios.casting import _paths
from drivesim.scene import Tracks
from drivesim.town.hashing import generator
from drivesim.traffic.idm import equilibrium_gap
from drivesim.traffic.newcomers import make_body
from drivesim.traffic.perception import Objects
from drivesim.traffic.state import PATH_POINTS, append, no_bodies

DT = 1.0 / 12.0
NOTHING = Objects(*(np.zeros(0, kind) for kind in (complex, complex, float, float, float, float)))


def cast_of(starts: list[float], speeds: list[float], reacts: bool = False) -> tuple[Cast, Actors]:
    """Cars along x that start at the given places [m]."""
    count, bodies = len(starts), no_bodies()
    for index in range(count):
        body = make_body(index, "car", 1.0, 40.0, generator(1, index))
        bodies = append(bodies, replace(body, size=np.array([[1.8, 4.5, 1.5]])))
    points = np.array(starts)[:, None] + np.arange(PATH_POINTS) - START + 0j
    zero, nowhere = np.zeros(count), np.zeros(count, complex)
    speed = np.array(speeds)
    actors = Actors(
        np.full(count, float(START)), zero, speed, zero, speed, np.full(count, 3.0), np.full(count, reacts),
        np.ones(count, bool), zero, zero, np.full(count, np.inf), np.ones(count), zero, zero, np.full(count, NOBODY),
        zero, zero, zero, nowhere, nowhere, nowhere,
    )  # fmt: skip
    cast = Cast(tuple(f"a{i}" for i in range(count)), bodies, _paths(points), zero, np.full(count, np.nan))
    return cast, place(cast, actors)


def run(cast: Cast, actors: Actors, seconds: float, others: Objects = NOTHING) -> Actors:
    for index in range(round(seconds / DT)):
        actors = step(cast, actors, others, index * DT, DT)
    return actors


def test_blind_actors_keep_their_speed_even_into_each_other() -> None:
    cast, actors = cast_of([0.0, 30.0], [10.0, 2.0])
    end = run(cast, actors, 5.0)
    assert end.position == pytest.approx(np.array([50.0, 40.0]))
    assert end.velocity == pytest.approx(np.array([10.0, 2.0]))


def test_hard_brake_takes_its_distance() -> None:
    cast, actors = cast_of([0.0], [9.0])
    end = run(cast, replace(actors, wanted=np.zeros(1), rate=np.array([6.0])), 5.0)
    assert end.speed[0] == 0.0
    assert end.position[0].real == pytest.approx(9.0**2 / 12.0, abs=0.05)  # v^2 / 2a


def test_move_across_is_complete_after_its_time_and_smooth() -> None:
    cast, actors = cast_of([0.0], [8.0])
    moving = replace(actors, move_to=np.array([3.5]), move_begin=np.zeros(1), move_over=np.array([2.0]))
    assert run(cast, moving, 1.0).offset[0] == pytest.approx(1.75)
    assert run(cast, moving, 1.0).velocity[0].imag == pytest.approx(1.5 * 3.5 / 2.0, rel=0.02)  # slope of 3u^2 - 2u^3
    end = run(cast, moving, 3.0)
    assert (end.offset[0], end.velocity[0].imag, end.direction[0].imag) == pytest.approx((3.5, 0.0, 0.0))


def test_who_reacts_keeps_the_gap_of_the_driver_model() -> None:
    cast, actors = cast_of([0.0, 30.0], [8.0, 6.0], reacts=True)
    end = run(cast, replace(actors, wanted=np.array([12.0, 6.0])), 60.0 * 30.0 / 60.0)
    gap = end.position[1].real - end.position[0].real - 4.5
    from drivesim.scenarios.actors import _DRIVER

    assert end.speed[0] == pytest.approx(6.0, abs=0.1)
    assert gap == pytest.approx(equilibrium_gap(_DRIVER, 6.0, 12.0), rel=0.1)


def test_who_reacts_stops_behind_the_ego_and_who_is_blind_does_not() -> None:
    ego = Objects(*(np.array([v]) for v in (60.0 + 0j, 1.0 + 0j, 0.0, 2.0, 0.9, 0.3)))
    for reacts in (True, False):
        cast, actors = cast_of([0.0], [10.0], reacts)
        end = run(cast, actors, 12.0, ego)
        assert (end.position[0].real + 2.25 < 58.0) == reacts


def test_an_open_door_widens_its_car_to_one_side() -> None:
    cast, actors = cast_of([0.0], [0.0])
    end = run(cast, replace(actors, door_to=np.array([1.0])), 2.0)
    tracks = tracks_with(Tracks.empty(), cast, end)
    low, high = tracks.position[0, 1] - 0.5 * tracks.size[0, 0], tracks.position[0, 1] + 0.5 * tracks.size[0, 0]
    assert (low, high) == pytest.approx((-0.9, 0.9 + 1.0))
    there = objects_of(cast, end)
    assert (there.position[0].imag, there.half_width[0]) == pytest.approx((0.5, 1.4))
    assert cast.bodies.size[0, 0] == 1.8  # the value is not changed


def test_absent_actors_are_nowhere() -> None:
    cast, actors = cast_of([0.0, 20.0], [0.0, 0.0])
    hidden = replace(actors, present=np.array([True, False]))
    assert len(tracks_with(Tracks.empty(), cast, hidden)) == 1
    assert abs(objects_of(cast, hidden).position[1]) > 1e6
