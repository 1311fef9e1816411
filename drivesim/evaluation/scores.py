"""From the records of all drives to the figures of a row: by measured frame, and for colours by age."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.evaluation.records import PICTURE_FIGURES, Record, boxes_found, colors_of
from drivesim.evaluation.settings import EvaluationConfig
from drivesim.evaluation.truth import TownTruth
from drivesim.metrics.color import kept_colors
from drivesim.metrics.detection import are_found, average_precision, mean_average_precision
from drivesim.metrics.frechet import frechet_distance, video_features
from drivesim.metrics.segmentation import mean_intersection_over_union

FIGURES = (*PICTURE_FIGURES, "miou", "map", "found", "features", "video")
FOUND_RANGE = 30.0  # [m] within which objects are looked for
FOUND_WITHIN = 2.0  # [m] of its centre an object counts as found
FOUND_SCORE = 0.3  # from which on a detection counts


@dataclass(frozen=True)
class Colors:
    """Cars that kept their colour for so many frames since they were first seen."""

    age: list[int]  # [frames]
    kept: list[float]  # share, NaN where there were no cars
    cars: list[int]


@dataclass(frozen=True)
class Scores:
    """The figures of a row: lists over the measured frames."""

    figures: dict[str, list[float]]  # of FIGURES
    colors: Colors

    def plain(self) -> dict:
        """As JSON takes it; figures that there are none of are null."""
        values = {name: [v if np.isfinite(v) else None for v in row] for name, row in self.figures.items()}
        kept = [v if np.isfinite(v) else None for v in self.colors.kept]
        return values | {"colors": asdict(self.colors) | {"kept": kept}}


def score(
    records: Sequence[Record], cast: Sequence[Record], truths: Sequence[TownTruth], config: EvaluationConfig
) -> Scores:
    """Figures over drives; `cast` are the records of the ray-cast pictures of the same drives.

    Decibels, sharpness and similarity are means over drives, mIoU and mAP are over all cells and boxes of all drives.
    `found` is the share of objects within FOUND_RANGE that are found of those that are found on ray-cast pictures.
    """
    figures: dict[str, list[float]] = {name: [] for name in FIGURES}
    for index, frame in enumerate(config.frames):
        values = np.stack([record["figures"][index] for record in records])
        for name, column in zip(PICTURE_FIGURES, values.T, strict=True):
            figures[name].append(_mean_of_finite(column))
        figures["miou"].append(mean_intersection_over_union(np.stack([r["overlap"][index] for r in records])))
        precision, found = _obedience(records, cast, truths, index, config.readings_of(frame))
        figures["map"].append(precision)
        figures["found"].append(found)
        own, true = (
            np.concatenate([np.moveaxis(r["features"][index], 1, 0) for r in rows]) for rows in (records, cast)
        )
        figures["features"].append(frechet_distance(own.reshape(-1, own.shape[-1]), true.reshape(-1, true.shape[-1])))
        still = config.window < 2
        figures["video"].append(float("nan") if still else frechet_distance(video_features(own), video_features(true)))
    return Scores(figures, _colors(records, config))


def _obedience(
    records: Sequence[Record], cast: Sequence[Record], truths: Sequence[TownTruth], index: int, readings: range
) -> tuple[float, float]:
    """mAP, and the share of objects that are found of those that are found on ray-cast pictures."""
    boxes, wanted, again = [], [], []
    for record, reference, truth in zip(records, cast, truths, strict=True):
        for place, number in enumerate(readings):
            true = truth.boxes(number)
            found = boxes_found(record, index, place)
            boxes.append(found)
            wanted.append(true)
            near = np.linalg.norm(true.centre[:, :2], axis=-1) < FOUND_RANGE
            seen = near & are_found(true, boxes_found(reference, index, place), FOUND_WITHIN, FOUND_SCORE)
            again.append(are_found(true, found, FOUND_WITHIN, FOUND_SCORE)[seen])
    every = np.concatenate(again)
    share = float(every.mean()) if len(every) else float("nan")
    return mean_average_precision(average_precision(boxes, wanted)), share


def _colors(records: Sequence[Record], config: EvaluationConfig) -> Colors:
    ages = list(config.color_frames)[1:]
    kept = [np.concatenate([kept_colors(colors_of(record), age) for record in records]) for age in ages]
    return Colors(ages, [float(k.mean()) if len(k) else float("nan") for k in kept], [len(k) for k in kept])


def _mean_of_finite(values: NDArray[np.float64]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN
        return float(np.mean(values[np.isfinite(values)]))
