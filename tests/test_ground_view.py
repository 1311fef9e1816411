"""Ground coverage against direct look-up, polygons, closed forms and the ray-caster."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from drivesim.geometry import transform_points
from drivesim.ground_view import FULL, GROUND_RANGE, LEVELS, BirdsEyeView, GroundView, coverage_pyramid
from drivesim.map_raster import RESOLUTION, map_raster
from drivesim.scene import MAP_CLASSES, EgoState, HdMap, Scene, Tracks
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.town.semantics import CROSSING, GRASS, ROAD, WALKWAY
from drivesim.town.town import Town
from tests.town.scenes import lane_graph, straight_road, synthetic_scene

SIZE = (72, 128)
CLASS = {name: index for index, name in enumerate(MAP_CLASSES)}


def map_of(**layers: tuple[shapely.Geometry, ...]) -> HdMap:
    return HdMap(dict.fromkeys(MAP_CLASSES, ()) | layers, lane_graph(), (-100.0, -60.0, 100.0, 60.0))


@cache
def ground_view(size: tuple[int, int] = SIZE) -> GroundView:
    return GroundView(nuscenes_rig(size), size)


def coverage(hd_map: HdMap, ego: EgoState, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Coverage [V, h, w, 8] of the nuScenes rig."""
    words = np.zeros((6, *size), np.uint64)
    ground_view(size).sample(coverage_pyramid(hd_map), ego.pose, words)
    return words.view(np.uint8).reshape(*words.shape, 8)


def test_first_level_is_the_raster_and_the_others_are_its_means() -> None:
    hd_map = straight_road()
    pyramid = coverage_pyramid(hd_map)
    assert np.array_equal(pyramid.bits, map_raster(hd_map).bits)
    full = FULL * np.unpackbits(pyramid.bits[..., None], axis=-1, bitorder="little").astype(float)
    assert len(pyramid.means) == LEVELS - 1
    for level, words in enumerate(pyramid.means, start=1):
        h, w = words.shape
        blocks = full.reshape(h, 1 << level, w, 1 << level, 8)
        found = words.view(np.uint8).reshape(h, w, 8)
        assert np.abs(blocks.mean((1, 3)) - found).max() <= 0.5 * level  # rounded once per level


@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (17, 31), (5, 70)])
def test_maps_of_any_size_lose_nothing_at_their_rim(rows: int, columns: int) -> None:
    bounds = (-1.0, 2.0, -1.0 + RESOLUTION * columns, 2.0 + RESOLUTION * rows)
    layers = dict.fromkeys(MAP_CLASSES, ()) | {"walkway": (shapely.box(-5, -5, 20, 20),)}
    pyramid = coverage_pyramid(HdMap(layers, lane_graph(), bounds))
    assert pyramid.bits.shape == (rows, columns)
    for level, words in enumerate(pyramid.means, start=1):
        share = words.view(np.uint8).reshape(*words.shape, 8)[..., CLASS["walkway"]].astype(float) / FULL
        assert share.sum() * 4**level == pytest.approx(rows * columns, rel=0.05)


def test_pyramid_is_built_once_per_map() -> None:
    hd_map = straight_road()
    assert coverage_pyramid(hd_map) is coverage_pyramid(hd_map)
    assert coverage_pyramid(hd_map) is not coverage_pyramid(straight_road())


@pytest.mark.parametrize("level", range(LEVELS))
def test_cells_are_those_of_direct_look_up_and_empty_outside(level: int) -> None:
    pyramid = coverage_pyramid(straight_road())
    pose = EgoState.at(13.0, -4.0, 0.6).pose
    size = RESOLUTION * 2.0**level
    points = np.random.default_rng(level).uniform(-150, 150, (40, 50, 2))
    found = pyramid.cells_at(level, (points / size).astype(np.float32), pose)
    world = points @ pose[:2, :2].T + pose[:2, 3]
    exact = (world - pyramid.origin) / size
    column, row = np.moveaxis(np.floor(exact).astype(int), -1, 0)
    full = FULL * np.unpackbits(pyramid.bits[..., None], axis=-1, bitorder="little")
    cells = np.ascontiguousarray(full).view(np.uint64)[..., 0] if level == 0 else pyramid.means[level - 1]
    rows, columns = cells.shape
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    expected = np.where(inside, cells[row.clip(0, rows - 1), column.clip(0, columns - 1)], 0)
    clear = (np.abs(exact - np.rint(exact)) > 1e-3).all(-1)  # not at the border of two cells
    assert 0.3 < inside.mean() < 0.9
    assert np.array_equal(found[clear], expected[clear])


def test_near_pixels_have_the_class_of_the_polygon_they_look_at() -> None:
    ego = EgoState.at(5.0, -1.0, 0.4)
    hd_map = straight_road()
    found = coverage(hd_map, ego)
    points = transform_points(ego.pose, ground_view().ground_points)
    near = np.hypot(*np.moveaxis(points[..., :2] - ego.xy, -1, 0)) < 15.0
    for name in ("drivable_area", "walkway", "carpark_area", "ped_crossing"):
        polygon = shapely.union_all(hd_map.layers[name])
        inside = shapely.contains_xy(polygon, *points[near][:, :2].T)
        rim = shapely.distance(polygon.boundary, shapely.points(points[near][:, :2])) < 1.0
        channel = found[..., CLASS[name]][near]
        assert (channel[inside & ~rim] == 255).all()
        assert (channel[~inside & ~rim] == 0).all()


def test_coverage_of_far_pixels_is_the_share_of_the_polygon() -> None:
    # Stripes of half a metre across the way: pixels far ahead are larger than a stripe and show their mean, a half.
    stripes = tuple(shapely.box(x + 0.1, -50.0, x + 0.4, 50.0) for x in range(-100, 100))
    found = coverage(map_of(walkway=stripes), EgoState.at(0.0, 0.0, 0.0))[1, ..., CLASS["walkway"]]
    view = ground_view()
    distance = view.ground_points[1, ..., 0]
    far = (distance > 35.0) & (np.abs(view.ground_points[1, ..., 1]) < 10.0)
    assert far.sum() > 20
    assert np.abs(found[far].astype(float) - 127.5).max() < 4
    near = (distance > 4.0) & (distance < 8.0)
    assert (np.isin(found[near], (0, 255))).mean() > 0.6


def test_full_coverage_is_full_at_every_distance_and_sky_is_empty() -> None:
    everywhere = map_of(drivable_area=(shapely.box(-100, -60, 100, 60),))
    view = ground_view()
    found = coverage(everywhere, EgoState.at(0.0, 0.0, 0.0))[..., 0]
    inside = (np.abs(view.ground_points[..., :2]) < [70.0, 40.0]).all(-1)  # with all of their pixel
    assert (found[inside] == 255).all()
    assert (found[np.isnan(view.ground_points[..., 0])] == 0).mean() > 0.99
    assert not found[:, : SIZE[0] // 3].any()


def test_maps_may_end_anywhere() -> None:
    assert not coverage(straight_road(), EgoState.at(5000.0, 5000.0, 1.0)).any()


def test_moving_the_world_and_the_ego_alike_changes_little() -> None:
    ego, turn = EgoState.at(2.0, -1.75, 0.1), EgoState.at(30.0, 12.0, np.pi / 2)
    layers, moved_layers = {}, {}
    for name, parts in straight_road().layers.items():  # moved a little, so that no edge lies between two cells
        layers[name] = tuple(shapely.affinity.translate(part, 0.1, 0.1) for part in parts)
        turned = (shapely.affinity.rotate(part, 90, (0, 0)) for part in layers[name])
        moved_layers[name] = tuple(shapely.affinity.translate(part, 30, 12) for part in turned)
    original = HdMap(layers, lane_graph(), (-100.0, -100.0, 100.0, 100.0))
    moved = HdMap(moved_layers, lane_graph(), (-70.0, -88.0, 130.0, 112.0))
    here = coverage(original, ego).astype(float)
    there = coverage(moved, EgoState(turn.pose @ ego.pose)).astype(float)
    assert np.abs(here - there).mean() < 1.0


def test_ground_points_lie_on_the_ground_within_range() -> None:
    view = ground_view()
    seen = ~np.isnan(view.ground_points[..., 0])
    assert 0.3 < seen.mean() < 0.6
    assert np.allclose(view.ground_points[seen][:, 2], 0.0, atol=1e-9)
    offset = view.ground_points - view.centres[:, None, None]
    reach = np.linalg.norm(offset, axis=-1)
    assert np.nanmax(reach) < GROUND_RANGE
    assert np.allclose(np.cross(offset, view.rays)[seen], 0.0, atol=1e-6)
    depth = view.ground_inverse_depth(4.0)
    assert np.array_equal(depth > 0, seen)
    assert np.allclose(depth[seen], np.minimum(255.0 * 4.0 / reach[seen], 255.0), atol=0.5)


def agreement(scene: Scene, name: str, kind: int) -> float:
    """Share of unoccluded ground pixels for which coverage and the ray-caster agree whether they show a class."""
    frame = Raycaster(scene.rig).render(scene)
    found = coverage(scene.map, scene.ego)[..., CLASS[name]] > 127
    ground = np.isin(frame.semantic, (ROAD, WALKWAY, CROSSING, GRASS)) & (frame.depth < 60.0)
    if name == "drivable_area":
        truth = np.isin(frame.semantic, (ROAD, CROSSING))
    else:
        truth = frame.semantic == kind
    assert (ground & truth).any()
    return float((found == truth)[ground].mean())


@pytest.mark.parametrize(("name", "kind"), [("drivable_area", ROAD), ("walkway", WALKWAY), ("ped_crossing", CROSSING)])
def test_ground_agrees_with_the_ray_caster(name: str, kind: int) -> None:
    scene = replace(synthetic_scene(Tracks.empty()), ego=EgoState.at(4.0, -1.75, 0.05))
    assert agreement(scene, name, kind) > 0.95


def test_ground_of_a_town_agrees_with_the_ray_caster() -> None:
    town = Town(3)
    window = town.window((0.0, 0.0))
    lane, along = town.start(np.random.default_rng(0))
    graph = window.map.lane_graph
    line = graph.centre_line(int(np.searchsorted(graph.ids, lane)))
    ego = EgoState.at(*line[len(line) // 2])
    scene = Scene(0.0, ego, Tracks.empty(), window.map, nuscenes_rig(SIZE), town.tags, statics=window.statics)
    assert agreement(scene, "drivable_area", ROAD) > 0.95
    assert agreement(scene, "walkway", WALKWAY) > 0.95


def test_birds_eye_view_has_ahead_up_and_left_left() -> None:
    block = shapely.box(20.0, 5.0, 30.0, 15.0)  # 25 m ahead, 10 m to the left of the ego
    turned = shapely.affinity.translate(shapely.affinity.rotate(block, 90, (0, 0)), 7, -3)
    ego = EgoState.at(7.0, -3.0, np.pi / 2)
    seen = BirdsEyeView().sample(coverage_pyramid(map_of(carpark_area=(turned,))), ego.pose)
    assert (seen.shape, seen.dtype) == ((8, 200, 200), np.uint8)
    rows, columns = np.nonzero(seen[CLASS["carpark_area"]] > 127)
    assert (rows.min(), rows.max() + 1) == pytest.approx((40, 60), abs=1)  # 0.5 m cells, the ego between 99 and 100
    assert (columns.min(), columns.max() + 1) == pytest.approx((70, 90), abs=1)
    assert not np.delete(seen, CLASS["carpark_area"], axis=0).any()
    assert seen[CLASS["carpark_area"], 45:55, 75:85].min() == 255
