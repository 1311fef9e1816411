"""Layouts of drives as folders of memory-mapped windows: recorded in towns, or read from logs; and batches of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.data.clips import FPS, drive
from drivesim.predictor.layout import PERIOD
from drivesim.predictor.windows import ROWS, batch_of, windows_of
from drivesim.scene import Scene
from drivesim.town.rig import nuscenes_rig
from drivesim.traffic.tables import lane_tables

WINDOWS_FORMAT = "drivesim-layouts/1"
_FRAMES = round(PERIOD * FPS)  # of the town in one period


@dataclass(frozen=True)
class LayoutConfig:
    """What to record. Towns unless a `dataroot` names nuScenes-format data (`version`, maps perhaps `map_from`)."""

    out: str
    first_seed: int = 0
    drives: int = 100
    seconds: float = 40.0
    density: int = 30
    stride: int = 3  # layouts from one window to the next
    held_out: bool = False  # whether towns from 900,000 on may be recorded
    dataroot: str | None = None
    version: str = "v1.0-mini"
    map_from: str | None = None
    scenes: tuple[str, ...] | None = None  # of the data; by default all, from `first_seed` on as many as `drives`


def record_layouts(config: LayoutConfig) -> list[Path]:
    """Writes the windows of every drive to one folder each; drives that are already there are kept.

    Raises ValueError for towns that are reserved for evaluation, unless they are asked for.
    """
    from drivesim.world import EVALUATION_TOWNS  # the town's worlds use the predictor, too

    out = Path(config.out)
    if config.dataroot is not None:
        return _record_logs(config, out)
    last = config.first_seed + config.drives
    if last > EVALUATION_TOWNS and not config.held_out:
        raise ValueError(f"first_seed + drives: found {last}, accepted at most {EVALUATION_TOWNS}, or held_out=true")
    folders = []
    for seed in tqdm(range(config.first_seed, last), desc="drives", unit="drive"):
        folder = out / f"layouts_{seed:06d}"
        folders.append(folder)
        if not folder.exists():
            scenes = town_scenes(seed, config.seconds, config.density)
            write_windows(folder, windows_of(scenes, lane_tables, config.stride), {"town": seed})
    return folders


def town_scenes(seed: int, seconds: float, density: int) -> list[Scene]:
    """Scenes of a drive through a town, PERIOD apart; the ego wanders, slows down and stops as it likes."""
    from drivesim.world import TownSource

    source = TownSource(rig=nuscenes_rig((36, 64)), density=density)
    return drive(source, seed, round(seconds * FPS))[::_FRAMES]


def _record_logs(config: LayoutConfig, out: Path) -> list[Path]:
    from drivesim.data.nuscenes_reader import NuScenesReader

    reader = NuScenesReader(str(config.dataroot), config.version, 150.0, config.map_from)
    folders = []
    names = config.scenes or reader.scene_names[config.first_seed :][: config.drives]
    for name in tqdm(names, desc="drives", unit="drive"):
        folder = out / f"layouts_{name}"
        folders.append(folder)
        if not folder.exists():
            first, last = reader.drive(name).span
            times = np.arange(max(first, 0.0), last - 1e-6, PERIOD)
            windows = windows_of([reader.scene(name, float(time)) for time in times], lane_tables, config.stride)
            write_windows(folder, windows, {"scene": name})
    return folders


def write_windows(folder: Path, windows: Mapping[str, NDArray], head: Mapping[str, Any]) -> None:
    """One folder of windows, which appears only when it is complete."""
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, value in windows.items():
        np.save(temporary / f"{name}.npy", value, allow_pickle=False)
    count = len(windows["motion"]) if windows else 0
    (temporary / "clip.json").write_text(json.dumps({"format": WINDOWS_FORMAT, "windows": count, **head}) + "\n")
    temporary.replace(folder)


class LayoutBatches:
    """Batches of windows from all folders below `data`, with the first `rows` road users of each; a pure function of
    the step number.

    Raises ValueError where there are no windows, or other ones.
    """

    def __init__(self, data: str | Path, batch: int, seed: int = 0, rows: int = ROWS) -> None:
        self.batch, self.seed, self.rows = batch, seed, rows
        heads = [(path.parent, json.loads(path.read_text())) for path in sorted(Path(data).glob("layouts_*/clip.json"))]
        for folder, head in heads:
            if head.get("format") != WINDOWS_FORMAT:
                raise ValueError(f"{folder}: format: found {head.get('format')!r}, accepted {WINDOWS_FORMAT!r}")
        self.folders = [(folder, int(head["windows"])) for folder, head in heads if head["windows"]]
        if not self.folders:
            raise ValueError(f"data={data}: found no windows, accepted a folder by `drivesim data format=layouts`")
        self.index = [(row, at) for row, (_, count) in enumerate(self.folders) for at in range(count)]
        self._open: dict[int, dict[str, NDArray]] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __call__(self, step: int) -> dict[str, Any]:
        """The batch of a training step."""
        rng = np.random.default_rng([self.seed, step])
        return self.take(rng.integers(len(self.index), size=self.batch).tolist())

    def take(self, rows: list[int]) -> dict[str, Any]:
        """The windows of the given rows."""
        windows = [{k: v[at] for k, v in self._arrays(f).items()} for f, at in (self.index[row] for row in rows)]
        return batch_of([{name: cropped(name, value, self.rows) for name, value in one.items()} for one in windows])

    def _arrays(self, row: int) -> dict[str, NDArray]:
        if row not in self._open:
            folder = self.folders[row][0]
            self._open[row] = {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}
        return self._open[row]


def cropped(name: str, value: NDArray, rows: int) -> NDArray:
    """An array of a window with its first `rows` road users."""
    return value[:, :rows] if name == "motion" else value[:rows]
