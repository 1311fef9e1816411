"""Figures of the benchmark from samples with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.bench import BenchConfig, BenchResult, Drift, StageTime, _drift, _stages, measure, table
from drivesim.timings import Timings


def test_stages_are_median_and_p95_in_milliseconds() -> None:
    timings = [Timings(world=1e-3 * value, total=2e-3 * value) for value in range(1, 101)]
    stages = _stages(timings)
    assert set(stages) == {"world", "total"}
    assert stages["world"].median == pytest.approx(50.5) and stages["total"].p95 == pytest.approx(190.1)


def test_drift_compares_an_early_and_a_late_step() -> None:
    walls = [1.0] * 1000 + [1.1] * 1100
    memory = list(np.linspace(100, 310, 2100).astype(int))
    drift = _drift(walls, memory, (200, 2000))
    assert drift is not None and drift.time == pytest.approx(10.0)
    assert drift.memory == pytest.approx(100.0 * (memory[1999] / memory[199] - 1.0))
    assert _drift(walls, memory, None) is None


def test_table_holds_every_generator_and_stage() -> None:
    common = {
        "steps": 1,
        "steps_per_second": 12.3,
        "tracks": 30.0,
        "resets": 0,
        "peak_memory": 1.0,
        "peak_gpu_memory": 0.0,
    }
    results = [
        BenchResult(generator="none", stages={"world": StageTime(0.2, 0.3)}, drift=None, **common),
        BenchResult(
            generator="stage", stages={"denoise": StageTime(9.0, 11.0)}, drift=Drift(200, 2000, 1.0, -2.0), **common
        ),
    ]
    lines = table(results).splitlines()
    assert any("world" in line and "0.20 / 0.30" in line and line.endswith("-") for line in lines)
    assert any("denoise" in line and line.endswith("9.00 / 11.00") for line in lines)
    assert any("drift" in line and line.endswith("+1.0 %, -2.0 %") for line in lines)
    assert len({len(line) for line in lines[1:]}) == 1


def test_measure_counts_every_step_and_resets_outside_the_clock() -> None:
    result = measure(None, BenchConfig(steps=30, warmup=5, env={"image_size": (16, 32)}, options={"town": 1}))
    assert result.steps == 30 and result.generator == "none"
    assert result.tracks > 0 and result.peak_memory > 50
    assert "generate" not in result.stages and result.stages["total"].median < 1000.0
