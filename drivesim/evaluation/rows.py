"""The rows of the table: how each draws the pictures of a drive, and one drive of one row as a job for any process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drivesim.codecs.image import ImageCodec, to_float, to_uint8
from drivesim.evaluation.records import Pictures, measure, save_record
from drivesim.evaluation.settings import EvaluationConfig
from drivesim.evaluation.stream import stream
from drivesim.evaluation.truth import TownTruth, TrueFrames, record_truth, scenes_of
from drivesim.generators.stage.rollout import StageGenerator
from drivesim.processes import one_thread
from drivesim.redetector.network import Redetector, load_redetector
from drivesim.world import EVALUATION_TOWNS

CAST, CODEC, FIRST, MEAN = "ray-cast", "codec", "first frame", "mean picture"
REFERENCES = (CAST, CODEC, FIRST, MEAN)


def generated(steps: int) -> str:
    """The name of the row of the generator with so many denoising steps."""
    return f"{steps} step" + "s" * (steps > 1)


@dataclass(frozen=True, eq=False)
class Job:
    """One drive of one row."""

    config: EvaluationConfig
    folder: Path  # of the town
    row: str
    steps: int = 0  # denoising steps; 0 for a reference
    mean: NDArray[np.uint8] | None = None  # the mean picture [V, H, W, 3], for its row

    @property
    def file(self) -> Path:
        """Where its record is kept."""
        return self.folder / (self.row.replace(" ", "_") + ".npz")


@dataclass(frozen=True)
class Truth:
    """The truth of one town, as a job."""

    config: EvaluationConfig
    folder: Path


def record(job: Job) -> None:
    """Draws and measures a drive and writes its record, on one thread."""
    with one_thread():
        truth = TownTruth(int(job.folder.name), job.folder)
        frames = truth.frames()
        pictures = _drawn(job, frames)
        save_record(job.file, measure(pictures, frames, truth, _redetector(job.config.redetector), job.config))


def see(job: Truth) -> None:
    """Ray-casts the truth of a town, on one thread."""
    with one_thread():
        record_truth(job.config, int(job.folder.name), job.folder)


def _drawn(job: Job, frames: TrueFrames) -> Pictures:
    config, wanted = job.config, job.config.wanted
    if job.steps:
        seed = int(job.folder.name)
        return stream(_generator(_key(config), job.steps), scenes_of(config, seed), frames.images(0), wanted,
                      seed - EVALUATION_TOWNS, config.chunk)  # fmt: skip
    if job.row == CAST:
        return {number: frames.images(number) for number in wanted}
    if job.row == CODEC:
        codec = _generator(_key(config), 1).codec
        return {number: _reconstruct(codec, frames.images(number)) for number in wanted}
    still = frames.images(0) if job.row == FIRST else job.mean
    assert still is not None
    return dict.fromkeys(wanted, still)


def _key(config: EvaluationConfig) -> tuple[tuple[str, object], ...]:
    """The generator's options as something that can be looked up."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in config.generator_options.items()}
    return tuple(sorted(options.items()))


@lru_cache(maxsize=1)
def _generator(options: tuple[tuple[str, object], ...], steps: int) -> StageGenerator:
    settings: dict[str, Any] = dict(options)
    return StageGenerator(steps=steps, **settings)


@lru_cache(maxsize=1)
def _redetector(folder: str | None) -> Redetector:
    return load_redetector(folder)


def _reconstruct(codec: ImageCodec, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with torch.inference_mode():
        tensor = to_float(torch.from_numpy(pictures)).to(next(codec.parameters()).dtype)
        return to_uint8(codec.decode(codec.encode(tensor))).numpy()
