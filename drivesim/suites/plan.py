"""What an evaluation consists of: policies, drives, the environment, and the files that the results go to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from drivesim.suites.suite import Drive

RESULTS_FORMAT = "drivesim-results/2"


@dataclass(frozen=True)
class Entrant:
    """A policy under test and the name it has in the tables."""

    name: str
    policy: str  # as `load_policy` takes it
    options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)  # arguments of DriveWorldEnv for this one, before the plan's


@dataclass(frozen=True)
class EvaluationPlan:
    """Who drives what where. Everything that decides the results is in here."""

    entrants: tuple[Entrant, ...]
    drives: tuple[Drive, ...]
    env: Mapping[str, Any] = field(default_factory=dict)  # arguments of DriveWorldEnv

    def __post_init__(self) -> None:
        for kind, names in (("policies", [e.name for e in self.entrants]), ("drives", [d.name for d in self.drives])):
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{kind}: found names {names}, accepted at least one, each of them once")

    def fingerprint(self) -> dict[str, Any]:
        """The plan as plain data; results of another fingerprint must not be mixed with these."""
        return {
            "format": RESULTS_FORMAT,
            "versions": {name: version(name) for name in ("drivesim", "torch", "numpy")},
            "env": _plain(self.env),
            "policies": {
                e.name: {"policy": e.policy, "options": _plain(e.options)} | ({"env": _plain(e.env)} if e.env else {})
                for e in self.entrants
            },
            "drives": [_plain(vars(drive)) for drive in self.drives],
        }

    def jobs(self, out: Path) -> list[Job]:
        """All drives of all policies, with the files of their results under `out`."""
        return [
            Job(entrant, drive, {**self.env, **entrant.env}, out / "runs" / entrant.name / f"{drive.name}.json")
            for entrant in self.entrants
            for drive in self.drives
        ]


@dataclass(frozen=True)
class Job:
    """One drive of one policy and the file of its result."""

    entrant: Entrant
    drive: Drive
    env: Mapping[str, Any]
    file: Path

    @property
    def actions(self) -> Path:
        """File of what was done: an array [T, A], one row per step."""
        return self.file.with_suffix(".npy")


def _plain(value: Any) -> Any:
    """Mappings, sequences, numbers and text as JSON keeps them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
