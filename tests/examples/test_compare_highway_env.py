"""The comparison with highway-env: figures from rounds with known answers, and a tiny run of both sides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from examples.compare_highway_env import CompareConfig, Comparison, Town, main, rates, table

TINY = CompareConfig(densities=[10], rounds=2, steps=6, warmup=1)


def test_rates_are_medians_over_rounds_and_of_all_time() -> None:
    seconds = np.array([[0.01, 0.2], [0.02, 0.8], [0.04, 1.0]])
    found = rates(seconds)
    assert found.drivesim == pytest.approx(50.0) and found.highway_env == pytest.approx(1.25)
    assert found.times == pytest.approx(25.0), "median of 20, 40 and 25"
    assert found.times_in_all == pytest.approx(2.0 / 0.07)
    lines = table([Comparison(21, 9.0, found, rates(seconds[:1]))]).splitlines()
    assert lines[1].split() == ["21", "simulation", "50", "1.2", "25.0", "28.6"]
    assert lines[2].split() == ["21", "env.step", "100", "5.0", "20.0", "20.0"]


def test_the_same_drive_twice_has_the_same_vehicles() -> None:
    first, again = Town(TINY, 10), Town(TINY, 10)
    for town in (first, again):
        world, whole = town.round()
        assert 0.0 < world < whole
    assert first.counts == again.counts and len(first.counts) == TINY.steps
    assert all(1 < vehicles <= 11 for vehicles, _ in first.counts)


def test_both_sides_are_measured(tmp_path: Path) -> None:
    pytest.importorskip("highway_env", reason="highway-env is not installed (`make compare`)")
    out = tmp_path / "figures.json"
    (result,) = main(CompareConfig(densities=[10], rounds=2, steps=6, warmup=1, out=str(out)))
    assert result.vehicles > 1 and min(result.simulation.highway_env, result.env_step.highway_env) > 0.0
    content = json.loads(out.read_text())
    assert content["results"][0]["vehicles"] == result.vehicles and content["machine"]["highway_env"]
