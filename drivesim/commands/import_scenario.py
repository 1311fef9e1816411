"""`drivesim import-scenario`: an OpenSCENARIO file becomes a scenario file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from drivesim.scenarios.openscenario import Imported, ImportSettings, import_openscenario
from drivesim.scenarios.reader import scenario_of
from drivesim.scenarios.yaml_tree import tree_of


@hydra.main(config_path="pkg://drivesim.configs", config_name="import_scenario", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    file, out = settings.pop("file"), Path(settings.pop("out"))
    imported = convert(file, out, ImportSettings(**settings))
    counts = Counter(finding.kind for finding in imported.findings)
    print(imported.listed())
    print(f"scenario  {out.resolve()}\n{', '.join(f'{n} {kind}' for kind, n in counts.items()) or 'all taken over'}")


def convert(file: str, out: Path, settings: ImportSettings) -> Imported:
    """Writes the scenario file `out`, which appears only when it is complete and has been read; ScenarioError if the
    file is wrong, or not accepted."""
    imported = import_openscenario(file, settings)
    scenario_of(tree_of(imported.text, str(out)), out.stem)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(imported.text, encoding="utf-8")
    partial.replace(out)
    return imported
