"""How true predicted maps are: intersection over union of every class on the unmapped cells, by distance to the rim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.beyond.grid import CELL, CLASSES, ROAD
from drivesim.predictor.beyond.network import MapNetwork
from drivesim.predictor.beyond.objective import probabilities

METHODS = ("network", "straight on")
_KINDS = ([ROAD], [index for index in range(len(CLASSES)) if index != ROAD])  # by the row of `known` that tells
RANGES = ((0.0, 8.0), (8.0, 16.0), (16.0, 32.0), (32.0, 64.0))  # [m] from the nearest mapped cell


@dataclass(frozen=True)
class MapOverlap:
    """Intersection over union of a class by a method at a range of distances [m]; NaN where neither has a cell."""

    method: str
    class_name: str
    nearest: float
    farthest: float
    overlap: float
    cells: int  # that truly are of the class there


def straight_on(cells: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Classes [C, H, W] when the cross-section at the rim goes straight on: every unmapped cell [H, W] is as the
    nearest mapped one of its column behind it; nothing where there is none."""
    rows = np.arange(known.shape[0])[:, None]
    behind = np.where(known, rows, known.shape[0])
    nearest = np.minimum.accumulate(behind[::-1], axis=0)[::-1]
    found = nearest < known.shape[0]
    index = np.broadcast_to(np.minimum(nearest, known.shape[0] - 1), cells.shape)
    return np.take_along_axis(cells, index, 1) & found


def distance_to_mapped(known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance [H, W] [m] of every cell to the nearest mapped one, 0 for mapped ones."""
    return CELL * cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def map_overlaps(network: MapNetwork, batches: Iterable[Mapping[str, Any]]) -> list[MapOverlap]:
    """Overlaps of all classes by all methods at all ranges, over batches of patches."""
    shape = (len(METHODS), len(RANGES), len(CLASSES))
    both, either, true = np.zeros(shape), np.zeros(shape), np.zeros(shape[1:])
    for batch in batches:
        predicted = probabilities(network, batch["cells"], batch["known"]).numpy() > 0.5
        for row in range(len(predicted)):
            cells = batch["cells"][row].numpy() > 0.5
            # Every class is judged where it was not known, by the distance to where it was.
            for kind, known in enumerate(batch["known"][row].numpy() > 0.5):
                classes, away = _KINDS[kind], distance_to_mapped(known)
                guesses = (predicted[row, classes], straight_on(cells[classes], known))
                for at, (nearest, farthest) in enumerate(RANGES):
                    there = (away > nearest) & (away <= farthest)
                    true[at, classes] += (cells[classes] & there).sum((1, 2))
                    for method, guess in enumerate(guesses):
                        both[method, at, classes] += (guess & cells[classes] & there).sum((1, 2))
                        either[method, at, classes] += ((guess | cells[classes]) & there).sum((1, 2))
    with np.errstate(invalid="ignore"):
        overlap = both / either
    return [
        MapOverlap(METHODS[m], CLASSES[c], *RANGES[r], float(overlap[m, r, c]), int(true[r, c]))
        for m, r, c in np.ndindex(shape)
    ]


def overlap_table(overlaps: list[MapOverlap]) -> str:
    """The overlaps as Markdown: network / straight on."""
    of = {(row.method, row.class_name, row.nearest): row.overlap for row in overlaps}
    heads = " | ".join(f"{nearest:g}-{farthest:g} m" for nearest, farthest in RANGES)
    lines = [f"| class (network / straight on) | {heads} |", "|---" * (1 + len(RANGES)) + "|"]
    for name in CLASSES:
        cells = [" / ".join(f"{of[method, name, nearest]:.2f}" for method in METHODS) for nearest, _ in RANGES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
