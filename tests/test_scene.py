"""The vocabulary: what it computes and how it refuses what does not fit."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from drivesim.scene import MAP_CLASSES, CameraRig, EgoState, HdMap, LaneGraph, Tags, Tracks, VehicleShape
from drivesim.town.rig import nuscenes_rig
from tests.straight_road import straight_map, track
from tests.town.scenes import mixed_traffic, surroundings


def two_lanes() -> LaneGraph:
    """An L of 3 and 4 m with three points, then a straight lane of 5 m that follows it."""
    points = np.array([[0, 0, 0], [3, 0, 0], [3, 4, 1.57], [3, 4, 1.57], [3, 9, 1.57]], np.float64)
    none = np.array([-1, -1])
    return LaneGraph(np.array([4, 9]), points, np.array([0, 3, 5]), np.ones(2), np.ones(2), np.array([1]),
                     np.array([0, 1, 1]), none, none, np.zeros(2, bool), np.zeros(2, np.int64))  # fmt: skip


def test_lanes_know_their_points_length_and_successors() -> None:
    graph = two_lanes()
    assert len(graph) == 2
    assert np.array_equal(graph.centre_line(1), graph.points[3:])
    assert np.allclose(graph.arc_length, [0, 3, 7, 0, 5])
    assert np.allclose(graph.length, [7, 5])
    assert np.array_equal(graph.successors_of(0), [1])
    assert len(graph.successors_of(1)) == 0


@pytest.mark.parametrize("name", ["points", "offsets", "width", "left", "successor_offsets", "priority"])
def test_lane_graph_names_the_array_that_does_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match=rf"LaneGraph\.{name}: found shape .* accepted"):
        replace(two_lanes(), **{name: np.zeros((7, 7))})


def test_map_must_have_exactly_the_eight_classes() -> None:
    graph = two_lanes()
    with pytest.raises(ValueError, match=r"HdMap\.layers: found .*river.* accepted exactly .*walkway"):
        HdMap(dict.fromkeys((*MAP_CLASSES, "river"), ()), graph, (0, 0, 1, 1))


def test_bounds_of_a_map_shrink_by_the_margin() -> None:
    hd_map = straight_map()  # -50 .. 1000 by -20 .. 20
    assert hd_map.contains(np.array([-50.0, 0.0]))
    assert not hd_map.contains(np.array([-50.1, 0.0]))
    assert hd_map.contains(np.array([0.0, 10.0]), margin=10.0)
    assert not hd_map.contains(np.array([0.0, 10.1]), margin=10.0)


def test_tracks_are_taken_by_rows_or_mask() -> None:
    tracks = mixed_traffic()
    rows = np.array([3, 1])
    taken = tracks.take(rows)
    assert np.array_equal(taken.ids, tracks.ids[rows])
    assert np.array_equal(taken.position, tracks.position[rows])
    assert np.array_equal(tracks.take(tracks.ids > 103).ids, tracks.ids[4:])
    assert len(Tracks.empty()) == 0
    assert len(Tracks.empty().take(np.zeros(0, int))) == 0


def test_what_is_not_known_of_tracks_is_nan_or_false() -> None:
    single = track(1.0, 2.0)
    assert np.isnan(single.color).all()
    assert not single.interpolated.any()


@pytest.mark.parametrize("name", ["class_ids", "position", "size", "yaw", "velocity", "color", "interpolated"])
def test_tracks_name_the_array_that_does_not_fit(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Tracks\.{name}: found shape \(5, 5\), accepted"):
        replace(track(0.0, 0.0), **{name: np.zeros((5, 5))})


@pytest.mark.parametrize(("pose", "message"), [(np.eye(3), r"found shape \(3, 3\)"), (np.full((4, 4), np.nan), "NaN")])
def test_ego_refuses_poses_that_are_none(pose: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=rf"EgoState\.pose: .*{message}"):
        EgoState(pose)


def test_ego_is_where_it_was_put() -> None:
    ego = EgoState.at(3.0, 4.0, 0.5, speed=6.0)
    assert np.allclose(ego.xy, [3.0, 4.0])
    assert (ego.yaw, ego.speed) == (pytest.approx(0.5), 6.0)
    with pytest.raises(FrozenInstanceError):
        ego.speed = 1.0  # type: ignore[misc]


def test_statics_name_the_array_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"Statics\.tree_size: found shape \(1, 3\), accepted"):
        replace(surroundings(), tree_size=np.zeros((1, 3)))


def test_rig_refuses_intrinsics_of_another_number_of_cameras() -> None:
    rig = nuscenes_rig()
    with pytest.raises(ValueError, match=r"CameraRig\.intrinsics: found shape \(5, 3, 3\), accepted \(6, 3, 3\)"):
        CameraRig(rig.names, rig.intrinsics[:5], rig.extrinsics, rig.image_size)


def test_resized_rig_has_the_same_field_of_view() -> None:
    rig = nuscenes_rig((72, 128))
    small = rig.resized((36, 64))
    assert small.image_size == (36, 64)
    assert np.allclose(small.intrinsics[:, :2], 0.5 * rig.intrinsics[:, :2])
    assert np.allclose(rig.camera_from_ego @ rig.extrinsics, np.eye(4))


def test_tags_are_one_hot_and_known() -> None:
    assert np.array_equal(Tags("rain", "dusk").vector(), [0, 0, 1, 0, 1, 0])
    with pytest.raises(ValueError, match=r"Tags\.weather: found 'hail', accepted"):
        Tags("hail")
    with pytest.raises(ValueError, match=r"Tags\.time_of_day: found 'noon', accepted"):
        Tags(time_of_day="noon")


def test_centre_of_the_body_lies_ahead_of_the_rear_axle() -> None:
    shape = VehicleShape()
    assert shape.rear_overhang + shape.centre_offset == pytest.approx(shape.length / 2)
