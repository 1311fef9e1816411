"""One policy under two generators in one evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivesim.commands.evaluate import entrants
from drivesim.suites.plan import EvaluationPlan
from drivesim.suites.runner import evaluate
from drivesim.suites.suite import town_suite


def test_an_entrant_may_have_a_generator_of_its_own(tmp_path: Path) -> None:
    blind, seeing = entrants([
        "tests.suites.policies:NamesCameras",
        {"policy": "tests.suites.policies:NamesCameras", "name": "seeing", "env": {"generator": "layout"}},
    ])  # fmt: skip
    plan = EvaluationPlan((blind, seeing), town_suite(1, 0.25), {"generator": None, "image_size": (24, 40)})
    rows = evaluate(plan, tmp_path)
    assert [row.get("error") for row in rows] == [None, "RuntimeError: saw 6 cameras"]
    assert json.loads((tmp_path / "plan.json").read_text())["policies"]["seeing"]["env"] == {"generator": "layout"}
    with pytest.raises(ValueError, match="accepted a path, or a mapping of policy, name, options and env"):
        entrants([{"policy": "x:Y", "generator": "stage"}])
