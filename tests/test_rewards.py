"""Reward terms and events at the values where they must flip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivesim.events import Collision, Events, ego_corners, ego_footprint, find_collisions
from drivesim.geometry import rectangles_overlap
from drivesim.rewards import (
    MAX_ACCELERATION,
    MAX_BRAKING,
    MAX_JERK,
    MAX_LATERAL_ACCELERATION,
    MAX_YAW_RATE,
    REFERENCE_SPEED,
    Motion,
    RewardWeights,
    discomfort,
    reward_terms,
    weighted_sum,
)
from drivesim.scene import EgoState, Tracks, VehicleShape
from tests.straight_road import track

CALM = Motion(
    duration=0.1, progress=0.5, lane_offset=0.0, lane_width=3.5, speed=5.0, acceleration=0.0, jerk=0.0, yaw_rate=0.0
)
HIT = Collision(1, "car", "front", True)
SHAPE = VehicleShape()
FRONT = SHAPE.length - SHAPE.rear_overhang
EPSILON = 1e-3


@pytest.mark.parametrize(
    ("name", "limit"),
    [("acceleration", MAX_ACCELERATION), ("acceleration", -MAX_BRAKING), ("jerk", MAX_JERK), ("jerk", -MAX_JERK)],
)
def test_comfort_flips_at_its_limit(name: str, limit: float) -> None:
    assert discomfort(replace(CALM, **{name: limit * (1 - EPSILON)})) == 0.0
    assert discomfort(replace(CALM, **{name: limit * (1 + EPSILON)})) == 0.25


def test_comfort_of_turning() -> None:
    slow = replace(CALM, speed=1.0)
    assert discomfort(replace(slow, yaw_rate=MAX_YAW_RATE * (1 - EPSILON))) == 0.0
    assert discomfort(replace(slow, yaw_rate=MAX_YAW_RATE * (1 + EPSILON))) == 0.25
    fast, rate = replace(CALM, speed=20.0), MAX_LATERAL_ACCELERATION / 20.0
    assert discomfort(replace(fast, yaw_rate=rate * (1 - EPSILON))) == 0.0
    assert discomfort(replace(fast, yaw_rate=-rate * (1 + EPSILON))) == 0.25


def test_progress_saturates_at_the_reference_speed() -> None:
    def progress(distance: float) -> float:
        return reward_terms(replace(CALM, progress=distance), Events())["progress"]

    full = REFERENCE_SPEED * CALM.duration
    assert progress(0.5 * full) == pytest.approx(0.5)
    assert progress(full * (1 - EPSILON)) < 1.0
    assert progress(full * (1 + EPSILON)) == 1.0
    assert progress(-2.0 * full) == -1.0


def test_lane_keeping_ends_at_the_lane_edge() -> None:
    def keeping(offset: float) -> float:
        return reward_terms(replace(CALM, lane_offset=offset), Events())["lane_keeping"]

    assert keeping(0.0) == 0.0
    assert keeping(0.875) == keeping(-0.875) == pytest.approx(-0.5)
    assert keeping(1.75 - EPSILON) > -1.0
    assert keeping(1.75 + EPSILON) == -1.0


def test_collision_and_off_road_terms_and_their_sum() -> None:
    terms = reward_terms(CALM, Events((HIT,), off_road=True, corners_off_road=4))
    assert (terms["collision"], terms["off_road"]) == (-1.0, -1.0)
    weights = RewardWeights.of({"progress": 2.0, "collision": 5.0, "off_road": 3.0})
    assert weighted_sum(terms, weights) == pytest.approx(2.0 * 0.5 - 5.0 - 3.0)
    assert set(terms) == set(RewardWeights.__dataclass_fields__)


def test_unknown_weight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reward: found unknown terms \['speed'\], accepted .*progress"):
        RewardWeights.of({"speed": 1.0})


def hits(ego: EgoState, tracks: Tracks, straddles: bool = False) -> tuple[Collision, ...]:
    return find_collisions(ego, SHAPE, ego_corners(ego, SHAPE), tracks, straddles)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.5])
def test_collision_begins_at_contact(yaw: float) -> None:
    ego = EgoState.at(10.0, -5.0, yaw, speed=5.0)
    forward, left = ego.pose[:2, 0], ego.pose[:2, 1]
    for distance, direction in ((FRONT + 2.0, forward), (0.5 * SHAPE.width + 1.0, left)):
        apart, touching = (ego.xy + direction * (distance + gap) for gap in (EPSILON, -EPSILON))
        assert not hits(ego, track(*apart, yaw=yaw, speed=5.0))
        assert len(hits(ego, track(*touching, yaw=yaw, speed=5.0))) == 1


def test_ego_footprint_is_the_body() -> None:
    corners = ego_footprint(EgoState.at(1.0, 2.0, np.pi / 2), SHAPE)
    np.testing.assert_allclose(corners[0], (1.0 - 0.5 * SHAPE.width, 2.0 + FRONT), atol=1e-12)
    np.testing.assert_allclose(corners[2], (1.0 + 0.5 * SHAPE.width, 2.0 - SHAPE.rear_overhang), atol=1e-12)
    assert rectangles_overlap(corners, corners)


@pytest.mark.parametrize(
    ("ego_speed", "place", "yaw", "speed", "straddles", "kind", "at_fault"),
    [
        (0.05, (FRONT + 1.9, 0.0), 0.0, 0.0, False, "stopped_ego", False),
        (0.06, (FRONT + 1.9, 0.0), 0.0, 0.05, False, "stopped_track", True),
        (5.0, (FRONT + 1.9, 0.0), 0.0, 0.06, False, "front", True),
        (5.0, (-SHAPE.rear_overhang - 1.9, 0.0), 0.0, 9.0, False, "rear", False),
        (5.0, (0.5, 0.5 * SHAPE.width + 0.9), 0.0, 5.0, False, "side", False),
        (5.0, (0.5, 0.5 * SHAPE.width + 0.9), 0.0, 5.0, True, "side", True),
    ],
)
def test_fault_as_in_nuplan(
    ego_speed: float, place: tuple[float, float], yaw: float, speed: float, straddles: bool, kind: str, at_fault: bool
) -> None:
    (hit,) = hits(EgoState.at(0.0, 0.0, 0.0, ego_speed), track(*place, yaw=yaw, speed=speed), straddles)
    assert (hit.kind, hit.at_fault, hit.track_id, hit.class_name) == (kind, at_fault, 7, "car")


def test_no_tracks_no_collision() -> None:
    assert hits(EgoState.at(0.0, 0.0, 0.0), Tracks.empty()) == ()
