"""`drivesim bench`: a table on the screen and the same figures as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from drivesim.bench import BenchConfig, benchmark, machine, table
from drivesim.sources import start_options


@hydra.main(config_path="pkg://drivesim.configs", config_name="bench", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    drift = settings["drift"]
    bench = BenchConfig(
        settings["steps"],
        settings["warmup"],
        settings["seed"],
        tuple(drift) if drift else None,
        settings["drift_drives"],
        settings["env"],
        start_options(settings["options"]),
    )
    results = [benchmark(generator, bench) for generator in settings["generators"]]
    print(table(results))
    if settings["out"]:
        out = Path(settings["out"])
        out.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": machine(), "settings": settings, "results": [asdict(result) for result in results]}
        partial = out.with_name(f".{out.name}.partial")
        partial.write_text(json.dumps(content, indent=1))
        partial.replace(out)
        print(f"\nfigures  {out.resolve()}")
