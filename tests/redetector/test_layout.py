"""What is asked of the re-detector, against the scene that it comes from."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.map_raster import map_raster
from drivesim.redetector.layout import CELL, EXTENT, MAP_GROUPS, Boxes, cells_of, layout_of, mirrored, seen
from drivesim.scene import MAP_CLASSES, Scene
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource


@pytest.fixture(scope="module")
def scene() -> Scene:
    return TownSource(rig=nuscenes_rig((16, 32))).reset(0, {"town": 5}).scene


def test_cells_lie_where_the_map_says(scene: Scene) -> None:
    """Middles of filled cells are on the road, those of empty ones are not, but for cells that the rim crosses."""
    cells, _ = layout_of(scene)
    road = cells[list(MAP_GROUPS).index("drivable_area")]
    ahead = EXTENT - CELL * (np.arange(road.shape[0]) + 0.5)
    x, y = np.meshgrid(ahead, ahead, indexing="ij")
    local = np.stack([x, y, 0 * x, 0 * x + 1], axis=-1)
    truth = map_raster(scene.map).on_road((local @ scene.ego.pose.T)[..., :2])
    assert 0.1 < road.mean() < 0.9
    assert (truth == road).mean() > 0.95


def test_shares_decide_at_their_bounds() -> None:
    bev = np.zeros((8, 200, 200), np.uint8)
    bev[MAP_CLASSES.index("walkway"), 36:38, 36] = 254  # half of the first cell, not quite
    bev[MAP_CLASSES.index("walkway"), 36:38, 38] = 255
    bev[MAP_CLASSES.index("lane_divider"), 36, 36] = 155  # 0.152 of the cell
    cells = cells_of(bev)
    walkway, divider = (list(MAP_GROUPS).index(name) for name in ("walkway", "divider"))
    assert cells[walkway].sum() == 1 and cells[walkway, 0, 1]
    assert cells[divider].sum() == 1 and cells[divider, 0, 0]


def test_boxes_are_the_tracks_in_the_ego_frame(scene: Scene) -> None:
    _, boxes = layout_of(scene)
    rows = [int(np.flatnonzero(scene.tracks.ids == track)[0]) for track in boxes.track]
    assert len(rows) > 3
    tracks = scene.tracks.take(np.array(rows))
    back = boxes.centre @ scene.ego.pose[:3, :3].T + scene.ego.pose[:3, 3]
    np.testing.assert_allclose(back, tracks.position, atol=1e-4)
    np.testing.assert_allclose(boxes.size, tracks.size, atol=1e-4)
    np.testing.assert_allclose(np.cos(boxes.yaw - tracks.yaw + scene.ego.yaw), 1.0, atol=1e-6)
    assert (np.abs(boxes.centre[:, :2]) < EXTENT).all()


def test_only_seen_boxes_are_kept_and_a_mirror_is_its_own_inverse(scene: Scene) -> None:
    _, boxes = layout_of(scene)
    instance = np.full((6, 4, 4), -1)
    instance[0, :2], instance[3, 0, 0] = boxes.track[1], boxes.track[0]
    assert seen(boxes, instance, 2).track.tolist() == [boxes.track[1]]
    assert seen(boxes, instance, 1).track.tolist() == boxes.track[:2].tolist()
    twice: Boxes = mirrored(mirrored(boxes))
    np.testing.assert_array_equal(twice.centre, boxes.centre)
    assert (mirrored(boxes).centre[:, 1] == -boxes.centre[:, 1]).all()
