"""The answers of nuPlan's own metric tests, for every metric that we have, and by name what is not answered and why.

Where the answer needs a map but not just nuPlan's (which is not among the files), a straight stand-in is used, and said
so. Upstream's expected answers are compared by its own rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from drivesim.metrics.collisions import OBJECTS, VULNERABLE, first_contacts, no_at_fault_collision
from drivesim.metrics.comfort import comfort
from drivesim.metrics.drive_log import DriveLog
from drivesim.metrics.driving_direction import driving_direction_compliance, progress_along_lanes
from drivesim.metrics.motion import motion_signals
from drivesim.metrics.progress import (
    ego_is_making_progress,
    ego_progress_along_expert_route,
    route_progress,
)
from drivesim.metrics.speed_limit import speed_limit_compliance
from drivesim.metrics.time_to_collision import time_to_collision, time_to_collision_within_bound
from tests.metrics.nuplan_scenes import FOLDER, line, log_of, scene, stand_in_map

BASE_LINE_HEADING = -1.5533  # [rad] of the straight lane in which the progress and direction scenes lie
SPEED_LIMIT = 13.41  # [m/s], 30 miles per hour
OPEN_LOOP = (
    "error of a plan or path against the expert's, which says nothing about a closed loop; not one of our metrics"
)
NOT_ANSWERED = {
    "drivable_area_compliance": "needs the drivable polygons of nuPlan's map",
    "ego_expert_l2_error": OPEN_LOOP,
    "ego_expert_l2_error_with_yaw": OPEN_LOOP,
    "ego_lane_change": "not one of our metrics",
    "ego_stop_at_stop_line": "not one of our metrics",
    "planner_expert_average_heading_error_within_bound": OPEN_LOOP,
    "planner_expert_average_l2_error_within_bound": OPEN_LOOP,
    "planner_expert_final_heading_error_within_bound": OPEN_LOOP,
    "planner_expert_final_l2_error_within_bound": OPEN_LOOP,
    "planner_miss_rate_within_bound": OPEN_LOOP,
    "ego_is_comfortable/ego_is_comfortable.json": "upstream expects False as it never ran the parts; see its README",
    "ego_progress_along_expert_route/ego_no_progress_along_expert_route.json": "lies on a curved lane of nuPlan's map",
}
ANSWERED = {
    "driving_direction_compliance", "ego_acceleration", "ego_is_comfortable", "ego_is_making_progress", "ego_jerk",
    "ego_lat_acceleration", "ego_lat_jerk", "ego_lon_acceleration", "ego_lon_jerk", "ego_mean_speed",
    "ego_progress_along_expert_route", "ego_yaw_acceleration", "ego_yaw_rate", "no_ego_at_fault_collision",
    "speed_limit_compliance", "time_to_collision_within_bound",
}  # fmt: skip


def expected(content: dict[str, Any]) -> list[float]:
    """The expected statistics, in order."""
    return [value for _, value in content["expected"]["statistics"]]


def check(found: list[float], content: dict[str, Any]) -> None:
    """Upstream's rule: equal within 0.01."""
    assert np.allclose(np.array(found, float), np.array(expected(content), float), atol=0.01), (
        found, expected(content))  # fmt: skip


def test_every_file_is_answered_or_named() -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"no nuPlan metric test files in {FOLDER} (set DRIVESIM_SHARED)")
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert folders == ANSWERED | {name for name in NOT_ANSWERED if "/" not in name}
    assert all((FOLDER / name).exists() for name in NOT_ANSWERED)


def statistics(signal: np.ndarray) -> list[float]:
    return [signal.max(), signal.min(), signal.mean(), float(np.percentile(signal, 90, method="closest_observation"))]


@pytest.mark.parametrize(
    ("name", "signal", "limits"),
    [
        ("ego_acceleration", "acceleration", None),
        ("ego_jerk", "jerk", (-7.0, 7.0)),
        ("ego_lat_acceleration", "lateral_acceleration", (-10.0, 10.0)),
        ("ego_lat_jerk", "lateral_jerk", None),
        ("ego_lon_acceleration", "longitudinal_acceleration", (0.0, 10.0)),
        ("ego_lon_jerk", "longitudinal_jerk", (-8.0, 8.0)),
        ("ego_yaw_acceleration", "yaw_acceleration", (-3.0, 3.0)),
        ("ego_yaw_rate", "yaw_rate", (-5.0, 5.0)),
    ],
)
def test_signals(name: str, signal: str, limits: tuple[float, float] | None) -> None:
    content = scene(f"{name}/{name}.json")
    found = getattr(motion_signals(log_of(content)), signal)
    within = [] if limits is None else [bool(((found > limits[0]) & (found < limits[1])).all())]
    check([*statistics(found), *within], content)
    assert np.allclose(np.round(found, 2), content["expected"]["time_series"]["values"], atol=1e-9)


def test_mean_speed() -> None:
    content = scene("ego_mean_speed/ego_mean_speed.json")
    check([log_of(content).speed.mean()], content)


def test_comfort_of_the_comfortable_scene() -> None:
    assert comfort(log_of(scene("ego_is_comfortable/ego_is_comfortable.json"))).value == 1.0


def fault_statistics(log: DriveLog) -> list[float]:
    found = first_contacts(log)
    classes, delta_v = found.class_id[found.at_fault], found.delta_v[found.at_fault]
    people, things = np.isin(classes, VULNERABLE).sum(), np.isin(classes, OBJECTS).sum()
    counts = [len(classes) == 0, len(classes), people, len(classes) - people - things, things]
    return [*counts, *([delta_v.max(), delta_v.min(), delta_v.mean()] if len(delta_v) else [])]


@pytest.mark.parametrize(
    "name", ["active_front", "active_rear", "multiple_collisions", "no", "stopped_ego", "stopped_track"]
)
def test_collisions(name: str) -> None:
    name = name if name.endswith("collisions") else f"{name}_collision"
    content = scene(f"no_ego_at_fault_collision/{name}.json")
    log = log_of(content)
    check(fault_statistics(log), content)
    assert no_at_fault_collision(log).value == float(expected(content)[0])


def test_collision_at_the_side_between_lanes() -> None:
    """Stand-in map: two lanes whose common edge the ego is on when it is hit."""
    content = scene("no_ego_at_fault_collision/active_lateral_collision.json")
    log = log_of(content)
    assert no_at_fault_collision(log).value == 1.0
    heading, side = float(log.yaw[2]), np.array([-np.sin(log.yaw[2]), np.cos(log.yaw[2])])
    lanes = [line(tuple(log.centre[2] + offset * side), heading) for offset in (-1.75, 1.75)]
    between = log_of(content, maps=(stand_in_map(lanes, 3.5),), map_index=np.zeros(3, int))
    check(fault_statistics(between), content)
    within = log_of(content, maps=(stand_in_map(lanes[:1], 20.0),), map_index=np.zeros(3, int))
    assert fault_statistics(within)[0]


@pytest.mark.parametrize(
    "name", ["ego_stopped", "in_collision", "no_collisions", "no_relevant_tracks", "time_to_collision_above_threshold"]
)
def test_time_to_collision(name: str) -> None:
    content = scene(f"time_to_collision_within_bound/{name}.json")
    log = log_of(content)
    check([time_to_collision(log).min(), time_to_collision_within_bound(log).value], content)


def on_base_line(content: dict[str, Any], expert: bool = False, width: float = 8.0) -> DriveLog:
    """The drive on a straight stand-in lane through its start, which is its route too."""
    x, y, _ = content["ego"]["pose"]
    lane = line((x, y), BASE_LINE_HEADING)
    steps = np.zeros(len(content["expert_ego_states"]), int)
    return log_of(content, expert, maps=(stand_in_map([lane], width),), map_index=steps, routes=(lane,),
                  route_index=steps)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "violation"),
    [("ego_does_not_drive_backward", 6.0), ("ego_drives_backward", 6.0), ("ego_slightly_drives_backward", 15.0)],
)
def test_driving_direction(name: str, violation: float) -> None:
    content = scene(f"driving_direction_compliance/{name}.json")
    log = on_base_line(content)
    backward = min(0.0, float(progress_along_lanes(log).min()))
    check([driving_direction_compliance(log, violation).value, backward], content)


@pytest.mark.parametrize("name", ["ego_drives_backward", "ego_progress_along_expert_route"])
def test_progress_along_the_route_of_the_expert(name: str) -> None:
    content = scene(f"ego_progress_along_expert_route/{name}.json")
    log, expert = on_base_line(content), on_base_line(content, expert=True)
    ratio = ego_progress_along_expert_route(log, expert).value
    check([route_progress(expert).value, route_progress(log).value, ratio], content)


def test_progress_without_route() -> None:
    content = scene("ego_progress_along_expert_route/ego_no_route.json")
    assert ego_progress_along_expert_route(log_of(content), log_of(content, expert=True)).value == expected(content)[1]


def test_making_progress() -> None:
    content = scene("ego_is_making_progress/ego_is_making_progress.json")
    check([ego_is_making_progress(on_base_line(content), on_base_line(content, expert=True)).value], content)


def in_limit(content: dict[str, Any]) -> DriveLog:
    """The drive on a wide stand-in lane with the limit that the scenes lie under."""
    pose = content["ego"]["pose"]
    steps = np.zeros(1 + len(content["ego_future_states"]), int)
    hd_map = stand_in_map([line((pose[0], pose[1]), pose[2])], 40.0, SPEED_LIMIT)
    return log_of(content, maps=(hd_map,), map_index=steps)


def test_speed_limit_kept() -> None:
    content = scene("speed_limit_compliance/no_speed_limit_violation.json")
    check([speed_limit_compliance(in_limit(content)).value], content)


def test_speed_limit_broken() -> None:
    content = scene("speed_limit_compliance/speed_limit_violation.json")
    metric = speed_limit_compliance(in_limit(content))
    assert metric.series is not None
    over = metric.series[metric.series > 0.0]
    runs = int((np.diff(np.concatenate([[0], (metric.series > 0.0).astype(int)])) == 1).sum())
    assert np.allclose(np.round(metric.series, 2), content["expected"]["time_series"]["values"], atol=1e-9)
    check([runs, over.max(), over.max(), over.mean(), metric.value == 1.0], content)
