"""What a suite is: named drives, each a reset of the world and how long it may last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from drivesim.scenarios.library import content_digest, library_names, load_scenario, proof_of
from drivesim.world import EVALUATION_TOWNS

TOWN_SPEED = 8.0  # [m/s] that a drive through a town must keep up to complete its route


@dataclass(frozen=True)
class Drive:
    """A drive and what scores compare it with. Its name is a file name: letters, digits, `_`, `-`, `.`."""

    name: str
    seed: int
    seconds: float
    options: Mapping[str, Any] = field(default_factory=dict)  # of `DriveWorldEnv.reset`
    skill: str = "driving"
    difficulty: int = 1
    content: str = ""  # what the drive is made of where the options only name it, for `digest`
    title: str = ""  # what happens in it
    route_length: float | None = None  # [m] to the goal
    expert: float | None = None  # [m] that an expert came who broke no rule
    impact_speed: float | None = None  # [m/s] of the collision if the ego does not react

    @property
    def town(self) -> int:
        """Seed of the town that it leads through; 0 where that is left to the seed."""
        if "scenario" in self.options and "town" not in self.options:
            return load_scenario(self.options["scenario"]).town
        return int(self.options.get("town", 0))

    @property
    def digest(self) -> str:
        """Twelve hex digits that change with anything that changes the drive."""
        parts = [self.seed, self.seconds, dict(self.options), self.content]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def town_suite(towns: int = 20, seconds: float = 30.0) -> tuple[Drive, ...]:
    """Free drives through held-out towns; ValueError for less than one town or no time.

    Their routes have no end; complete are the first `TOWN_SPEED` x `seconds` metres.
    """
    if towns < 1:
        raise ValueError(f"towns: found {towns}, accepted at least 1")
    if not seconds > 0.0:
        raise ValueError(f"seconds: found {seconds}, accepted more than 0")
    first = EVALUATION_TOWNS
    length = TOWN_SPEED * seconds
    return tuple(Drive(f"town-{first + k}", k, seconds, {"town": first + k}, route_length=length) for k in range(towns))


def library_suite(variants: int = 1, scenarios: Sequence[str] | None = None) -> tuple[Drive, ...]:
    """Scenarios of the library by name, or others by path, with their first variants (0 is the middle of all ranges).

    All of the library by default. ValueError for no variants, ScenarioError for what is no scenario.
    """
    if variants < 1:
        raise ValueError(f"variants: found {variants}, accepted at least 1")
    return tuple(
        scenario_drive(name, variant, len(str(variants - 1)))
        for name in (library_names() if scenarios is None else scenarios)
        for variant in range(variants)
    )


def scenario_drive(name: str, variant: int = 0, digits: int = 1) -> Drive:
    """A variant of a scenario, by name or path, as a drive. Raises ScenarioError for one that is wrong.

    Its route ends where success asks the ego to come, which is also how far a proven expert came.
    """
    scenario = load_scenario(name, variant)
    options = {"scenario": name, "variant": variant}
    title = f"{scenario.name}.{variant:0{digits}}"
    # A scenario says itself when it is decided; the time beyond only catches one that never is.
    goal, proof = scenario.success.reach, proof_of(name, variant) or {"expert": None, "impact_speed": None}
    return Drive(
        title, variant, scenario.duration + 1.0, options, scenario.skill, scenario.difficulty, content_digest(scenario),
        scenario.title, goal, goal if proof["expert"] is not None else None, proof["impact_speed"],
    )  # fmt: skip


SUITES: dict[str, Callable[..., tuple[Drive, ...]]] = {"town": town_suite, "library": library_suite}


def suite_of(name: str, **options: Any) -> tuple[Drive, ...]:
    """The suite of that name; options that it does not know are left to the others. ValueError for an unknown name."""
    if name not in SUITES:
        raise ValueError(f"suite: found {name!r}, accepted {sorted(SUITES)}")
    build = SUITES[name]
    return build(**{key: value for key, value in options.items() if key in signature(build).parameters})
