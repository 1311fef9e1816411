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
    if results:
        print(table(results))
    batches = _batches(settings, bench) if settings["worlds"] else []
    grid = _grid(settings) if settings["sizes"] else []
    if settings["out"]:
        out = Path(settings["out"])
        out.parent.mkdir(parents=True, exist_ok=True)
        figures: dict[str, list[Any]] = {"results": results, "batches": batches, "grid": grid}
        content: dict[str, Any] = {"machine": machine(), "settings": settings}
        content |= {name: [asdict(result) for result in found] for name, found in figures.items()}
        partial = out.with_name(f".{out.name}.partial")
        partial.write_text(json.dumps(content, indent=1))
        partial.replace(out)
        print(f"\nfigures  {out.resolve()}")


def _grid(settings: dict[str, Any]) -> list[Any]:
    # Imported where it is needed: the peak memory of a new process is never less than what its parent had.
    from drivesim.bench_grid import GridConfig, benchmark_grid, grid_table

    config = GridConfig(
        settings["sizes"], settings["batches"], settings["denoising_steps"], settings["devices"], settings["steps"],
        settings["warmup"], settings["seed"], settings["env"]["generator_options"].get("dtype", "bfloat16"),
        settings["plain"], settings["profile"],
    )  # fmt: skip
    results = benchmark_grid(config)
    print(f"\n{grid_table(results)}")
    return results


def _batches(settings: dict[str, Any], bench: BenchConfig) -> list[BatchResult]:
    config = BatchConfig(tuple(settings["worlds"]), bench.steps, bench.warmup, bench.seed, bench.env, bench.options)
    batches = [batch for generator in settings["generators"] for batch in benchmark_batches(generator, config)]
    print(f"\n{batch_table(batches)}")
    return batches
