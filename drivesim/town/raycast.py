"""Ray-cast pictures of a town from the cameras of a vehicle, with depth, semantic classes and instances."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.scene import CameraRig, Scene
from drivesim.town import semantics
from drivesim.town.background import Background, background_of
from drivesim.town.culling import pixels_near_boxes
from drivesim.town.objects import Objects, place_objects
from drivesim.town.paint import SEMANTIC_OF_PAINT
from drivesim.town.rays import GROUND, MOVING, STATIC, Hits, Rays, ego_directions, rig_rays, trace
from drivesim.town.shader import Shader

# Offsets of samples from the pixel centre by number of samples [px].
PATTERNS = {
    1: ((0.0, 0.0),),
    2: ((-0.25, -0.25), (0.25, 0.25)),
    4: ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)),
}


@dataclass(frozen=True)
class RenderedFrame:
    """Pictures of V cameras with their labels, which belong to the centres of the pixels."""

    images: NDArray[np.uint8]  # [V, H, W, 3]
    depth: NDArray[np.float32]  # [V, H, W], along the optical axis [m]; inf where the sky is
    semantic: NDArray[np.uint8]  # [V, H, W], see drivesim.town.semantics
    instance: NDArray[np.int64]  # [V, H, W], track id, -1 where there is none


class Raycaster:
    """Renders scenes with the cameras of one rig. What never moves is kept, see `background_of`."""

    def __init__(self, rig: CameraRig, samples_per_pixel: int = 1) -> None:
        if samples_per_pixel not in PATTERNS:
            raise ValueError(f"samples_per_pixel: found {samples_per_pixel}, accepted one of {sorted(PATTERNS)}")
        self.rig = rig
        self.samples_per_pixel = samples_per_pixel
        self._centres = ego_directions(rig, (0.0, 0.0))
        self._samples = [ego_directions(rig, offset) for offset in PATTERNS[samples_per_pixel]]

    def render(self, scene: Scene) -> RenderedFrame:
        """Pictures and labels of all cameras. Raises ValueError where the scene has no map or no statics."""
        background = background_of(scene)
        objects = place_objects(scene, background.centre)
        views = len(self.rig.names)
        poses = (
            scene.exposure_poses if scene.exposure_poses is not None else np.broadcast_to(scene.ego.pose, (views, 4, 4))
        )
        near_boxes = pixels_near_boxes(self.rig, poses, objects.tracks)

        def cast(directions: NDArray[np.float32]) -> tuple[Rays, Hits]:
            rays = rig_rays(self.rig, directions, poses, background.centre)
            return rays, trace(rays, background.tree, objects.trees, near_boxes)

        shader = Shader(scene, background, objects, self.samples_per_pixel**-0.5)
        rays, hits = cast(self._centres)
        if self.samples_per_pixel == 1:
            color = shader.colors(rays, hits)
        else:
            color = np.zeros_like(rays.direction.T, order="C")
            for directions in self._samples:
                color += shader.colors(*cast(directions))
            color /= np.float32(self.samples_per_pixel)
        return self._frame(color, rays, hits, background, objects)

    def _frame(
        self, color: NDArray[np.float32], rays: Rays, hits: Hits, background: Background, objects: Objects
    ) -> RenderedFrame:
        """Pictures from colours [3, N], labels from hits."""
        shape = (len(self.rig.names), *self.rig.image_size)
        planes = np.minimum(np.maximum(color * np.float32(255.0) + np.float32(0.5), 0.0), 255.0).astype(np.uint8)
        semantic = np.full(len(hits.kind), semantics.SKY, np.uint8)
        instance = np.full(len(hits.kind), -1, np.int64)
        ground, static, moving = (np.flatnonzero(hits.kind == kind) for kind in (GROUND, STATIC, MOVING))
        xy = rays.origin.take(ground, 0)[:, :2].T + rays.direction.take(ground, 0)[:, :2].T * hits.depth.take(ground)
        semantic[ground] = SEMANTIC_OF_PAINT.take(background.ground.paint_at(xy - background.corner[:, None]))
        semantic[static] = background.scenery.semantic.take(hits.face.take(static))
        owner = objects.mesh.owner.take(hits.face.take(moving))
        semantic[moving] = semantics.OBJECT_OFFSET + objects.tracks.class_ids.take(owner)
        instance[moving] = objects.tracks.ids.take(owner)
        return RenderedFrame(
            cv2.merge(list(planes)).reshape(*shape, 3),
            hits.depth.reshape(shape),
            semantic.reshape(shape),
            instance.reshape(shape),
        )
