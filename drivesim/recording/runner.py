"""Records the drives of a plan in one or more processes. What is finished is kept: a second start goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from drivesim.data.episodes import episode_folder
from drivesim.policy import load_policy
from drivesim.processes import FanOut, in_processes, one_thread
from drivesim.recording.drive import EpisodeTaker, Taker, record_drive, recording_env
from drivesim.recording.nuscenes_taker import NuScenesTaker, check_drives, finish_dataset, part_file
from drivesim.recording.plan import RecordPlan

EPISODES, DATASET = "episodes", "nuscenes"  # folders under the recording's own


@dataclass(frozen=True)
class Recorded:
    """What a recording left behind."""

    episodes: Path | None
    dataset: Path | None
    left_out: tuple[str, ...] = ()  # drives too short for the data set


def record(plan: RecordPlan, out: Path, workers: int = 1, fan_out: FanOut = in_processes) -> Recorded:
    """Records whatever is still missing under `out`, which all workers must be able to write to.

    Raises ValueError if `out` holds a recording of another plan, for `workers` < 1, and for whatever makes the
    policy or the environment of the plan impossible, before anything is written.
    """
    if workers < 1:
        raise ValueError(f"workers: found {workers}, accepted at least 1")
    recording_env(plan, load_policy(plan.policy, **plan.policy_options)).close()
    _claim(out, plan)
    numbers = range(plan.first, plan.first + plan.episodes)
    if DATASET in plan.formats and (out / DATASET).exists():
        check_drives(out / DATASET, numbers)
    missing = [index for index in numbers if _formats_missing(plan, out, index)]
    if plan.episodes > len(missing) > 0:
        print(f"{plan.episodes - len(missing)} of {plan.episodes} drives are there already in {out}")
    with tqdm(total=plan.episodes, initial=plan.episodes - len(missing), unit="drive", desc="record") as bar:
        for head in fan_out(_perform, [(plan, out, index) for index in missing], workers):
            bar.set_postfix_str(f"last {head['distance']:.0f} m, ended by {head['ending']}")
            bar.update()
    dataset = out / DATASET
    left_out = finish_dataset(dataset, numbers) if DATASET in plan.formats else ()
    return Recorded(
        out / EPISODES if EPISODES in plan.formats else None,
        dataset if DATASET in plan.formats and dataset.exists() else None,
        left_out,
    )


def _formats_missing(plan: RecordPlan, out: Path, index: int) -> list[str]:
    there = {
        EPISODES: lambda: episode_folder(out / EPISODES, index).exists(),
        DATASET: lambda: (out / DATASET).exists() or part_file(out / DATASET, index).exists(),
    }
    return [name for name in plan.formats if not there[name]()]


def _perform(job: tuple[RecordPlan, Path, int]) -> dict[str, Any]:
    """One drive; what is to be told about it."""
    plan, out, index = job
    makers: dict[str, Callable[[], Taker]] = {
        EPISODES: lambda: EpisodeTaker(plan, out / EPISODES, index),
        DATASET: lambda: NuScenesTaker(out / DATASET, index),
    }
    takers = [makers[name]() for name in _formats_missing(plan, out, index)]
    with one_thread():
        return record_drive(plan, index, takers)


def _claim(out: Path, plan: RecordPlan) -> None:
    """Makes `out` the folder of this plan; more episodes of the same kind may be added to it."""
    path = out / "record.json"
    wanted = json.loads(json.dumps({k: v for k, v in asdict(plan).items() if k not in ("episodes", "first")}))
    if path.exists():
        found = json.loads(path.read_text())
        other = sorted(key for key in wanted | found if found.get(key) != wanted.get(key))
        if other:
            raise ValueError(f"out={out}: found a recording with other {', '.join(other)}, accepted a new folder")
        return
    out.mkdir(parents=True, exist_ok=True)
    partial = out / ".record.json.partial"
    partial.write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n")
    partial.replace(path)
