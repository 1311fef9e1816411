"""Time to collision against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.geometry import box_footprints, rectangles_overlap
from drivesim.metrics.time_to_collision import (
    minimum_time_to_collision,
    no_collision_ahead,
    overlap_times,
    time_to_collision,
    time_to_collision_within_bound,
)
from drivesim.scene import VehicleShape
from tests.metrics.drives import both, drive, thing
from tests.roads import straight

FRONT = VehicleShape().length - VehicleShape().rear_overhang


@pytest.mark.parametrize(
    ("gap", "lead", "found"),
    [(9.5, 0.0, 1.0), (9.4, 0.0, 1.0), (9.5, 5.0, 1.9), (29.9, 0.0, 3.0), (30.1, 0.0, np.inf), (20.0, 10.0, np.inf)],
)
def test_gap_over_closing_speed(gap: float, lead: float, found: float) -> None:
    log = drive([0.0], speed=10.0, tracks=thing(FRONT + 2.0 + gap, 0.0, speed=lead))
    assert time_to_collision(log)[0] == pytest.approx(found)


@pytest.mark.parametrize(("gap", "score"), [(8.95, 0.0), (9.05, 1.0)])
def test_bound_lies_between_its_neighbours_of_a_tenth(gap: float, score: float) -> None:
    log = drive([0.0], speed=10.0, tracks=thing(FRONT + 2.0 + gap, 0.0))
    assert time_to_collision_within_bound(log).value == score
    assert minimum_time_to_collision(log).value == pytest.approx(0.9 if score == 0.0 else 1.0)


def test_nothing_to_collide_with_has_no_time() -> None:
    metric = minimum_time_to_collision(drive([0.0, 1.0]))
    assert (
        not metric.valid and np.isinf(metric.series).all() and time_to_collision_within_bound(drive([0.0])).value == 1
    )


@pytest.mark.parametrize(("speed", "found"), [(0.005, np.inf), (0.0051, 0.5)])
def test_a_standing_ego_runs_into_nothing(speed: float, found: float) -> None:
    log = drive([0.0], speed=speed, tracks=thing(FRONT + 2.0 + 4.99, 0.0, np.pi, 10.0))
    assert time_to_collision(log)[0] == pytest.approx(found)


@pytest.mark.parametrize(("bearing", "minded"), [(29.0, True), (31.0, False)])
def test_only_what_is_ahead_counts(bearing: float, minded: bool) -> None:
    """A track that cuts across, seen at 30 degrees from the rear axle."""
    x, y = 10.0 * np.cos(np.deg2rad(bearing)), 10.0 * np.sin(np.deg2rad(bearing))
    log = drive([0.0], speed=8.0, tracks=thing(x, y, -0.5 * np.pi, 6.0))
    assert np.isfinite(time_to_collision(log)[0]) == minded


def test_what_is_beside_counts_between_lanes() -> None:
    """A track beside the ego drifts towards it; its gap of 1 m closes in one second."""
    track = thing(1.0, 3.5 * 0.5 + 0.865 + 1.0 + 1.0, 0.0, 8.0)
    track.velocity[:] = (8.0, -1.0)
    between, within = (
        drive([0.0], 1.75, speed=8.0, tracks=track, hd_map=straight(2)),
        drive([0.0], 1.75, speed=8.0, tracks=track),
    )
    assert time_to_collision(between)[0] == pytest.approx(1.0) and np.isinf(time_to_collision(within)[0])


def test_a_collision_at_fault_is_no_time_and_then_forgotten() -> None:
    log = drive(np.arange(6.0), tracks=thing(6.0, 0.0, length=1.0))
    found = time_to_collision(log)
    assert found[3] == 0.0 and np.isfinite(found[:3]).all() and np.isinf(found[4:]).all()


def test_overlap_times_of_turned_boxes() -> None:
    """Checked against boxes moved on in small steps."""
    random = np.random.default_rng(0)
    for _ in range(30):
        x, y, yaw, speed, own_yaw = random.uniform((-15, -15, -3, 0, -3), (15, 15, 3, 12, 3))
        track = thing(x, y, yaw, speed)
        log = drive([0.0], 0.0, own_yaw, 9.0, tracks=track)
        begin, end = (float(edge[0]) for edge in overlap_times(log, np.array([0])))
        times = np.linspace(0.0, 4.0, 801)
        moved = box_footprints(track.position, track.size, track.yaw) + times[:, None, None] * track.velocity[0]
        own = log.footprint + times[:, None, None] * log.global_velocity[0]
        away = (np.abs(times - begin) > 0.006) & (np.abs(times - end) > 0.006)
        assert np.array_equal(rectangles_overlap(own, moved)[away], ((begin < times) & (times < end))[away])


@pytest.mark.parametrize(("gap", "ahead"), [(4.9, 0.0), (5.1, 0.0), (9.9, 0.0), (10.1, 1.0)])
def test_two_looks_ahead(gap: float, ahead: float) -> None:
    log = drive([0.0], speed=10.0, tracks=thing(FRONT + 2.0 + gap, 0.0))
    assert no_collision_ahead(log).value == ahead


def test_looks_ahead_know_no_fault() -> None:
    log = drive([0.0], speed=5.0, tracks=both(thing(-9.0, 0.0, speed=12.0), thing(60.0, 0.0, number=8)))
    assert no_collision_ahead(log).value == 0.0 and time_to_collision_within_bound(log).value == 1.0
