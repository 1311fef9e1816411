"""`drivesim record`: any policy drives anywhere; what it saw and did stays behind as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from drivesim.commands.executor import fan_out_of
from drivesim.recording.disturbance import DisturbanceConfig
from drivesim.recording.nuscenes_taker import VERSION
from drivesim.recording.plan import RecordPlan
from drivesim.recording.runner import Recorded, record


@hydra.main(config_path="pkg://drivesim.configs", config_name="record", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    print(report(run(settings)))


def run(settings: dict[str, Any]) -> Recorded:
    """Records what the settings of the command ask for."""
    out, workers = Path(settings.pop("out")).resolve(), settings.pop("workers")
    fan_out = fan_out_of(settings.pop("executor"), settings.pop("ray_address"))
    disturbance = DisturbanceConfig(float(settings.pop("disturbance")))
    settings |= {name: tuple(settings[name]) for name in ("formats", "observation")}
    return record(RecordPlan(**settings, disturbance=disturbance), out, workers, fan_out)


def report(recorded: Recorded) -> str:
    """What was written and where."""
    lines = []
    if recorded.episodes is not None:
        lines.append(f"episodes  {recorded.episodes}")
    if recorded.dataset is not None:
        lines.append(f"data set  {recorded.dataset}  (version {VERSION})")
    if recorded.left_out:
        lines.append(f"too short for the data set (less than 0.5 s): {', '.join(recorded.left_out)}")
    return "\n".join(lines)
