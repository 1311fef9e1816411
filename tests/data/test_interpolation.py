"""Interpolation in time against closed forms."""

import numpy as np
import pytest

from drivesim.data.interpolation import BoxLog, PoseLog, annotation_velocity, ego_at, tracks_at
from drivesim.geometry import wrap_angle
from drivesim.scene import VehicleShape
from tests.data.toy import TOY, toy_tracks

KEYS = np.array([0.0, 0.5, 1.1, 1.5, 2.0])  # uneven on purpose


@pytest.fixture
def log() -> BoxLog:
    parts = [toy_tracks(time, [number for number in TOY if key in TOY[number][2]]) for key, time in enumerate(KEYS)]
    joined = {name: np.concatenate([getattr(part, name) for part in parts])
              for name in ("ids", "class_ids", "position", "size", "yaw", "color")}  # fmt: skip
    return BoxLog(times=KEYS, key=np.repeat(np.arange(len(KEYS)), [len(part) for part in parts]), **joined)


@pytest.mark.parametrize("time", [0.0, 0.013, 0.25, 0.5, 0.77, 1.1, 1.33, 1.999, 2.0])
def test_constant_motion_is_exact(log: BoxLog, time: float) -> None:
    found = tracks_at(log, time)
    truth = toy_tracks(time, found.ids.tolist())
    np.testing.assert_allclose(found.position, truth.position, atol=1e-9)
    np.testing.assert_allclose(found.velocity, truth.velocity, atol=1e-9)
    np.testing.assert_allclose(found.size, truth.size, atol=1e-12)
    turning = wrap_angle(found.yaw - truth.yaw)
    touched = ~np.isin(found.ids, [4, 5]) | np.isin(time, KEYS)  # the others carry their heading on unturned
    np.testing.assert_allclose(turning[touched], 0.0, atol=1e-9)
    assert found.interpolated.all() != np.isin(time, KEYS)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (1.0, [1, 2, 3, 5]),  # key 2 at 1.1 is the first of 4 and the last of 5
        (0.79, [1, 2, 3, 5]),
        (0.81, [1, 2, 3, 4, 5]),
        (1.1, [1, 2, 3, 4, 5]),
        (1.29, [1, 2, 3, 4, 5]),
        (1.31, [1, 2, 3, 4]),
        (1.5, [1, 2, 3, 4]),
    ],
)
def test_objects_live_half_an_interval_beyond_their_annotations(log: BoxLog, time: float, expected: list[int]) -> None:
    expected = sorted({*expected} | ({4} if 0.8 <= time else set()))
    assert tracks_at(log, time).ids.tolist() == expected


def test_rows_ascend_and_outside_all_move_on(log: BoxLog) -> None:
    late = tracks_at(log, 2.2)
    assert late.interpolated.all() and late.ids.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(late.position, toy_tracks(2.2, [1, 2, 3, 4]).position, atol=1e-9)
    early = tracks_at(log, -0.1)
    np.testing.assert_allclose(early.position, toy_tracks(-0.1, [1, 2, 3, 5]).position, atol=1e-9)


def test_velocity_needs_a_second_annotation_within_reach() -> None:
    ids, times = np.array([1, 2, 2, 3, 3, 3]), np.array([0.0, 0.0, 1.6, 0.0, 1.4, 2.8])
    position = np.arange(18.0).reshape(6, 3)
    found = annotation_velocity(ids, times, position)
    np.testing.assert_allclose(found[:3], 0.0)  # one annotation; two that lie too far apart
    np.testing.assert_allclose(found[3:, 0], [3 / 1.4, 6 / 2.8, 3 / 1.4])


def test_no_boxes_at_all() -> None:
    nothing = np.zeros((0, 3))
    none = np.zeros(0, np.int64)
    log = BoxLog(KEYS, none, none, none, nothing, nothing, np.zeros(0), nothing.astype(np.float32))
    assert len(tracks_at(log, 0.3)) == 0


def _pose_log(times: np.ndarray, speed: float, yaw_rate: float) -> PoseLog:
    """Constant speed along the y axis while the body turns, as interpolation reproduces exactly."""
    half = 0.5 * (0.5 * np.pi + yaw_rate * times)
    nothing = np.zeros_like(times)
    rotation = np.stack([np.cos(half), nothing, nothing, np.sin(half)], axis=-1)
    rotation[1::2] *= -1.0  # the same rotations: slerp must take the short way
    return PoseLog(times, np.stack([nothing, speed * times, nothing], axis=-1), rotation)


def test_poses_are_exact_and_held_outside() -> None:
    log = _pose_log(np.linspace(0.0, 2.0, 9), 6.0, 1.0)
    poses = log.at(np.array([-1.0, 0.1, 1.37, 5.0]))
    np.testing.assert_allclose(poses[:, 1, 3], [0.0, 0.6, 8.22, 12.0], atol=1e-9)
    yaw = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
    np.testing.assert_allclose(wrap_angle(yaw - 0.5 * np.pi), [0.0, 0.1, 1.37, 2.0], atol=1e-9)


def test_ego_motion() -> None:
    log = _pose_log(np.linspace(0.0, 2.0, 25), 6.0, 0.0)
    for time in (0.0, 0.1, 1.0, 2.0):
        ego = ego_at(log, time, VehicleShape())
        assert ego.speed == pytest.approx(6.0) and ego.acceleration == pytest.approx(0.0, abs=1e-9)
        assert ego.steering == pytest.approx(0.0, abs=1e-9)
    turning = ego_at(_pose_log(np.linspace(0.0, 2.0, 25), 6.0, 0.4), 0.0, VehicleShape())
    assert turning.yaw_rate == pytest.approx(0.4)
    alone = PoseLog(np.zeros(1), np.ones((1, 3)), np.array([[1.0, 0.0, 0.0, 0.0]]))
    assert ego_at(alone, 0.7, VehicleShape()).speed == 0.0
