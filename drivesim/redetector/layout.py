"""What the re-detector is asked for: map classes in cells around the ego and boxes, in the ego frame."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from drivesim.conditions import Conditions, ConditionSpec, build_conditions
from drivesim.scene import MAP_CLASSES, OBJECT_CLASSES, Scene

EXTENT = 32.0  # [m] ahead, behind and to either side
CELLS = 64  # rows (the first is ahead) and columns (the first is to the left)
CELL = 2.0 * EXTENT / CELLS  # [m]

# Map classes that a picture can tell apart, by those of the layout, with the share of a cell that counts as filled: a
# line of 0.3 m never fills its cell.
MAP_GROUPS: dict[str, tuple[tuple[str, ...], float]] = {
    "drivable_area": (("drivable_area", "carpark_area"), 0.5),
    "ped_crossing": (("ped_crossing",), 0.5),
    "walkway": (("walkway",), 0.5),
    "divider": (("road_divider", "lane_divider"), 0.15),
}
BOX_GROUPS: dict[str, tuple[str, ...]] = {
    "vehicle": ("car", "truck", "construction_vehicle", "bus", "trailer"),
    "cycle": ("motorcycle", "bicycle"),
    "pedestrian": ("pedestrian",),
    "obstacle": ("barrier", "traffic_cone"),
}
GROUP_OF_CLASS = np.array(
    [next(i for i, names in enumerate(BOX_GROUPS.values()) if name in names) for name in OBJECT_CLASSES]
)
SPEC = ConditionSpec((0, 0), frozenset({"bev", "boxes"}))


@dataclass(frozen=True, eq=False)
class Boxes:
    """N boxes in the ego frame."""

    group: NDArray[np.int64]  # [N] index into BOX_GROUPS
    centre: NDArray[np.float64]  # [N, 3] [m]
    size: NDArray[np.float64]  # [N, 3] (width, length, height) [m]
    yaw: NDArray[np.float64]  # [N] [rad]
    score: NDArray[np.float64]  # [N], 1 for true ones
    track: NDArray[np.int64]  # [N] id, -1 for detected ones

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: NDArray) -> Boxes:
        """The boxes of some rows (indices or mask)."""
        return Boxes(*(getattr(self, field.name)[rows] for field in fields(self)))


def cells_of(bev: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether every cell [..., M, CELLS, CELLS] holds a class of MAP_GROUPS, from `Conditions.bev` [..., 8, 200, 200]
    (0.5 m, 50 m around)."""
    rim = (bev.shape[-1] - 2 * CELLS) // 2
    inner = bev[..., rim:-rim, rim:-rim]
    pairs = inner.reshape(*inner.shape[:-2], CELLS, 2, CELLS, 2)
    share = pairs.mean((-3, -1), dtype=np.float32) / 255.0
    filled = [
        share[..., [MAP_CLASSES.index(name) for name in names], :, :].max(-3) >= least
        for names, least in MAP_GROUPS.values()
    ]
    return np.stack(filled, axis=-3)


def boxes_of(conditions: Conditions, world: int = 0, time: int = 0) -> Boxes:
    """The boxes of one frame whose centre lies within EXTENT [m] ahead, behind and to either side."""
    assert conditions.box_corners is not None and conditions.box_class is not None
    assert conditions.box_mask is not None and conditions.box_track is not None
    mask = conditions.box_mask[world, time].numpy()
    corners = conditions.box_corners[world, time].numpy()[mask].astype(np.float64)
    forward = corners[:, :4].mean(1) - corners[:, 4:].mean(1)
    left, up = corners[:, 0] - corners[:, 1], corners[:, 0] - corners[:, 3]
    boxes = Boxes(
        GROUP_OF_CLASS[conditions.box_class[world, time].numpy()[mask]],
        corners.mean(1),
        np.stack([np.linalg.norm(axis, axis=-1) for axis in (left, forward, up)], axis=-1),
        np.arctan2(forward[:, 1], forward[:, 0]),
        np.ones(len(corners)),
        conditions.box_track[world, time].numpy()[mask],
    )
    return boxes.take((np.abs(boxes.centre[:, :2]) < EXTENT).all(-1))


def layout_of(scene: Scene) -> tuple[NDArray[np.bool_], Boxes]:
    """Cells [M, CELLS, CELLS] and boxes of a scene, by the one function that makes conditions."""
    conditions = build_conditions([[scene]], [None], [scene], SPEC)
    assert conditions.bev is not None
    return cells_of(conditions.bev[0, 0].numpy()), boxes_of(conditions)


def seen(boxes: Boxes, instance: NDArray[np.int64], least: int) -> Boxes:
    """The boxes of which at least so many pixels are seen; `instance` [V, H, W] holds the track ids of a ray-cast."""
    ids, counts = np.unique(instance, return_counts=True)
    return boxes.take(np.isin(boxes.track, ids[counts >= least]))


def mirrored(boxes: Boxes) -> Boxes:
    """The boxes of a world in which left and right have changed places."""
    return replace(boxes, centre=boxes.centre * np.array([1.0, -1.0, 1.0]), yaw=-boxes.yaw)
