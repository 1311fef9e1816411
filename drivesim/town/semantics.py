"""Class ids of rendered pixels: surroundings, then `OBJECT_OFFSET` + index into `drivesim.scene.OBJECT_CLASSES`."""

from __future__ import annotations

from drivesim.scene import OBJECT_CLASSES

SKY, ROAD, WALKWAY, CROSSING, MARKING, CARPARK, GRASS, BUILDING, TREE, POLE = range(10)
OBJECT_OFFSET = 10
SEMANTIC_NAMES = (
    "sky", "road", "walkway", "crossing", "marking", "carpark", "grass", "building", "tree", "pole", *OBJECT_CLASSES,
)  # fmt: skip
