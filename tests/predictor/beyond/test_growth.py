"""Roads that go on where the map ends."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from drivesim.map_raster import map_raster
from drivesim.predictor.beyond.course import likeliest_course
from drivesim.predictor.beyond.ends import loose_tips, mapped_area, road_ends
from drivesim.predictor.beyond.grid import CLASSES, ROAD, SIDE, cell_centres
from drivesim.predictor.beyond.growth import Beyond, MapGrower, blind_lanes
from drivesim.predictor.beyond.piece import LENGTH, make_piece
from drivesim.traffic.paths import follow_lanes
from drivesim.traffic.tables import lane_tables
from tests.predictor.beyond.roads import tiny_network, two_way

GROWER = MapGrower(tiny_network())


def end_in_the_east(blind: bool = False):
    sheet = two_way(blind=blind)
    area = mapped_area(sheet.graph, sheet.layer("drivable_area"))
    return next(end for end in road_ends(loose_tips(sheet.graph), area) if 1 in end.key and end.pose[0] > 60.0)


def probability_along(places: np.ndarray, half_width: float) -> np.ndarray:
    """Certain drivable area around a line of places, unlikely everything else."""
    near = shapely.LineString(places).buffer(half_width, cap_style="flat")
    inside = shapely.contains_xy(near, *np.moveaxis(cell_centres(), -1, 0))
    field = np.full((len(CLASSES), SIDE, SIDE), 0.01, np.float32)
    field[ROAD][inside] = 1.0
    return field


def test_lanes_of_one_road_end_together_and_drives_to_buildings_do_not_count() -> None:
    end = end_in_the_east(blind=True)
    assert end.key == (1, 3, 5)
    assert [tip.lane for tip in end.tips] == [3, 1, 5]  # from left to right
    assert [tip.leads_out for tip in end.tips] == [False, True, True]
    assert np.allclose(end.pose, (120.0, -1.75, 0.0))
    sheet = two_way(blind=True)
    area = mapped_area(sheet.graph, sheet.layer("drivable_area"))
    ends = road_ends(loose_tips(sheet.graph), area)
    assert blind_lanes(sheet.graph, [end for end in ends if 4 not in end.key]) == {4}


def test_no_road_goes_on_where_it_is_known_that_there_is_none() -> None:
    sheet = two_way()
    far = shapely.box(-400.0, -400.0, -390.0, 400.0)  # the drivable area is known far around
    road = [*sheet.layer("drivable_area"), far, shapely.box(380.0, -400.0, 390.0, 400.0)]
    area = mapped_area(sheet.graph, road)
    assert area.drivable is not None
    assert all(end.pose[0] < 130.0 for end in road_ends(loose_tips(sheet.graph), None))
    assert road_ends(loose_tips(sheet.graph), area) == []


@pytest.mark.parametrize("bend", [-1.0, 0.0, 1.0])
def test_the_course_follows_the_predicted_road(bend: float) -> None:
    end, s = end_in_the_east(), np.linspace(0.0, 60.0, 61)
    turned = bend / 40.0 * np.maximum(s - 12.0, 0.0)
    places = np.cumsum(np.column_stack([np.cos(turned), np.sin(turned)]), axis=0)
    course = likeliest_course(probability_along(places, 6.0), end)
    at = int(LENGTH / 2.0)
    assert np.hypot(*(course[at, :2] - places[int(LENGTH)])) < 3.0
    assert np.sign(np.round(course[at, 2], 2)) == bend


def test_a_piece_continues_every_lane_at_its_offset_and_keeps_what_was_predicted() -> None:
    end = end_in_the_east()
    field = probability_along(np.array([[-30.0, 0.0], [60.0, 0.0]]), 6.0)
    walkway = CLASSES.index("walkway")
    field[walkway, :, 56:59] = 1.0  # 8 to 11 m to the right
    piece = make_piece(field, end)
    for tip, lane in zip(end.tips, piece.lanes):
        start, last = lane.points[[0, -1], :2] if tip.leads_out else lane.points[[-1, 0], :2]
        assert np.allclose(start, tip.xy, atol=1e-6)
        assert np.allclose(last, np.add(tip.xy, (LENGTH, 0.0)), atol=0.05)
        assert np.allclose(np.cos(lane.points[:, 2]), 1.0 if tip.leads_out else -1.0)
        assert (lane.after, lane.before) == ((tip.lane, None) if tip.leads_out else (None, tip.lane))
    left, middle, right = piece.lanes
    assert (left.left, left.right, middle.left, middle.right) == (-1, -1, -1, right.tip.lane)
    assert right.left == middle.tip.lane
    assert [len(piece.layers[name]) for name in ("road_divider", "lane_divider")] == [1, 1]
    road = shapely.union_all(list(piece.layers["drivable_area"])).bounds
    assert road[1] == pytest.approx(-7.75, abs=0.3) and road[3] == pytest.approx(4.25, abs=0.3)
    pavement = shapely.union_all(list(piece.layers["walkway"]))
    assert pavement.area == pytest.approx(3.0 * (LENGTH + 2.0), rel=0.05)
    assert pavement.bounds[1] == pytest.approx(-12.75, abs=0.1)
    assert np.allclose(piece.end.pose, end.pose + (LENGTH, 0.0, 0.0), atol=0.05)


def drive(network_seed: int = 0, until: float = 900.0) -> list[Beyond]:
    sheet, grower = two_way(), MapGrower(tiny_network(network_seed))
    beyond = grower.begin(sheet, sheet.window(np.zeros(2), 100.0), np.zeros(2))
    states = [beyond]
    for x in np.arange(0.0, until, 10.0):
        place = np.array([x, -1.75])
        states.append(grower.step(sheet, states[-1], sheet.window(place, 100.0), place))
    return states


def test_a_map_grows_by_a_piece_at_a_time_and_forgets_what_is_far_behind() -> None:
    states = drive(until=260.0)
    for before, after in zip(states, states[1:]):
        assert len({piece.key for piece in after.pieces} - {piece.key for piece in before.pieces}) <= 1
        assert len(after.pieces) < 30
    keys = {piece.key for piece in states[0].pieces}
    assert keys and not keys & {piece.key for piece in states[-1].pieces if piece.end.pose[0] < 0.0}


def test_lanes_go_on_across_the_seam_and_are_drivable() -> None:
    sheet = two_way()
    beyond = GROWER.begin(sheet, sheet.window(np.array([100.0, 0.0]), 100.0), np.array([100.0, 0.0]))
    tables = lane_tables(beyond.map)
    lane = int(tables.index(np.array([1]))[0])
    lanes = follow_lanes(tables, lane, 240.0, (0,))
    assert sum(tables.plain_length[lane] for lane in lanes) >= 240.0
    line = np.concatenate([tables.graph.centre_line(lane) for lane in lanes])
    assert np.hypot(*np.diff(line[:, :2], axis=0).T).max() < 121.0  # no jumps but the first lane's own
    inside = line[[beyond.map.contains(point) for point in line[:, :2]], :2]
    assert map_raster(beyond.map).on_road(inside).all()
    back = int(tables.index(np.array([3]))[0])  # and somebody comes the other way
    assert any(back in tables.successors[lane] for lane in range(len(tables.graph)))


def test_what_is_predicted_depends_on_the_state_alone() -> None:
    first, second = drive(until=60.0)[-1], drive(until=60.0)[-1]
    assert first.map is not second.map
    assert np.array_equal(first.map.lane_graph.points, second.map.lane_graph.points)
    assert [piece.key for piece in first.pieces] == [piece.key for piece in second.pieces]
    for name, shapes in first.map.layers.items():
        assert shapely.equals_exact(shapely.GeometryCollection(list(shapes)),
                                    shapely.GeometryCollection(list(second.map.layers[name])), 0.0)  # fmt: skip


def test_nothing_is_done_where_no_road_ends() -> None:
    sheet = two_way(length=1200.0)
    place = np.array([600.0, 0.0])
    window = sheet.window(place, 100.0)
    beyond = GROWER.begin(sheet, window, place)
    assert beyond.map is window and not beyond.pieces
    assert GROWER.step(sheet, beyond, window, place + 1.0) is beyond
