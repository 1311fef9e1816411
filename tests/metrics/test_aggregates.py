"""Published scores against their formulas worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from drivesim.metrics.aggregates import (
    Reference,
    drivearena_ads,
    hugsim_hd_score,
    navsim_epdms,
    navsim_pdms,
    neuroncap,
    nuplan_cls,
    plans,
)
from drivesim.metrics.drive_log import DriveLog
from drivesim.metrics.score import AGGREGATES, metrics, score, time_lines
from drivesim.scene import OBJECT_CLASSES
from tests.metrics.drives import drive, straight_route, thing
from tests.roads import straight

STEPS = 101  # ten seconds


def straight_drive(speed: float = 10.0, steps: int = STEPS, limit: float = 12.0, **parts: object) -> DriveLog:
    """At constant speed along the only lane."""
    x = speed * 0.1 * np.arange(steps) - 50.0
    return drive(x, hd_map=straight(limit=limit), route=straight_route(), **parts)  # type: ignore[arg-type]


def jerky(log: DriveLog, begin: int) -> DriveLog:
    """The same drive, braking hard from a step on."""
    braking = np.where(np.arange(len(log)) >= begin, -6.0, 0.0)
    return replace(log, acceleration=np.stack([braking, np.zeros(len(log))], axis=-1))


def test_a_perfect_drive_has_all_points() -> None:
    log = straight_drive(traffic="idm")
    reference = Reference(expert=straight_drive(), route_length=100.0)
    for name, aggregate in AGGREGATES.items():
        found = aggregate(log, reference)
        assert found.valid and found.value == pytest.approx(5.0 if name == "neuroncap" else 1.0), name


def test_what_cannot_be_known_is_named_and_never_filled() -> None:
    log = straight_drive(limit=np.nan)
    omitted = {name: set(aggregate(log, Reference()).omitted) for name, aggregate in AGGREGATES.items()}
    assert omitted == {
        "navsim_pdms": {"ego_progress"},
        "navsim_epdms": {"ego_progress", "traffic_light_compliance", "extended_comfort"},
        "nuplan_cls": {"ego_is_making_progress", "ego_progress_along_expert_route", "speed_limit_compliance"},
        "drivearena_ads": {"ego_progress", "route_completion"},
        "hugsim_hd_score": {"route_completion"},
        "neuroncap": set(),
    }
    found = nuplan_cls(log, Reference())
    assert not set(found.terms) & set(found.omitted)
    assert found.title == (
        "nuPlan CLS without ego_is_making_progress, ego_progress_along_expert_route, speed_limit_compliance"
    )


def test_a_drive_without_map_leaves_out_what_needs_one() -> None:
    log = drive(np.arange(0.0, 50.0), tracks=thing(500.0, 0.0))
    assert navsim_epdms(log, Reference()).omitted == (
        "drivable_area_compliance", "driving_direction_compliance", "traffic_light_compliance", "ego_progress",
        "lane_keeping", "extended_comfort",
    )  # fmt: skip
    assert "comfort" in hugsim_hd_score(drive([0.0, 1.0]), Reference()).omitted


def test_nuplan_weighs_five_five_four_two() -> None:
    log = jerky(straight_drive(speed=12.0 + 0.25 * 2.23, traffic="log"), 50)
    expert = straight_drive(speed=20.0)
    ratio = (12.0 + 0.25 * 2.23) / 20.0
    found = nuplan_cls(log, Reference(expert=expert))
    assert found.name == "nuPlan CLS-NR" and found.omitted == ()
    assert found.value == pytest.approx((5.0 * ratio + 5.0 + 4.0 * 0.75 + 0.0) / 16.0)
    without = nuplan_cls(log, Reference())
    assert without.value == pytest.approx((5.0 + 4.0 * 0.75 + 0.0) / 11.0)


def test_of_an_expert_who_broke_no_rule_the_metres_are_enough() -> None:
    log, expert = straight_drive(speed=12.0), straight_drive(speed=20.0)
    for name, aggregate in AGGREGATES.items():
        whole, metres = (aggregate(log, Reference(expert=found, route_length=200.0)) for found in (expert, 200.0))
        assert (whole.value, whole.terms) == (pytest.approx(metres.value), pytest.approx(dict(metres.terms))), name
    with pytest.raises(ValueError, match="Reference.expert_is_human: found True"):
        Reference(expert=200.0, expert_is_human=True)
    with pytest.raises(ValueError, match="Reference.expert: found 0.0, accepted a positive number"):
        Reference(expert=0.0)


def test_nuplan_multiplies_by_making_progress() -> None:
    reference = Reference(expert=straight_drive(speed=20.0))
    assert nuplan_cls(straight_drive(speed=3.99), reference).value == 0.0
    assert nuplan_cls(straight_drive(speed=4.01), reference).value > 0.5


def test_plans_begin_every_half_second_and_end_with_the_drive() -> None:
    stretches = plans(straight_drive())
    assert len(stretches) == 20 and stretches[0] == slice(0, 41) and stretches[1] == slice(5, 46)
    assert stretches[12] == slice(60, 101) and stretches[-1] == slice(95, 101)
    assert plans(drive([0.0])) == [slice(0, 1)]


def test_pdms_is_the_mean_over_plans() -> None:
    """Braking from 9 s on makes every plan uncomfortable that reaches there: those from about 5 s on."""
    log = jerky(straight_drive(), 90)
    comfortable = 1.0 - navsim_pdms(log, Reference()).terms["comfort"]
    assert 0.5 <= comfortable <= 0.6
    expert = Reference(expert=straight_drive(speed=20.0))
    found = navsim_pdms(log, expert)
    assert found.terms["ego_progress"] == pytest.approx(0.5)
    assert found.value == pytest.approx((5.0 * 0.5 + 5.0 + 2.0 * found.terms["comfort"]) / 12.0)
    ads = drivearena_ads(log, replace(expert, route_length=200.0))
    assert ads.value == pytest.approx(found.value * 0.5)
    hd_score = hugsim_hd_score(log, replace(expert, route_length=200.0))
    assert hd_score.value == pytest.approx((5.0 + 2.0 * found.terms["comfort"]) / 7.0 * 0.5)


def crash(name: str = "car", at: float = 50.0, speed: float = 10.0) -> DriveLog:
    """A drive at constant speed that ends in a standing thing, after about `at` [m]."""
    log = straight_drive(speed, tracks=thing(at - 50.0, 0.0, name=name))
    end = int(np.argmax(log.footprint[:, 0, 0] > at - 52.0)) + 1
    return straight_drive(speed, end, tracks=thing(at - 50.0, 0.0, name=name))


def test_a_crash_counts_in_every_plan_that_leads_to_it() -> None:
    log = crash(at=95.0)
    bad = sum(part.stop == len(log) for part in plans(log)) / len(plans(log))
    found = navsim_pdms(log, Reference())
    assert 0.4 < bad < 0.6 and found.terms["no_at_fault_collision"] == pytest.approx(1.0 - bad)
    close = sum(len(log) - 9 <= part.stop < len(log) for part in plans(log)) / len(plans(log))
    assert close > 0.0  # of plans that end within 0.9 s of the crash: they keep the comfort only
    assert found.value == pytest.approx(1.0 - bad - close * 5.0 / 7.0)
    assert nuplan_cls(log, Reference()).value == 0.0


def test_a_thing_costs_half_in_navsim_and_all_where_nobody_asks_for_fault() -> None:
    log = crash("traffic_cone")
    assert navsim_pdms(log, Reference()).terms["no_at_fault_collision"] > 0.5
    assert drivearena_ads(log, Reference()).terms["no_collision"] < 0.5


def test_epdms_weighs_five_five_two_two() -> None:
    log = replace(straight_drive(), position=np.stack([np.linspace(-50.0, 50.0, STEPS), np.full(STEPS, 0.6)], axis=-1))
    found = navsim_epdms(log, Reference(expert=straight_drive(speed=20.0)))
    kept = found.terms["lane_keeping"]
    assert kept == pytest.approx(3.0 / 20.0)  # the plans from 8.5 s on are shorter than two seconds
    assert found.terms["history_comfort"] == 1.0 and found.terms["time_to_collision"] == 1.0
    assert found.value == pytest.approx((5.0 * 0.5 + 5.0 + 2.0 * kept + 2.0) / 14.0)


def test_epdms_forgives_what_the_human_does_wrong_too() -> None:
    """The human drives as far from the middle of the lane in the first half only."""
    y = np.full(STEPS, 0.6)
    log = replace(straight_drive(), position=np.stack([np.linspace(-50.0, 50.0, STEPS), y], axis=-1))
    half = np.where(np.arange(STEPS) <= 50, 0.6, 0.0)
    human = replace(straight_drive(), position=np.stack([np.linspace(-50.0, 50.0, STEPS), half], axis=-1))
    strict = navsim_epdms(log, Reference(expert=human))
    kind = navsim_epdms(log, Reference(expert=human, expert_is_human=True))
    assert strict.terms["lane_keeping"] == pytest.approx(0.15)
    assert kind.terms["lane_keeping"] == pytest.approx(0.15 + 7.0 / 20.0)  # plans from 0 s to 3 s on
    short = replace(Reference(expert=straight_drive(steps=20)), expert_is_human=True)
    assert navsim_epdms(log, short).terms["lane_keeping"] == pytest.approx(0.15)


@pytest.mark.parametrize(("reference", "stars"), [(20.0, 2.0), (10.0, 0.0), (5.0, 0.0), (1000.0, 3.96)])
def test_neuroncap_gives_up_to_four_for_a_softer_crash(reference: float, stars: float) -> None:
    assert neuroncap(crash(), Reference(impact_speed=reference)).value == pytest.approx(stars)


def test_neuroncap_without_reference() -> None:
    found = neuroncap(crash(), Reference())
    assert not found.valid and found.omitted == ("reference_impact_speed",)
    assert found.terms == {"impact_speed": pytest.approx(10.0)}
    assert neuroncap(straight_drive(), Reference()).value == 5.0


def test_references_are_checked() -> None:
    with pytest.raises(ValueError, match="Reference.route_length: found -1.0, accepted a positive number, or None"):
        Reference(route_length=-1.0)
    with pytest.raises(ValueError, match="Reference.impact_speed: found nan, accepted a positive number, or None"):
        Reference(impact_speed=float("nan"))


@pytest.mark.parametrize(
    "log", [straight_drive(), crash(), drive([0.0]), drive([0.0, 1.0])], ids=["whole", "crash", "one", "two"]
)
def test_score_is_fit_for_json(log: DriveLog) -> None:
    found = score(log)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["metrics"]) == set(metrics(log)) and set(found["aggregates"]) == set(AGGREGATES)
    for metric in found["metrics"].values():
        assert metric["valid"] == (metric["value"] is not None)
    curves = time_lines(log)
    assert all(curve.shape == (len(log),) for curve in curves.values())


def test_score_tells_the_collision() -> None:
    log = crash("pedestrian")
    (hit,) = score(log)["collisions"]
    assert hit == {
        "step": len(log) - 1, "time": pytest.approx(log.time[-1]), "track_id": 7, "class_name": "pedestrian",
        "kind": "stopped_track", "at_fault": True, "relative_speed": pytest.approx(10.0),
    }  # fmt: skip
    assert hit["class_name"] in OBJECT_CLASSES
