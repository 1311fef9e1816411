"""All rows over all drives: references first, then the stage generator by its number of denoising steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.evaluation.records import Record, load_record
from drivesim.evaluation.report import contact_sheet, write_report
from drivesim.evaluation.rows import CAST, MEAN, REFERENCES, Job, Truth, generated, record, see
from drivesim.evaluation.scores import Scores, score
from drivesim.evaluation.settings import EvaluationConfig, claim_folder
from drivesim.evaluation.steering import steering_test
from drivesim.evaluation.truth import TownTruth
from drivesim.generators.interface import load_generator
from drivesim.processes import in_processes
from drivesim.world import EVALUATION_TOWNS


def evaluate(config: EvaluationConfig) -> Path:
    """Measures the stage generator for each number of denoising steps beside four references.

    Writes tables, plots and contact sheets; returns their folder. A run that was stopped goes on where it was.
    Raises ValueError where the folder holds results with other settings or weights.
    """
    out = claim_folder(config)
    run = _Run(config, out)
    run.see_truth()
    for name in REFERENCES:
        run.add(name, mean=run.mean_picture() if name == MEAN else None)
    for steps in config.steps:
        run.add(generated(steps), steps)
        run.sheet(generated(steps), out / f"contact_{steps}.png")
    table = (out / "table.md").read_text()
    if config.trials:
        generator = load_generator("stage", steps=config.steps[0], **config.generator_options)
        hits = steering_test(generator, config)
        (out / "steering.json").write_text(json.dumps(hits) + "\n")
        table += (
            f"\nsteering: in {sum(hits)} of {len(hits)} trials each picture is closest to the truth of its own action\n"
        )
        (out / "table.md").write_text(table)
    print(table)
    return out


class _Run:
    """Rows so far, over one list of drives."""

    def __init__(self, config: EvaluationConfig, out: Path) -> None:
        self.config, self.out = config, out
        self.towns = [out / "towns" / str(EVALUATION_TOWNS + k) for k in range(config.towns)]
        self.truths = [TownTruth(int(folder.name), folder) for folder in self.towns]
        self.rows: dict[str, Scores] = {}
        self.cast: list[Record] = []

    def see_truth(self) -> None:
        """Ray-casts the truth of the drives that have none yet."""
        missing = [Truth(self.config, folder) for folder in self.towns if not (folder / "layout.npz").exists()]
        self._do(see, missing, "truth")

    def add(self, name: str, steps: int = 0, mean: NDArray[np.uint8] | None = None) -> None:
        """Measures what is not measured yet of a row and writes the report with all rows so far."""
        jobs = [Job(self.config, folder, name, steps, mean) for folder in self.towns]
        self._do(record, [job for job in jobs if not job.file.exists()], name)
        records = [load_record(job.file) for job in jobs]
        self.cast = records if name == CAST else self.cast
        self.rows[name] = score(records, self.cast, self.truths, self.config)
        write_report(self.out, self.rows, self.config.frames)

    def mean_picture(self) -> NDArray[np.uint8]:
        """The mean of the true pictures [V, H, W, 3] at the measured frames."""
        total = sum(record["pictures"].astype(float).sum(0) for record in self.cast)
        return np.round(total / (len(self.cast) * len(self.config.frames))).astype(np.uint8)

    def sheet(self, name: str, path: Path) -> None:
        """The contact sheet of a row."""
        files = [(Job(self.config, f, CAST).file, Job(self.config, f, name).file) for f in self.towns]
        contact_sheet(path, [(load_record(a)["pictures"], load_record(b)["pictures"]) for a, b in files])

    def _do(self, work: Callable[[Any], None], jobs: list[Any], name: str) -> None:
        """Does what is not done yet."""
        done = len(self.towns) - len(jobs)
        with tqdm(total=len(self.towns), initial=done, desc=name, unit="drive") as bar:
            for _ in in_processes(work, jobs, min(self.config.workers, max(len(jobs), 1))):
                bar.update()
