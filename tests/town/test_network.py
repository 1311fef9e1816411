"""Topology of the town: a pure function of the seed, without dead ends and with roads a car can drive."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from drivesim.geometry import wrap_angle
from drivesim.town.curves import Path, offset, reverse, sharpest_curvatures
from drivesim.town.hashing import between, mix, pack_id, unit
from drivesim.town.network import SPACING, Network, end_node, incident_edges
from drivesim.town.turns import bezier, drawn, turn

SEEDS = range(6)
NODES = list(itertools.product(range(-4, 5), range(-4, 5)))


def edges_of(network: Network) -> list[tuple[int, int, int]]:
    """Existing edges around the origin."""
    edges = dict.fromkeys(edge for node in NODES for edge in incident_edges(node))
    return [edge for edge in edges if network.exists(edge)]


def test_hash_is_uniform_and_sensitive_to_every_part_of_the_key() -> None:
    values = np.array([unit(7, i, j) for i in range(-30, 30) for j in range(-30, 30)])
    assert abs(values.mean() - 0.5) < 0.02 and abs(values.std() - math.sqrt(1 / 12)) < 0.01
    assert len({mix(1, 2), mix(2, 1), mix(1, -2), mix(1), mix(1, 2, 0)}) == 5
    assert 3.0 <= between(3.0, 4.0, 1, 2) < 4.0


def test_ids_are_unique_positive_and_checked() -> None:
    cells = itertools.product((-(2**23) + 1, -1, 0, 1, 2**23 - 1), (-1, 0, 5), (0, 1, 2**14 - 1))
    ids = [pack_id(*cell) for cell in cells]
    assert len(set(ids)) == len(ids) and min(ids) >= 0 and max(ids) < 2**63
    with pytest.raises(ValueError, match="pack_id: found"):
        pack_id(0, 0, 2**14)


def test_turn_is_a_circle_where_both_sides_are_equal() -> None:
    (curve,) = drawn([turn(np.array([0.0, 0.0, 0.0]), np.array([10.0, 10.0, 0.5 * math.pi]))])
    assert np.allclose(np.hypot(curve[:, 0], curve[:, 1] - 10.0), 10.0)
    assert sharpest_curvatures([curve])[0] == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("leads", [(0.0, 0.0), (3.0, 1.0)])
@pytest.mark.parametrize("end", [(12.0, 8.0, 1.2), (12.0, -8.0, -1.2), (20.0, 2.0, 0.1), (5.0, 9.0, 2.0)])
def test_turn_joins_its_poses_smoothly(end: tuple[float, float, float], leads: tuple[float, float]) -> None:
    (curve,) = drawn([turn(np.zeros(3), np.array(end), leads=leads)])
    assert np.allclose(curve[0], 0.0) and np.allclose(curve[-1], end)
    step = np.diff(curve[:, :2], axis=0)
    along = wrap_angle(np.arctan2(step[:, 1], step[:, 0]) - 0.5 * (curve[1:, 2] + curve[:-1, 2]))
    assert np.abs(along).max() < 0.06


def test_offset_is_to_the_left_and_reverse_turns_around() -> None:
    line = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    assert np.allclose(offset(line, 2.0), [[0.0, 2.0], [10.0, 2.0]])
    assert np.allclose(offset(reverse(line), 2.0), [[10.0, -2.0], [0.0, -2.0]])


def test_path_is_measured_by_distance() -> None:
    path = Path(*drawn([bezier(np.zeros(3), np.array([30.0, 10.0, 0.5]), 1 / 3, 60)]))
    points = path.between(0.0, path.length, 1.0)
    steps = np.hypot(*np.diff(points[:, :2], axis=0).T)
    assert np.allclose(steps, steps.mean(), rtol=1e-2) and steps.sum() == pytest.approx(path.length, rel=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_dead_ends(seed: int) -> None:
    network = Network(seed)
    assert all(2 <= len(network.junction(node).arms) <= 4 for node in NODES)


@pytest.mark.parametrize("seed", SEEDS)
def test_arms_keep_apart(seed: int) -> None:
    network = Network(seed)
    gaps = [network.junction(node).gap(index) for node in NODES for index in range(len(network.junction(node).arms))]
    assert math.radians(65.0) < min(gaps) and max(gaps) < math.radians(300.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_roads_leave_junctions_along_their_arms_and_bend_gently(seed: int) -> None:
    network = Network(seed)
    for edge in edges_of(network):
        path, profile = network.path(edge), network.profile(edge)
        curve = path.between(0.0, path.length, 1.0)
        first, second = network.junction(edge[:2]), network.junction(end_node(edge))
        assert np.allclose(curve[0, :2], first.mouth_pose(first.index_of(edge))[:2])
        assert np.allclose(curve[-1, :2], second.mouth_pose(second.index_of(edge))[:2])
        assert abs(wrap_angle(curve[0, 2] - first.arms[first.index_of(edge)].angle)) < 1e-9
        assert abs(wrap_angle(curve[-1, 2] - second.arms[second.index_of(edge)].angle - math.pi)) < 1e-9
        assert 1.0 / sharpest_curvatures([curve])[0] > max(profile.outer(0), profile.outer(1)) + 5.0
        assert 25.0 < path.length < SPACING


def test_every_kind_of_road_occurs() -> None:
    networks = [Network(seed) for seed in SEEDS]
    kinds = {network.junction(node).kind for network in networks for node in NODES}
    arms = {len(network.junction(node).arms) for network in networks for node in NODES}
    profiles = [network.profile(edge) for network in networks for edge in edges_of(network)]
    assert kinds == {"junction", "bend", "roundabout"} and arms == {2, 3, 4}
    assert {lanes for profile in profiles for lanes in profile.lanes} == {1, 2, 3}
    assert any(profile.median > 0 for profile in profiles) and any(profile.median == 0 for profile in profiles)
    assert any(any(profile.bays) for profile in profiles) and any(not any(profile.bays) for profile in profiles)
    assert any(profile.lanes[0] != profile.lanes[1] for profile in profiles)
    assert all(8.0 < profile.speed_limit < 14.0 and 3.2 <= profile.lane_width <= 3.6 for profile in profiles)


def test_network_does_not_depend_on_the_order_of_questions() -> None:
    first, second = Network(11), Network(11)
    ahead = [first.junction(node) for node in NODES]
    back = [second.junction(node) for node in reversed(NODES)][::-1]
    for one, other in zip(ahead, back, strict=True):
        assert one.mouths == other.mouths and one.kind == other.kind and one.arms == other.arms
        assert np.array_equal(one.position, other.position)
