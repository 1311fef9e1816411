"""The scenarios that come with the package, and finding one by name or path."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from drivesim.scenarios.reader import read_scenario
from drivesim.scenarios.schema import Scenario
from drivesim.scenarios.yaml_tree import ScenarioError

LIBRARY = Path(__file__).with_name("library")
EXPERTS = LIBRARY / "experts.json"  # manoeuvres that master the scenarios, by planners.prove_scenarios


def library_names() -> tuple[str, ...]:
    """Names of the scenarios that come with the package."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.yaml")))


def load_scenario(name: str | Path, variant: int = 0) -> Scenario:
    """A scenario of the library by name, or one from a .yaml file; ScenarioError if there is none or it is wrong."""
    if isinstance(variant, bool) or not isinstance(variant, int) or not 0 <= variant < 2**31:
        raise ScenarioError(f"variant: found {variant!r}, accepted an integer from 0 to {2**31 - 1}")
    path, shown = Path(name), str(name)
    if path.suffix not in (".yaml", ".yml"):
        if shown not in library_names():
            raise ScenarioError(
                f"scenario: found {shown!r}, accepted a path ending in .yaml or one of {', '.join(library_names())}"
            )
        path, shown = LIBRARY / f"{shown}.yaml", f"{shown}.yaml"
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(path, variant, shown, changed)


@lru_cache(maxsize=256)
def _load(path: Path, variant: int, shown: str, changed: int) -> Scenario:
    return read_scenario(path, variant, shown)
