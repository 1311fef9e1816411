"""The drawings of a report, as SVG: what was passed by skill, and speed over time with the moments of fault."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drivesim.suites.one_drive import Row

matplotlib.rcParams["svg.hashsalt"] = "drivesim"  # the same page for the same results
matplotlib.rcParams["svg.fonttype"] = "none"  # words stay words
matplotlib.rcParams["font.family"] = "sans-serif"
COLORS = ("#2a9d8f", "#e76f51", "#4361ee", "#e9b44c", "#9b5de5", "#577590", "#d62976", "#6a994e")
ALERT = "#c8402f"
CRITERIA = {
    "reach": "did not get there", "no_collision": "collision", "max_impact_speed": "hit something too fast",
    "stay_on_road": "left the road", "max_offset": "too far from its lane", "max_speed": "too fast",
    "clearance": "passed too close", "passed_by": "let nobody pass",
}  # fmt: skip


def color_of(index: int) -> str:
    """Colour of the policy of that place in the tables."""
    return COLORS[index % len(COLORS)]


def skill_profile(shares: Mapping[str, Mapping[str, tuple[int, int]]]) -> str:
    """Share of passed drives per skill, one polygon per policy; bars where there are fewer than three skills."""
    skills = sorted({skill for found in shares.values() for skill in found})
    figure = Figure(figsize=(5.6, 4.4))
    draw = _radar if len(skills) >= 3 else _bars
    values = {p: [found[s][0] / found[s][1] if s in found else 0.0 for s in skills] for p, found in shares.items()}
    draw(figure, [skill.replace("_", " ") for skill in skills], values)
    return _svg(figure)


def _radar(figure: Figure, skills: Sequence[str], values: Mapping[str, Sequence[float]]) -> None:
    axes = figure.add_subplot(projection="polar")
    angles = np.linspace(0.0, 2.0 * np.pi, len(skills), endpoint=False)
    for index, shares in enumerate(values.values()):
        axes.plot([*angles, angles[0]], [*shares, shares[0]], color=color_of(index), linewidth=2)
        axes.fill([*angles, angles[0]], [*shares, shares[0]], color=color_of(index), alpha=0.08)
    axes.set_theta_offset(0.5 * np.pi)  # type: ignore[attr-defined]
    axes.set_xticks(angles, skills)
    axes.tick_params(axis="x", pad=10, labelsize=10)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks((0.25, 0.5, 0.75, 1.0), ("", "50 %", "", "100 %"), fontsize=8, color="#888")
    axes.grid(color="#ddd")
    axes.spines["polar"].set_color("#ddd")


def _bars(figure: Figure, skills: Sequence[str], values: Mapping[str, Sequence[float]]) -> None:
    axes, width = figure.add_subplot(), 0.8 / len(values)
    for index, shares in enumerate(values.values()):
        axes.bar(np.arange(len(skills)) + index * width, shares, width, color=color_of(index))
    axes.set_xticks(np.arange(len(skills)) + 0.4 - 0.5 * width, skills)
    axes.set_ylim(0.0, 1.0)
    _plain(axes)


def time_line(rows: Sequence[Row], places: Mapping[str, int]) -> str:
    """Speed over time of the drives of several policies through one drive, with the moments at which something
    happened; `places` are those of the policies in the tables."""
    figure = Figure(figsize=(13, 1.9))
    axes = figure.add_subplot()
    for line, row in enumerate(rows):
        speed, color = row["speed"], color_of(places[row["policy"]])
        axes.plot(np.linspace(0.0, row["seconds"], len(speed)), speed, color=color, linewidth=1.5)
        for time, words in faults(row):
            height = np.interp(time, np.linspace(0.0, row["seconds"], len(speed)), speed)
            axes.plot(time, height, "x", color=ALERT, markersize=8, markeredgewidth=2, clip_on=False)
            axes.axvline(time, color=color, linewidth=1, linestyle=":")
            axes.annotate(words, (time, 1.0), xycoords=("data", "axes fraction"), xytext=(-4, -2 - 11 * line),
                          textcoords="offset points", fontsize=9, color=ALERT, va="top", ha="right")  # fmt: skip
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("time [s]", fontsize=9)
    axes.set_ylabel("speed [m/s]", fontsize=9)
    _plain(axes)
    return _svg(figure)


def faults(row: Row) -> list[tuple[float, str]]:
    """When [s] a drive went wrong, and how; the last one is why it was not passed."""
    found = [(event["time"], ", ".join(event["what"]).replace("_", " ")) for event in row["events"]]
    if row["passed"] or found:
        return found
    words = [CRITERIA.get(name, name.replace("_", " ")) for name in row.get("failed", ())]
    return [(row["seconds"], ", ".join(words) or f"ended by {row['ending']}")]


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=9, color="#999")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color("#999")


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None}, transparent=True)
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]
