"""Runs policies through a suite in parallel processes: resumable, and the same table for any number of workers.

Every drive leaves one file of its own as soon as it is over, so whatever interrupts an evaluation costs at most the
drives that were under way, and a second start does the missing ones only.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import traceback
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from drivesim.metrics.recorder import DriveRecorder
from drivesim.metrics.score import score
from drivesim.policy import load_policy
from drivesim.rollout import make_env, run
from drivesim.suites.suite import Drive

RESULTS_FORMAT = "drivesim-results/1"
Row = dict[str, Any]


@dataclass(frozen=True)
class Entrant:
    """A policy under test and the name it has in the tables."""

    name: str
    policy: str  # as `load_policy` takes it
    options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)  # arguments of DriveWorldEnv for this one, before the plan's


@dataclass(frozen=True)
class EvaluationPlan:
    """Who drives what where. Everything that decides the results is in here."""

    entrants: tuple[Entrant, ...]
    drives: tuple[Drive, ...]
    env: Mapping[str, Any] = field(default_factory=dict)  # arguments of DriveWorldEnv

    def __post_init__(self) -> None:
        for kind, names in (("policies", [e.name for e in self.entrants]), ("drives", [d.name for d in self.drives])):
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{kind}: found names {names}, accepted at least one, each of them once")

    def fingerprint(self) -> Row:
        """The plan as plain data; results of another fingerprint must not be mixed with these."""
        return {
            "format": RESULTS_FORMAT,
            "versions": {name: version(name) for name in ("drivesim", "torch", "numpy")},
            "env": _plain(self.env),
            "policies": {
                e.name: {"policy": e.policy, "options": _plain(e.options)} | ({"env": _plain(e.env)} if e.env else {})
                for e in self.entrants
            },
            "drives": [_plain(vars(drive)) for drive in self.drives],
        }


@dataclass(frozen=True)
class Job:
    """One drive of one policy and the file of its result."""

    entrant: Entrant
    drive: Drive
    env: Mapping[str, Any]
    file: Path


def evaluate(plan: EvaluationPlan, out: Path, workers: int = 1) -> list[Row]:
    """Drives whatever is still missing under `out` and returns the rows of all drives in the order of the plan.

    Writes `runs.jsonl` and `table.csv`. Raises ValueError if `out` holds results of another plan, or `workers` < 1.
    """
    if workers < 1:
        raise ValueError(f"workers: found {workers}, accepted at least 1")
    _claim(out, plan.fingerprint())
    jobs = [
        Job(entrant, drive, {**plan.env, **entrant.env}, out / "runs" / entrant.name / f"{drive.name}.json")
        for entrant in plan.entrants
        for drive in plan.drives
    ]
    missing = [job for job in jobs if not job.file.exists()]
    with tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="drive", desc="evaluate") as bar:
        for _ in _finished(missing, workers):
            bar.update()
    rows = [json.loads(job.file.read_text()) for job in jobs]
    _write(out / "runs.jsonl", "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    write_table(out / "table.csv", rows)
    return rows


def _finished(jobs: Sequence[Job], workers: int) -> Iterable[None]:
    """One entry per job that is done, in whatever order."""
    if workers == 1:
        for job in jobs:
            perform(job)
            yield
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = [pool.submit(perform, job) for job in jobs]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def perform(job: Job) -> None:
    """Drives once and writes the result; what the drive raises becomes part of it.

    One thread, whatever the number of workers: the last bits of a generator's pictures depend on how many there are.
    """
    head = {"policy": job.entrant.name, "drive": job.drive.name, "skill": job.drive.skill,
            "difficulty": job.drive.difficulty, "seed": job.drive.seed, "digest": job.drive.digest}  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        row = head | drive_once(job)
    except Exception as error:  # noqa: BLE001 - one broken drive must not end the evaluation
        row = head | {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    finally:
        torch.set_num_threads(threads)
    job.file.parent.mkdir(parents=True, exist_ok=True)
    _write(job.file, json.dumps(row, sort_keys=True) + "\n")


def drive_once(job: Job) -> Row:
    """What came of one drive, as plain data."""
    policy = load_policy(job.entrant.policy, **job.entrant.options)
    env = make_env(job.env, policy, job.drive.seconds)
    recorder = DriveRecorder()
    trace = run(env, policy, seed=job.drive.seed, options=job.drive.options, on_step=recorder)
    env.close()
    log = recorder.log()
    summary = trace.summary()
    last = trace.steps[-1].events
    fair = summary["ending"] not in ("collision", "off_road")
    passed = last["scenario"] == "success" if "scenario" in last else fair
    events = [
        {"step": index + 1, "time": step.time, "what": words}
        for index, step in enumerate(trace.steps)
        if (words := _event_words(step.events))
    ]
    return summary | {"passed": passed, "scores": score(log), "events": events,
                      "speed": [round(float(v), 3) for v in log.speed]}  # fmt: skip


def _event_words(events: Mapping[str, Any]) -> list[str]:
    words = [f"hit {collision['class_name']}" for collision in events["collisions"]]
    return words + ["left the road"] * bool(events["off_road"])


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
    """Makes `out` the folder of this plan."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "plan.json"
    if path.exists():
        found = json.loads(path.read_text())
        if found != json.loads(json.dumps(fingerprint)):
            other = sorted(k for k in fingerprint if found.get(k) != json.loads(json.dumps(fingerprint[k])))
            raise ValueError(
                f"out={out}: found results of another plan (other {', '.join(other)}), accepted a new folder"
            )
        return
    _write(path, json.dumps(fingerprint, indent=1, sort_keys=True) + "\n")


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text)
    temporary.replace(path)


def _plain(value: Any) -> Any:
    """Mappings, sequences, numbers and text as JSON keeps them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
