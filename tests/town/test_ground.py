"""Painted ground, its levels of detail, and patterns that are filtered in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely

from drivesim.town.ground import RESOLUTION, GroundTexture
from drivesim.town.overlays import lamp_pyramid, shadow_pyramid
from drivesim.town.paint import (
    CROSSING,
    DASH,
    DASH_PERIOD,
    GRASS,
    PALETTE,
    ROAD,
    WALKWAY,
    WHITE,
    YELLOW,
    ZEBRA,
    dashes,
    paint_map,
    parking_bays,
)
from drivesim.town.pyramid import Pyramid, halved
from drivesim.town.scenery import place_key
from drivesim.town.shading import pulse_coverage
from tests.town.scenes import HALF, straight_road, surroundings


def local(*points: tuple[float, float]) -> np.ndarray:
    """Global points as [2, N] relative to the lower corner of the map."""
    return (np.array(points, np.float32) + HALF).T


def test_paint_follows_the_layers() -> None:
    ground = GroundTexture.of_map(straight_road())
    places = {(0.0, 2.0): ROAD, (0.0, 7.3): WALKWAY, (50.0, -40.0): GRASS, (18.75, -2.0): WHITE, (10.0, 0.17): YELLOW}
    found = ground.paint_at(local(*places))
    assert found.tolist() == list(places.values())
    crossing = ground.paint_at(local(*[(21.5, y) for y in np.linspace(-3.3, 3.3, 200)]))
    assert set(crossing) == {CROSSING, ZEBRA} and 0.35 < (crossing == ZEBRA).mean() < 0.65


def test_paint_is_where_the_map_says() -> None:
    """Edges are off by at most one pixel."""
    paint = paint_map(straight_road(), RESOLUTION)
    rows = np.flatnonzero(paint[:, 300] == ROAD)  # x = -70: no parking, no lines but the divider
    assert abs(rows.min() * RESOLUTION - HALF + 3.5) <= 0.15 and abs((rows.max() + 1) * RESOLUTION - HALF - 3.5) <= 0.15


def test_holes_stay_empty() -> None:
    ring = shapely.box(-40, -40, 40, 40).difference(shapely.box(-20, -20, 20, 20))
    hd_map = replace(straight_road(), layers={**dict.fromkeys(straight_road().layers, ()), "drivable_area": (ring,)})
    paint = GroundTexture.of_map(hd_map).paint_at(local((0.0, 0.0), (30.0, 0.0), (60.0, 0.0)))
    assert paint.tolist() == [GRASS, ROAD, GRASS]
    parts = shapely.MultiPolygon([shapely.box(-40, -40, -20, 40), shapely.box(20, -40, 40, 40)])
    hd_map = replace(hd_map, layers={**hd_map.layers, "drivable_area": (parts,)})
    assert GroundTexture.of_map(hd_map).paint_at(local((-30.0, 0.0), (0.0, 0.0), (30.0, 0.0))).tolist() == [
        ROAD,
        GRASS,
        ROAD,
    ]


def test_outside_is_grass() -> None:
    ground = GroundTexture.of_map(straight_road())
    assert (ground.paint_at(local((500.0, 0.0), (-500.0, 0.0), (0.0, 900.0))) == GRASS).all()


def test_samples_are_means_over_their_footprints() -> None:
    """A tiny footprint shows the paint; one over all stripes of a crossing shows their mixture."""
    ground = GroundTexture.of_map(straight_road())
    tiny = np.full((2, 1), 0.01, np.float32)
    color = ground.sample(local((50.0, -40.0)), tiny, tiny)[:, 0]
    assert np.allclose(color * 255, PALETTE[GRASS], atol=1)
    wide = ground.sample(
        local((21.5, 0.0)), np.array([[0.0], [4.4]], np.float32), np.array([[1.1], [0.0]], np.float32)
    )[:, 0]
    low, high = PALETTE[[CROSSING, ZEBRA]].mean(1) / 255
    assert low + 0.2 * (high - low) < wide.mean() < low + 0.8 * (high - low)


def test_levels_of_a_pyramid_are_means() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 32)).astype(np.uint8)
    pyramid = Pyramid.of_levels(halved(image, 4), 0.5)
    xy = np.array([[3.0], [5.0]], np.float32)  # column 6, row 10
    assert pyramid.at(xy)[0] == image[10, 6]
    assert abs(float(pyramid.at(xy, np.array([2]))[0]) - image[8:12, 4:8].mean()) <= 1.5
    assert pyramid.level_of(np.array([0.1, 0.5, 0.99, 1.0, 2.1, 400.0], np.float32)).tolist() == [0, 0, 0, 1, 2, 3]


def test_pulse_coverage_is_the_integral() -> None:
    rng = np.random.default_rng(1)
    x, footprint, width = rng.uniform(-3, 3, 50), rng.uniform(0.05, 4.0, 50), rng.uniform(0.1, 0.9, 50)
    samples = x[:, None] + footprint[:, None] * (np.arange(4000) + 0.5) / 4000 - 0.5 * footprint[:, None]
    truth = (np.abs(samples % 1.0 - 0.5) < 0.5 * width[:, None]).mean(1)
    assert np.abs(pulse_coverage(x, footprint, width) - truth).max() < 2e-3


def test_dashes_are_spaced_along_the_line() -> None:
    found = dashes([shapely.LineString([(0, 0), (70, 0)])])
    assert len(found) == 10
    assert np.allclose(np.diff(found[:, 0, 0]), DASH_PERIOD) and np.allclose(np.ptp(found[..., 0], axis=1), DASH)
    assert len(dashes([])) == 0


def test_parking_bays() -> None:
    strip = np.array([[0, 0], [30, 0], [30, 2.5], [0, 2.5]], float)
    lot = np.array([[0, 0], [27, 0], [27, 16], [0, 16]], float)
    assert len(parking_bays(strip)) == 6
    lines = parking_bays(lot)
    assert len(lines) == 22 and all(np.isclose(np.linalg.norm(a - b), 5.0, atol=1e-3) for a, b in lines)


def test_shadow_of_a_house_is_as_long_as_the_sun_is_low() -> None:
    town = surroundings(trees=False)
    names = ("building_footprint", "building_height", "building_color", "building_style")
    one = replace(town, **{name: getattr(town, name)[6:7] for name in names})
    sun = np.array([np.cos(np.pi / 4), 0.0, np.sin(np.pi / 4)], np.float32)  # from +x, 45 degrees
    pyramid = shadow_pyramid(one, straight_road().bounds, sun)
    foot, height = one.building_footprint[0], float(one.building_height[0])
    x, y = foot[:, 0].min(), foot[:, 1].mean()
    distances = (0.5, 0.5 * height, height - 0.5, height + 0.5, 2.0 * height, -foot[:, 0].max() + x - 1.0)
    dark = pyramid.at(local(*[(x - distance, y) for distance in distances])) > 0
    assert dark.tolist() == [True, True, True, False, False, False]


def test_lamps_light_the_ground_below_them() -> None:
    statics = surroundings()
    pyramid = lamp_pyramid(statics, straight_road().bounds)
    lamp = statics.pole_position[statics.pole_kind == 0][1] + np.array([0.0, 1.8])
    light = pyramid.at(local(tuple(lamp), tuple(lamp + [5.0, 0.0]), tuple(lamp + [0.0, 25.0]))).astype(int)
    assert light[0] > 240 and light[0] > light[1] > light[2] and light[2] < 10


def test_place_keys_spread() -> None:
    xy = np.stack(np.meshgrid(np.arange(40) * 7.3, np.arange(40) * 3.9), -1).reshape(-1, 2) - 150.0
    keys = place_key(xy)
    assert len(np.unique(keys)) == len(keys) and abs((keys % 4 == 0).mean() - 0.25) < 0.05
    assert np.array_equal(keys[5:9], place_key(xy[5:9]))
