"""Opening nuScenes tables through the official devkit, with errors that name the file, the found and the accepted.

The devkit stops with bare assertions and key errors. The files are looked at before it opens them; when it still fails,
every table is gone through for the row that is to blame.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nuscenes.nuscenes import NuScenes

# Fields of every table; a field that refers to a row of another table carries that table's name.
TABLES: dict[str, dict[str, str | None]] = {
    "category": {"token": None, "name": None},
    "attribute": {"token": None, "name": None},
    "visibility": {"token": None, "level": None},
    "instance": {"token": None, "category_token": "category", "nbr_annotations": None},
    "sensor": {"token": None, "channel": None, "modality": None},
    "calibrated_sensor": {"token": None, "sensor_token": "sensor", "translation": None, "rotation": None,
                          "camera_intrinsic": None},
    "ego_pose": {"token": None, "timestamp": None, "rotation": None, "translation": None},
    "log": {"token": None, "location": None},
    "scene": {"token": None, "log_token": "log", "name": None, "description": None, "first_sample_token": "sample"},
    "sample": {"token": None, "timestamp": None, "scene_token": "scene", "prev": None, "next": None},
    "sample_data": {"token": None, "sample_token": "sample", "ego_pose_token": "ego_pose",
                    "calibrated_sensor_token": "calibrated_sensor", "timestamp": None, "is_key_frame": None,
                    "height": None, "width": None, "filename": None, "prev": None, "next": None},
    "sample_annotation": {"token": None, "sample_token": "sample", "instance_token": "instance", "translation": None,
                          "size": None, "rotation": None, "prev": None, "next": None},
    "map": {"token": None, "filename": None, "log_tokens": None},
}  # fmt: skip


def load_json(path: Path) -> object:
    """Content of a JSON file; ValueError with the place of the fault if it is corrupt."""
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as fault:
        raise ValueError(f"{path}: found corrupt JSON ({fault}), accepted a JSON table") from fault


def _versions(dataroot: Path) -> list[str]:
    """Folders of a dataroot that hold tables."""
    return sorted(path.parent.name for path in dataroot.glob("*/scene.json"))


def _check_files(dataroot: Path, version: str) -> None:
    """Raise ValueError if the dataroot, the version, a table or a map mask is missing."""
    if not dataroot.is_dir():
        raise ValueError(f"nuScenes dataroot: found no folder {dataroot}, accepted the folder that holds {version}/")
    tables = dataroot / version
    if not tables.is_dir():
        raise ValueError(f"nuScenes version: found {version!r}, accepted for {dataroot}: {_versions(dataroot)}")
    missing = [f"{name}.json" for name in TABLES if not (tables / f"{name}.json").is_file()]
    if missing:
        raise ValueError(f"{tables}: found no {', '.join(missing)}, accepted all 13 tables {sorted(TABLES)}")
    _check_masks(dataroot, tables / "map.json")


def _check_masks(dataroot: Path, path: Path) -> None:
    """Raise ValueError if a mask named in the map table is missing (the devkit opens none of them yet)."""
    records = load_json(path)
    for row, record in enumerate(records if isinstance(records, list) else []):
        mask = record.get("filename") if isinstance(record, dict) else None
        if isinstance(mask, str) and not (dataroot / mask).is_file():
            raise ValueError(f"{path} row {row}, field filename: found no file {dataroot / mask}, accepted a map mask")


def _check_table(path: Path, rows: object) -> None:
    """Raise ValueError if a table is no list of records with the fields the devkit reads."""
    if not isinstance(rows, list) or (not rows and path.stem not in ("instance", "sample_annotation")):
        found = "no rows" if rows == [] else type(rows).__name__
        raise ValueError(f"{path}: found {found}, accepted a list of records")
    for index, record in enumerate(rows):
        accepted = list(TABLES[path.stem])
        if not isinstance(record, dict):
            raise ValueError(f"{path} row {index}: found {type(record).__name__}, accepted a record with {accepted}")
        missing = [name for name in accepted if name not in record]
        if missing:
            raise ValueError(f"{path} row {index}: found no field {missing[0]!r}, accepted the fields {accepted}")


def find_fault(dataroot: Path, version: str) -> None:
    """Raise ValueError for the first corrupt table, missing field or reference to a row that does not exist."""
    loaded: dict[str, list[dict]] = {}
    for name in TABLES:
        path = dataroot / version / f"{name}.json"
        rows = load_json(path)
        _check_table(path, rows)
        loaded[name] = rows  # type: ignore[assignment]
    tokens = {name: {record["token"] for record in rows} for name, rows in loaded.items()}
    for name, references in TABLES.items():
        for field, target in references.items():
            for index, record in enumerate(loaded[name] if target else []):
                if record[field] not in tokens[str(target)]:
                    raise ValueError(f"{dataroot / version / name}.json row {index}, field {field}: found "
                                     f"{record[field]!r}, accepted a token of {target}.json")  # fmt: skip
    mapped = {token for record in loaded["map"] for token in record["log_tokens"]}
    for index, record in enumerate(loaded["log"]):
        if record["token"] not in mapped:
            raise ValueError(f"{dataroot / version}/map.json, field log_tokens: found no {record['token']!r} (log.json "
                             f"row {index}), accepted lists that name every log")  # fmt: skip


def open_tables(dataroot: Path, version: str) -> NuScenes:
    """The devkit's database of one version; ValueError that names file, field, found and accepted if it cannot load."""
    from nuscenes.nuscenes import NuScenes

    _check_files(dataroot, version)
    try:
        return NuScenes(version=version, dataroot=str(dataroot), verbose=False)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as fault:
        find_fault(dataroot, version)
        raise ValueError(f"{dataroot / version}: the devkit cannot load the tables ({fault!r})") from fault
