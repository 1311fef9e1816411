"""Windows of the town: deterministic, consistent with each other, free of overlaps, and endless."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import shapely

from drivesim.geometry import box_footprints, wrap_angle
from drivesim.map_raster import RESOLUTION, map_raster
from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES, HdMap, LaneGraph, Statics
from drivesim.town.blocks import block_edges
from drivesim.town.curves import direction, sharpest_curvatures
from drivesim.town.elements import LaterStatics
from drivesim.town.layers import LaterLayers, area
from drivesim.town.network import SPACING
from drivesim.town.town import Town, TownWindow

SEEDS = (0, 1, 2, 7)
HERE, NEXT = np.array([20.0, 30.0]), np.array([130.0, 30.0])
TOUCH = 1e-4  # [m^2] overlap that rounding of coordinates may cause


@cache
def window(seed: int) -> TownWindow:
    """Window at the origin of a town."""
    return Town(seed).window(HERE)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Largest area [m^2] that a shape of the first set shares with one of the second."""
    tree = shapely.STRtree(second)
    rows, others = tree.query(first, predicate="intersects")
    shared = shapely.area(shapely.intersection(np.asarray(first)[rows], np.asarray(second)[others]))
    return float(shared.max(initial=0.0))


def overlap_within(shapes: np.ndarray) -> float:
    """Largest area [m^2] that two shapes of a set share."""
    rows, others = shapely.STRtree(shapes).query(shapes)
    pairs = rows < others
    shared = shapely.area(shapely.intersection(np.asarray(shapes)[rows[pairs]], np.asarray(shapes)[others[pairs]]))
    return float(shared.max(initial=0.0))


def layer(hd_map: HdMap, name: str) -> np.ndarray:
    """Shapes of a map class as an array."""
    return np.array(hd_map.layers[name], object)


def buildings(seed: int) -> np.ndarray:
    """Footprints of a window's buildings."""
    return shapely.polygons(window(seed).statics.building_footprint)


def boxes(seed: int) -> np.ndarray:
    """Footprints of a window's standing objects."""
    parked = window(seed).parked
    return shapely.polygons(box_footprints(parked.position, parked.size, parked.yaw))


def same_map(first: HdMap, second: HdMap) -> bool:
    """Whether two maps are equal to the bit."""
    shapes = all(
        len(first.layers[name]) == len(second.layers[name])
        and all(a.equals_exact(b, 0.0) for a, b in zip(first.layers[name], second.layers[name], strict=True))
        for name in MAP_CLASSES
    )
    return shapes and same_arrays(first.lane_graph, second.lane_graph)


def same_arrays(first: object, second: object) -> bool:
    """Whether two dataclasses of arrays are equal to the bit."""
    names = first.__dataclass_fields__
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def test_windows_do_not_depend_on_the_order_of_questions() -> None:
    first, second = Town(5), Town(5)
    ahead = [first.window(HERE), first.window(NEXT)]
    back = [second.window(NEXT), second.window(HERE)][::-1]
    for one, other in zip(ahead, back, strict=True):
        assert same_map(one.map, other.map)
        assert same_arrays(one.parked, other.parked) and same_arrays(one.statics, other.statics)


def test_towns_differ_by_seed() -> None:
    assert not same_arrays(window(0).map.lane_graph, window(1).map.lane_graph)


def test_the_same_window_is_the_same_object() -> None:
    town = Town(3)
    assert town.window(HERE) is town.window(HERE + 1.0)
    assert town.window(HERE).cell == town.cell(HERE) == (0, 0) and town.cell(np.array([-1.0, 111.0])) == (-1, 1)


def test_forgotten_elements_come_back_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivesim.town.town._ELEMENT_CACHE", 20)
    town = Town(5)
    assert len(town.window(HERE).map.lane_graph) and set(town._elements) >= {("node", (0, 0))}
    town.window(HERE + 900.0)
    assert ("node", (0, 0)) not in town._elements  # it went with the window
    assert same_map(town.window(HERE).map, window(5).map)


def test_worlds_that_wait_for_different_windows_do_not_undo_each_others_work() -> None:
    town, places = Town(5), [HERE, NEXT, HERE + 900.0]
    waiting = [town.prepare(place, lambda window: iter(())) for place in places]
    elements, pieces = len(town._elements), 3
    while not all(one.window for one in waiting):
        assert [town.prepare(place, lambda window: iter(())) for place in places] == waiting
        pieces += 3
        assert elements <= len(town._elements)
        elements = len(town._elements)
    assert pieces < 3 * 140
    assert [one.window for one in waiting] == [town.window(place) for place in places]


def test_a_window_in_the_making_is_no_part_of_a_pickle() -> None:
    assert pickle.loads(pickle.dumps(Town(5).prepare(HERE, lambda window: iter(())))) is None


def test_a_window_made_piece_by_piece_is_the_same() -> None:
    town, made = Town(5), []

    def derive(window: TownWindow) -> Iterator[None]:
        made.append(window)
        yield
        made.append(window)

    pieces = 0
    while len(made) < 2 and pieces < 400:
        preparation = town.prepare(HERE, derive)
        pieces += 1
    assert pieces > 100  # 36 nodes, 25 blocks and the roads between, one at a time
    assert made[0] is made[1] is preparation.window is town.window(HERE)
    direct = Town(5).window(HERE)
    assert same_map(made[0].map, direct.map)
    assert same_arrays(made[0].parked, direct.parked) and same_arrays(made[0].statics, direct.statics)
    town.prepare(HERE, derive)
    assert len(made) == 2  # nothing is left to do


def test_another_window_may_be_prepared_before_the_first_is_complete() -> None:
    town, made = Town(5), []

    def derive(window: TownWindow) -> Iterator[None]:
        made.append(window.cell)
        yield

    first = town.prepare(HERE, derive)
    for _ in range(400):
        second = town.prepare(NEXT, derive)
    assert first.window is None and second.window is town.window(NEXT)
    assert made == [town.cell(NEXT)]
    assert same_map(town.window(HERE).map, window(5).map)


def test_raster_of_a_window_is_that_of_its_map() -> None:
    hd_map = window(7).map
    drawn_at_once = map_raster(replace(hd_map))  # another map object, drawn from its layers as any other
    assert hd_map.bounds == replace(hd_map).bounds
    rim = int(45.0 / RESOLUTION)  # shapes that are cut off at the edge may differ there by a cell
    inner = (slice(rim, -rim), slice(rim, -rim))
    np.testing.assert_array_equal(map_raster(hd_map).bits[inner], drawn_at_once.bits[inner])
    differ = map_raster(hd_map).bits != drawn_at_once.bits
    assert differ.mean() < 1e-3


def test_layers_are_made_of_coordinates_when_they_are_read() -> None:
    ring, hole = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 3.0)]), np.array([(2.0, 0.5), (3.0, 0.5), (3.0, 1.0)])
    outlines = {"walkway": [area(ring, hole), area(ring + 5.0)], "lane_divider": [(ring,)], "road_block": []}
    layers = LaterLayers(outlines)
    walkways = [shapely.Polygon(ring, [hole]), shapely.Polygon(ring + 5.0)]
    assert all(found.equals_exact(wanted, 0.0) for found, wanted in zip(layers["walkway"], walkways, strict=True))
    assert layers["lane_divider"][0].equals_exact(shapely.LineString(ring), 0.0) and layers["road_block"] == ()
    assert dict(pickle.loads(pickle.dumps(layers))) == dict(layers) and list(layers) == list(outlines)


def test_statics_are_made_when_they_are_read() -> None:
    calls = []

    def make() -> Statics:
        calls.append(None)
        return window(0).statics

    later = LaterStatics(make)
    assert isinstance(later, Statics) and not calls
    with pytest.raises(AttributeError, match="'colour'"):
        later.colour  # type: ignore[attr-defined]  # noqa: B018
    assert not calls
    assert same_arrays(later, window(0).statics) and later.seed == window(0).statics.seed and len(calls) == 1
    copied = pickle.loads(pickle.dumps(LaterStatics(make)))
    assert type(copied) is Statics and same_arrays(copied, later)


def test_neighbouring_windows_agree_on_what_they_share() -> None:
    town = Town(4)
    one, other = town.window(HERE), town.window(NEXT)
    graphs = one.map.lane_graph, other.map.lane_graph
    shared = np.intersect1d(graphs[0].ids, graphs[1].ids)
    assert len(shared) > 0.5 * len(graphs[0])
    for identity in shared[::7]:
        rows = [int(np.searchsorted(graph.ids, identity)) for graph in graphs]
        assert np.array_equal(*(graph.centre_line(row) for graph, row in zip(graphs, rows, strict=True)))
    parked = [dict(zip(w.parked.ids.tolist(), w.parked.position.tolist(), strict=True)) for w in (one, other)]
    common = set(parked[0]) & set(parked[1])
    assert common and all(parked[0][identity] == parked[1][identity] for identity in common)


def test_window_reaches_150_m_around_its_cell() -> None:
    for xy in (HERE, np.array([-300.0, 77.0]), np.array([109.9, 0.1])):
        found = Town(2).window(xy)
        assert found.map.contains(xy, 150.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_shapes_are_valid_and_ids_unique(seed: int) -> None:
    found = window(seed)
    for name in MAP_CLASSES:
        assert shapely.is_valid(layer(found.map, name)).all(), name
    assert (np.diff(found.map.lane_graph.ids) > 0).all()
    ids = np.concatenate([found.map.lane_graph.ids, found.parked.ids])
    assert len(np.unique(ids)) == len(ids)


@pytest.mark.parametrize("seed", SEEDS)
def test_lanes_continue_without_a_step(seed: int) -> None:
    found = window(seed).map
    graph = found.lane_graph
    for lane in range(len(graph)):
        end, links = graph.centre_line(lane)[-1], graph.successors_of(lane)
        assert len(links) > 0 or not found.contains(end[:2]), f"lane {graph.ids[lane]} ends at {end}"
        for link in links:
            start = graph.centre_line(link)[0]
            assert np.hypot(*(start - end)[:2]) < 0.01 and abs(wrap_angle(start[2] - end[2])) < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_lanes_can_be_driven(seed: int) -> None:
    graph = window(seed).map.lane_graph
    curvature = sharpest_curvatures([graph.centre_line(lane) for lane in range(len(graph))])
    assert 1.0 / max(curvature) > 6.0
    step = np.diff(graph.arc_length)
    assert 0.1 < step[step > 0].min() and step.max() < 3.0
    assert (graph.speed_limit > 3.9).all() and (graph.speed_limit < 14.0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_neighbours_know_each_other(seed: int) -> None:
    graph = window(seed).map.lane_graph
    with_left = np.flatnonzero(graph.left >= 0)
    assert len(with_left) and np.array_equal(graph.right[graph.left[with_left]], with_left)
    for lane in with_left[:20]:
        here, there = graph.centre_line(lane), graph.centre_line(graph.left[lane])
        side = there[0, :2] - here[0, :2]
        assert side @ direction(here[0, 2] + 0.5 * np.pi) == pytest.approx(graph.width[lane], rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_lanes_lie_on_the_roadway(seed: int) -> None:
    found = window(seed).map
    road = shapely.buffer(shapely.union_all(layer(found, "drivable_area")), 0.01)
    graph = found.lane_graph
    lines = [shapely.LineString(graph.centre_line(lane)[:, :2]) for lane in range(len(graph))]
    outside = shapely.area(shapely.difference(shapely.buffer(lines, 0.9, cap_style="flat"), road))
    assert outside.max() < 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_surfaces_do_not_overlap(seed: int) -> None:
    found = window(seed).map
    road, walkway, carpark = (layer(found, name) for name in ("drivable_area", "walkway", "carpark_area"))
    assert overlap_within(road) < TOUCH
    assert overlap(walkway, road) < TOUCH and overlap(carpark, road) < TOUCH and overlap(carpark, walkway) < TOUCH


@pytest.mark.parametrize("seed", SEEDS)
def test_crossings_stop_lines_and_road_works_lie_on_the_roadway(seed: int) -> None:
    found = window(seed).map
    road = shapely.buffer(shapely.union_all(layer(found, "drivable_area")), 0.01)
    for name in ("ped_crossing", "stop_line", "road_block"):
        outside = shapely.area(shapely.difference(layer(found, name), road))
        assert outside.max(initial=0.0) < 0.05, name


@pytest.mark.parametrize("seed", SEEDS)
def test_lines_lie_on_the_roadway_or_along_the_median(seed: int) -> None:
    found = window(seed).map
    road = shapely.buffer(shapely.union_all(layer(found, "drivable_area")), 0.02)
    assert shapely.covers(road, layer(found, "lane_divider")).all()
    medians = shapely.buffer(road, 1.6)
    assert shapely.covers(medians, layer(found, "road_divider")).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_buildings_stand_clear(seed: int) -> None:
    houses = buildings(seed)
    for name in ("drivable_area", "walkway", "carpark_area"):
        assert shapely.STRtree(layer(window(seed).map, name)).query(houses, predicate="intersects").size == 0, name
    assert overlap_within(houses) < 1e-6
    assert shapely.is_ccw(shapely.get_exterior_ring(houses)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_trees_and_poles_keep_off_roads_and_houses(seed: int) -> None:
    statics = window(seed).statics
    trunks = shapely.buffer(shapely.points(np.concatenate([statics.tree_position, statics.pole_position])), 0.15)
    for name in ("drivable_area", "carpark_area"):
        assert shapely.STRtree(layer(window(seed).map, name)).query(trunks, predicate="intersects").size == 0, name
    assert shapely.STRtree(buildings(seed)).query(trunks, predicate="intersects").size == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_lamps_reach_over_the_road(seed: int) -> None:
    found = window(seed)
    lamps = found.statics.pole_kind == 0
    yaw = found.statics.pole_yaw[lamps]
    tips = found.statics.pole_position[lamps] + 3.4 * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    road = shapely.union_all(layer(found.map, "drivable_area"))
    assert shapely.contains(road, shapely.points(tips)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_stand_where_they_may(seed: int) -> None:
    found, footprints = window(seed), boxes(seed)
    works = shapely.buffer(shapely.union_all(layer(found.map, "road_block")), 0.8)
    elsewhere = footprints[~shapely.intersects(footprints, works)]
    assert overlap(elsewhere, layer(found.map, "drivable_area")) == 0.0
    assert overlap(elsewhere, layer(found.map, "walkway")) == 0.0
    assert overlap(footprints, buildings(seed)) == 0.0 and overlap_within(footprints) == 0.0
    assert np.allclose(found.parked.position[:, 2], 0.5 * found.parked.size[:, 2])
    assert (found.parked.velocity == 0.0).all() and np.isfinite(found.parked.color).all()


def test_all_features_and_standing_classes_occur() -> None:
    shapes, classes = Counter(), Counter()
    for seed in SEEDS:
        shapes.update({name: len(window(seed).map.layers[name]) for name in MAP_CLASSES})
        classes.update(OBJECT_CLASSES[index] for index in window(seed).parked.class_ids)
    assert all(shapes[name] > 0 for name in MAP_CLASSES), shapes
    assert set(classes) == set(OBJECT_CLASSES) - {"pedestrian"}, classes
    assert set(np.concatenate([window(seed).statics.building_style for seed in SEEDS])) == set(range(6))


def test_right_of_way_separates_crossing_roads() -> None:
    graph = window(0).map.lane_graph
    assert len(np.unique(graph.priority[graph.in_junction])) > 6


@pytest.mark.parametrize("seed", SEEDS)
def test_start_is_on_a_road_of_the_origin(seed: int) -> None:
    town = Town(seed)
    graph = town.window(HERE).map.lane_graph
    for draw in range(10):
        identity, s = town.start(np.random.default_rng(draw))
        lane = int(np.searchsorted(graph.ids, identity))
        assert graph.ids[lane] == identity and not graph.in_junction[lane]
        assert 0.0 < s < graph.length[lane] - 5.0
        assert np.abs(graph.centre_line(lane)[:, :2] - 55.0).max() < 165.0
    assert town.start(np.random.default_rng(3)) == Town(seed).start(np.random.default_rng(3))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drive_never_ends(seed: int) -> None:
    town, rng = Town(seed), np.random.default_rng(seed)
    identity, _ = town.start(rng)
    graph: LaneGraph = town.window(HERE).map.lane_graph
    driven, places = 0.0, set()
    while driven < 2000.0:
        lane = int(np.searchsorted(graph.ids, identity))
        assert graph.ids[lane] == identity
        driven += graph.length[lane]
        end = graph.centre_line(lane)[-1, :2]
        identity = int(graph.ids[rng.choice(graph.successors_of(lane))])
        places.add(town.cell(end))
        graph = town.window(end).map.lane_graph
    assert len(places) > 5


def test_looks_follow_their_shares() -> None:
    looks = Counter((tags.weather, tags.time_of_day) for tags in (Town(seed).tags for seed in range(2000)))
    shares = {("sunny", "day"): 0.35, ("overcast", "day"): 0.2, ("sunny", "dusk"): 0.17, ("sunny", "night"): 0.13,
              ("rain", "day"): 0.15}  # fmt: skip
    assert set(looks) == set(shares)
    assert all(abs(looks[look] / 2000 - share) < 0.04 for look, share in shares.items())


def test_a_town_can_be_pickled_and_copied() -> None:
    town = Town(9)
    town.window(HERE)
    assert copy.deepcopy(town) is town
    assert same_map(pickle.loads(pickle.dumps(town)).window(HERE).map, town.window(HERE).map)


def test_seed_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="Town: found seed -1"):
        Town(-1)


def test_a_neighbouring_window_costs_only_its_rim() -> None:
    town, kept, pieces = Town(6), [], []
    for xy in (HERE, NEXT):
        made, preparation = 1, town.prepare(xy, lambda window: iter(()))
        while preparation.window is None:
            preparation = town.prepare(xy, lambda window: iter(()))
            made += 1
        kept.append(preparation.window)
        pieces.append(made)
    assert kept[0] is not kept[1]
    assert pieces[1] < 0.5 * pieces[0]


def test_a_block_that_no_road_leads_to_has_trees_and_no_houses() -> None:
    town, cell = Town(288), (-3, 1)
    assert not any(town.network.exists(edge) for edge, _ in block_edges(cell))
    window = town.window((np.array(cell) + 0.5) * SPACING)
    x0, y0 = np.array(cell) * SPACING
    houses = window.statics.building_footprint.mean(axis=1)
    inside = ((houses > (x0, y0)) & (houses < (x0 + SPACING, y0 + SPACING))).all(axis=1)
    assert len(houses) > 20 and not inside.any()
    trees = window.statics.tree_position
    assert ((trees > (x0, y0)) & (trees < (x0 + SPACING, y0 + SPACING))).all(axis=1).any()
