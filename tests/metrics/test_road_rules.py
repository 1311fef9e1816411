"""Drivable area, driving direction, lane keeping and speed limits on small maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from drivesim.metrics.drivable_area import corners_in_drivable_area, drivable_area_compliance
from drivesim.metrics.driving_direction import driving_direction_compliance, progress_along_lanes
from drivesim.metrics.lane_keeping import lane_keeping
from drivesim.metrics.lanes import ego_area
from drivesim.metrics.speed_limit import speed_limit, speed_limit_compliance
from drivesim.scene import LaneGraph, VehicleShape
from tests.metrics.drives import DT, drive, straight_route
from tests.roads import RoadLane, crossing, road_map, straight

EDGE = 1.75 - 0.5 * VehicleShape().width  # [m] of the middle at which the side of the body is on the edge of the road


@pytest.mark.parametrize(
    ("beyond", "inside", "compliant"), [(-0.01, 1.0, 1.0), (0.01, 0.0, 1.0), (0.29, 0.0, 1.0), (0.31, 0.0, 0.0)]
)
def test_corners_may_be_off_by_30_centimetres(beyond: float, inside: float, compliant: float) -> None:
    log = drive(np.arange(0.0, 5.0), EDGE + beyond, hd_map=straight())
    assert corners_in_drivable_area(log).value == inside and drivable_area_compliance(log).value == compliant
    assert ego_area(log).corner_distance.max() == pytest.approx(max(beyond, 0.0), abs=1e-9)


def test_parking_area_is_road() -> None:
    parking = shapely.box(-10.0, 1.75, 20.0, 6.0)
    log = drive([0.0, 1.0], 2.0, hd_map=road_map([RoadLane(1, (-50.0, 0.0), (50.0, 0.0))], carpark_area=parking))
    assert corners_in_drivable_area(log).value == 1.0


def test_the_report_of_the_environment_counts() -> None:
    log = drive([0.0, 1.0], hd_map=straight(), off_road=np.array([False, True]))
    assert drivable_area_compliance(log).value == 0.0 and drivable_area_compliance(log).series.tolist() == [1.0, 0.0]


def test_without_map_there_is_no_answer() -> None:
    log = drive([0.0, 1.0])
    for metric in (corners_in_drivable_area, drivable_area_compliance, driving_direction_compliance):
        assert not metric(log).valid
    partly = drive([0.0, 1.0], maps=(straight(),), map_index=np.array([0, -1]))
    assert not drivable_area_compliance(partly).valid


@pytest.mark.parametrize(("y", "multiple"), [(0.0, False), (EDGE - 0.01, False), (EDGE + 0.01, True), (1.75, True)])
def test_a_body_is_in_several_lanes_when_none_holds_it(y: float, multiple: bool) -> None:
    assert ego_area(drive([0.0], y, hd_map=straight(2))).multiple_lanes.tolist() == [multiple]


def test_junctions_are_those_of_the_map() -> None:
    log = drive(np.array([-20.0, -9.0, 0.0, 7.0, 30.0]), hd_map=crossing())
    assert ego_area(log).in_junction.tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("speed", "score"), [(1.8, 1.0), (1.85, 0.5), (5.4, 0.5), (5.5, 0.0)]
)  # eleven steps of 0.1 s fall in the window, both of its ends included
def test_reversing_is_counted_over_a_second(speed: float, score: float) -> None:
    log = drive(-speed * DT * np.arange(30), hd_map=straight())
    assert progress_along_lanes(log).min() == pytest.approx(-1.1 * speed)
    assert driving_direction_compliance(log).value == score


def test_a_short_reverse_is_forgiven_and_forward_makes_up_for_it() -> None:
    x = np.concatenate([np.linspace(0.0, -1.5, 6), np.linspace(-1.5, 4.0, 20)])
    assert driving_direction_compliance(drive(x, hd_map=straight())).value == 1.0


def test_the_wrong_lane_is_the_wrong_direction() -> None:
    lanes = [RoadLane(1, (-90.0, 0.0), (90.0, 0.0)), RoadLane(2, (90.0, 3.5), (-90.0, 3.5))]
    x = 0.8 * np.arange(30)
    assert driving_direction_compliance(drive(x, 0.0, hd_map=road_map(lanes))).value == 1.0
    wrong = driving_direction_compliance(drive(x, 3.5, hd_map=road_map(lanes)))
    assert wrong.value == 0.0 and wrong.series[0] == 1.0 and wrong.series[-1] == 0.0
    assert driving_direction_compliance(drive(x[::-1], 3.5, np.pi, hd_map=road_map(lanes))).value == 1.0


def test_a_map_without_lanes_tells_of_the_road_only() -> None:
    graph = straight().lane_graph
    empty = {name: getattr(graph, name)[:0] for name in graph.__dataclass_fields__}
    zero = np.zeros(1, np.int64)
    hd_map = replace(straight(), lane_graph=LaneGraph(**(empty | {"offsets": zero, "successor_offsets": zero})))
    log = drive(np.arange(30.0), hd_map=hd_map)
    assert drivable_area_compliance(log).value == 1.0 and not driving_direction_compliance(log).valid
    assert not speed_limit_compliance(log).valid and not ego_area(log).multiple_lanes.any()


def test_outside_of_all_lanes_nothing_is_counted() -> None:
    assert driving_direction_compliance(drive(-np.arange(30.0), 30.0, hd_map=straight())).value == 1.0


@pytest.mark.parametrize(
    ("offset", "steps", "kept"), [(0.49, 60, 1.0), (0.51, 19, 1.0), (0.51, 20, 0.0), (-0.51, 20, 0.0)]
)
def test_lanes_are_left_after_two_seconds(offset: float, steps: int, kept: float) -> None:
    y = np.zeros(80)
    y[10 : 10 + steps] = offset
    log = drive(0.5 * np.arange(80), y, route=straight_route())
    metric = lane_keeping(log)
    assert metric.value == kept and metric.series[10] == pytest.approx(offset)


def test_junctions_neither_count_nor_interrupt() -> None:
    x = np.linspace(-30.0, 30.0, 61)
    outside = int((np.abs(x + VehicleShape().centre_offset) > 8.0).sum())
    assert lane_keeping(drive(x, 1.0, route=straight_route(), hd_map=crossing(), dt=2.0 / outside)).value == 0.0
    assert lane_keeping(drive(x, 1.0, route=straight_route(), hd_map=crossing(), dt=1.99 / outside)).value == 1.0
    assert not lane_keeping(drive(x, 1.0)).valid


@pytest.mark.parametrize(("speed", "score"), [(12.0, 1.0), (12.0 + 0.5 * 2.23, 0.5), (12.0 + 2.23, 0.0), (30.0, 0.0)])
def test_speed_limit_score_falls_with_the_mean_excess(speed: float, score: float) -> None:
    log = drive(np.arange(5.0), speed=speed, hd_map=straight(limit=12.0))
    assert speed_limit_compliance(log).value == pytest.approx(score)
    assert speed_limit_compliance(log).series == pytest.approx(max(speed - 12.0, 0.0))


def test_no_limit_is_no_answer_and_the_limit_is_that_of_the_own_direction() -> None:
    assert not speed_limit_compliance(drive(np.arange(3.0), hd_map=straight(limit=np.nan))).valid
    assert not speed_limit_compliance(drive(np.arange(3.0))).valid
    lanes = [
        RoadLane(1, (-90.0, 0.0), (90.0, 0.0), limit=8.0), RoadLane(2, (90.0, 0.5), (-90.0, 0.5), limit=20.0),
        RoadLane(3, (0.0, -90.0), (0.0, 90.0), limit=30.0),
    ]  # fmt: skip
    assert speed_limit(drive([0.0, 200.0], hd_map=road_map(lanes))).tolist() == pytest.approx(
        [8.0, np.nan], nan_ok=True
    )
