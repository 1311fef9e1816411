"""Data sets for the tests: the real tables (skipped where absent) and the toy."""

import os
from pathlib import Path

import pytest

from drivesim.data.nuscenes import NuScenesReader

SHARED = Path(os.environ.get("DRIVESIM_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@pytest.fixture(scope="session")
def real_root() -> Path:
    """Dataroot with the real nuScenes tables."""
    root = SHARED / "data" / "nuscenes-mini-lite"
    if not root.is_dir():
        pytest.skip(f"no real nuScenes tables in {root} (set DRIVESIM_SHARED)")
    return root


@pytest.fixture(scope="session")
def real(real_root: Path) -> NuScenesReader:
    """Reader of the real tables."""
    return NuScenesReader(real_root, "v1.0-mini")
