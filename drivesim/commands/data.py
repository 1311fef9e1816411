"""`drivesim data`: drives through towns, recorded for others to read."""

from __future__ import annotations

from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf


@hydra.main(config_path="pkg://drivesim.configs", config_name="data", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    write(**settings)
    print(f"data  {settings['out']}")


def write(name: str, out: str, **options: Any) -> None:
    """Writes data in the format of that name; ValueError for an unknown one."""
    if name == "layouts":
        from drivesim.predictor.recording import LayoutConfig, record_layouts

        scenes = options.pop("scenes", None)
        record_layouts(LayoutConfig(out, **options, scenes=tuple(scenes) if scenes else None))
        return
    options["image_size"] = tuple(options["image_size"])
    if name == "clips":
        from drivesim.data.clips import RecordConfig, record_clips

        record_clips(RecordConfig(out, **options))
    elif name == "nuscenes":
        from drivesim.town.writer import write_dataset

        write_dataset(out, **options)
    else:
        raise ValueError(f"format: found {name!r}, accepted ['clips', 'layouts', 'nuscenes']")
