"""The predictor that comes with the package, or one from a weights folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from drivesim.predictor.closed_loop import PredictedTraffic
from drivesim.predictor.network import ConditionPredictor, load_predictor
from drivesim.scene import VehicleShape
from drivesim.traffic import Demand

_WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "predictor"


@lru_cache(maxsize=4)
def _loaded(folder: Path) -> ConditionPredictor:
    return load_predictor(folder).requires_grad_(False)


def shipped_predictor(weights: str | Path | None = None) -> ConditionPredictor:
    """The predictor of a weights folder, by default the shipped one; loaded once. WeightsError if there is none."""
    return _loaded(_WEIGHTS if weights is None else Path(weights).resolve())


def predicted_traffic(weights: str | Path | None, demand: Demand, shape: VehicleShape) -> PredictedTraffic:
    """Traffic moved by a predictor."""
    return PredictedTraffic(shipped_predictor(weights), demand, shape)
