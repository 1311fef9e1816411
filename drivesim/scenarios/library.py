"""The scenarios that come with the package, and finding one by name or path."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from drivesim.scenarios.reader import read_scenario, scenario_of
from drivesim.scenarios.schema import Scenario
from drivesim.scenarios.yaml_tree import ScenarioError, tree_of

LIBRARY = Path(__file__).with_name("library")
EXPERTS = LIBRARY / "experts.json"  # manoeuvres that master the scenarios, by planners.prove_scenarios


def library_names() -> tuple[str, ...]:
    """Names of the scenarios that come with the package."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.yaml")))


def load_scenario(name: str | Path, variant: int = 0) -> Scenario:
    """A scenario of the library by name, or one from a .yaml or OpenSCENARIO (.xosc) file.

    Raises ScenarioError if there is none or it is wrong; of an OpenSCENARIO file, warns (UnsupportedScenario) of what
    is not simply taken over.
    """
    if isinstance(variant, bool) or not isinstance(variant, int) or not 0 <= variant < 2**31:
        raise ScenarioError(f"variant: found {variant!r}, accepted an integer from 0 to {2**31 - 1}")
    path, shown = Path(name), str(name)
    if path.suffix not in (".yaml", ".yml", ".xosc"):
        if shown not in library_names():
            raise ScenarioError(
                f"scenario: found {shown!r}, accepted a path ending in .yaml or one of {', '.join(library_names())}"
            )
        path, shown = LIBRARY / f"{shown}.yaml", f"{shown}.yaml"
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(path, variant, shown, changed)


def content_digest(scenario: Scenario) -> str:
    """Twelve hex digits that change with anything that changes how a scenario plays."""
    return hashlib.sha256(json.dumps(_content(scenario)).encode()).hexdigest()[:12]


def _content(value: Any) -> Any:
    """A value as plain data; fields at their defaults, as those that later versions add, and lines of the file count
    for nothing."""
    if is_dataclass(value):
        own = {f.name: (getattr(value, f.name), f.default) for f in fields(value) if f.compare}
        return {name: _content(found) for name, (found, default) in own.items() if found != default}
    return [_content(item) for item in value] if isinstance(value, tuple) else value


def proof_of(name: str, variant: int) -> dict[str, Any] | None:
    """What is known of a variant of a scenario of the library: `expert` (a manoeuvre that masters it) and
    `impact_speed` [m/s] of a car that does not react (None if it hits nothing). None where nothing was proven, or where
    the scenario was changed since."""
    proofs = _proofs().get(name, {}).get("variants", []) if name in library_names() else []
    if variant >= len(proofs) or proofs[variant]["digest"] != content_digest(load_scenario(name, variant)):
        return None
    return dict(proofs[variant])


@lru_cache(maxsize=1)
def _proofs() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(EXPERTS.read_text()) if EXPERTS.is_file() else {}
    return found


@lru_cache(maxsize=256)
def _load(path: Path, variant: int, shown: str, changed: int) -> Scenario:
    if path.suffix == ".xosc":
        return _imported(path, variant, shown)
    return read_scenario(path, variant, shown)


def _imported(path: Path, variant: int, shown: str) -> Scenario:
    from drivesim.scenarios.openscenario import UnsupportedScenario, import_openscenario

    imported = import_openscenario(path, shown=shown)
    if imported.findings:
        warnings.warn(
            f"{shown} is not taken over as it stands:\n{imported.listed()}", UnsupportedScenario, stacklevel=3
        )
    return scenario_of(tree_of(imported.text, shown), path.stem, variant)
