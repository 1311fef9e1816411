"""What is measured on one drive as one generator (or reference) shows it; kept in a file per drive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.evaluation.settings import EvaluationConfig
from drivesim.evaluation.truth import TownTruth, TrueFrames, pack_boxes, rig_of, save_rows, unpack_boxes
from drivesim.metrics.color import SeenColors, seen_colors
from drivesim.metrics.pictures import psnr, sharpness, ssim
from drivesim.metrics.seams import seam_psnr
from drivesim.metrics.segmentation import overlap_counts
from drivesim.redetector.data import least_pixels
from drivesim.redetector.layout import Boxes
from drivesim.redetector.network import Redetector
from drivesim.redetector.reader import pooled_features, read
from drivesim.town.raycast import RenderedFrame
from drivesim.town.semantics import GRASS, OBJECT_OFFSET, ROAD

REGIONS = ("whole", "ground", "boxes", "rest")
PICTURE_FIGURES = (*REGIONS, "sharpness", "ssim", "seam")  # [dB] but for sharpness and ssim
_COLOR_PIXELS = 5  # times as many as make a box seen, from which on its colour can be told

Pictures = Mapping[int, NDArray[np.uint8]]
Record = Mapping[str, NDArray[Any]]


def regions(frame: RenderedFrame) -> dict[str, NDArray[np.bool_]]:
    """Masks [V, H, W] of what the ray-caster saw: ground, boxes and the rest."""
    ground = (frame.semantic >= ROAD) & (frame.semantic <= GRASS)
    boxes = frame.semantic >= OBJECT_OFFSET
    return {"whole": np.ones_like(ground), "ground": ground, "boxes": boxes, "rest": ~ground & ~boxes}


def measure(
    pictures: Pictures, frames: TrueFrames, truth: TownTruth, redetector: Redetector, config: EvaluationConfig
) -> Record:
    """All that is measured on the pictures of one drive, F measured frames:

    `figures` [F, PICTURE_FIGURES], `overlap` [F, K, M, 2] over K readings of each window, the boxes found in them,
    `features` [F, window, V, C], the colours of cars, and the `pictures` [F, V, H, W, 3] themselves.
    """
    rig, size = rig_of(config), least_pixels(rig_of(config))
    figures = [_figures(pictures[frame], frames.labelled(frame), config) for frame in config.frames]
    features = [
        pooled_features(redetector, np.stack([pictures[n] for n in config.window_of(frame)])) for frame in config.frames
    ]
    overlap, boxes = [], []
    for frame in config.frames:
        numbers = config.readings_of(frame)
        found = read(redetector, np.stack([pictures[n] for n in numbers]), rig)
        overlap.append([overlap_counts(f.cells, truth.cells(n)) for n, f in zip(numbers, found)])
        boxes += [f.boxes for f in found]
    colors = SeenColors.joined([
        seen_colors(n, pictures[n], frames.instance(n), truth.cars(n), _COLOR_PIXELS * size)
        for n in config.color_frames
    ])  # fmt: skip
    return {
        "figures": np.array(figures), "overlap": np.array(overlap), "features": np.stack(features),
        "pictures": np.stack([pictures[frame] for frame in config.frames]), **pack_boxes(boxes),
        "color_frame": colors.frame, "color_track": colors.track, "color": colors.color,
    }  # fmt: skip


def _figures(pictures: NDArray[np.uint8], truth: RenderedFrame, config: EvaluationConfig) -> list[float]:
    masks = regions(truth)
    values = {name: psnr(pictures, truth.images, masks[name]) for name in REGIONS}
    values["sharpness"] = sharpness(pictures, truth.images)
    values["ssim"] = ssim(pictures, truth.images)
    values["seam"] = seam_psnr(pictures, truth.depth, rig_of(config))
    return [values[name] for name in PICTURE_FIGURES]


def colors_of(record: Record) -> SeenColors:
    """The colours of cars in a record."""
    return SeenColors(record["color_frame"], record["color_track"], record["color"])


def boxes_found(record: Record, frame: int, reading: int) -> Boxes:
    """Boxes found in reading `reading` of the window of the measured frame with place `frame`."""
    return unpack_boxes(record, frame * record["overlap"].shape[1] + reading)


def load_record(file: Path) -> Record:
    """A record from its file."""
    with np.load(file) as rows:
        return dict(rows)


def save_record(file: Path, record: Record) -> None:
    """Writes a record; to a temporary name first."""
    save_rows(file, record)
