"""Where worlds come from, by name, and the first pictures of a drive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.generators.interface import GeneratorSpec
from drivesim.scene import Scene

if TYPE_CHECKING:
    from drivesim.world import World, WorldSource

FIRST_TOWN = 900_000  # where commands drive unless told otherwise
SOURCES = ("town", "nuscenes", "scenarionet")
TRAFFIC = ("idm", "log", "predicted", "none")
RESET_OPTIONS = ("scene", "town", "weather", "time_of_day", "route", "start_time", "scenario", "variant")


def make_source(
    source: str | WorldSource, traffic: str | None, image_size: tuple[int, int], options: Mapping[str, Any]
) -> WorldSource:
    """The source of that name, or the given one; ValueError for unknown names."""
    if traffic is not None and traffic not in TRAFFIC:
        raise ValueError(f"traffic: found {traffic!r}, accepted {TRAFFIC}")
    if not isinstance(source, str):
        if traffic is not None or options:
            raise ValueError("source: found an object with traffic or source_options, accepted those with a name only")
        return source
    if source == "town":
        from drivesim.town.rig import nuscenes_rig
        from drivesim.world import TownSource

        return TownSource(traffic=traffic or "idm", rig=nuscenes_rig(image_size), **options)
    if source == "nuscenes":
        from drivesim.data.nuscenes import NuScenesSource

        return NuScenesSource(traffic=traffic or "log", **options)
    if source == "scenarionet":
        from drivesim.data.scenarionet import ScenarioNetSource
        from drivesim.town.rig import nuscenes_rig

        return ScenarioNetSource(traffic=traffic or "log", **({"rig": nuscenes_rig(image_size)} | dict(options)))
    raise ValueError(f"source: found {source!r}, accepted {SOURCES} or a WorldSource")


def check_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of a reset; ValueError if they hold a key that no source knows."""
    unknown = sorted(set(options or {}) - set(RESET_OPTIONS))
    if unknown:
        raise ValueError(f"options: found unknown {unknown}, accepted {list(RESET_OPTIONS)}")
    return dict(options or {})


def start_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a command's reset: the first evaluation town, unless a town, a scene or a scenario is asked for."""
    asked = any(options.get(name) is not None for name in ("town", "scene", "scenario"))
    return dict(options) if asked or "town" not in options else {**options, "town": FIRST_TOWN}


def first_frames(source: WorldSource, world: World, spec: GeneratorSpec) -> NDArray[np.uint8] | None:
    """The pictures [T, V, H, W, 3] that a drive begins with: recorded ones, else ray-cast if the generator needs some.

    None if there are none and none are needed. Raises ValueError if they are needed and the scene cannot be rendered.
    """
    recorded = source.history_frames(world)
    if recorded is not None:
        return _resized(recorded, spec.image_size)
    if spec.history == 0:
        return None
    scene = world.scene
    if scene.map is None or scene.statics is None:
        raise ValueError(
            f"generator: found one that starts from {spec.history} picture(s), and a scene that has none and cannot be "
            "ray-cast; accepted a scene with recorded pictures, or a town scene"
        )
    return np.repeat(truth(scene, spec.image_size)[None], spec.history, axis=0)


def forget_truth(scenes: Iterable[Scene]) -> None:
    """Drops what ray-casting these scenes has built (80 MB per window of map), where no more pictures are taken."""
    from drivesim.town.background import forget_background

    for scene in scenes:
        forget_background(scene)


def truth(scene: Scene, image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Ray-cast pictures [V, H, W, 3] of a town scene, as smooth as those that generators learn from."""
    from drivesim.town.raycast import Raycaster

    return Raycaster(scene.rig.resized(image_size), samples_per_pixel=2).pictures(scene)


def _resized(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if frames.shape[2:4] == tuple(size):
        return frames
    pictures = [cv2.resize(f, size[::-1], interpolation=cv2.INTER_AREA) for f in frames.reshape(-1, *frames.shape[2:])]
    return np.stack(pictures).reshape(*frames.shape[:2], *size, 3)
