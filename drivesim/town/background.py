"""What is computed once per map and surroundings: ground texture, scenery, its ray tree, shadows, lamp light."""

from __future__ import annotations

import ctypes
import sys
import weakref
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from drivesim.scene import HdMap, Scene, Statics
from drivesim.town.ground import GroundTexture
from drivesim.town.overlays import lamp_pyramid, shadow_pyramid
from drivesim.town.pyramid import Pyramid
from drivesim.town.rays import ray_tree
from drivesim.town.scenery import Scenery, scenery_of

# A background (about 80 MB for a window of 490 m) goes with its map. Where saved worlds keep the map, it goes when it
# was not among so many last uses: worlds that take turns keep theirs, and what is merely kept does not pile up.
KEEP_FOR = 48


@dataclass
class Background:
    """Derived data of one map with its surroundings; coordinates are relative to `centre`."""

    centre: NDArray[np.float64]  # [3] [m], so that single precision suffices for rays
    corner: NDArray[np.float32]  # [2] lower corner of the map relative to `centre`
    ground: GroundTexture
    scenery: Scenery
    normals: NDArray[np.float32]  # [3, F] of the scenery
    tree: EmbreeScene
    bounds: tuple[float, float, float, float]  # of the map, global
    statics: Statics = field(repr=False)
    _overlays: dict[object, Pyramid] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, hd_map: HdMap, statics: Statics) -> Background:
        """Build everything that does not depend on the light."""
        x0, y0, x1, y1 = hd_map.bounds
        centre = np.array([0.5 * (x0 + x1), 0.5 * (y0 + y1), 0.0])
        scenery = scenery_of(statics, centre[:2])
        corner = (np.array([x0, y0]) - centre[:2]).astype(np.float32)
        normals = np.ascontiguousarray(scenery.mesh.normals().T)
        return cls(
            centre,
            corner,
            GroundTexture.of_map(hd_map),
            scenery,
            normals,
            ray_tree(scenery.mesh),
            hd_map.bounds,
            statics,
        )

    def shadows(self, sun: NDArray[np.float32]) -> Pyramid:
        """Shadows of the scenery on the ground for a direction towards the sun [3]; the last direction is kept."""
        key = ("shadow", tuple(sun.tolist()))
        if key not in self._overlays:
            for old in [name for name in self._overlays if name != "lamp"]:
                del self._overlays[old]
            self._overlays[key] = shadow_pyramid(self.statics, self.bounds, sun)
        return self._overlays[key]

    def lamplight(self) -> Pyramid:
        """Light of the street lamps on the ground."""
        if "lamp" not in self._overlays:
            self._overlays["lamp"] = lamp_pyramid(self.statics, self.bounds)
        return self._overlays["lamp"]


_C_LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None

_cache: dict[tuple[int, int], tuple[Background, int]] = {}  # with the number of the last use
_uses = count()


def background_of(scene: Scene) -> Background:
    """The background of a scene, built once per pair of map and statics objects and kept while in use.

    Raises ValueError where map or statics is missing.
    """
    if scene.map is None or scene.statics is None:
        missing, accepted = ("map", "HdMap") if scene.map is None else ("statics", "Statics")
        raise ValueError(
            f"Scene.{missing}: found None, accepted {accepted}; ray casting needs the map and the surroundings"
        )
    key, now = (id(scene.map), id(scene.statics)), next(_uses)
    if key not in _cache:
        _cache[key] = Background.of(scene.map, scene.statics), now
        weakref.finalize(scene.map, _forget, key).atexit = False
    background = _cache[key][0]
    _cache[key] = background, now
    for old in [old for old, (_, last) in _cache.items() if now - last >= KEEP_FOR]:
        _forget(old)
    return background


def _forget(key: tuple[int, int]) -> None:
    if _cache.pop(key, None) is not None:
        _return_memory()


def _return_memory() -> None:
    """Hands what was freed back to the system where the C library would keep it: 80 MB in pieces otherwise stay."""
    trim = getattr(_C_LIBRARY, "malloc_trim", None)
    if trim is not None:
        trim(0)


def forget_background(scene: Scene) -> None:
    """Drops the background of a scene of which no more pictures are taken."""
    _forget((id(scene.map), id(scene.statics)))


def forget_backgrounds() -> None:
    """Drop everything that is kept."""
    _cache.clear()
