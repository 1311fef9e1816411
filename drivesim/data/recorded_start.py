"""Where a recorded drive begins: reset options to the first instant of a scene, for every format of recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from drivesim.scene import Scene

RESET_OPTIONS = ("scene", "start_time", "weather", "time_of_day")


class SceneReader(Protocol):
    """Reads recorded scenes by name."""

    @property
    def scene_names(self) -> Sequence[str]:
        """All of them."""
        ...

    def scene(self, name: str, time: float) -> Scene:
        """The scene `time` [s] after its first instant; ValueError where there is none."""
        ...


def first_scene(reader: SceneReader, seed: int, options: Mapping[str, Any], what: str) -> tuple[str, Scene]:
    """Name and first instant of a drive: `scene` (drawn by the seed if not given), `start_time` [s], and the tags
    `weather` and `time_of_day` in place of the recorded ones.

    Raises ValueError for other options (`what` names the recordings), and for scenes, times or tags that there are not.
    """
    options = {name: value for name, value in options.items() if value is not None}
    unknown = sorted(set(options) - set(RESET_OPTIONS))
    if unknown:
        raise ValueError(f"options: found {unknown}, accepted for {what} {list(RESET_OPTIONS)}")
    names = reader.scene_names
    name = str(options.get("scene", names[int(np.random.default_rng(seed).integers(len(names)))]))
    scene = reader.scene(name, float(options.get("start_time", 0.0)))
    tags = {key: options[key] for key in ("weather", "time_of_day") if key in options}
    return name, replace(scene, tags=replace(scene.tags, **tags))
