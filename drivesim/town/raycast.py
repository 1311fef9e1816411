"""Ray-cast pictures of a town from the cameras of a vehicle, with depth, semantic classes and instances."""

from __future__ import annotations

from dataclasses import dataclass

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
from drivesim.town.shading import as_bytes

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
        view = _View.of(self.rig, scene)
        rays, hits = view.cast(self._centres)
        color = view.shader(1).colors(rays, hits) if self.samples_per_pixel == 1 else self._mean_color(view)
        return self._labelled(self._images(color), rays, hits, view)

    def pictures(self, scene: Scene) -> NDArray[np.uint8]:
        """The same pictures [V, H, W, 3] without labels."""
        return self._images(self._mean_color(_View.of(self.rig, scene)))

    def _mean_color(self, view: _View) -> NDArray[np.float32]:
        """Colours [3, N] of all pixels."""
        shader = view.shader(self.samples_per_pixel)
        color = shader.colors(*view.cast(self._samples[0]))
        for directions in self._samples[1:]:
            color += shader.colors(*view.cast(directions))
        return color if self.samples_per_pixel == 1 else color / np.float32(self.samples_per_pixel)

    def _images(self, color: NDArray[np.float32]) -> NDArray[np.uint8]:
        return as_bytes(color).reshape(len(self.rig.names), *self.rig.image_size, 3)

    def _labelled(self, images: NDArray[np.uint8], rays: Rays, hits: Hits, view: _View) -> RenderedFrame:
        """Pictures with the labels that belong to hits."""
        background, objects = view.background, view.objects
        shape = images.shape[:3]
        semantic = np.full(len(hits.kind), semantics.SKY, np.uint8)
        instance = np.full(len(hits.kind), -1, np.int64)
        ground, static, moving = (np.flatnonzero(hits.kind == kind) for kind in (GROUND, STATIC, MOVING))
        xy = rays.origin.take(ground, 0)[:, :2].T + rays.direction.take(ground, 0)[:, :2].T * hits.depth.take(ground)
        semantic[ground] = SEMANTIC_OF_PAINT.take(background.ground.paint_at(xy - background.corner[:, None]))
        semantic[static] = background.scenery.semantic.take(hits.face.take(static))
        owner = objects.mesh.owner.take(hits.face.take(moving))
        semantic[moving] = semantics.OBJECT_OFFSET + objects.tracks.class_ids.take(owner)
        instance[moving] = objects.tracks.ids.take(owner)
        return RenderedFrame(images, hits.depth.reshape(shape), semantic.reshape(shape), instance.reshape(shape))


@dataclass(frozen=True)
class _View:
    """A scene as a rig sees it."""

    rig: CameraRig
    scene: Scene
    background: Background
    objects: Objects
    poses: NDArray[np.float64]  # [V, 4, 4] of the ego at exposure
    near_boxes: NDArray[np.int64]  # rows of the rays that may hit objects

    @classmethod
    def of(cls, rig: CameraRig, scene: Scene) -> _View:
        background = background_of(scene)
        objects = place_objects(scene, background.centre)
        poses = scene.exposure_poses
        if poses is None:
            poses = np.broadcast_to(scene.ego.pose, (len(rig.names), 4, 4))
        return cls(rig, scene, background, objects, poses, pixels_near_boxes(rig, poses, objects.tracks))

    def cast(self, directions: NDArray[np.float32]) -> tuple[Rays, Hits]:
        """Rays in directions [V, H * W, 3] of the ego frame, and what they hit."""
        rays = rig_rays(self.rig, directions, self.poses, self.background.centre)
        return rays, trace(rays, self.background.tree, self.objects.trees, self.near_boxes)

    def shader(self, samples: int) -> Shader:
        """The light for so many samples per pixel."""
        return Shader(self.scene, self.background, self.objects, samples**-0.5)
