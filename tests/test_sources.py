"""First pictures of a drive."""

from __future__ import annotations

import gc
import weakref

import numpy as np

from drivesim.conditions import ConditionSpec
from drivesim.generators.interface import GeneratorSpec
from drivesim.sources import first_frames, truth
from drivesim.town.background import background_of
from drivesim.world import TownSource


def test_a_first_picture_is_the_truth_and_leaves_no_background_behind() -> None:
    source = TownSource()
    world = source.reset(0, {"town": 1})
    made = weakref.ref(background_of(world.scene))
    spec = GeneratorSpec((36, 64), ConditionSpec((18, 32)), history=2)
    frames = first_frames(source, world, spec)
    gc.collect()
    assert made() is None  # although the world and its map are still there
    assert frames is not None and frames.shape == (2, 6, 36, 64, 3)
    assert np.array_equal(frames[0], truth(world.scene, (36, 64))) and np.array_equal(frames[0], frames[1])
    assert first_frames(source, world, GeneratorSpec((36, 64), ConditionSpec((18, 32)))) is None
