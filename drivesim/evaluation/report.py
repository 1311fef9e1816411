"""The figures of all rows as tables, plots over time and contact sheets."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from drivesim.evaluation.scores import FIGURES, Scores

COLUMNS = {
    "whole": "whole", "ground": "ground", "boxes": "boxes", "rest": "rest", "sharpness": "sharpness", "ssim": "SSIM",
    "seam": "seam", "miou": "mIoU", "map": "mAP", "found": "found", "features": "features", "video": "video",
}  # fmt: skip
PLOTTED = ("ground", "boxes", "sharpness", "miou", "map", "found", "features", "video")
_DIGITS = {"features": 4, "video": 4}
_COLOR_AGES = (12, 60, 120, 240, 600, 1200)


def write_report(out: Path, rows: Mapping[str, Scores], frames: Sequence[int]) -> str:
    """Writes table.md, scores.json, scores.csv and plots.png; returns the table."""
    table = frame_table(rows, frames) + "\n" + color_table(rows)
    (out / "table.md").write_text(table)
    (out / "scores.json").write_text(json.dumps({name: row.plain() for name, row in rows.items()}, indent=1) + "\n")
    with (out / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "frame", *FIGURES])
        for name, row in rows.items():
            for index, frame in enumerate(frames):
                writer.writerow([name, frame, *(row.figures[column][index] for column in FIGURES)])
    _plot(out / "plots.png", rows, frames)
    return table


def frame_table(rows: Mapping[str, Scores], frames: Sequence[int]) -> str:
    """One line per row and measured frame."""
    lines = ["| | frame | " + " | ".join(COLUMNS.values()) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    for name, row in rows.items():
        for index, frame in enumerate(frames):
            cells = " | ".join(_cell(row.figures[column][index], _DIGITS.get(column, 2)) for column in COLUMNS)
            lines.append(f"| {name if index == 0 else ''} | {frame} | {cells} |")
    return "\n".join(lines) + "\n"


def color_table(rows: Mapping[str, Scores]) -> str:
    """Share of the cars that keep their colour, by the frames since they were first seen; empty without any age."""
    ages = [age for age in _COLOR_AGES if all(age in row.colors.age for row in rows.values())]
    if not ages:
        return ""
    lines = [
        "| colour kept for | " + " | ".join(f"{age} frames" for age in ages) + " |",
        "|---" * (1 + len(ages)) + "|",
    ]
    for name, row in rows.items():
        places = [row.colors.age.index(age) for age in ages]
        cells = (f"{_cell(row.colors.kept[i])} ({row.colors.cars[i]} cars)" for i in places)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def _plot(path: Path, rows: Mapping[str, Scores], frames: Sequence[int]) -> None:
    """Every figure over the frames of the drive, and kept colours over age; one line per row."""
    figure, axes = plt.subplots(3, 3, figsize=(13, 9), layout="constrained")
    for name, row in rows.items():
        for axis, column in zip(axes.flat, PLOTTED):
            axis.plot(frames, row.figures[column], marker="o", markersize=3, label=name)
        axes.flat[len(PLOTTED)].plot(row.colors.age, row.colors.kept, label=name)
    for axis, column in zip(axes.flat, PLOTTED):
        axis.set(title=COLUMNS[column], xlabel="frame", xscale="log")
        if column in _DIGITS:  # distances: from nearly nothing to those of pictures without a subject
            axis.set_yscale("log", nonpositive="clip")
    axes.flat[len(PLOTTED)].set(title="colour kept", xlabel="frames since first seen", ylim=(0.0, 1.05))
    axes.flat[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def contact_sheet(path: Path, drives: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> None:
    """Six views in a row, truth above generation, one column per measured frame and one pair of rows per drive; every
    drive is (true, generated) pictures [F, V, H, W, 3]."""
    rows = [np.concatenate([_ring(images) for images in pictures], axis=1) for drive in drives for pictures in drive]
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


def _ring(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Front cameras above rear cameras, each row from left to right as seen from above."""
    front, rear = np.concatenate(images[[0, 1, 2]], axis=1), np.concatenate(images[[5, 4, 3]], axis=1)
    return np.pad(np.concatenate([front, rear]), ((0, 4), (0, 4), (0, 0)), constant_values=255)
