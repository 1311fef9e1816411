"""`drivesim bench`: a table on the screen and the same figures as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from drivesim.bench import BenchConfig, benchmark, machine, table
from drivesim.bench_batch import BatchConfig, BatchResult, batch_table, benchmark_batches
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
    batches = _batches(settings, bench) if settings["worlds"] else []
    if settings["out"]:
        out = Path(settings["out"])
        out.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": machine(), "settings": settings, "results": [asdict(result) for result in results],
                   "batches": [asdict(batch) for batch in batches]}  # fmt: skip
        partial = out.with_name(f".{out.name}.partial")
        partial.write_text(json.dumps(content, indent=1))
        partial.replace(out)
        print(f"\nfigures  {out.resolve()}")


def _batches(settings: dict[str, Any], bench: BenchConfig) -> list[BatchResult]:
    config = BatchConfig(tuple(settings["worlds"]), bench.steps, bench.warmup, bench.seed, bench.env, bench.options)
    batches = [batch for generator in settings["generators"] for batch in benchmark_batches(generator, config)]
    print(f"\n{batch_table(batches)}")
    return batches
