"""Generators left to themselves, in one go and in chunks."""

from __future__ import annotations

import numpy as np

from drivesim.data.clips import drive
from drivesim.evaluation.stream import stream
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource
from tests.generators.test_stage import SIZE, tiny_generator


def test_a_chunk_begins_from_the_last_picture_alone() -> None:
    rig = nuscenes_rig(SIZE)
    scenes = drive(TownSource(rig=rig), 900_000, 5)
    first = Raycaster(rig, 1).render(scenes[0]).images
    whole = stream(tiny_generator(), scenes, first, range(5), seed=0)
    chunked = stream(tiny_generator(), scenes, first, range(5), seed=0, chunk=2)
    assert np.array_equal(whole[0], first)
    for number in (1, 2):
        assert np.array_equal(chunked[number], whole[number])
    assert not np.array_equal(chunked[3], whole[3]), "it has forgotten the first frame"
    second = stream(tiny_generator(), scenes[2:], chunked[2], range(3), seed=2 << 10)
    for number in (3, 4):
        assert np.array_equal(chunked[number], second[number - 2])
