"""The raster of map classes: bits, edges, lines and holes."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from drivesim.map_raster import class_bits, map_raster
from drivesim.scene import MAP_CLASSES, HdMap
from tests.roads import straight


def painted() -> HdMap:
    base = straight()
    ring = shapely.Polygon([(0, 0), (20, 0), (20, 20), (0, 20)], [[(5, 5), (15, 5), (15, 15), (5, 15)]])
    layers = dict.fromkeys(MAP_CLASSES, ()) | {
        "drivable_area": (ring,),
        "carpark_area": (shapely.box(30, 0, 40, 10),),
        "walkway": (shapely.box(35, 0, 45, 10),),
        "lane_divider": (shapely.LineString([(-10, -5), (-10, 5)]),),
    }
    return HdMap(layers, base.lane_graph, (-20.0, -10.0, 60.0, 30.0))


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ((2.0, 2.0), ["drivable_area"]),
        ((10.0, 10.0), []),
        ((37.0, 5.0), ["carpark_area", "walkway"]),
        ((42.0, 5.0), ["walkway"]),
        ((-10.0, 0.0), ["lane_divider"]),
        ((500.0, 0.0), []),
        ((-20.1, 0.0), []),
    ],
)
def test_bits_name_the_classes_of_a_place(place: tuple[float, float], names: list[str]) -> None:
    assert int(map_raster(painted()).bits_at(np.array(place))) == class_bits(*names)


def test_road_is_drivable_or_parking_area_to_a_cell() -> None:
    raster = map_raster(painted())
    points = np.array([[0.2, 10.0], [-0.3, 10.0], [4.7, 10.0], [5.4, 10.0], [31.0, 3.0], [46.0, 3.0]])
    assert raster.on_road(points).tolist() == [True, False, True, False, True, False]


def test_plain_numbers_give_the_same_answer_as_arrays() -> None:
    raster = map_raster(painted())
    places = np.random.default_rng(0).uniform((-25.0, -15.0), (65.0, 35.0), (400, 2))  # some outside the map
    places[:4] = (-20.0, -10.0), (60.0, 30.0), (np.nextafter(-20.0, -30.0), 0.0), (0.0, 0.0)
    found = raster.on_road(places).tolist()
    assert 20 < sum(found) < 380
    assert raster.are_on_road(places.tolist()) == found


def test_lines_are_one_cell_wide() -> None:
    raster = map_raster(painted())
    x = np.arange(-12.0, -8.0, raster.resolution) + 0.5 * raster.resolution
    hits = raster.bits_at(np.stack([x, np.zeros_like(x)], axis=-1)) == class_bits("lane_divider")
    assert 1 <= hits.sum() <= 2


def test_drawn_once_per_map() -> None:
    hd_map = painted()
    assert map_raster(hd_map) is map_raster(hd_map)
