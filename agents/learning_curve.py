"""What became of the drives during a training: kept, summed up, and drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

FIELDS = ("steps", "minutes", "distance", "seconds", "fault", "hit", "passed")


class LearningCurve:
    """One row per finished drive: training steps, minutes of training, and what became of the drive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[list[float]] = json.loads(path.read_text())["rows"] if path.exists() else []

    def add(self, steps: int, minutes: float, drive: Mapping[str, float]) -> None:
        """Notes a drive that is over."""
        row = {"steps": steps, "minutes": round(minutes, 3)} | dict(drive)
        self.rows.append([round(float(row[name]), 3) for name in FIELDS])

    @property
    def minutes(self) -> float:
        """Training time so far [min]."""
        return self.rows[-1][1] if self.rows else 0.0

    def recent(self, count: int = 100) -> dict[str, float]:
        """Means over the last drives: safe progress [m] (distance, 0 for a drive that ended by the agent's fault), and
        the shares of drives that ended so, and that were passed."""
        rows = np.array(self.rows[-count:]).reshape(-1, len(FIELDS))
        if not len(rows):
            return {}
        safe = rows[:, 2] * (1.0 - rows[:, 4])
        means = {"safe_progress": safe, "at_fault": rows[:, 4], "passed": rows[:, 6]}
        return {name: float(values.mean()) for name, values in means.items()}

    def save(self) -> None:
        """Writes the rows, to a temporary name first."""
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps({"fields": FIELDS, "rows": self.rows}) + "\n")
        partial.replace(self.path)

    def draw(self, title: str, references: Mapping[str, float] | None = None, window: int = 100) -> Path:
        """Draws moving means over `window` drives as a PNG beside the rows; `references` are horizontal lines [m]."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11.0, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 3)
        rows = np.array(self.rows).reshape(-1, len(FIELDS))
        curves = {
            "safe progress [m]": rows[:, 2] * (1.0 - rows[:, 4]),
            "drives passed [%]": 100.0 * rows[:, 6],
            "drives ended by own fault [%]": 100.0 * rows[:, 4],
        }
        for axis, (label, values) in zip(axes, curves.items()):
            if len(values):
                width = min(window, len(values))
                mean = np.convolve(values, np.ones(width) / width, mode="valid")
                axis.plot(rows[width - 1 :, 0] / 1e3, mean)
            axis.set(xlabel="steps [thousand]", ylabel=label)
            axis.grid(alpha=0.3)
        for name, value in (references or {}).items():
            axes[0].axhline(value, linestyle="--", color="0.4", label=name)
        if references:
            axes[0].legend()
        figure.suptitle(title)
        path = self.path.with_suffix(".png")
        figure.savefig(path, dpi=100)
        return path
