"""How true a generator stays: its stream against the ray-cast truth of the very same drive, on towns it never saw."""

from drivesim.evaluation.evaluate import evaluate
from drivesim.evaluation.settings import EvaluationConfig

__all__ = ["EvaluationConfig", "evaluate"]
