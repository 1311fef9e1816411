"""One self-contained HTML page about an evaluation: scores side by side, skills, and the failures first with films."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from drivesim.suites.runner import Row, flat_scores

matplotlib.rcParams["svg.hashsalt"] = "drivesim"  # the same page for the same results
SHOWN = {
    "passed": "passed", "navsim_pdms": "NAVSIM PDMS", "navsim_epdms": "NAVSIM EPDMS", "nuplan_cls": "nuPlan CLS",
    "drivearena_ads": "DriveArena ADS",
    "hugsim_hd_score": "HUGSIM HD-Score", "neuroncap": "NeuroNCAP", "no_at_fault_collision": "no at-fault collision",
    "drivable_area_compliance": "drivable area", "driving_direction_compliance": "driving direction",
    "time_to_collision_within_bound": "time to collision", "comfort": "comfort", "lane_keeping": "lane keeping",
    "ego_is_making_progress": "making progress", "mean_speed": "mean speed [m/s]",
}  # fmt: skip
RESAMPLES = 2000
COLORS = ("#2a9d8f", "#e76f51", "#4361ee", "#e9b44c", "#9b5de5", "#577590", "#d62976", "#6a994e")


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


def summary(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Per policy the means of SHOWN over the drives that they apply to. A drive that broke counts as not passed."""
    table: dict[str, dict[str, Interval]] = {}
    for policy in dict.fromkeys(row["policy"] for row in rows):
        own = [row for row in rows if row["policy"] == policy]
        values = [flat_scores(row) | {"passed": float(row.get("passed", False))} for row in own]
        table[policy] = {
            name: interval(np.array(found)) for name in SHOWN if (found := [v[name] for v in values if name in v])
        }
    return table


def text_table(rows: Sequence[Row]) -> str:
    """The summary as Markdown."""
    table = summary(rows)
    names = [name for name in SHOWN if any(name in scores for scores in table.values())]
    lines = ["| policy | " + " | ".join(SHOWN[name] for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for policy, scores in table.items():
        cells = [_cell(scores.get(name)) for name in names]
        lines.append(f"| {policy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: Interval | None) -> str:
    return "" if found is None else f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})"


def failures(rows: Sequence[Row]) -> list[Row]:
    """Drives that broke or were not passed, the broken ones first, else in the order of the plan."""
    failed = [row for row in rows if not row.get("passed", False)]
    return sorted(failed, key=lambda row: "error" not in row)


def write_report(path: Path, title: str, rows: Sequence[Row], films: Mapping[tuple[str, str], Path]) -> None:
    """Writes the page; `films` holds short videos by (policy, drive)."""
    failed = failures(rows)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{len(rows)} drives, {len(rows) - len(failed)} passed. Small: 95 % interval of the mean.</p>",
        _score_table(rows),
        f"<figure>{_radar(rows)}<figcaption>Share of drives passed, by skill</figcaption></figure>",
        f"<h2>Failures ({len(failed)})</h2>" if failed else "<h2>No failures</h2>",
        *(_drive_card(row, films.get((row["policy"], row["drive"]))) for row in failed),
        f"<details><summary>All drives</summary>{_all_drives(rows)}</details>",
    ]
    page = _PAGE.format(title=html.escape(title), body="\n".join(parts))
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(page)
    temporary.replace(path)


def _score_table(rows: Sequence[Row]) -> str:
    table = summary(rows)
    names = [name for name in SHOWN if any(name in scores for scores in table.values())]
    best = {name: max(s[name].mean for s in table.values() if name in s) for name in names}
    head = "".join(f"<th>{html.escape(policy)}</th>" for policy in table)
    lines = []
    for name in names:
        cells = ""
        for scores in table.values():
            found = scores.get(name)
            mark = ' class="best"' if found and len(table) > 1 and found.mean == best[name] else ""
            text = f"<b>{found.mean:.2f}</b> <small>{found.low:.2f} – {found.high:.2f}</small>" if found else "–"
            cells += f"<td{mark}>{text}</td>"
        lines.append(f"<tr><th>{SHOWN[name]}</th>{cells}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"


def _radar(rows: Sequence[Row]) -> str:
    """Share of passed drives per skill, one polygon per policy; bars where there are fewer than three skills."""
    skills = sorted({row["skill"] for row in rows})
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    shares = {
        policy: [
            float(
                np.mean([row.get("passed", False) for row in rows if (row["policy"], row["skill"]) == (policy, skill)])
            )
            for skill in skills
        ]
        for policy in policies
    }
    figure = Figure(figsize=(7, 4.6))
    if len(skills) >= 3:
        axes = figure.add_subplot(projection="polar")
        angles = np.linspace(0.0, 2.0 * np.pi, len(skills), endpoint=False)
        for policy, color in zip(policies, _colors(len(policies))):
            closed = [*shares[policy], shares[policy][0]]
            axes.plot([*angles, angles[0]], closed, color=color, label=policy)
            axes.fill([*angles, angles[0]], closed, color=color, alpha=0.12)
        axes.set_xticks(angles, [skill.replace("_", " ") for skill in skills])
        axes.set_ylim(0.0, 1.0)
    else:
        axes = figure.add_subplot()
        width = 0.8 / len(policies)
        for index, (policy, color) in enumerate(zip(policies, _colors(len(policies)))):
            places = np.arange(len(skills)) + index * width
            axes.bar(places, shares[policy], width, color=color, label=policy)
        axes.set_xticks(np.arange(len(skills)) + 0.4 - width / 2, [skill.replace("_", " ") for skill in skills])
        axes.set_ylim(0.0, 1.0)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.08, 0.5), frameon=False)
    return _svg(figure)


def _drive_card(row: Row, film: Path | None) -> str:
    head = f"<h3>{html.escape(row['policy'])} on {html.escape(row['drive'])}</h3>"
    facts = f"{html.escape(row['skill'])}, difficulty {row['difficulty']}, seed {row['seed']}"
    if "error" in row:
        trace = f"<pre>{html.escape(row['traceback'])}</pre>"
        return f'<section class="broken">{head}<p>{facts}: {html.escape(row["error"])}</p>{trace}</section>'
    last = row["events"][-1] if row["events"] else None
    what = f"{last['what'][0]} at {last['time']:.1f} s" if last else f"ended by {row['ending']}"
    video = ""
    if film is not None:
        data = base64.b64encode(film.read_bytes()).decode()
        video = f'<video controls muted preload="metadata" src="data:video/mp4;base64,{data}"></video>'
    return f"<section>{head}<p>{facts}: <b>{html.escape(what)}</b></p>{video}{_time_line(row)}</section>"


def _time_line(row: Row) -> str:
    """Speed over time with the moments at which something happened."""
    speed = row["speed"]
    times = np.linspace(0.0, row["seconds"], len(speed))
    figure = Figure(figsize=(7, 1.5))
    axes = figure.add_subplot()
    axes.plot(times, speed, color=COLORS[0])
    for event in row["events"]:
        axes.axvline(event["time"], color=COLORS[1], linewidth=1)
        axes.annotate(event["what"][0], (event["time"], 1.0), xycoords=("data", "axes fraction"), xytext=(-4, -3),
                      textcoords="offset points", fontsize=8, color=COLORS[1], ha="right", va="top")  # fmt: skip
    axes.set_xlabel("time [s]", fontsize=8)
    axes.set_ylabel("speed [m/s]", fontsize=8)
    axes.set_ylim(bottom=0.0)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return _svg(figure)


def _all_drives(rows: Sequence[Row]) -> str:
    lines = "".join(
        f"<tr><td>{html.escape(row['policy'])}</td><td>{html.escape(row['drive'])}</td><td>{html.escape(row['skill'])}</td>"
        f"<td>{'passed' if row.get('passed') else html.escape(row.get('ending', 'broke'))}</td>"
        f"<td>{row.get('distance', float('nan')):.0f} m</td></tr>"
        for row in rows
    )
    return (
        f"<table><tr><th>policy</th><th>drive</th><th>skill</th><th>outcome</th><th>distance</th></tr>{lines}</table>"
    )


def _colors(count: int) -> list[str]:
    return [COLORS[index % len(COLORS)] for index in range(count)]


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None}, transparent=True)
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
h1 {{ font-weight: 600; }} h2 {{ margin-top: 2.5rem; }} h3 {{ margin: 0; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} td, th {{ padding: .3rem .8rem; text-align: left; }}
tr:nth-child(even) td {{ background: #f6f6f4; }} th {{ font-weight: 500; color: #555; }} small {{ color: #888; }}
td.best b {{ color: #2a9d8f; }} section {{ border-top: 1px solid #ddd; padding: 1.2rem 0; }}
video {{ width: 100%; border-radius: 6px; }} svg {{ max-width: 100%; height: auto; }} figure {{ margin: 1rem 0; }}
section.broken pre {{ overflow-x: auto; background: #f6f6f4; padding: .8rem; font-size: 12px; }}
figcaption {{ color: #777; font-size: 13px; }} summary {{ cursor: pointer; margin-top: 2rem; color: #555; }}
</style></head><body>
{body}
</body></html>
"""
