"""Every example runs, in a small size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_planners_are_compared() -> None:
    command = [sys.executable, "examples/compare_planners.py", "--towns", "1", "--seconds", "1"]
    command += ["--policies", "planners.constant_speed:ConstantSpeed", "planners.search:SearchPlanner"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    header, rule, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["ConstantSpeed", "SearchPlanner"]
    assert all(len(row) == len(header) == len(rule) for row in rows)
    distance, fault = (header.index(name) for name in ("distance [m]", "at fault"))
    assert all(2.0 < float(row[distance]) < 20.0 and row[fault] == "0" for row in rows)
