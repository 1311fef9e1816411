"""Episodes: recorded drives as folders of memory-mapped arrays, one row per decision. See docs/recording.md.

An episode lies in a folder `clip_<number>` like the clips of `drivesim.data.clips`: recorded with their conditions,
episodes are clips, too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPISODE_FORMAT = "drivesim-episode/1"
NEEDED = ("pose", "action", "executed", "disturbed", "reward", "observation_ego", "observation_route")


def episode_folder(data: Path, index: int) -> Path:
    """Where the episode of that number lies."""
    return data / f"clip_{index:06d}"


class EpisodeWriter:
    """Collects the rows of one episode and writes them as one folder, which appears only when it is complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, list[NDArray]] = {}

    def add(self, **values: NDArray) -> None:
        """One row of each named array; pictures may come more rarely than the others."""
        for name, value in values.items():
            self._rows.setdefault(name, []).append(np.asarray(value))

    def write(self, head: Mapping[str, Any], **constants: NDArray) -> None:
        """Writes all rows, arrays that hold for the whole episode, and `head`, which must fit in JSON."""
        temporary = self.folder.with_name(f".{self.folder.name}.partial")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, rows in self._rows.items():
            np.save(temporary / f"{name}.npy", np.stack(rows), allow_pickle=False)
        for name, value in constants.items():
            np.save(temporary / f"{name}.npy", value, allow_pickle=False)
        content = {"format": EPISODE_FORMAT, "frames": len(self._rows["pose"]), **head}
        (temporary / "clip.json").write_text(json.dumps(content, indent=1) + "\n")
        temporary.replace(self.folder)


@dataclass(frozen=True)
class Episode:
    """One recorded drive of T decisions. Arrays are memory-mapped; see docs/recording.md for their names."""

    folder: Path
    head: Mapping[str, Any]

    def __len__(self) -> int:
        return int(self.head["frames"])

    def array(self, name: str) -> NDArray:
        """The array of that name, read only; ValueError if the episode was recorded without it."""
        path = self.folder / f"{name}.npy"
        if not path.is_file():
            raise ValueError(f"{self.folder}: found no {name}.npy, accepted an episode recorded with it")
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as fault:
            raise ValueError(
                f"{path}: found a corrupt array ({fault}), accepted one written by drivesim record"
            ) from None

    @cached_property
    def pose(self) -> NDArray[np.float64]:
        """Ego poses [T, 4, 4]."""
        return np.array(self.array("pose"))

    @property
    def dt(self) -> float:
        """Time between rows [s]."""
        return 1.0 / float(self.head["fps"])


def open_episodes(data: str | Path) -> list[Episode]:
    """All finished episodes of a folder. Raises ValueError for none, and for one that is not what it should be."""
    folders = sorted(path for path in Path(data).glob("clip_*") if path.is_dir())
    if not folders:
        raise ValueError(f"data={data}: found no clip_* folder, accepted a folder of episodes by drivesim record")
    return [open_episode(folder) for folder in folders]


def open_episode(folder: Path) -> Episode:
    """One episode; ValueError that says what is wrong with it."""
    path = folder / "clip.json"
    try:
        head = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as fault:
        raise ValueError(f"{path}: found no readable JSON ({fault}), accepted an episode by drivesim record") from None
    found = head.get("format") if isinstance(head, dict) else None
    if found != EPISODE_FORMAT:
        raise ValueError(f"{path}: format: found {found!r}, accepted {EPISODE_FORMAT!r}")
    missing = [name for name in NEEDED if not (folder / f"{name}.npy").is_file()]
    if missing:
        raise ValueError(f"{folder}: found no {', '.join(missing)}, accepted an episode with {', '.join(NEEDED)}")
    return Episode(folder, head)
