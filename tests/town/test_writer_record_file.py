"""Records of drives as files: what comes back makes the same tables and map sheets."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from drivesim.town.writer import DriveWriter, write_tables
from drivesim.town.writer_record_file import load_record, save_record
from tests.town.recording import IMAGE_SIZE, town_scenes


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_record_read_back_makes_the_same_data_set(tmp_path: Path) -> None:
    writer = DriveWriter(tmp_path / "root", "a", 1_600_000_000_000_000)
    pictures = np.zeros((6, *IMAGE_SIZE, 3), np.uint8)
    for scene in islice(town_scenes(3), 9):
        writer.add(scene, pictures)
    record = writer.finish()
    assert len(record.stamps) == len(record.poses) == 7 and max(item.frame for item in record.files) == 6
    assert len(list((tmp_path / "root").rglob("*.jpg"))) == 6 * 7
    save_record(record, tmp_path / "a.npz")
    for name, one in (("before", record), ("after", load_record(tmp_path / "a.npz"))):
        write_tables(tmp_path / name, "v1.0-x", [one])
    assert files(tmp_path / "before") == files(tmp_path / "after")


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(ValueError, match="a.npz: found no readable record of a drive"):
        load_record(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", head=np.array('{"format": "other"}'))
    with pytest.raises(ValueError, match="found 'other'"):
        load_record(tmp_path / "b.npz")


def test_a_drive_of_one_key_frame_is_refused(tmp_path: Path) -> None:
    writer = DriveWriter(tmp_path, "a", 0)
    for scene in islice(town_scenes(3), 2):
        writer.add(scene, np.zeros((6, *IMAGE_SIZE, 3), np.uint8))
    with pytest.raises(ValueError, match="a: found 2 frames, accepted at least 7"):
        writer.finish()
