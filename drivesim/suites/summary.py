"""What many drives come to: means with confidence intervals per policy, shares of what was passed, Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivesim.suites.one_drive import Row
from drivesim.suites.runner import flat_scores

PUBLISHED = {
    "passed": "passed", "navsim_pdms": "NAVSIM PDMS", "navsim_epdms": "NAVSIM EPDMS", "nuplan_cls": "nuPlan CLS",
    "drivearena_ads": "DriveArena ADS", "hugsim_hd_score": "HUGSIM HD-Score", "neuroncap": "NeuroNCAP",
}  # fmt: skip
SHOWN = PUBLISHED | {
    "no_collision": "no collision", "no_at_fault_collision": "no at-fault collision",
    "drivable_area_compliance": "drivable area", "driving_direction_compliance": "driving direction",
    "time_to_collision_within_bound": "time to collision", "comfort": "comfort", "lane_keeping": "lane keeping",
    "speed_limit_compliance": "speed limit", "route_completion": "route completion", "mean_speed": "mean speed [m/s]",
}  # fmt: skip
RESAMPLES = 2000
BEGIN, END = "<!-- table: {} -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % bootstrap interval around it."""

    mean: float
    low: float
    high: float


def interval(values: NDArray[np.float64]) -> Interval:
    """Mean of values [N] and the percentile bootstrap interval of the mean (Efron 1979), the same every time."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(values.mean()), float(low), float(high))


def policies_of(rows: Iterable[Row]) -> list[str]:
    """Names of the policies in the order of the rows."""
    return list(dict.fromkeys(row["policy"] for row in rows))


def values_of(row: Row) -> dict[str, float]:
    """What a drive adds to the means. A drive that broke was not passed.

    NeuroNCAP counts only where a car that does not react hits something: elsewhere nobody can fail it.
    """
    values = flat_scores(row) | {"passed": float(row.get("passed", False))}
    if row.get("reference", {}).get("impact_speed") is None:
        values.pop("neuroncap", None)
    return values


def summary(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Per policy the means of SHOWN over the drives that they apply to."""
    table: dict[str, dict[str, Interval]] = {}
    for policy in policies_of(rows):
        values = [values_of(row) for row in rows if row["policy"] == policy]
        table[policy] = {
            name: interval(np.array(found)) for name in SHOWN if (found := [v[name] for v in values if name in v])
        }
    return table


def differences(rows: Sequence[Row], base: str) -> dict[str, dict[str, Interval]]:
    """Per other policy the means of PUBLISHED less those of policy `base`, over the drives that both have: what the
    drives have in common, such as how hard they are, is not in these intervals.

    Raises ValueError if there is no such policy.
    """
    policies = policies_of(rows)
    if base not in policies:
        raise ValueError(f"against: found {base!r}, accepted one of {policies}")
    values = {policy: {row["drive"]: values_of(row) for row in rows if row["policy"] == policy} for policy in policies}
    table: dict[str, dict[str, Interval]] = {}
    for policy in policies:
        pairs = [(values[policy][drive], found) for drive, found in values[base].items() if drive in values[policy]]
        if policy != base:
            table[policy] = {
                name: interval(np.array(change)) for name in PUBLISHED
                if (change := [one[name] - other[name] for one, other in pairs if name in one and name in other])
            }  # fmt: skip
    return table


def shares(rows: Sequence[Row]) -> dict[str, dict[str, tuple[int, int]]]:
    """Per policy and skill how many drives were passed, of how many."""
    table: dict[str, dict[str, tuple[int, int]]] = {policy: {} for policy in policies_of(rows)}
    for row in sorted(rows, key=lambda row: row["skill"]):
        passed, count = table[row["policy"]].get(row["skill"], (0, 0))
        table[row["policy"]][row["skill"]] = passed + bool(row.get("passed", False)), count + 1
    return table


def failures(rows: Sequence[Row]) -> list[Row]:
    """Drives that broke or were not passed, the broken ones first, else in the order of the plan."""
    failed = [row for row in rows if not row.get("passed", False)]
    return sorted(failed, key=lambda row: "error" not in row)


def left_out(rows: Sequence[Row]) -> list[str]:
    """One sentence per published score that lacks terms, or that does not apply to all drives."""
    found: dict[tuple[str, str], int] = {}
    scored = [row for row in rows if "scores" in row]
    for row in scored:
        for key, part in row["scores"]["aggregates"].items():
            if key != "neuroncap" and part.get("omitted"):
                place = key, ", ".join(part["omitted"]).replace("_", " ")
                found[place] = found.get(place, 0) + 1
    count = len(scored)
    sentences = [f"{PUBLISHED[key]} without {terms} in {n} of {count} drives" for (key, terms), n in found.items()]
    counted = sum("neuroncap" in values_of(row) for row in scored)
    if 0 < counted < count:
        sentences.append(f"NeuroNCAP over the {counted} drives in which a car that does not react hits something")
    return sentences


def text_table(rows: Sequence[Row], columns: Sequence[str] = tuple(PUBLISHED)) -> str:
    """Means with their intervals as a Markdown table, one line per policy."""
    table = summary(rows)
    names = [name for name in columns if any(name in scores for scores in table.values())]
    lines = [_line("policy", *(SHOWN[name] for name in names)), "|---" * (len(names) + 1) + "|"]
    lines += [_line(policy, *(_cell(scores.get(name)) for name in names)) for policy, scores in table.items()]
    return "\n".join(lines)


def difference_table(rows: Sequence[Row], base: str) -> str:
    """What other policies score more than `base` in the same drives as a Markdown table."""
    table = differences(rows, base)
    names = [name for name in PUBLISHED if any(name in scores for scores in table.values())]
    lines = [_line(f"less {base}", *(PUBLISHED[name] for name in names)), "|---" * (len(names) + 1) + "|"]
    lines += [_line(policy, *(_cell(scores.get(name), "+") for name in names)) for policy, scores in table.items()]
    return "\n".join(lines)


def skill_table(rows: Sequence[Row]) -> str:
    """How many drives of each skill were passed as a Markdown table, one line per policy."""
    table = shares(rows)
    skills = sorted({skill for found in table.values() for skill in found})
    lines = [_line("policy", *(skill.replace("_", " ") for skill in skills)), "|---" * (len(skills) + 1) + "|"]
    for policy, found in table.items():
        cells = ["{} of {}".format(*found[skill]) if skill in found else "" for skill in skills]
        lines.append(_line(policy, *cells))
    return "\n".join(lines)


def markdown(rows: Sequence[Row], base: str | None = None) -> str:
    """All tables and what they leave out; with a `base`, what the others score more than it in the same drives."""
    parts = [text_table(rows)]
    parts += [difference_table(rows, base)] if base is not None else []
    if len({row["skill"] for row in rows}) > 1:
        parts.append(skill_table(rows))
    parts += ["Left out: " + "; ".join(found) + "."] if (found := left_out(rows)) else []
    return "\n\n".join(parts) + "\n"


def write_into(page: Path, name: str, text: str) -> None:
    """Puts text into a Markdown page, between the comments "table: name" and "end of table".

    Raises ValueError if the page has no such place.
    """
    begin, content = BEGIN.format(name), page.read_text() if page.is_file() else ""
    head, found, rest = content.partition(begin)
    _, end, tail = rest.partition(END)
    if not (found and end):
        raise ValueError(f"page: found no place for {name!r} in {page}, accepted a page with {begin} and {END}")
    temporary = page.with_name(f".{page.name}.partial")
    temporary.write_text(f"{head}{begin}\n{text}{END}{tail}")
    temporary.replace(page)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(found: Interval | None, sign: str = "") -> str:
    if found is None:
        return ""
    mean, low, high = (f"{value:{sign}.2f}" for value in (found.mean, found.low, found.high))
    return f"{mean} ({low} to {high})"
