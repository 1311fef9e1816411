"""One self-contained HTML page about an evaluation: scores side by side, skills, and the failures first with films."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from drivesim.suites.figures import color_of, faults, skill_profile, time_line
from drivesim.suites.films import Film
from drivesim.suites.one_drive import Row
from drivesim.suites.summary import (
    PUBLISHED,
    SHOWN,
    Interval,
    differences,
    failures,
    left_out,
    policies_of,
    shares,
    summary,
)

_FULL = {"neuroncap": 5.0}  # best value of a score, where it is not 1
_LONG = ("mean_speed",)  # has no best value
Films = Mapping[tuple[str, str], Film]


def write_report(
    path: Path, title: str, rows: Sequence[Row], films: Films, about: str = "", base: str | None = None
) -> None:
    """Writes the page; `films` holds short videos by (policy, drive), `about` says what was run, and `base` is the
    policy that the others are held against."""
    failed, policies = failures(rows), policies_of(rows)
    drives = len({row["drive"] for row in rows})
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="about">{drives} drives, {len(policies)} polic{"y" if len(policies) == 1 else "ies"}. '
        f"{len(rows) - len(failed)} of {len(rows)} passed. {html.escape(about)}</p>",
        _legend(policies),
        _score_table(rows),
        _differences(rows, base) if base is not None else "",
        _skills(rows),
        f'<h2 id="failures">Failures ({len(failed)})</h2>' if failed else "<h2>No failures</h2>",
        *_failure_cards(rows, failed, films),
        f"<h2>All drives</h2>{_all_drives(rows)}",
    ]
    page = files("drivesim.suites").joinpath("page.html").read_text()
    page = page.replace("{title}", html.escape(title)).replace("{body}", "\n".join(parts))
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(page)
    temporary.replace(path)


def _name(policy: str, place: int) -> str:
    return f'<span class="policy"><i style="background:{color_of(place)}"></i>{html.escape(policy)}</span>'


def _legend(policies: Sequence[str]) -> str:
    return f'<p class="legend">{" ".join(_name(policy, place) for place, policy in enumerate(policies))}</p>'


def _score_table(rows: Sequence[Row]) -> str:
    table = summary(rows)
    head = "".join(f"<th>{_name(policy, place)}</th>" for place, policy in enumerate(table))
    lines = []
    for name in SHOWN:
        found = [scores.get(name) for scores in table.values()]
        known = [part.mean for part in found if part]
        if known:
            best = max(known) if len(table) > 1 and min(known) < max(known) and name not in _LONG else None
            kind = ' class="published"' if name in PUBLISHED else ""
            lines.append(f"<tr{kind}><th>{SHOWN[name]}</th>{''.join(_cell(name, part, best) for part in found)}</tr>")
    notes = ["Small: 95 % bootstrap interval of the mean over drives", *left_out(rows)]
    notes = [*notes, *_clairvoyant(rows)]
    return (
        f'<div class="wide"><table class="scores"><thead><tr><th></th>{head}</tr></thead>{"".join(lines)}</table></div>'
        f'<p class="note">{html.escape(". ".join(notes))}.</p>'
    )


def _differences(rows: Sequence[Row], base: str) -> str:
    table, places = differences(rows, base), {policy: place for place, policy in enumerate(policies_of(rows))}
    head = "".join(f"<th>{_name(policy, places[policy])}</th>" for policy in table)
    lines = []
    for name, title in PUBLISHED.items():
        found = [scores.get(name) for scores in table.values()]
        if any(found):
            lines.append(f"<tr><th>{title}</th>{''.join(_difference(part) for part in found)}</tr>")
    return (
        f"<h2>Against {html.escape(base)}, in the same drives</h2>"
        f'<div class="wide"><table class="scores"><thead><tr><th></th>{head}</tr></thead>{"".join(lines)}</table></div>'
        '<p class="note">Small: 95 % bootstrap interval of the mean difference. Bold: it does not hold 0.</p>'
    )


def _difference(found: Interval | None) -> str:
    if found is None:
        return "<td>–</td>"
    sure = "" if found.low > 0.0 or found.high < 0.0 else ' class="unsure"'
    return f"<td><b{sure}>{found.mean:+.2f}</b><small>{found.low:+.2f} to {found.high:+.2f}</small></td>"


def _clairvoyant(rows: Sequence[Row]) -> list[str]:
    seers = [policy for policy in policies_of(rows)
             if any(row.get("policy_sees_world") for row in rows if row["policy"] == policy)]  # fmt: skip
    return [f"{', '.join(seers)} looked ahead in the world itself, which no car can"] if seers else []


def _cell(name: str, found: Interval | None, best: float | None) -> str:
    if found is None:
        return "<td>–</td>"
    mark = ' class="best"' if found.mean == best else ""
    bar = ""
    if name not in _LONG:
        low, high = (100.0 * value / _FULL.get(name, 1.0) for value in (found.low, found.high))
        bar = f'<div class="bar"><i style="left:{low:.1f}%;width:{max(high - low, 1.0):.1f}%"></i></div>'
    return f"<td{mark}><b>{found.mean:.2f}</b><small>{found.low:.2f} – {found.high:.2f}</small>{bar}</td>"


def _skills(rows: Sequence[Row]) -> str:
    table = shares(rows)
    names = sorted({skill for found in table.values() for skill in found})
    head = "".join(f"<th>{_name(policy, place)}</th>" for place, policy in enumerate(table))
    lines = []
    for skill in names:
        cells = ""
        for found in table.values():
            passed, count = found.get(skill, (0, 0))
            cells += f'<td style="--share:{100.0 * passed / max(count, 1):.0f}%" class="share">{passed} of {count}</td>'
        lines.append(f"<tr><th>{html.escape(skill.replace('_', ' '))}</th>{cells}</tr>")
    return (
        f'<h2>Drives passed, by skill</h2><div class="skills"><figure>{skill_profile(table)}</figure>'
        f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead>{"".join(lines)}</table></div></div>'
    )


def _failure_cards(rows: Sequence[Row], failed: Sequence[Row], films: Films) -> list[str]:
    """One card per drive that somebody failed, with all policies side by side; those that broke first."""
    places = {policy: place for place, policy in enumerate(policies_of(rows))}
    drives = list(dict.fromkeys(row["drive"] for row in failed))
    by_drive = {drive: [row for row in rows if row["drive"] == drive] for drive in drives}
    return [_card(drive, found, places, films) for drive, found in by_drive.items()]


def _card(drive: str, rows: Sequence[Row], places: Mapping[str, int], films: Films) -> str:
    row = rows[0]
    title = html.escape(row.get("title") or drive)
    facts = f"{html.escape(row['skill'].replace('_', ' '))}, difficulty {row['difficulty']}, seed {row['seed']}"
    driven = [found for found in rows if "error" not in found]
    plot = f'<div class="line">{time_line(driven, places)}</div>' if driven else ""
    panels = "".join(_panel(found, places, films.get((found["policy"], drive))) for found in rows)
    return (
        f'<section id="{html.escape(drive)}"><h3>{title}</h3>'
        f'<p class="facts"><code>{html.escape(drive)}</code> {facts}</p>'
        f'<div class="panels">{panels}</div>{plot}</section>'
    )


def _panel(row: Row, places: Mapping[str, int], film: Film | None) -> str:
    name, passed = _name(row["policy"], places[row["policy"]]), row.get("passed", False)
    if "error" in row:
        trace = f"<details><summary>Traceback</summary><pre>{html.escape(row['traceback'])}</pre></details>"
        return f'<div class="panel broken">{name} <b class="fault">broke</b>: {html.escape(row["error"])}{trace}</div>'
    kind = "" if passed else ' class="fault"'
    text = f"{name} <b{kind}>{html.escape(outcome(row))}</b>"
    if film is None:
        return f'<div class="panel{" short" if passed else ""}">{text}</div>'
    video, poster = (base64.b64encode(path.read_bytes()).decode() for path in (film.video, film.poster))
    return (
        f'<div class="panel film">{text}<video controls muted playsinline preload="none" '
        f'poster="data:image/jpeg;base64,{poster}" src="data:video/mp4;base64,{video}"></video></div>'
    )


def outcome(row: Row) -> str:
    """What came of a drive, in words."""
    if row["passed"]:
        return f"passed, {row['seconds']:.1f} s"
    time, words = faults(row)[-1]
    return f"{words} at {time:.1f} s" if row["events"] else f"{words}, {time:.1f} s"


def _all_drives(rows: Sequence[Row]) -> str:
    """Every drive as a line, every policy as a column."""
    policies, lines = policies_of(rows), []
    head = "".join(f"<th>{_name(policy, place)}</th>" for place, policy in enumerate(policies))
    in_order = sorted(rows, key=lambda row: (row["skill"], row["difficulty"], row["drive"]))
    for drive, group in groupby(in_order, key=lambda row: row["drive"]):
        found = {row["policy"]: row for row in group}
        row = next(iter(found.values()))
        failed = any(not part.get("passed", False) for part in found.values())
        name = f'<a href="#{html.escape(drive)}">{html.escape(drive)}</a>' if failed else html.escape(drive)
        cells = "".join(_outcome_cell(found.get(policy)) for policy in policies)
        what = f"{html.escape(row['skill'].replace('_', ' '))} {row['difficulty']}"
        lines.append(f"<tr><th>{name}</th><td>{what}</td>{cells}</tr>")
    return (
        '<div class="wide"><table class="all"><thead><tr><th></th><th>skill, level</th>'
        f"{head}</tr></thead>{''.join(lines)}</table></div>"
    )


def _outcome_cell(row: Row | None) -> str:
    if row is None:
        return "<td>–</td>"
    if "error" in row:
        return '<td class="bad">broke</td>'
    return f'<td class="{"good" if row["passed"] else "bad"}">{html.escape(outcome(row))}</td>'
