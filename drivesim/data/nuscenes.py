"""nuScenes-format data: the reader, and recorded drives as a source of worlds."""

from __future__ import annotations

from drivesim.data.nuscenes_reader import NuScenesReader

__all__ = ["NuScenesReader"]
