"""A folder of ScenarioNet records by the names of their scenes, a few of them open at a time."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from pathlib import Path

from drivesim.data.nuscenes_map import MapSheet
from drivesim.data.scenarionet_file import load_record
from drivesim.data.scenarionet_log import ScenarioLog, read_log
from drivesim.data.scenarionet_map import read_map

KEPT = 4  # records in memory
_FILE = re.compile(r"sd_[^_]+_[^_]+_(.+)")  # sd_<dataset>_<version>_<scene>.pkl
_SHOWN = 20  # names in a message


class RecordFiles:
    """Records of a folder (searched with all below it), or one file. ValueError where there are none, or two of a
    name."""

    def __init__(self, dataroot: Path) -> None:
        self._paths = _named(dataroot)
        self._open = lru_cache(maxsize=KEPT)(self._read)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all scenes, sorted."""
        return tuple(self._paths)

    def has(self, name: str) -> bool:
        """Whether there is a record of a scene."""
        return name in self._paths

    def log(self, name: str) -> ScenarioLog:
        """The recorded drive of one scene; ValueError for an unknown name or a broken record."""
        return self._open(self._known(name))[0]

    def sheet(self, name: str) -> MapSheet:
        """The whole map of one scene, likewise."""
        return self._open(self._known(name))[1]

    def _known(self, name: str) -> str:
        if name not in self._paths:
            more = len(self._paths) - _SHOWN
            names = ", ".join(self.names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
            raise ValueError(f"scene: found {name!r}, accepted one of {names}")
        return name

    def _read(self, name: str) -> tuple[ScenarioLog, MapSheet]:
        path = self._paths[name]
        record = load_record(path)
        log = read_log(record)
        if log.left_out:
            warnings.warn(f"{path}: found tracks of types {list(log.left_out)}, which are left out", stacklevel=5)
        return log, read_map(record)


def _named(dataroot: Path) -> dict[str, Path]:
    """Record files by the name of their scene, sorted."""
    if dataroot.is_file():
        files = [dataroot]
    elif dataroot.is_dir():
        files = sorted(dataroot.rglob("sd_*.pkl"))
    else:
        raise ValueError(f"dataroot: found no {dataroot}, accepted a folder with ScenarioNet records, or one of them")
    if not files:
        raise ValueError(f"dataroot: found no sd_*.pkl in {dataroot}, accepted a folder with ScenarioNet records")
    short = [match[1] if (match := _FILE.fullmatch(path.stem)) else path.stem for path in files]
    names = short if len(set(short)) == len(files) else [path.stem for path in files]
    if len(set(names)) < len(files):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"dataroot: found {twice} more than once in {dataroot}, accepted records of different names")
    return dict(sorted(zip(names, files)))
