"""`drivesim evaluate-predictor`: how true predicted layouts are, and how well predicted traffic behaves."""

from __future__ import annotations

from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf


@hydra.main(config_path="pkg://drivesim.configs", config_name="evaluate_predictor", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    from drivesim.predictor.evaluation import PredictorEvaluation, evaluate_predictor

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    settings["traffic"] = tuple(settings["traffic"])
    print(evaluate_predictor(PredictorEvaluation(**settings)))
