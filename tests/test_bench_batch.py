"""Figures of batches from rounds with known answers, and a tiny run of each measurement."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.bench_batch import BatchConfig, Group, batch_table, summary, time_rounds


def test_gain_and_memory_are_against_the_first_number_of_worlds() -> None:
    wall = np.array([[0.8, 0.4], [0.9, 0.3], [5.0, 4.0]])  # seconds in which eight worlds move by one step
    rounds = np.stack([wall, [[0.8, 0.2]] * 3], axis=-1)
    one, eight = summary("stage", [1, 8], rounds, [500.0, 570.0])
    assert (one.gain, eight.gain) == (1.0, 2.0) and (one.processor_gain, eight.processor_gain) == (1.0, 4.0)
    assert one.world_steps_per_second == pytest.approx(8 / 0.9)
    assert eight.pictures_per_second == pytest.approx(6 * 8 / 0.4)
    assert np.isnan(one.memory_per_world) and eight.memory_per_world == pytest.approx(10.0)
    lines = batch_table([one, eight, *summary("none", [1, 2], rounds, [1.0, 2.0])]).splitlines()
    assert lines[2].split() == ["stage", "8", "120", "20.0", "2.00", "4.00", "570", "10.0"]
    assert lines[3].split()[:3] == ["none", "1", "-"] and len({len(line) for line in lines}) == 1


def test_numbers_of_worlds_must_divide_the_largest() -> None:
    for worlds in ((), (0, 4), (3, 8)):
        with pytest.raises(ValueError, match=r"worlds: found .* accepted numbers that all divide the largest"):
            BatchConfig(worlds)


def test_every_size_moves_the_same_worlds() -> None:
    config = BatchConfig((1, 2), steps=6, warmup=1, env={"image_size": (16, 32), "traffic": "none"},
                         options={"town": 1})  # fmt: skip
    assert time_rounds(None, config).shape == (3, 2, 2)
    batch, singles = Group("layout", config, 0, 2), [Group("layout", config, row, 1) for row in range(2)]
    for _ in range(3):
        assert (batch.step() > 0.0).all() and all((single.step() > 0.0).all() for single in singles)
    together = batch.env.call("scene")
    alone = [single.env.call("scene")[0] for single in singles]
    assert [scene.description for scene in together] == ["town 1", "town 2"]
    assert all((one.ego.pose == other.ego.pose).all() for one, other in zip(together, alone))
