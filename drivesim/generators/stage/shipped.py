"""The weights that come with the package, and which of them pictures of a size are drawn with."""

from __future__ import annotations

from math import log
from pathlib import Path

SIZES = {"tiny": (72, 128), "small": (128, 224)}  # (height, width) of the pictures each was trained on
_WEIGHTS = Path(__file__).parents[2] / "weights"


def weights_folder(weights: str | Path | None, image_size: tuple[int, int] = SIZES["tiny"]) -> Path:
    """A folder of weights: a path as it is, a name of `SIZES`, or for None those made for the nearest height."""
    if weights is None:
        weights = min(SIZES, key=lambda name: abs(log(SIZES[name][0] / image_size[0])))
    return _WEIGHTS / str(weights) if str(weights) in SIZES else Path(weights)
