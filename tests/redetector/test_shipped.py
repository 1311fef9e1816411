"""The re-detector that comes with the package reads a town that it never saw."""

from __future__ import annotations

import numpy as np

from drivesim.data.clips import drive
from drivesim.metrics.detection import are_found
from drivesim.metrics.segmentation import intersection_over_union, overlap_counts
from drivesim.redetector.data import least_pixels
from drivesim.redetector.layout import MAP_GROUPS, layout_of, seen
from drivesim.redetector.network import SHIPPED, load_redetector
from drivesim.redetector.reader import pooled_features, read
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource


def test_weights_are_small_and_documented() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 3 * 10**6
    assert "drivesim train component=redetector" in (SHIPPED / "card.md").read_text()


def test_it_reads_the_road_and_most_vehicles_of_held_out_towns() -> None:
    """Far better than by guessing: the layout of another town scores next to nothing."""
    rig, redetector = nuscenes_rig((72, 128)), load_redetector()
    source, raycaster = TownSource(rig=rig), Raycaster(rig, 2)
    pictures, cells, boxes = [], [], []
    for scene in [drive(source, town, 41)[-1] for town in range(900_010, 900_015)]:
        frame = raycaster.render(scene)
        asked, around = layout_of(scene)
        near = seen(around, frame.instance, 4 * least_pixels(rig))
        pictures.append(frame.images)
        cells.append(asked)
        boxes.append(near.take((near.group == 0) & (np.hypot(*near.centre[:, :2].T) < 20.0)))
    found = read(redetector, np.stack(pictures), rig)
    road = list(MAP_GROUPS).index("drivable_area")
    right = intersection_over_union(np.stack([overlap_counts(f.cells, c) for f, c in zip(found, cells)]))
    wrong = intersection_over_union(
        np.stack([overlap_counts(f.cells, c) for f, c in zip(found, cells[1:] + cells[:1])])
    )
    assert right[road] > 0.7 and np.nanmean(right) > np.nanmean(wrong) + 0.2
    hits = np.concatenate([are_found(b, f.boxes, 2.0, 0.3) for b, f in zip(boxes, found)])
    assert len(hits) >= 5 and hits.mean() > 0.6, hits


def test_larger_pictures_are_read_as_their_averages() -> None:
    small = np.random.default_rng(0).integers(0, 256, (1, 6, 72, 128, 3), np.uint8)
    large = small.repeat(2, axis=2).repeat(2, axis=3)
    redetector = load_redetector()
    assert np.array_equal(pooled_features(redetector, large), pooled_features(redetector, small))
    one, two = (
        read(redetector, pictures, nuscenes_rig(size))[0]
        for pictures, size in ((small, (72, 128)), (large, (144, 256)))
    )
    assert np.array_equal(one.cells, two.cells) and np.array_equal(one.boxes.centre, two.boxes.centre)
