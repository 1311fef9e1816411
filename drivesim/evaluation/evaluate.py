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
from drivesim.evaluation.truth import TownTruth, TrueFrames, record_truth, scenes_of
from drivesim.generators.interface import Generator, load_generator
from drivesim.generators.stage.rollout import StageGenerator
from drivesim.redetector.network import load_redetector
from drivesim.world import EVALUATION_TOWNS

Draw = Callable[[int, TrueFrames], Pictures]  # the pictures of a drive, from its town and what the cameras truly saw

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
    for name, draw in _references(config, truths).items():
        run.add(name, draw)
    for steps in config.steps:
        name = f"{steps} step" + "s" * (steps > 1)
        generator = load_generator("stage", steps=steps, **config.generator_options)

        def drawn(seed: int, frames: TrueFrames, generator: Generator = generator) -> Pictures:
            scenes, first = scenes_of(config, seed), frames.images(0)
            return stream(generator, scenes, first, config.wanted, seed - EVALUATION_TOWNS)

        run.add(name, drawn)
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

    def add(self, name: str, draw: Draw) -> None:
        """Measures what is not measured yet of a row and writes the report with all rows so far."""
        records = []
        for truth in tqdm(self.truths, desc=name, unit="drive"):
            file = self._file(truth, name)
            if not file.exists():
                frames = truth.frames()
                pictures = draw(truth.seed, frames)
                save_record(file, measure(pictures, frames, truth, self.redetector, self.config))
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
        return truth.folder / (name.replace(" ", "_") + ".npz")


def _references(config: EvaluationConfig, truths: list[TownTruth]) -> dict[str, Draw]:
    """What the generator is compared with: the truth, as the codec shows it, without motion, and without content."""
    codec = StageGenerator(**config.generator_options).codec
    every = (truth.frames() for truth in truths)
    total = sum(
        frames.rows["images"][np.isin(frames.rows["frames"], config.frames)].astype(float).sum(0) for frames in every
    )
    mean = np.round(total / (len(truths) * len(config.frames))).astype(np.uint8)
    wanted = config.wanted
    return {
        CAST: lambda seed, frames: {n: frames.images(n) for n in wanted},
        "codec": lambda seed, frames: {n: _reconstruct(codec, frames.images(n)) for n in wanted},
        "first frame": lambda seed, frames: dict.fromkeys(wanted, frames.images(0)),
        "mean picture": lambda seed, frames: dict.fromkeys(wanted, mean),
    }


def _reconstruct(codec: ImageCodec, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with torch.inference_mode():
        tensor = to_float(torch.from_numpy(pictures)).to(next(codec.parameters()).dtype)
        return to_uint8(codec.decode(codec.encode(tensor))).numpy()
