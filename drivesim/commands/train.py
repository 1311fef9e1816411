"""`drivesim train`: trains a component and leaves a weights folder."""

from __future__ import annotations

from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf


@hydra.main(config_path="pkg://drivesim.configs", config_name="train", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    from drivesim import data_parallel
    from drivesim.components import train

    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    folder = train(settings.pop("name"), settings)
    if data_parallel.rank() == 0:
        print(f"weights  {folder.resolve()}")
