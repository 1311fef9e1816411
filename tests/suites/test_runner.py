"""Evaluations: the same for any number of workers, resumable, and honest about what broke."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from drivesim.scenarios import load_scenario
from drivesim.suites.one_drive import drive_once
from drivesim.suites.plan import Entrant, EvaluationPlan, Job
from drivesim.suites.runner import evaluate, flat_scores
from drivesim.suites.suite import Drive, suite_of, town_suite

SWERVE, BROKEN, BRAKE = (Entrant(name, f"tests.suites.policies:{name}") for name in ("Swerve", "Broken", "Brake"))


def plan(*entrants: Entrant, towns: int = 2) -> EvaluationPlan:
    return EvaluationPlan(entrants, town_suite(towns, seconds=1.5), {"generator": None})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_any_number_of_workers_gives_the_same_files(tmp_path: Path) -> None:
    evaluate(plan(SWERVE, BRAKE), tmp_path / "one", workers=1)
    evaluate(plan(SWERVE, BRAKE), tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_an_interrupted_evaluation_drives_only_what_is_missing(tmp_path: Path) -> None:
    whole = evaluate(plan(SWERVE, BRAKE), tmp_path / "whole")
    out = tmp_path / "resumed"
    evaluate(plan(SWERVE, BRAKE), out)
    done = out / "runs" / "Swerve" / "town-900000.json"
    done.write_text(json.dumps(json.loads(done.read_text()) | {"reward": 123.0}))  # must be kept as it is
    (out / "runs" / "Brake" / "town-900001.json").unlink()
    rows = evaluate(plan(SWERVE, BRAKE), out)
    assert [row["reward"] for row in rows] == [123.0, *(row["reward"] for row in whole[1:])]


def test_results_of_another_plan_are_not_mixed_in(tmp_path: Path) -> None:
    evaluate(plan(BRAKE, towns=1), tmp_path)
    with pytest.raises(ValueError, match=r"found results of another plan \(other drives\), accepted a new folder"):
        evaluate(plan(BRAKE, towns=2), tmp_path)
    with pytest.raises(ValueError, match="other env"):
        evaluate(replace(plan(BRAKE, towns=1), env={"generator": None, "traffic": "none"}), tmp_path)
    other = replace(SWERVE, name="Brake")
    with pytest.raises(ValueError, match="other policy Brake"):
        evaluate(plan(other, towns=1), tmp_path)


def test_a_folder_takes_in_more_policies_and_drives_only_theirs(tmp_path: Path) -> None:
    first = evaluate(plan(BRAKE, towns=1), tmp_path)
    rows = evaluate(plan(SWERVE, BRAKE, towns=1), tmp_path)
    assert [row["policy"] for row in rows] == ["Swerve", "Brake"]
    assert rows[1] == first[0]
    assert evaluate(plan(BRAKE, towns=1), tmp_path) == first
    assert set(json.loads((tmp_path / "plan.json").read_text())["policies"]) == {"Brake", "Swerve"}


def test_a_drive_is_the_same_whether_or_not_anything_is_drawn(tmp_path: Path) -> None:
    env = {"generator": "layout", "image_size": (18, 32)}
    drive = town_suite(1, seconds=1.5)[0]
    rows, drawn = [], []
    for name in ("Swerve", "Watchful"):
        row, trace = drive_once(Job(Entrant("x", f"tests.suites.policies:{name}"), drive, env, tmp_path / "x.json"))
        rows.append(row)
        drawn.append("generate" in trace.steps[-1].timings and trace.steps[-1].timings["generate"] > 0.0)
    assert rows[0] == rows[1]
    assert drawn == [False, True]


def test_scores_are_complete_where_a_proven_scenario_gives_them_their_reference() -> None:
    drives = {drive.name: drive for drive in suite_of("library", variants=4)}
    known = drives["hard_brake_01.0"]
    assert known.expert == known.route_length == load_scenario("hard_brake_01").success.reach
    assert known.impact_speed is not None and known.impact_speed > 0.0
    assert known.title
    unproven = drives["hard_brake_01.3"]
    assert unproven.route_length == pytest.approx(load_scenario("hard_brake_01", 3).success.reach)
    assert unproven.expert is None and unproven.impact_speed is None
    row, _ = drive_once(Job(BRAKE, known, {"generator": None}, Path("unused.json")))
    found = row["scores"]["aggregates"]
    assert all(found[name]["omitted"] == [] for name in ("navsim_pdms", "nuplan_cls", "drivearena_ads"))
    covered = row["scores"]["metrics"]["route_completion"]["value"]
    assert covered == pytest.approx(row["distance"] / known.route_length, abs=0.01)
    assert row["failed"] == ["reach"]


def test_a_drive_that_breaks_is_recorded_and_does_not_end_the_rest(tmp_path: Path) -> None:
    rows = evaluate(plan(BROKEN, BRAKE, towns=1), tmp_path)
    assert rows[0]["error"] == "RuntimeError: lost my map"
    assert "policies.py" in rows[0]["traceback"]
    assert rows[1]["passed"]


def test_rows_say_how_a_drive_went(tmp_path: Path) -> None:
    rows = evaluate(
        EvaluationPlan((SWERVE, BRAKE), town_suite(1, 6.0), {"generator": None, "traffic": "none"}), tmp_path
    )
    swerve, brake = rows
    assert not swerve["passed"]
    assert swerve["ending"] == "off_road"
    assert swerve["events"][-1]["what"] == ["left the road"]
    assert flat_scores(swerve)["drivable_area_compliance"] == 0.0
    assert brake["passed"]
    assert brake["speed"][-1] == pytest.approx(0.0, abs=1e-3)
    assert len(brake["speed"]) == brake["steps"] + 1
    with (tmp_path / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["policy"] for line in table] == ["Swerve", "Brake"]
    assert float(table[0]["drivable_area_compliance"]) == 0.0


def test_bad_plans_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="policies: found names"):
        plan(BRAKE, BRAKE)
    with pytest.raises(ValueError, match="drives: found names"):
        EvaluationPlan((BRAKE,), ())
    with pytest.raises(ValueError, match="workers: found 0"):
        evaluate(plan(BRAKE), tmp_path, workers=0)
    with pytest.raises(ValueError, match="towns: found 0"):
        town_suite(0)
    with pytest.raises(ValueError, match="seconds: found 0"):
        town_suite(1, 0)
    with pytest.raises(ValueError, match="suite: found 'moon', accepted"):
        suite_of("moon")


def test_the_library_is_a_suite_and_scenarios_judge_themselves(tmp_path: Path) -> None:
    drives = suite_of("library", variants=2, towns=7)
    assert len(drives) >= 80
    assert len({drive.digest for drive in drives}) == len(drives)
    chosen = next(drive for drive in drives if drive.name == "stationary_01.0")
    rows = evaluate(EvaluationPlan((BRAKE,), (chosen,), {"generator": None}), tmp_path)
    assert (rows[0]["ending"], rows[0]["passed"]) == ("time", False), "who just stops does not get anywhere"
    few = suite_of("library", scenarios=["cut_in_01", "debris_01"])
    assert [drive.name for drive in few] == ["cut_in_01.0", "debris_01.0"]
    with pytest.raises(ValueError, match="variants: found 0"):
        suite_of("library", variants=0)


def test_the_digest_changes_with_the_drive_alone() -> None:
    drive = Drive("a", 1, 5.0, {"town": 3})
    assert drive.digest == replace(drive, name="b", skill="merging").digest
    others = [replace(drive, seed=2), replace(drive, seconds=6.0), replace(drive, options={"town": 4}),
              replace(drive, content="x")]  # fmt: skip
    assert len({drive.digest, *(other.digest for other in others)}) == 5
