"""`drivesim evaluate-video`: how true generated drives stay to the ray-cast pictures of the same drives."""

from __future__ import annotations

from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from drivesim.evaluation import EvaluationConfig, evaluate


@hydra.main(config_path="pkg://drivesim.configs", config_name="evaluate_video", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    tuples = {key: tuple(settings[key]) for key in ("frames", "steps")}
    folder = evaluate(EvaluationConfig(**(settings | tuples)))
    print(f"tables, numbers and contact sheets  {folder.resolve()}")
