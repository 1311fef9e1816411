"""Finds for every scenario of the library a manoeuvre that masters it, and records them as its experts.

    python -m planners.prove_scenarios            # those that have no expert yet or were changed since
    python -m planners.prove_scenarios --again    # all, recorded experts first; fails if one no longer does it

Writes drivesim/scenarios/library/experts.json and the table of docs/scenarios.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from drivesim.env import DriveWorldEnv
from drivesim.scenarios import library_names, load_scenario
from drivesim.scenarios.library import EXPERTS, content_digest
from planners.lane_follower import LaneFollower
from planners.manoeuvre import Manoeuvre, ManoeuvrePolicy

VARIANTS = 3  # of each scenario, the nominal one included
TRIES = 120
PAGE = Path(__file__).parents[1] / "docs" / "scenarios.md"
_BEGIN, _END = "<!-- table: python -m planners.prove_scenarios -->", "<!-- end of table -->"
Records = dict[str, dict[str, Any]]


def make_env() -> DriveWorldEnv:
    """The cheapest environment that the experts can drive in."""
    return DriveWorldEnv(generator=None, action="physical", observation=("ego", "route", "boxes"), seconds=None)


def outcome(env: DriveWorldEnv, name: str, variant: int, policy: LaneFollower | ManoeuvrePolicy) -> str:
    """How a drive through one variant of a scenario ends."""
    return finish(env, name, variant, policy)[0]


def finish(
    env: DriveWorldEnv, name: str, variant: int, policy: LaneFollower | ManoeuvrePolicy
) -> tuple[str, float | None]:
    """The outcome and the speed of the impact [m/s], None without one."""
    observation, info = env.reset(seed=0, options={"scenario": name, "variant": variant})
    policy.reset(info)
    over = False
    while not over:
        observation, _, terminated, truncated, info = env.step(policy.act(observation, info))
        over = terminated or truncated
    criteria = info["scenario"]["criteria"]
    failed = [criterion for criterion, state in criteria.items() if state == "failed"]
    impact = float(info["scenario"]["impact_speed"])
    return ", ".join(failed) or str(info["scenario"]["outcome"]), impact or None


def candidates(speed: float, seed: str) -> Iterator[Manoeuvre]:
    """Manoeuvres to try, simple ones first."""
    for cruise in (speed, 6.0, 11.0):
        yield Manoeuvre(cruise)
    offsets = [(d, b, e) for d in (3.4, 1.2, 2.0, -1.2, -3.4) for b in (5.0, 15.0, 25.0) for e in (45.0, 58.0, 75.0)]
    pauses: list[tuple[float | None, float]] = [(None, 0.0), (12.0, 6.0), (18.0, 9.0), (22.0, 12.0)]
    rest = [
        Manoeuvre(cruise, d, b, e, at, until, clearance)
        for (d, b, e), cruise, (at, until), clearance in itertools.product(
            offsets, (speed, 6.0, 4.0, 11.0), pauses, (0.5, 0.25)
        )
    ]
    rest += [Manoeuvre(cruise, 0.0, 0.0, 0.0, at, until) for cruise in (speed, 6.0) for at, until in pauses[1:]]
    random.Random(seed).shuffle(rest)
    yield from rest


def prove(env: DriveWorldEnv, name: str, known: dict[str, Any]) -> dict[str, Any]:
    """The record of a scenario: what becomes of the blind and of the lane follower in the nominal variant; and per
    variant an expert, and how hard the blind hit something."""
    speed = load_scenario(name).ego.speed
    blind = [finish(env, name, variant, ManoeuvrePolicy(cruise=speed, blind=True)) for variant in range(VARIANTS)]
    record: dict[str, Any] = {
        "blind": blind[0][0],
        "lane_follower": outcome(env, name, 0, LaneFollower()),
        "variants": [],
    }
    past = [variant["expert"] for variant in known.get("variants", [])]
    for variant, (_, impact) in enumerate(blind):
        own = [variant["expert"] for variant in record["variants"]]
        first = [Manoeuvre(**expert) for expert in [*past[variant:], *own] if expert is not None]
        tries = itertools.islice(itertools.chain(first, candidates(speed, f"{name}/{variant}")), TRIES)
        found = next((m for m in tries if outcome(env, name, variant, ManoeuvrePolicy(**asdict(m))) == "success"), None)
        digest = content_digest(load_scenario(name, variant))
        record["variants"].append({"digest": digest, "expert": found and chosen(found), "impact_speed": impact})
        if found is None:
            break
    return record


def chosen(manoeuvre: Manoeuvre) -> dict[str, Any]:
    """The settings of a manoeuvre that are not the defaults."""
    return {f.name: value for f in fields(manoeuvre) if (value := getattr(manoeuvre, f.name)) != f.default}


def main() -> None:
    """Proves what is asked for; exits with 1 if a scenario has no expert."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="scenarios; all by default")
    parser.add_argument("--again", action="store_true", help="also those that have experts")
    asked = parser.parse_args()
    records: Records = json.loads(EXPERTS.read_text()) if EXPERTS.is_file() else {}
    names = asked.names or sorted(library_names(), key=lambda name: load_scenario(name).town)
    env = make_env()
    for name in names:
        if asked.again or asked.names or not is_proven(name, records.get(name)):
            records[name] = prove(env, name, records.get(name, {}))
            verdict = "proven" if is_proven(name, records[name]) else "NOT PROVEN"
            print(f"{name}: {verdict}, blind: {records[name]['blind']}, "
                  f"lane follower: {records[name]['lane_follower']}", flush=True)  # fmt: skip
            write(records)
    missing = [name for name in library_names() if not is_proven(name, records.get(name))]
    if missing:
        raise SystemExit(f"without expert: {', '.join(missing)}")


def is_proven(name: str, record: dict[str, Any] | None) -> bool:
    """Whether there is an expert for every variant of a scenario as it is now."""
    variants = record["variants"] if record else []
    return len(variants) == VARIANTS and all(
        found["expert"] is not None and found["digest"] == content_digest(load_scenario(name, variant))
        for variant, found in enumerate(variants)
    )


def write(records: Records) -> None:
    """Saves the experts and the table."""
    known = {name: records[name] for name in library_names() if name in records}
    _replace(EXPERTS, json.dumps(known, indent=1) + "\n")
    if PAGE.is_file():
        head, rest = PAGE.read_text().split(_BEGIN)
        _replace(PAGE, f"{head}{_BEGIN}\n{table(known)}{_END}{rest.split(_END)[1]}")


def table(records: Records) -> str:
    """The library as a table."""
    rows = ["| scenario | what happens | skill | level | blind | lane follower | expert |", "|---" * 7 + "|"]
    for name in sorted(records, key=lambda name: (load_scenario(name).skill, load_scenario(name).difficulty, name)):
        scenario, record = load_scenario(name), records[name]
        done = sum(variant["expert"] is not None for variant in record["variants"])
        rows.append(
            f"| `{name}` | {scenario.title} | {scenario.skill} | {scenario.difficulty} | {record['blind']} | "
            f"{record['lane_follower']} | {done} of {VARIANTS} |"
        )
    return "\n".join(rows) + "\n"


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    main()
