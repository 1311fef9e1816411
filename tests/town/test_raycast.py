"""Ray-cast pictures against closed forms and projected boxes."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from drivesim.geometry import box_corners, project, transform_points
from drivesim.scene import CAMERAS, CLASS_ID, OBJECT_CLASSES, TIMES_OF_DAY, WEATHERS, EgoState, Scene, Tags
from drivesim.town import semantics
from drivesim.town.background import background_of, forget_backgrounds
from drivesim.town.culling import pixels_near_boxes
from drivesim.town.network import SPACING
from drivesim.town.objects import place_objects
from drivesim.town.raycast import Raycaster, RenderedFrame
from drivesim.town.rays import MOVING, ego_directions, rig_rays, trace
from drivesim.town.rig import nuscenes_rig
from drivesim.town.town import Town
from tests.town.scenes import SIZES, surroundings, synthetic_scene, traffic

FRONT_LEFT, FRONT, FRONT_RIGHT, BACK_RIGHT, BACK, BACK_LEFT = range(6)
CASTER = Raycaster(nuscenes_rig())
OVERCAST = Tags("overcast", "day")


def render(scene: Scene) -> RenderedFrame:
    return CASTER.render(scene)


def camera_points(scene: Scene, view: int, points: np.ndarray) -> np.ndarray:
    """Global points in the frame of one camera."""
    return transform_points(scene.rig.camera_from_ego[view], transform_points(np.linalg.inv(scene.ego.pose), points))


def pixel_of(scene: Scene, view: int, point: tuple[float, float, float]) -> tuple[int, int]:
    """Row and column of the pixel that shows a global point."""
    (u, v), depth = project(camera_points(scene, view, np.array(point)), scene.rig.intrinsics[view])
    assert depth > 0
    return int(v), int(u)


def global_points(scene: Scene, view: int, depth: np.ndarray) -> np.ndarray:
    """Points [H, W, 3] that pixel centres + depth say."""
    height, width = depth.shape
    v, u = np.mgrid[0:height, 0:width] + 0.5
    camera = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(scene.rig.intrinsics[view]).T * depth[..., None]
    return transform_points(scene.ego.pose @ scene.rig.extrinsics[view], camera)


def test_shapes_and_types() -> None:
    frame = render(synthetic_scene())
    assert frame.images.shape == (6, 72, 128, 3) and frame.images.dtype == np.uint8
    assert frame.depth.shape == (6, 72, 128) and frame.depth.dtype == np.float32
    assert frame.semantic.dtype == np.uint8 and frame.instance.dtype == np.int64
    assert len(semantics.SEMANTIC_NAMES) == semantics.OBJECT_OFFSET + len(OBJECT_CLASSES)


def test_rig_is_a_nuscenes_rig() -> None:
    rig = nuscenes_rig((900, 1600))
    assert rig.names == CAMERAS
    assert np.allclose(rig.intrinsics[:, 0, 0], [1266, 1266, 1266, 1266, 809, 1266], atol=10, rtol=0)
    axes = rig.extrinsics[:, :3, 2]
    yaw = np.degrees(np.arctan2(axes[:, 1], axes[:, 0]))
    assert np.allclose(yaw, [55, 0, -55, -110, 180, 110], atol=2)
    assert np.allclose(np.linalg.det(rig.extrinsics[:, :3, :3]), 1.0)
    with pytest.raises(ValueError, match="image_size"):
        nuscenes_rig((0, 128))


def test_ground_depth_is_that_of_the_plane() -> None:
    scene = synthetic_scene(traffic([]), OVERCAST)
    frame = render(scene)
    for view in range(6):
        ground = (frame.semantic[view] >= semantics.ROAD) & (frame.semantic[view] <= semantics.GRASS)
        assert ground.mean() > 0.2
        z = global_points(scene, view, np.where(ground, frame.depth[view], 1.0))[..., 2]
        assert np.abs(z[ground]).max() < 2e-3 * frame.depth[view][ground].max()
        assert np.abs(z[ground & (frame.depth[view] < 50)]).max() < 1e-3


def test_depth_of_a_wall() -> None:
    """The rear face of a block across the road ahead, and the faces of houses."""
    size = (8.0, 2.0, 6.0)  # w, l, h: the rear face is a wall of 8 m x 6 m
    scene = synthetic_scene(traffic([("barrier", 31.0, -1.75, 0.0, size)]), OVERCAST)
    frame = render(scene)
    seen = frame.instance[FRONT] == 100
    points = global_points(scene, FRONT, np.where(seen, frame.depth[FRONT], 1.0))[seen]
    assert len(points) and points[:, 0].min() == pytest.approx(30.0, abs=2e-3)
    building = frame.semantic[FRONT_LEFT] == semantics.BUILDING
    points = global_points(scene, FRONT_LEFT, np.where(building, frame.depth[FRONT_LEFT], 1.0))[building]
    front = np.isclose(points[:, 1], 14.0, atol=0.01)  # the face of the houses towards the road
    assert front.mean() > 0.5


def test_pixel_centres_are_at_half_integers() -> None:
    """Where the edge of a wall lies between two pixel centres, the depth jumps between those two pixels."""
    scene = synthetic_scene(traffic([("traffic_cone", 21.0, -1.75, 0.0, (2.0, 2.0, 2.0))]), OVERCAST)
    frame = render(scene)
    corners = box_corners(scene.tracks.position, scene.tracks.size, scene.tracks.yaw)[0]
    pixels, _ = project(camera_points(scene, FRONT, corners), scene.rig.intrinsics[FRONT])
    rows, columns = np.nonzero(frame.instance[FRONT] == 100)
    rear_low = pixels[4:][:, 1].max()
    assert rows.max() + 0.5 <= rear_low <= rows.max() + 1.5  # the foot of the rear face ends there
    assert columns.min() + 0.5 >= pixels[:, 0].min() >= columns.min() - 0.5
    assert columns.max() + 0.5 <= pixels[:, 0].max() <= columns.max() + 1.5


@pytest.mark.parametrize("yaw", [0.0, 0.7])
@pytest.mark.parametrize("name", OBJECT_CLASSES)
def test_projected_box_encloses_its_instance(name: str, yaw: float) -> None:
    scene = synthetic_scene(traffic([(name, 11.0, -0.5, yaw, SIZES[name])]), OVERCAST)
    frame = render(scene)
    mask = frame.instance[FRONT] == 100
    corners = box_corners(scene.tracks.position, scene.tracks.size, scene.tracks.yaw)[0]
    pixels, depth = project(camera_points(scene, FRONT, corners), scene.rig.intrinsics[FRONT])
    low, high = np.clip(pixels.min(0), 0, (128, 72)), np.clip(pixels.max(0), 0, (128, 72))
    rows, columns = np.nonzero(mask)
    assert columns.min() >= low[0] - 1 and columns.max() + 1 <= high[0] + 1
    assert rows.min() >= low[1] - 1 and rows.max() + 1 <= high[1] + 1
    extent = np.array([np.ptp(columns) + 1, np.ptp(rows) + 1])
    assert (extent >= (0.8 if yaw == 0.0 else 0.55) * (high - low) - 1).all()  # reaches all sides of the box
    assert mask.sum() > (0.2 if name in ("bicycle", "motorcycle", "traffic_cone") else 0.3) * np.prod(high - low)
    assert not (frame.instance[BACK] == 100).any()
    assert (frame.semantic[FRONT][mask] == semantics.OBJECT_OFFSET + CLASS_ID[name]).all()
    assert frame.depth[FRONT][mask].min() >= depth.min() - 1e-3 and frame.depth[FRONT][mask].max() <= depth.max() + 1e-3


def test_left_is_left() -> None:
    places = [(10.0, 8.0), (10.0, -11.0), (14.0, 0.5), (14.0, -4.0)]
    scene = synthetic_scene(traffic([("car", x, y, 0.0, SIZES["car"]) for x, y in places]), OVERCAST)
    frame = render(scene)
    assert (frame.instance[FRONT_LEFT] == 100).any() and not (frame.instance[FRONT_RIGHT] == 100).any()
    assert (frame.instance[FRONT_RIGHT] == 101).any() and not (frame.instance[FRONT_LEFT] == 101).any()
    left, right = (np.nonzero(frame.instance[FRONT] == track)[1].mean() for track in (102, 103))
    assert left < 64 < right
    assert (
        frame.depth[FRONT, 0].min() > 5.0 or frame.semantic[FRONT, 0].max() > 0
    )  # up is up: no ground in the first row
    assert not np.isin(frame.semantic[FRONT, 0], (semantics.ROAD, semantics.WALKWAY, semantics.GRASS)).any()


def test_nearer_object_hides_the_farther() -> None:
    rows = [("bus", 12.0, -1.75, 0.0, SIZES["bus"]), ("car", 25.0, -1.75, 0.0, SIZES["car"])]
    assert not (render(synthetic_scene(traffic(rows))).instance == 101).any()
    assert (render(synthetic_scene(traffic(rows[1:]))).instance[FRONT] == 100).any()


def test_colors_of_the_paint() -> None:
    scene = synthetic_scene(traffic([]), OVERCAST, surroundings(buildings=False, trees=False))
    frame = Raycaster(nuscenes_rig((288, 512))).render(replace(scene, rig=nuscenes_rig((288, 512))))
    scene = replace(scene, rig=nuscenes_rig((288, 512)))

    def color(x: float, y: float) -> np.ndarray:
        return frame.images[FRONT][pixel_of(scene, FRONT, (x, y, 0.0))].astype(float)

    asphalt, line = color(8.0, -2.0), color(18.75, -2.0)
    assert np.ptp(asphalt) < 15 and 50 < asphalt.mean() < 140
    assert line.min() > asphalt.mean() + 60
    yellow = color(10.0, 0.17)
    assert yellow[0] > yellow[2] + 40 and yellow[1] > yellow[2] + 20
    stripes = np.array([color(21.5, y) for y in np.linspace(-3.4, 3.4, 120)]).mean(1)
    assert stripes.max() - stripes.min() > 60
    assert 4 <= (np.diff((stripes > stripes.mean()).astype(int)) == 1).sum() <= 8  # repeat along the way of pedestrians
    along = np.array(
        [color(x, float(np.linspace(-3.4, 3.4, 120)[stripes.argmax()])) for x in np.linspace(20.4, 22.6, 12)]
    ).mean(1)
    assert along.min() > stripes.mean()  # and run in the direction of driving
    grass = color(30.0, -9.0)
    assert grass[1] > grass[0] and grass[1] > grass[2]
    assert frame.semantic[FRONT][pixel_of(scene, FRONT, (21.5, -1.0, 0.0))] == semantics.CROSSING
    assert frame.semantic[FRONT][pixel_of(scene, FRONT, (14.0, -4.6, 0.0))] == semantics.WALKWAY


def test_track_color_is_the_color_in_the_picture() -> None:
    for wanted in ((0.8, 0.1, 0.1), (0.1, 0.2, 0.7), (0.85, 0.85, 0.85), (0.1, 0.45, 0.15)):
        tracks = replace(traffic([("car", 11.0, -0.5, 0.4, SIZES["car"])]), color=np.array([wanted], np.float32))
        frame = render(synthetic_scene(tracks, OVERCAST))
        mean = frame.images[FRONT][frame.instance[FRONT] == 100].mean(0) / 255.0
        assert np.abs(mean - wanted).max() < 0.33
        if max(wanted) - min(wanted) > 0.3:
            assert mean.argmax() == np.argmax(wanted)


def test_same_scene_same_bytes() -> None:
    scene = synthetic_scene()
    first = render(scene)
    forget_backgrounds()
    other = Raycaster(nuscenes_rig()).render(synthetic_scene())
    for name in ("images", "depth", "semantic", "instance"):
        assert np.array_equal(getattr(first, name), getattr(other, name)), name


def test_a_background_goes_with_its_map() -> None:
    """Every reset of an environment that ray-casts its first picture only would leave one behind otherwise."""
    scene = synthetic_scene()
    background = weakref.ref(background_of(scene))
    assert background_of(scene) is background()
    del scene
    gc.collect()
    assert background() is None


def test_turning_and_moving_the_world_changes_nothing() -> None:
    """The same place seen in the same direction: far from the centre of the map, rays keep their precision."""
    scene = synthetic_scene(traffic([]), OVERCAST, surroundings(buildings=False, trees=False))
    there = replace(scene, ego=EgoState.at(-60.0, -1.75, 0.0))
    near, far = render(scene).depth, render(there).depth
    ground = (render(scene).semantic == semantics.ROAD) & (render(there).semantic == semantics.ROAD) & (near < 40)
    assert np.allclose(near[ground], far[ground], rtol=1e-4)


def test_more_samples_keep_labels_and_mean_colors() -> None:
    scene = synthetic_scene()
    one, four = render(scene), Raycaster(nuscenes_rig(), samples_per_pixel=4).render(scene)
    assert np.array_equal(one.depth, four.depth) and np.array_equal(one.instance, four.instance)
    assert np.abs(one.images.astype(float).mean((1, 2)) - four.images.astype(float).mean((1, 2))).max() < 3.0
    gradient = [np.abs(np.diff(frame.images.astype(float), axis=2)).mean() for frame in (one, four)]
    assert gradient[1] < gradient[0]


@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("time_of_day", TIMES_OF_DAY)
def test_looks_differ_and_share_geometry(weather: str, time_of_day: str) -> None:
    frame, plain = render(synthetic_scene(tags=Tags(weather, time_of_day))), render(synthetic_scene(tags=OVERCAST))
    assert np.array_equal(frame.depth, plain.depth)
    if (weather, time_of_day) != ("overcast", "day"):
        assert np.abs(frame.images.astype(float) - plain.images).mean() > 5
    brightness = frame.images.mean()
    assert (20 < brightness < 80) if time_of_day == "night" else (60 < brightness < 200)


def test_shadow_of_a_car_darkens_the_road() -> None:
    """Sun and no sun in the same place: about 0.6 of the light remains."""
    bare = synthetic_scene(traffic([]), Tags("sunny", "day"), surroundings(buildings=False, trees=False))
    car = replace(bare, tracks=traffic([("truck", 14.0, -1.75, 0.0, SIZES["truck"])]))
    one, two = render(bare), render(car)
    same = (one.semantic == semantics.ROAD) & (two.semantic == semantics.ROAD) & (one.depth < 40)
    ratio = two.images[same].astype(float).mean(-1) / one.images[same].astype(float).mean(-1)
    dark = ratio < 0.9
    assert 5 < dark.sum() < 0.5 * same.sum()
    assert 0.45 < np.median(ratio[dark]) < 0.75


def test_each_camera_is_exposed_from_its_own_pose() -> None:
    scene = synthetic_scene()
    later = replace(scene, ego=EgoState.at(1.0, -1.75, 0.05))
    poses = np.stack([scene.ego.pose] * 5 + [later.ego.pose])
    mixed, now, then = render(replace(scene, exposure_poses=poses)), render(scene), render(later)
    assert np.array_equal(mixed.depth[:5], now.depth[:5])
    assert np.allclose(mixed.depth[5], then.depth[5], rtol=1e-4)


def test_what_cannot_be_rendered_is_refused() -> None:
    scene = synthetic_scene()
    with pytest.raises(ValueError, match=r"Scene\.map: found None"):
        render(replace(scene, map=None))
    with pytest.raises(ValueError, match=r"Scene\.statics: found None"):
        render(replace(scene, statics=None))
    with pytest.raises(ValueError, match="samples_per_pixel: found 3"):
        Raycaster(nuscenes_rig(), 3)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_town_looks_the_same_from_two_windows(seed: int) -> None:
    """What stands near the border of two cells does not change when the map moves on."""
    town = Town(seed)
    tags = Tags("sunny", "night") if seed == 4 else Tags("sunny", "day")
    here, there = (town.window(np.array([SPACING + shift, 0.5 * SPACING])) for shift in (-0.1, 0.1))
    assert here.cell != there.cell
    pictures = []
    for window in (here, there):
        ego = EgoState.at(SPACING, 0.5 * SPACING, 0.3)
        scene = Scene(0.0, ego, window.parked, window.map, nuscenes_rig(), tags, window.statics)
        pictures.append(render(scene))
    difference = np.abs(pictures[0].images.astype(float) - pictures[1].images).max(-1)
    assert np.median(difference) == 0 and (difference > 12).mean() < 0.02
    near = np.minimum(pictures[0].depth, pictures[1].depth) < 60
    assert (pictures[0].semantic[near] == pictures[1].semantic[near]).mean() > 0.995
    assert (pictures[0].instance[near] == pictures[1].instance[near]).mean() > 0.998


def test_objects_far_from_the_pictures_cost_nothing_and_hide_nothing() -> None:
    """Rays are cast at objects only near their boxes; the result is that of casting all rays."""
    places = {
        "bus": (2.0, 2.0),
        "car": (1.0, -4.2),
        "trailer": (-6.6, -1.75),
        "pedestrian": (3.0, -1.2),
        "truck": (30.0, 9.0),
    }
    scene = synthetic_scene(traffic([(name, x, y, 0.1, SIZES[name]) for name, (x, y) in places.items()]))
    background = background_of(scene)
    objects = place_objects(scene, background.centre)
    poses = np.broadcast_to(scene.ego.pose, (6, 4, 4))
    rays = rig_rays(scene.rig, ego_directions(scene.rig, (0.0, 0.0)), poses, background.centre)
    rows = pixels_near_boxes(scene.rig, poses, objects.tracks)
    some, every = (trace(rays, background.tree, objects.trees, candidates) for candidates in (rows, None))
    assert 0 < len(rows) < 6 * 72 * 128
    assert np.array_equal(some.depth, every.depth) and np.array_equal(some.face, every.face)
    assert set(np.flatnonzero(every.kind == MOVING)) <= set(rows)


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("tags", [Tags("sunny", "day"), Tags("rain", "night")])
def test_pictures_are_those_of_a_render_on_any_number_of_threads(samples: int, tags: Tags) -> None:
    scene = synthetic_scene(tags=tags)
    caster = Raycaster(nuscenes_rig(), samples)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = caster.render(scene).images
        torch.set_num_threads(3)
        assert np.array_equal(caster.pictures(scene), expected)
        assert np.array_equal(caster.render(scene).images, expected)
    finally:
        torch.set_num_threads(before)
