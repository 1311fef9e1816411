"""Conditions at their boundary values, and the distances that they look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from drivesim.geometry import box_footprints
from drivesim.scenarios.schema import Action, Condition, Event, When
from drivesim.scenarios.triggers import Situation, due, gaps, times_to_collision, triggers_of

# A car 20 m ahead of the ego, 3 m to its left, both 4 m long and 2 m wide; the ego comes up at 10 m/s, the car at 6.
CALM = Situation(
    time=5.0, at=np.array([40.0, 20.0]), beside=np.array([3.0, 0.0]), position=np.array([40.0 + 3.0j, 20.0 + 0.0j]),
    direction=np.ones(2, complex), velocity=np.array([6.0 + 0j, 10.0 + 0j]), acceleration=np.array([-2.0, 1.0]),
    half_length=np.full(2, 2.0), half_width=np.full(2, 1.0), travelled=np.array([30.0, 50.0]),
    stood=np.array([3.0, 0.0]), fired=np.array([np.nan]), progress=20.0, speed=np.array([6.0, 10.0]),
)  # fmt: skip


def happens(*groups: tuple[Condition, ...], now: Situation = CALM, fired: tuple[float, ...] = ()) -> bool:
    """Whether an event with these alternatives happens; earlier ones e0, e1... happened at the times `fired`."""
    first = When(((Condition("time", 0.0),),))
    events = [Event(f"e{i}", first, Action()) for i in range(len(fired))] + [Event("it", When(groups), Action())]
    triggers = triggers_of(tuple(events), ("car",), np.array([50.0]))
    now = replace(now, fired=np.array([*fired, np.nan]))
    return bool(due(triggers, np.zeros(len(triggers.bound), bool), now)[0][-1])


CAR = {"to": "car"}


@pytest.mark.parametrize(
    ("condition", "bound"),
    [
        (Condition("time", 0.0), 5.0),
        (Condition("at", 0.0), 20.0),
        (Condition("at", 0.0, of="car"), 40.0),
        (Condition("arrives", 0.0, False, at=40.0), 2.0),
        (Condition("arrives", 0.0, False, meets="car"), 3.0),
        (Condition("distance", 0.0, False, **CAR), 16.0),  # bumper to bumper
        (Condition("distance", 0.0, False, **CAR, measured="centres"), np.hypot(20.0, 3.0)),
        (Condition("distance", 0.0, True, **CAR, measured="along"), 20.0),
        (Condition("distance", 0.0, True, **CAR, measured="across"), 3.0),
        (Condition("distance", 0.0, False, of="car"), 16.0),
        (Condition("headway", 0.0, False, **CAR), 1.6),
        (Condition("headway", 0.0, True, **CAR, measured="centres"), 2.0),
        (Condition("headway", 0.0, True, of="car"), -16.0 / 6.0),  # the ego is behind the car
        (Condition("time_to_collision", 0.0, False, **CAR), 16.0 / (4.0 * 20.0 / np.hypot(20.0, 3.0))),
        (Condition("speed", 0.0), 10.0),
        (Condition("speed", 0.0, False, of="car"), 6.0),
        (Condition("relative_speed", 0.0, **CAR), 4.0),
        (Condition("acceleration", 0.0, False, of="car"), -2.0),
        (Condition("standstill", 0.0, of="car"), 3.0),
        (Condition("travelled", 0.0), 50.0),
        (Condition("near", 0.0, False, at=23.0, offset=4.0), 5.0),
        (Condition("near", 0.0, False, of="car", at=40.0), 3.0),
    ],
)
def test_conditions_flip_at_their_bounds(condition: Condition, bound: float) -> None:
    beyond = 1e-3 if condition.above else -1e-3
    assert happens((replace(condition, bound=bound),))
    assert not happens((replace(condition, bound=bound + beyond),))


def test_following_event_waits_for_its_delay() -> None:
    when = Condition("after", 2.0, event="e0")
    assert happens((when,), fired=(3.0,))
    assert not happens((when,), fired=(3.1,))
    assert not happens((when,), fired=(np.nan,))


def test_all_conditions_of_one_alternative_must_hold_and_nothing_happens_twice() -> None:
    time, near = Condition("time", 5.0), Condition("distance", 16.0, False, to="car")
    far = replace(near, bound=15.0)
    assert happens((time, near))
    assert not happens((time, far))
    assert happens((time, far), (time, near))
    triggers = triggers_of((Event("it", When(((time,),)), Action()),), ("car",), np.array([np.nan]))
    assert not due(triggers, np.zeros(1, bool), replace(CALM, fired=np.array([1.0])))[0].any()


def test_an_edge_waits_until_it_has_been_otherwise() -> None:
    slow = Condition("speed", 5.0, False, of="car", edge=True)
    triggers = triggers_of((Event("it", When(((slow,),)), Action()),), ("car",), np.array([np.nan]))
    speeds, times = [4.0, 4.0, 6.0, 5.5, 4.9], []
    otherwise = np.zeros(1, bool)
    for step, speed in enumerate(speeds):
        happening, otherwise = due(triggers, otherwise, replace(CALM, speed=np.array([speed, 10.0])))
        times += [step] * bool(happening[0])
    assert times == [4]


def test_nothing_holds_of_an_actor_that_is_not_there() -> None:
    gone = replace(CALM, position=np.array([np.nan, 20.0]), speed=np.array([np.nan, 10.0]), at=np.array([np.nan, 20.0]))
    for above in (True, False):
        for kind in ("distance", "headway", "time_to_collision", "relative_speed"):
            assert not happens((Condition(kind, 0.0 if above else 1e9, above, to="car"),), now=gone)


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
