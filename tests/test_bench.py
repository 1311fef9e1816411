"""Figures of the benchmark from samples with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.bench import (
    BenchConfig,
    BenchResult,
    StageTime,
    _result,
    _Samples,
    _stages,
    measure,
    moved,
    table,
)
from drivesim.bench_drift import Drift
from drivesim.scene import Tracks
from drivesim.timings import Timings


def test_stages_are_median_and_p95_in_milliseconds() -> None:
    timings = [Timings(world=1e-3 * value, total=2e-3 * value) for value in range(1, 101)]
    stages = _stages(timings)
    assert set(stages) == {"world", "total"}
    assert stages["world"].median == pytest.approx(50.5) and stages["total"].p95 == pytest.approx(190.1)


def test_rates_are_those_of_the_whole_step_and_of_the_world_alone() -> None:
    timings = [Timings(world=1e-3, total=4e-3), Timings(world=3e-3, total=6e-3)]
    result = _result("none", _Samples([5e-3, 15e-3], timings, [30.0, 32.0], [7, 8]))
    assert result.steps_per_second == pytest.approx(2 / 20e-3)
    assert result.world_steps_per_second == pytest.approx(2 / 4e-3)
    assert result.slowest_step == pytest.approx(15.0) and result.tracks == 31.0
    assert result.moving_tracks == 7.5


def test_who_once_moved_counts_as_moving() -> None:
    velocity = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 0.0]])
    tracks = Tracks(np.array([4, 5, 6]), np.zeros(3, int), np.zeros((3, 3)), np.ones((3, 3)), np.zeros(3), velocity)
    assert moved(tracks, np.array([6, 9])).tolist() == [5, 6]


def test_table_holds_every_generator_and_stage() -> None:
    common = {
        "steps": 1,
        "steps_per_second": 12.3,
        "world_steps_per_second": 3456.7,
        "slowest_step": 80.0,
        "tracks": 30.0,
        "moving_tracks": 12.0,
        "resets": 0,
        "peak_memory": 1.0,
        "peak_gpu_memory": 0.0,
    }
    results = [
        BenchResult(generator="none", stages={"world": StageTime(0.2, 0.3)}, drift=None, **common),
        BenchResult(
            generator="stage",
            stages={"denoise": StageTime(9.0, 11.0)},
            drift=Drift(200, 2000, 4, 1.0, 0.5, -2.0, 0.3, 2.5, 0.1),
            **common,
        ),
    ]
    lines = table(results).splitlines()
    assert any("world" in line and "0.20 / 0.30" in line and line.endswith("-") for line in lines)
    assert any("denoise" in line and line.endswith("9.00 / 11.00") for line in lines)
    assert any("world steps/s" in line and line.endswith("3456.7") for line in lines)
    cells = ["same scenes: time", "+1.0 +- 0.5 %", "same scene: memory", "-2.0 %",
             "other scenes: time", "+0.3 +- 2.5 %", "other scenes: saved state", "+0.1 %"]  # fmt: skip
    for row, cell in zip(cells[::2], cells[1::2]):
        assert any(row in line and line.endswith(cell) for line in lines)
    assert len({len(line) for line in lines[1:]}) == 1


def test_measure_counts_every_step_and_resets_outside_the_clock() -> None:
    config = BenchConfig(steps=30, warmup=5, env={"image_size": (16, 32)}, options={"town": 1})
    result = measure(None, config)
    assert result.steps == 30 and result.generator == "none" and result.drift is None
    assert result.world_steps_per_second > result.steps_per_second
    assert 0 < result.moving_tracks < result.tracks and result.peak_memory > 50
    assert "generate" not in result.stages and result.stages["total"].median < 1000.0
