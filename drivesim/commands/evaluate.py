"""`drivesim evaluate`: policies are put through a suite; tables and a report stay behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from drivesim.commands.executor import fan_out_of
from drivesim.suites.films import film_failures
from drivesim.suites.plan import Entrant, EvaluationPlan
from drivesim.suites.report import write_report
from drivesim.suites.runner import evaluate
from drivesim.suites.suite import suite_of
from drivesim.suites.summary import failures, markdown, write_into


@hydra.main(config_path="pkg://drivesim.configs", config_name="evaluate", version_base="1.3")
def main(config: DictConfig) -> None:
    """Runs the command with its configuration."""
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore
    report = run_suite(settings)
    print(f"runs    {report.with_name('runs.jsonl')}\ntable   {report.with_name('table.csv')}\nreport  {report}")


def run_suite(settings: dict[str, Any]) -> Path:
    """Evaluates and writes the report; returns its path."""
    out = Path(settings["out"]).resolve()
    options = {name: settings[name] for name in ("towns", "seconds", "variants", "scenarios") if name in settings}
    plan = EvaluationPlan(
        tuple(entrants(settings["policies"])), suite_of(settings["suite"], **options), settings["env"]
    )
    names, base = [entrant.name for entrant in plan.entrants], settings.get("against")
    if base is not None and base not in names:
        raise ValueError(f"against: found {base!r}, accepted one of {names}")
    rows = evaluate(plan, out, settings["workers"], fan_out_of(settings["executor"], settings["ray_address"]))
    jobs = {(job.entrant.name, job.drive.name): job for job in plan.jobs(out)}
    failed = [(jobs[row["policy"], row["drive"]], row) for row in failures(rows) if "error" not in row]
    filmed = [pair for e in plan.entrants for pair in [p for p in failed if p[0].entrant == e][: settings["films"]]]
    here = settings["workers"] if settings["executor"] == "processes" else os.cpu_count() or 1  # films stay here
    films = film_failures(filmed, out / "films", min(here, settings["workers"]))
    about = ", ".join(f"{key} {value}" for key, value in settings["env"].items())
    write_report(out / "report.html", f"Suite {settings['suite']}", rows, films, f"Environment: {about}.", base)
    text = markdown(rows, base)
    out.joinpath("table.md").write_text(text)
    if settings.get("page"):
        write_into(Path(settings["page"]), settings["suite"], text)
    print(text)
    return out / "report.html"


def entrants(policies: list[Any]) -> list[Entrant]:
    """Entrants from a list of policies, each a path or a mapping with `policy` and at will `name`, `options` and `env`:
    the same policy may stand there twice under two names, with two generators."""
    found = []
    for entry in policies:
        given: dict[str, Any] = {"policy": entry} if isinstance(entry, str) else dict(entry)
        unknown = sorted(set(given) - {"policy", "name", "options", "env"})
        if unknown or "policy" not in given:
            raise ValueError(f"policies: found {given}, accepted a path, or a mapping of policy, name, options and env")
        name = given.get("name", given["policy"].rpartition(":")[2].rpartition("/")[2])
        found.append(Entrant(name, given["policy"], given.get("options") or {}, given.get("env") or {}))
    return found
