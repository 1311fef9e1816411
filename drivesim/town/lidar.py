"""A sweep of the spinning 32-beam LIDAR of a nuScenes vehicle, from the same ray trees as the pictures."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import OBJECT_CLASSES, Scene
from drivesim.town import semantics
from drivesim.town.background import Background, background_of
from drivesim.town.objects import Objects, place_objects
from drivesim.town.paint import SEMANTIC_OF_PAINT
from drivesim.town.rays import GROUND, MOVING, STATIC, Hits, Rays, trace
from drivesim.town.rig import LIDAR_EXTRINSICS

RINGS, FIRINGS = 32, 1084  # beams, directions per turn at 20 Hz
LOWEST, HIGHEST = -30.67, 10.67  # elevation of the first and the last ring [deg]
MIN_RANGE, MAX_RANGE = 1.0, 100.0  # [m]
# How bright the classes of `semantics` are at normal incidence, 0..255: surroundings, then objects.
REFLECTANCE = np.array([0, 12, 22, 22, 90, 14, 18, 45, 20, 60] + [70] * len(OBJECT_CLASSES), np.float32)


def lidar_sweep(scene: Scene, extrinsics: NDArray[np.float64] = LIDAR_EXTRINSICS) -> NDArray[np.float32]:
    """Points [N, 5] of one turn: x, y, z [m] in the frame of the sensor, intensity 0..255, ring 0..31 from below.

    All points belong to the ego pose of the scene, as if the turn took no time. Raises ValueError where the scene
    has no map or no statics.
    """
    background = background_of(scene)
    objects = place_objects(scene, background.centre)
    local, ring = _beams()
    pose = scene.ego.pose @ extrinsics
    direction = (local @ pose[:3, :3].T).astype(np.float32)
    origin = np.broadcast_to((pose[:3, 3] - background.centre).astype(np.float32), direction.shape)
    rays = Rays(np.ascontiguousarray(origin), direction, np.zeros(len(ring), np.float32))
    hits = trace(rays, background.tree, objects.trees)
    rows = np.flatnonzero((hits.depth >= MIN_RANGE) & (hits.depth <= MAX_RANGE))
    distance = hits.depth.take(rows)[:, None]
    return np.hstack(
        [local[rows] * distance, _intensity(rays, hits, rows, background, objects)[:, None], ring[rows, None]]
    ).astype(np.float32)


@cache
def _beams() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit directions [N, 3] in the frame of the sensor, firing by firing, and the ring [N] of each."""
    elevation = np.radians(np.linspace(LOWEST, HIGHEST, RINGS))
    azimuth = -2.0 * np.pi * np.arange(FIRINGS)[:, None] / FIRINGS
    flat = np.cos(elevation) * np.ones_like(azimuth)
    beams = np.stack(
        [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation) * np.ones_like(azimuth)], axis=-1
    )
    return beams.reshape(-1, 3), np.tile(np.arange(RINGS, dtype=np.float64), FIRINGS)


def _intensity(
    rays: Rays, hits: Hits, rows: NDArray[np.int64], background: Background, objects: Objects
) -> NDArray[np.float32]:
    """Intensity [M] by class and angle of incidence."""
    kind, face, direction = hits.kind.take(rows), hits.face.take(rows), rays.direction.take(rows, 0)
    normal = np.tile(np.array([0.0, 0.0, 1.0], np.float32), (len(rows), 1))
    classes = np.zeros(len(rows), np.int64)
    ground, static, moving = (np.flatnonzero(kind == wanted) for wanted in (GROUND, STATIC, MOVING))
    point = rays.origin.take(rows, 0) + direction * hits.depth.take(rows)[:, None]
    classes[ground] = SEMANTIC_OF_PAINT.take(
        background.ground.paint_at(point[ground, :2].T - background.corner[:, None])
    )
    classes[static] = background.scenery.semantic.take(face.take(static))
    normal[static] = background.normals.take(face.take(static), 1).T
    owner = objects.mesh.owner.take(face.take(moving))
    classes[moving] = semantics.OBJECT_OFFSET + objects.tracks.class_ids.take(owner)
    normal[moving] = objects.normals.take(face.take(moving), 0)
    incidence = np.abs(np.einsum("ni,ni->n", normal, direction))
    return REFLECTANCE.take(classes) * (0.35 + 0.65 * incidence)
