"""All rows over all drives: references first, then the stage generator by its number of denoising steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.codecs.image import ImageCodec, to_float, to_uint8
from drivesim.evaluation.records import Pictures, Record, load_record, measure, save_record
from drivesim.evaluation.report import contact_sheet, write_report
from drivesim.evaluation.scores import Scores, score
from drivesim.evaluation.settings import EvaluationConfig, claim_folder
from drivesim.evaluation.steering import steering_test
from drivesim.evaluation.stream import stream
from drivesim.evaluation.truth import TownTruth, record_truth, scenes_of
from drivesim.generators.interface import load_generator
from drivesim.generators.stage.rollout import StageGenerator
from drivesim.redetector.network import load_redetector
from drivesim.world import EVALUATION_TOWNS

CAST = "ray-cast"
_SHEET_DRIVES = 6  # on a contact sheet


def evaluate(config: EvaluationConfig) -> Path:
    """Measures the stage generator for each number of denoising steps beside four references.

    Writes tables, plots and contact sheets; returns their folder. A run that was stopped goes on where it was.
    Raises ValueError where the folder holds results with other settings or weights.
    """
    out = claim_folder(config)
    towns = [out / "towns" / str(EVALUATION_TOWNS + k) for k in range(config.towns)]
    truths = [record_truth(config, int(folder.name), folder) for folder in tqdm(towns, desc="truth", unit="drive")]
    run = _Run(config, out, truths)
    for name, pictures in _references(config, truths).items():
        run.add(name, pictures)
    for steps in config.steps:
        name = f"{steps} step" + "s" * (steps > 1)
        generator = load_generator("stage", steps=steps, **config.generator_options)

        def draw(truth: TownTruth, generator=generator) -> Pictures:  # type: ignore[no-untyped-def]
            scenes, first = scenes_of(config, truth.seed), truth.frame(0).images
            return stream(generator, scenes, first, config.wanted, truth.seed - EVALUATION_TOWNS)

        run.add(name, draw)
        run.sheet(name, out / f"contact_{steps}.png")
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

    def __init__(self, config: EvaluationConfig, out: Path, truths: list[TownTruth]) -> None:
        self.config, self.out, self.truths = config, out, truths
        self.redetector = load_redetector(config.redetector)
        self.rows: dict[str, Scores] = {}
        self.cast: list[Record] = []

    def add(self, name: str, pictures: Callable[[TownTruth], Pictures]) -> None:
        """Measures what is not measured yet of a row and writes the report with all rows so far."""
        records = []
        for truth in tqdm(self.truths, desc=name, unit="drive"):
            file = self._file(truth, name)
            if not file.exists():
                save_record(file, measure(pictures(truth), truth, self.redetector, self.config))
            records.append(load_record(file))
        self.cast = records if name == CAST else self.cast
        self.rows[name] = score(records, self.cast, self.truths, self.config)
        write_report(self.out, self.rows, self.config.frames)

    def sheet(self, name: str, path: Path) -> None:
        """The contact sheet of a row."""
        files = [(self._file(truth, CAST), self._file(truth, name)) for truth in self.truths[:_SHEET_DRIVES]]
        contact_sheet(path, [(load_record(a)["pictures"], load_record(b)["pictures"]) for a, b in files])

    @staticmethod
    def _file(truth: TownTruth, name: str) -> Path:
        return truth.file.with_name(name.replace(" ", "_") + ".npz")


def _references(config: EvaluationConfig, truths: list[TownTruth]) -> dict[str, Callable[[TownTruth], Pictures]]:
    """What the generator is compared with: the truth, as the codec shows it, without motion, and without content."""
    codec = StageGenerator(**config.generator_options).codec
    mean = np.mean([[t.frame(f).images for f in config.frames] for t in truths], axis=(0, 1)).round().astype(np.uint8)
    wanted = config.wanted
    return {
        CAST: lambda truth: {n: truth.frame(n).images for n in wanted},
        "codec": lambda truth: {n: _reconstruct(codec, truth.frame(n).images) for n in wanted},
        "first frame": lambda truth: dict.fromkeys(wanted, truth.frame(0).images),
        "mean picture": lambda truth: dict.fromkeys(wanted, mean),
    }


def _reconstruct(codec: ImageCodec, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with torch.inference_mode():
        tensor = to_float(torch.from_numpy(pictures)).to(next(codec.parameters()).dtype)
        return to_uint8(codec.decode(codec.encode(tensor))).numpy()
