"""Runs policies through a suite in parallel processes: resumable, and the same table for any number of workers.

Every drive leaves one file of its own as soon as it is over, so whatever interrupts an evaluation costs at most the
drives that were under way, and a second start does the missing ones only.
"""

from __future__ import annotations

import csv
import json
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.processes import FanOut, in_processes, one_thread
from drivesim.suites.one_drive import Row, drive_once
from drivesim.suites.plan import EvaluationPlan, Job


@dataclass(frozen=True)
class Outcome:
    """What came of a job, from wherever it was done."""

    job: Job
    row: Row
    actions: NDArray[np.float64] | None  # [T, A]; None of a drive that broke


def evaluate(plan: EvaluationPlan, out: Path, workers: int = 1, fan_out: FanOut = in_processes) -> list[Row]:
    """Drives whatever is still missing under `out` and returns the rows of all drives in the order of the plan.

    Writes `runs.jsonl` and `table.csv` of this plan. `out` may hold results of more policies on the same drives. Raises
    ValueError if it holds results of other drives or of another policy by the same name, or if `workers` < 1.
    """
    if workers < 1:
        raise ValueError(f"workers: found {workers}, accepted at least 1")
    _claim(out, plan.fingerprint())
    jobs = plan.jobs(out)
    missing = [job for job in jobs if not job.file.exists()]
    missing.sort(key=lambda job: job.drive.town)  # a process keeps the town that it made last
    with tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="drive", desc="evaluate") as bar:
        for outcome in fan_out(perform, missing, workers):
            keep(outcome)
            bar.update()
    rows = [json.loads(job.file.read_text()) for job in jobs]
    _write(out / "runs.jsonl", "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    write_table(out / "table.csv", rows)
    return rows


def perform(job: Job) -> Outcome:
    """Drives once; what the drive raises becomes part of the result."""
    head = {"policy": job.entrant.name, "drive": job.drive.name, "skill": job.drive.skill,
            "difficulty": job.drive.difficulty, "seed": job.drive.seed, "digest": job.drive.digest}  # fmt: skip
    try:
        with one_thread():
            found, trace = drive_once(job)
        return Outcome(job, head | found, np.array([step.action for step in trace.steps]))
    except Exception as error:  # noqa: BLE001 - one broken drive must not end the evaluation
        broken = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        return Outcome(job, head | broken, None)


def keep(outcome: Outcome) -> None:
    """Writes what came of a job, the row last: a drive with a row is over."""
    job = outcome.job
    job.file.parent.mkdir(parents=True, exist_ok=True)
    if outcome.actions is not None:
        _save_actions(job.actions, outcome.actions)
    _write(job.file, json.dumps(outcome.row, sort_keys=True) + "\n")


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """One line per drive with all its scores; empty where a score does not apply."""
    scores = sorted({name for row in rows for name in flat_scores(row)})
    plain = ("policy", "drive", "skill", "difficulty", "seed", "passed", "ending", "seconds", "distance", "reward")
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*plain, *scores, "error"])
        for row in rows:
            values = flat_scores(row)
            writer.writerow(
                [*(row.get(k, "") for k in plain), *(values.get(k, "") for k in scores), row.get("error", "")]
            )
    temporary.replace(path)


def flat_scores(row: Row) -> dict[str, float]:
    """Known metrics and published scores of a row by name; nothing for a drive that broke."""
    found = row.get("scores", {"metrics": {}, "aggregates": {}})
    values = {name: part["value"] for kind in ("metrics", "aggregates") for name, part in found[kind].items()}
    return {name: value for name, value in values.items() if value is not None}


def _claim(out: Path, fingerprint: Row) -> None:
    """Makes `out` the folder of this plan, and of those before it that differ in other policies only."""
    out.mkdir(parents=True, exist_ok=True)
    path, wanted = out / "plan.json", json.loads(json.dumps(fingerprint))
    if path.exists():
        found = json.loads(path.read_text())
        other = sorted(key for key in wanted if key != "policies" and found.get(key) != wanted[key])
        both = found.get("policies", {}) | wanted["policies"]
        other += [f"policy {name}" for name, policy in found.get("policies", {}).items() if both[name] != policy]
        if other:
            raise ValueError(
                f"out={out}: found results of another plan (other {', '.join(other)}), accepted a new folder"
            )
        wanted["policies"] = both
    _write(path, json.dumps(wanted, indent=1, sort_keys=True) + "\n")


def _save_actions(path: Path, actions: NDArray[np.float64]) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        np.save(file, actions)
    temporary.replace(path)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text)
    temporary.replace(path)
