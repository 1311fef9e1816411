"""What every driving metric returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Metric(NamedTuple):
    """A measured value, whether the drive has the data to tell it, and where it makes sense its course over time."""

    value: float
    valid: bool
    series: NDArray[np.float64] | None = None  # [T]


UNKNOWN = Metric(float("nan"), False)


def compliance(broken: NDArray[np.bool_]) -> Metric:
    """1 where a rule holds at every step, 0 where it does not, of the steps [T] at which it is broken."""
    return Metric(float(not broken.any()), True, 1.0 - broken)
