"""Collisions, fault and impact at the boundary values."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.events import Collision
from drivesim.metrics.collisions import first_contacts, impact_speed, no_at_fault_collision, no_collision
from drivesim.metrics.drive_log import CollisionEvent
from drivesim.scene import VehicleShape
from tests.metrics.drives import both, drive, thing
from tests.roads import straight

FRONT = VehicleShape().length - VehicleShape().rear_overhang  # [m] from the rear axle to the bumper
SIDE = 0.5 * VehicleShape().width + 1.0  # [m] at which the ego and a thing 2 m wide touch


@pytest.mark.parametrize(("gap", "hits"), [(0.001, 0), (-0.001, 1)])
def test_a_hair_apart_is_no_collision(gap: float, hits: int) -> None:
    assert len(first_contacts(drive([0.0, 0.0], speed=5.0, tracks=thing(FRONT + 2.0 + gap, 0.0)))) == hits


@pytest.mark.parametrize(
    ("ego_speed", "track", "kind", "at_fault"),
    [
        (0.05, thing(5.0, 0.0, speed=1.0), "stopped_ego", False),
        (0.051, thing(5.0, 0.0, speed=0.05), "stopped_track", True),
        (5.0, thing(5.0, 0.0, speed=0.051), "front", True),
        (5.0, thing(-2.9, 0.0, speed=9.0), "rear", False),
        (5.0, thing(1.0, SIDE - 0.05, speed=5.0), "side", False),
    ],
)
def test_kinds_of_collisions(ego_speed: float, track: object, kind: str, at_fault: bool) -> None:
    found = first_contacts(drive([0.0], speed=ego_speed, tracks=track, hd_map=straight(3)))
    assert (found.kind.tolist(), found.at_fault.tolist()) == ([kind], [at_fault])


@pytest.mark.parametrize(("bearing", "kind"), [(149.0, "side"), (151.0, "rear")])
def test_behind_begins_at_150_degrees(bearing: float, kind: str) -> None:
    angle = np.deg2rad(bearing)
    log = drive([0.0], speed=5.0, tracks=thing(2.0 * np.cos(angle), 2.0 * np.sin(angle), speed=9.0))
    assert first_contacts(log).kind.tolist() == [kind]


@pytest.mark.parametrize(("y", "score"), [(0.0, 1.0), (0.5 * 3.5, 0.0), (-1.5, 0.0)])
def test_at_the_side_the_ego_is_at_fault_between_lanes_and_off_the_road(y: float, score: float) -> None:
    log = drive([0.0], y, speed=5.0, tracks=thing(1.0, y - SIDE + 0.05, speed=5.0), hd_map=straight(2))
    assert no_at_fault_collision(log).value == score and no_collision(log).value == 0.0


def test_without_map_the_report_decides_at_the_side() -> None:
    track = thing(1.0, SIDE - 0.05, speed=5.0)
    event = CollisionEvent(0, Collision(7, "car", "side", True))
    assert no_at_fault_collision(drive([0.0], speed=5.0, tracks=track)).value == 1.0
    assert no_at_fault_collision(drive([0.0], speed=5.0, tracks=track, collisions=(event,))).value == 0.0


def test_what_the_report_saw_between_two_steps_counts() -> None:
    event = CollisionEvent(1, Collision(7, "pedestrian", "front", True))
    log = drive([0.0, 5.0], speed=3.0, tracks=thing(0.0, 40.0, name="pedestrian"), collisions=(event,))
    assert no_at_fault_collision(log).value == 0.0 and no_at_fault_collision(log).series.tolist() == [1.0, 0.0]
    assert impact_speed(log).value == pytest.approx(3.0)
    gone = drive([0.0, 5.0], speed=3.0, collisions=(event,))
    assert no_at_fault_collision(gone).value == 0.0 and not impact_speed(gone).valid


@pytest.mark.parametrize(
    ("names", "score"), [(("traffic_cone",), 0.5), (("barrier", "traffic_cone"), 0.0), (("barrier", "pedestrian"), 0.0)]
)
def test_one_thing_is_forgiven_half(names: tuple[str, ...], score: float) -> None:
    tracks = thing(5.0, 0.0, name=names[0], number=1)
    for number, name in enumerate(names[1:], 2):
        tracks = both(tracks, thing(5.0, 0.1, name=name, number=number))
    assert no_at_fault_collision(drive([0.0], speed=5.0, tracks=tracks)).value == score


def test_a_track_counts_at_its_first_touch_only() -> None:
    log = drive(np.arange(10.0), tracks=thing(8.0, 0.0, length=2.0))
    found = first_contacts(log)
    assert found.step.tolist() == [4] and no_at_fault_collision(log).series.tolist() == [1.0] * 4 + [0.0] + [1.0] * 5


@pytest.mark.parametrize(("yaw", "speed"), [(0.0, 6.0), (np.pi, 14.0), (0.5 * np.pi, np.hypot(10.0, 4.0))])
def test_impact_speed_is_that_of_the_difference(yaw: float, speed: float) -> None:
    log = drive([0.0], speed=10.0, tracks=thing(4.0, 0.0, yaw, 4.0))
    assert impact_speed(log).value == pytest.approx(speed)
    assert first_contacts(log).delta_v[0] == pytest.approx(0.5 * speed)
    assert not impact_speed(drive([0.0], speed=10.0)).valid
