"""Every command, small, in a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest

from drivesim.cli import COMMANDS

ROOT = Path(__file__).parents[1]
POLICY = "policy=planners.lane_follower:LaneFollower"


def drivesim(folder: Path, *arguments: str, fails: bool = False) -> str:
    """Runs the command line in `folder`; returns what it printed."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from drivesim.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_usage_names_every_command(tmp_path: Path) -> None:
    printed = drivesim(tmp_path)
    assert all(command in printed for command in COMMANDS)
    assert "found command 'fly', accepted drive, record" in drivesim(tmp_path, "fly", fails=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_the_settings(command: str, tmp_path: Path) -> None:
    printed = drivesim(tmp_path, command, "--help")
    assert f"drivesim {command}" in printed and "Settings and their defaults" in printed
    assert list(tmp_path.iterdir()) == []


def test_drive_writes_film_and_trace_and_nothing_else(tmp_path: Path) -> None:
    printed = drivesim(tmp_path, "drive", POLICY, "env=debug", "seconds=1", "out=films/a.mp4", "seed=3")
    assert str(tmp_path / "films" / "a.mp4") in printed and str(tmp_path / "films" / "a.json") in printed
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "a.mp4", "films"]
    trace = json.loads((tmp_path / "films" / "a.json").read_text())
    assert len(trace["steps"]) == 12 and trace["seed"] == 3
    with av.open(str(tmp_path / "films" / "a.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 13


def test_settings_that_go_elsewhere_take_any_key(tmp_path: Path) -> None:
    """They reach what they are meant for, which says what it accepts."""
    printed = drivesim(tmp_path, "drive", POLICY, "env=debug", "env.reward.comfrt=1", fails=True)
    assert "comfrt" in printed and "comfort" in printed
    assert "Could not override" in drivesim(tmp_path, "drive", POLICY, "env=debug", "env.rewards.comfort=1", fails=True)


def test_drive_names_what_is_missing_or_unknown(tmp_path: Path) -> None:
    assert "policy" in drivesim(tmp_path, "drive", fails=True)
    assert "wheels" in drivesim(tmp_path, "drive", POLICY, "wheels=5", fails=True)
    assert "found 'magic', accepted" in drivesim(tmp_path, "drive", POLICY, "env.generator=magic", fails=True)


def test_bench_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    printed = drivesim(tmp_path, "bench", "env=debug", "generators=[null,layout]", "steps=6", "warmup=2", "out=b.json")
    assert all(word in printed for word in ("median / p95", "none", "layout", "steps/s", "peak memory", "generate"))
    figures = json.loads((tmp_path / "b.json").read_text())
    assert [result["generator"] for result in figures["results"]] == ["none", "layout"]
    layout = figures["results"][1]
    assert layout["steps"] == 6 and layout["steps_per_second"] > 0.0 and layout["peak_memory"] > 50.0
    assert layout["stages"]["total"]["median"] <= layout["stages"]["total"]["p95"]
