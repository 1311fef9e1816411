"""Drives of the environment as a nuScenes-format data set, drive by drive.

Every drive leaves its pictures and a record of itself; when all are there, the tables and map sheets are written over
them and the data set appears under its name.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivesim.recording.drive import Moment
from drivesim.town.raycast import Raycaster
from drivesim.town.writer import FIRST_STAMP, FPS, KEY_STEP, STAMP_STEP, DriveWriter, write_tables
from drivesim.town.writer_record_file import load_record, save_record

VERSION = "v1.0-drives"


def drive_name(index: int) -> str:
    """Name of the scene in the tables."""
    return f"drive-{index:06d}"


def partial_root(dataset: Path) -> Path:
    """Where a data set is until it is complete."""
    return dataset.with_name(f".{dataset.name}.partial")


def part_file(dataset: Path, index: int) -> Path:
    """Record of a drive that is finished."""
    return partial_root(dataset) / "records" / f"{drive_name(index)}.npz"


class NuScenesTaker:
    """Keeps a drive for a data set: pictures as the environment showed them, boxes, poses, calibration and map."""

    def __init__(self, dataset: Path, index: int) -> None:
        self._file = part_file(dataset, index)
        self._writer = DriveWriter(partial_root(dataset), drive_name(index), FIRST_STAMP + index * STAMP_STEP)
        self._raycaster: Raycaster | None = None

    def take(self, moment: Moment) -> None:
        """One frame."""
        scene, pictures = moment.scene, moment.pictures
        assert pictures is not None  # seen to by the plan
        depth = None
        if self._writer.expects_key and scene.statics is not None:
            if self._raycaster is None:
                self._raycaster = Raycaster(scene.rig.resized((pictures.shape[1], pictures.shape[2])))
            depth = self._raycaster.render(scene).depth
        self._writer.add(scene, pictures, depth)

    def finish(self, head: Mapping[str, Any]) -> None:
        """Leaves the record; a drive of less than half a second leaves an empty one."""
        if abs(head["fps"] - FPS) > 1e-6:
            raise ValueError(f"formats: found nuscenes with {head['fps']:g} steps/s, accepted {FPS}")
        if len(self._writer.stamps) <= KEY_STEP:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch()
            return
        save_record(self._writer.finish(), self._file)


def check_drives(dataset: Path, numbers: Sequence[int]) -> tuple[str, ...]:
    """Names of the drives that a finished data set leaves out; ValueError if it was made of others than asked for."""
    head = json.loads((dataset / "drives.json").read_text())
    names = [drive_name(index) for index in numbers]
    if head["drives"] != names:
        raise ValueError(
            f"{dataset}: found a finished data set of {len(head['drives'])} other drives, accepted the same, or a new "
            "folder: nothing can be added to its tables"
        )
    return tuple(head["left_out"])


def finish_dataset(dataset: Path, numbers: Sequence[int]) -> tuple[str, ...]:
    """Writes tables and map sheets over the recorded drives; names of those that were too short to be in.

    A data set that is there already is left alone.
    """
    if dataset.exists():
        return check_drives(dataset, numbers)
    files = {drive_name(index): part_file(dataset, index) for index in numbers}
    empty = tuple(name for name, file in files.items() if file.stat().st_size == 0)
    records = [load_record(file) for name, file in files.items() if name not in empty]
    if not records:
        return empty
    root = partial_root(dataset)
    for leftover in (root / "maps", root / VERSION):
        shutil.rmtree(leftover, ignore_errors=True)
    write_tables(root, VERSION, records)
    _remove_unknown(root, {item.file for record in records for item in record.files})
    shutil.rmtree(root / "records")
    (root / "drives.json").write_text(json.dumps({"drives": list(files), "left_out": empty}, indent=1) + "\n")
    root.replace(dataset)
    return empty


def _remove_unknown(root: Path, known: set[str]) -> None:
    """Removes pictures of drives that were broken off."""
    for folder in ("samples", "sweeps"):
        for path in (root / folder).rglob("*.*"):
            if str(path.relative_to(root)) not in known:
                path.unlink()
