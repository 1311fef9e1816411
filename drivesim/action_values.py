"""Actions as they come in: numbers of the right shape, or an error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def finite_values(action: ArrayLike, shapes: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    """The action as an array of one of the shapes; ValueError if it is none or not finite."""
    try:
        values = np.asarray(action, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"action: found {action!r}, accepted numbers of shape {_either(shapes)}") from error
    if values.shape not in shapes:
        raise ValueError(f"action: found shape {values.shape}, accepted {_either(shapes)}")
    if not all(map(math.isfinite, values.reshape(-1).tolist())):
        raise ValueError(f"action: found {values.tolist()}, accepted finite numbers")
    return values


def _either(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " or ".join(map(str, shapes))
