"""Conditions at their boundary values, and the distances that they look at."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from drivesim.geometry import box_footprints
from drivesim.scenarios.schema import Action, Event, When
from drivesim.scenarios.triggers import Situation, due, gaps, times_to_collision, triggers_of

CALM = {
    "time": 5.0, "progress": 20.0, "ego_speed": 10.0, "distance": np.array([12.0]),
    "time_to_collision": np.array([3.0]),
}  # fmt: skip


def happens(when: When, fired: tuple[float, ...] = (), **situation: float) -> bool:
    """Whether an event happens; earlier ones happened at the times `fired`."""
    events = [Event(f"e{i}", When(), Action()) for i in range(len(fired))] + [Event("it", when, Action())]
    triggers = triggers_of(tuple(events), ("car",), np.array([50.0]))
    now = {**CALM, **{k: np.array([v]) if isinstance(CALM[k], np.ndarray) else v for k, v in situation.items()}}
    return bool(due(triggers, np.array([*fired, np.nan]), Situation(**now))[-1])


@pytest.mark.parametrize(
    ("when", "name", "inside", "outside"),
    [
        (When(time=5.0), "time", 5.0, 4.9),
        (When(ego_at=20.0), "progress", 20.0, 19.9),
        (When(ego_arrives_at=40.0, ego_arrives_within=2.0), "progress", 20.0, 19.9),
        (When(ego_arrives_at=40.0, ego_arrives_within=2.0), "ego_speed", 10.0, 9.9),
        (When(ego_arrives_actor="car", ego_arrives_within=2.0), "progress", 30.0, 29.9),
        (When(actor="car", distance=12.0), "distance", 12.0, 12.1),
        (When(actor="car", time_to_collision=3.0), "time_to_collision", 3.0, 3.1),
    ],
)
def test_conditions_flip_at_their_bounds(when: When, name: str, inside: float, outside: float) -> None:
    assert happens(when, **{name: inside})
    assert not happens(when, **{name: outside})


def test_following_event_waits_for_its_delay() -> None:
    when = When(after="e0", delay=2.0)
    assert happens(when, fired=(3.0,))
    assert not happens(when, fired=(3.1,))
    assert not happens(when, fired=(np.nan,))


def test_all_conditions_must_hold_and_nothing_happens_twice() -> None:
    both = When(time=5.0, actor="car", distance=12.0)
    assert happens(both)
    assert not happens(both, distance=13.0)
    triggers = triggers_of((Event("it", When(), Action()),), ("car",), np.array([np.nan]))
    assert not due(triggers, np.array([1.0]), Situation(**CALM)).any()


def test_gap_is_a_lower_bound_of_the_distance_and_exact_in_line_and_side_by_side() -> None:
    random = np.random.default_rng(0)
    position, yaw = random.uniform(-12, 12, (200, 2)), random.uniform(-np.pi, np.pi, 200)
    found = gaps(
        0j, 1.0 + 0j, (2.0, 0.9), position @ np.array([1.0, 1.0j]), np.exp(1j * yaw), np.full(200, 2.5),
        np.full(200, 1.0),
    )  # fmt: skip
    size = np.tile([2.0, 5.0, 1.5], (200, 1))
    boxes = box_footprints(np.pad(position, ((0, 0), (0, 1))), size, yaw)
    ego = shapely.box(-2.0, -0.9, 2.0, 0.9)
    true = np.array([ego.distance(shapely.Polygon(box)) for box in boxes])
    assert (found <= true + 1e-9).all()
    assert ((found == 0) == (true == 0)).all()
    straight = gaps(0j, 1 + 0j, (2.0, 0.9), np.array([10 + 0j, 3j]), np.ones(2, complex), np.full(2, 2.5), np.ones(2))
    assert straight == pytest.approx([5.5, 1.1])


def test_time_to_collision_is_gap_over_closing_speed() -> None:
    found = times_to_collision(np.array([10.0, 10.0, 10.0]), np.array([15.0, 15.0, 15j]), np.array([-5.0, 5.0, 3.0]))
    assert found == pytest.approx([2.0, np.inf, np.inf])
