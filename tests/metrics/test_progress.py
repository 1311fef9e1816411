"""Progress along routes of all shapes."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.metrics.progress import (
    ego_is_making_progress,
    ego_progress_along_expert_route,
    navsim_ego_progress,
    route_completion,
    route_course,
    route_progress,
)
from drivesim.scene import VehicleShape
from tests.metrics.drives import drive, straight_route

AHEAD = VehicleShape().centre_offset


def driven(metres: float, steps: int = 21) -> object:
    return drive(np.linspace(0.0, metres, steps), route=straight_route())


def ring(radius: float, turns: float) -> np.ndarray:
    """A route around the origin, counter-clockwise from (radius, 0) on."""
    angle = np.arange(0.0, 2.0 * np.pi * turns, 2.0 / radius)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), angle + 0.5 * np.pi], axis=-1)


@pytest.mark.parametrize("metres", [0.0, 30.0, -7.0])
def test_progress_on_a_straight_route_is_the_distance(metres: float) -> None:
    metric = route_progress(driven(metres))
    assert metric.value == pytest.approx(metres) and metric.series[0] == 0.0


def test_progress_beyond_both_ends_of_the_route() -> None:
    log = drive([-100.0, 500.0], 2.0, route=straight_route(100.0))
    assert route_progress(log).value == pytest.approx(600.0) and route_course(log).offset.tolist() == [2.0, 2.0]


def test_progress_around_a_ring_that_comes_by_twice() -> None:
    """The rear axle keeps its distance from the middle of the ring, the body its own."""
    radius, turns = 40.0, 1.8
    angle = np.linspace(0.05, 2.0 * np.pi * (turns - 0.1), 120)
    inner = np.sqrt(radius**2 - AHEAD**2)
    log = drive(inner * np.cos(angle), inner * np.sin(angle), angle + 0.5 * np.pi, route=ring(radius, 2.0))
    assert np.allclose(route_progress(log).series, radius * (angle - angle[0]), atol=0.2)
    assert np.abs(route_course(log).offset).max() < 0.05


def test_the_route_across_is_not_the_way() -> None:
    """A route that crosses itself: along x, and later along y through the same place."""
    x = np.arange(-40.0, 41.0, 2.0)
    loop = np.array([[60.0, 30.0], [30.0, 60.0], [0.0, 45.0]])
    y = np.arange(40.0, -41.0, -2.0)
    xy = np.concatenate([np.stack([x, 0 * x], -1), loop, np.stack([0 * y, y], -1)])
    heading = np.arctan2(*np.diff(xy, axis=0, append=2 * xy[-1:] - xy[-2:-1]).T[::-1])
    route = np.column_stack([xy, heading])
    log = drive(np.linspace(-20.0, 20.0, 41), 0.3, route=route)
    assert np.allclose(np.diff(route_progress(log).series), 1.0)


def test_progress_goes_on_over_a_change_of_routes() -> None:
    first, second = straight_route(60.0), straight_route(200.0)[20:]
    log = drive(np.arange(0.0, 50.0, 5.0), routes=(first, second), route_index=np.repeat([0, 1], 5))
    assert np.allclose(route_progress(log).series, np.arange(0.0, 50.0, 5.0))


def test_without_route_there_is_no_answer() -> None:
    assert not route_progress(drive([0.0, 1.0])).valid
    gap = drive([0.0, 1.0, 2.0], routes=(straight_route(),), route_index=np.array([0, -1, 0]))
    assert not route_progress(gap).valid


@pytest.mark.parametrize(
    ("metres", "expert", "ratio"),
    [(20.0, 40.0, 0.5), (50.0, 40.0, 1.0), (0.0, 40.0, 0.05), (-1.9, 40.0, 0.05), (-2.1, 40.0, 0.0), (0.0, 1.0, 1.0)],
)
def test_progress_over_that_of_the_expert(metres: float, expert: float, ratio: float) -> None:
    assert ego_progress_along_expert_route(driven(metres), driven(expert)).value == pytest.approx(ratio)


def test_progress_needs_an_expert() -> None:
    assert not ego_progress_along_expert_route(driven(9.0), None).valid
    assert not ego_is_making_progress(driven(9.0), None).valid
    assert ego_progress_along_expert_route(drive([0.0, 1.0]), drive([0.0, 1.0])).value == 1.0
    assert not ego_progress_along_expert_route(driven(9.0), drive([0.0, 1.0])).valid


@pytest.mark.parametrize(("metres", "making"), [(7.99, 0.0), (8.01, 1.0)])
def test_a_fifth_of_the_way_is_progress(metres: float, making: float) -> None:
    assert ego_is_making_progress(driven(metres), driven(40.0)).value == making


@pytest.mark.parametrize(
    ("metres", "expert", "rules", "ratio"),
    [(4.9, 2.0, 1.0, 1.0), (0.0, 4.9, 1.0, 1.0), (0.0, 5.1, 1.0, 0.0), (10.0, 40.0, 1.0, 0.25),
     (10.0, 40.0, 0.5, 0.5), (10.0, 40.0, 0.0, 1.0), (-3.0, 40.0, 1.0, 0.0)],
)  # fmt: skip
def test_progress_as_navsim_compares_it(metres: float, expert: float, rules: float, ratio: float) -> None:
    assert navsim_ego_progress(driven(metres), driven(expert), rules).value == pytest.approx(ratio)


def test_completion_counts_the_farthest_point() -> None:
    log = drive(np.concatenate([np.linspace(0.0, 60.0, 10), np.linspace(60.0, 20.0, 10)]), route=straight_route())
    assert route_completion(log, 120.0).value == pytest.approx(0.5)
    assert route_completion(log, 40.0).value == 1.0 and not route_completion(log, None).valid
    assert route_completion(driven(-5.0), 40.0).value == 0.0
    with pytest.raises(ValueError, match="route_length: found 0.0, accepted a positive number"):
        route_completion(log, 0.0)
