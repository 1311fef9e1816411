"""Zebra stripes: where they are, what share of a pixel they cover, and that layouts say what the ray-caster shows."""

from __future__ import annotations

import numpy as np
import shapely

from drivesim.conditions import LAYOUT_CHANNELS, ConditionSpec, build_conditions
from drivesim.geometry import transform_points
from drivesim.ground_view import pixel_rays
from drivesim.stripes import WIDTH, Stripes, crossing_stripes
from drivesim.town.ground import RESOLUTION
from drivesim.town.paint import ZEBRA, paint_map
from tests.test_conditions import SIZE, scene
from tests.town.scenes import HALF, straight_road

STRIPES, CROSSING = (LAYOUT_CHANNELS.index(name) for name in ("stripes", "ped_crossing"))
RING = np.array([[0, 0], [3, 0], [3, 10], [0, 10]], float)  # pedestrians walk along y


def test_stripes_follow_the_heading() -> None:
    quads = Stripes.over([RING], [0.1], 0.5).quads()
    assert len(quads) == 10 and np.allclose(np.ptp(quads[..., 0], axis=1), 3.0, atol=1e-3)
    assert np.allclose(np.ptp(quads[..., 1], axis=1), 0.5, atol=1e-3)
    turned = Stripes.over([RING], [np.pi / 2], 0.5).quads()
    assert np.allclose(np.ptp(turned[..., 1], axis=1), 10.0, atol=1e-3)
    assert np.array_equal(Stripes.over([RING], [None], 0.5).quads(), quads)


def test_several_areas_are_striped_one_by_one() -> None:
    both = Stripes.over([RING, RING + 20.0], [0.0, 0.0], 0.5).quads()
    assert np.array_equal(both[:10], Stripes.over([RING], [0.0], 0.5).quads())
    assert np.allclose(both[10:], both[:10] + 20.0)
    assert Stripes.over([], [], 0.5).quads().shape == (0, 4, 2)


def test_share_is_the_painted_area() -> None:
    """Of rectangles beside the stripes' own sides, inside and over the rim, against intersections of polygons."""
    stripes = Stripes.over([RING, RING + [20.0, 0.0]], [0.0, 0.0], 0.5)
    painted = shapely.union_all(shapely.polygons(stripes.quads()))
    rng = np.random.default_rng(0)
    centres = rng.uniform([-1.0, -1.0], [24.0, 11.0], (400, 2))
    wide, high = rng.uniform(0.05, 2.5, (2, 400))
    extent = np.zeros((400, 2, 2))
    extent[:, 0, 0], extent[:, 1, 1] = wide, high
    x, y = centres.T
    pixels = shapely.box(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    expected = shapely.area(shapely.intersection(pixels, painted)) / (wide * high)
    assert (expected > 0.2).sum() > 50
    assert np.allclose(stripes.share(centres, extent), expected, atol=1e-3)


def test_no_area_has_no_stripes() -> None:
    none = Stripes.over([RING], [0.0], 0.5).near(np.array([500.0, 0.0]), 100.0)
    assert len(none.count) == 0 and none.share(np.zeros((3, 2)), np.ones((3, 2, 2))).tolist() == [0.0] * 3


def test_layouts_say_what_is_painted() -> None:
    """The channel of a layout against the stripes, and against the ground as painted from its raster, under 64 places
    of every pixel."""
    now = scene(13.0, 0.2)
    assert now.map is not None
    layout = build_conditions([[now]], [None], [now], ConditionSpec(SIZE)).layout[0, 0].numpy()
    seen = layout[..., CROSSING] == 255
    found = layout[seen, STRIPES] / 255.0
    steps = (np.arange(8) + 0.5) / 8.0
    rays = [pixel_rays(now.rig, SIZE, row, column)[seen] for row in steps for column in steps]
    centres = now.rig.extrinsics[np.nonzero(seen)[0], :3, 3]
    points = [centres - centres[:, 2:] / ray[:, 2:] * ray for ray in rays]
    x, y = np.moveaxis(transform_points(now.ego.pose, np.stack(points)), -1, 0)[:2]
    quads = shapely.union_all(shapely.polygons(crossing_stripes(now.map).quads()))
    expected = shapely.contains_xy(quads, x, y).mean(0)
    assert seen.sum() > 200 and expected.std() > 0.2
    assert np.abs(found - expected).max() < 0.2 and np.abs(found - expected).mean() < 0.02
    paint = paint_map(now.map, RESOLUTION)
    cell = ((np.stack([x, y]) + HALF) / RESOLUTION).astype(int)
    assert np.corrcoef(found, (paint[cell[1], cell[0]] == ZEBRA).mean(0))[0, 1] > 0.9
    assert not layout[layout[..., CROSSING] == 0, STRIPES].any()


def test_a_map_is_striped_once_and_only_where_it_has_crossings() -> None:
    town = straight_road()
    stripes = crossing_stripes(town)
    assert stripes is crossing_stripes(town) and stripes.count.tolist() == [int(7.0 / (2.0 * WIDTH))]
    quads = shapely.polygons(stripes.quads())
    assert shapely.covers(shapely.box(19.99, -3.51, 23.01, 3.51), quads).all()
    bare = scene(13.0, map=None)
    assert not build_conditions([[bare]], [None], [bare], ConditionSpec(SIZE)).layout[..., STRIPES].any()
