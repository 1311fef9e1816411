"""First pictures of a drive, and what is left of making them."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from drivesim.conditions import ConditionSpec
from drivesim.env import DriveWorldEnv
from drivesim.generators.interface import GeneratorSpec
from drivesim.sources import first_frames, truth
from drivesim.town import background
from drivesim.world import TownSource


def test_a_first_picture_is_the_truth() -> None:
    source = TownSource()
    world = source.reset(0, {"town": 1})
    frames = first_frames(source, world, GeneratorSpec((36, 64), ConditionSpec((18, 32)), history=2))
    assert frames is not None and frames.shape == (2, 6, 36, 64, 3)
    assert np.array_equal(frames[0], truth(world.scene, (36, 64))) and np.array_equal(frames[0], frames[1])
    assert first_frames(source, world, GeneratorSpec((36, 64), ConditionSpec((18, 32)))) is None


@pytest.mark.parametrize(("generator", "observation", "kept"), [
    ("stage", ("default",), False), ("stage", ("default", "depth"), True), ("raycast", ("default",), True),
])  # fmt: skip
def test_the_background_of_a_first_picture_stays_only_where_more_are_taken(
    generator: str, observation: tuple[str, ...], kept: bool
) -> None:
    env = DriveWorldEnv(generator=generator, observation=observation, reset_options={"town": 1})
    env.reset(seed=0)
    made = weakref.ref(background.background_of(env.scene))  # found or, where it was dropped, made here
    env.reset(seed=0)
    gc.collect()
    assert (made() is not None) == kept
