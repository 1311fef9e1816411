"""Ray-cast pictures of a town from the cameras of a vehicle, with depth, semantic classes and instances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from drivesim.scene import CameraRig, Scene, Tracks
from drivesim.town import semantics, shading
from drivesim.town.background import Background, background_of, ray_tree
from drivesim.town.looks import Look, look_of, sky_color, sun_direction
from drivesim.town.mesh import FACADE, FOLIAGE, GLASS, HEADLIGHT, LAMP, TAILLIGHT, Mesh
from drivesim.town.objects import objects_mesh
from drivesim.town.paint import SEMANTIC_OF_PAINT, WET_OF_PAINT

Array = NDArray[np.float32]

FAR = 1000.0  # nothing is seen beyond [m]
OBJECT_RANGE = 160.0  # objects farther from the ego are not drawn [m]
SHADOW_RANGE = 90.0  # surfaces farther away get no cast shadows [m]
# Sub-pixel offsets from the pixel centre by number of samples.
PATTERNS = {
    1: np.zeros((1, 2)),
    2: np.array([[-0.25, -0.25], [0.25, 0.25]]),
    4: np.array([[-0.125, -0.375], [0.375, -0.125], [0.125, 0.375], [-0.375, 0.125]]),
}
SKY, GROUND, STATIC, MOVING = range(4)  # kinds of hits


@dataclass(frozen=True)
class RenderedFrame:
    """Pictures of V cameras with their labels, which belong to the centres of the pixels."""

    images: NDArray[np.uint8]  # [V, H, W, 3]
    depth: NDArray[np.float32]  # [V, H, W], along the optical axis [m]; inf where the sky is
    semantic: NDArray[np.uint8]  # [V, H, W], see drivesim.town.semantics
    instance: NDArray[np.int64]  # [V, H, W], track id, -1 where there is none


@dataclass(frozen=True)
class Objects:
    """The moving part of a scene: mesh, its ray tree and the tracks it belongs to."""

    tracks: Tracks
    mesh: Mesh
    normals: Array
    tree: EmbreeScene


@dataclass(frozen=True)
class Rays:
    """N rays through pixels. Directions have length one along the optical axis, so that ray lengths are depths."""

    origin: Array  # [N, 3] relative to the centre of the background [m]
    direction: Array  # [N, 3]
    norm: Array  # [N] length of the directions
    pixel: Array  # [N] width of a pixel at depth one


@dataclass(frozen=True)
class Hits:
    """What N rays hit first."""

    kind: NDArray[np.uint8]  # [N]
    depth: Array  # [N] in ray lengths; inf where the sky is
    face: NDArray[np.int32]  # [N] face of the scenery or of the objects


class Raycaster:
    """Renders scenes that have a map and statics; scenes may carry any rig, which is what is rendered.

    What never changes is kept per map and statics object (see `background_of`).
    """

    def __init__(self, rig: CameraRig, samples_per_pixel: int = 1) -> None:
        if samples_per_pixel not in PATTERNS:
            raise ValueError(f"samples_per_pixel: found {samples_per_pixel}, accepted {sorted(PATTERNS)}")
        self.rig = rig
        self.samples_per_pixel = samples_per_pixel
        self._directions = [_ego_directions(rig, offset) for offset in PATTERNS[samples_per_pixel]]
        self._centres = _ego_directions(rig, np.zeros(2))

    def render(self, scene: Scene) -> RenderedFrame:
        """Pictures and labels of all cameras. Raises ValueError where the scene has no map or no statics."""
        background = background_of(scene)
        objects = place_objects(scene, background)
        rays = self._rays(scene, background, self._centres)
        labels = trace(rays, background, objects)
        look = look_of(scene.tags)
        if self.samples_per_pixel == 1:
            color = Shader(scene, background, objects, look, 1.0).colors(rays, labels)
        else:
            shader = Shader(scene, background, objects, look, self.samples_per_pixel**-0.5)
            color = np.zeros_like(rays.direction)
            for directions in self._directions:
                sample = self._rays(scene, background, directions)
                color += shader.colors(sample, trace(sample, background, objects))
            color *= np.float32(1.0 / self.samples_per_pixel)
        return self._frame(color, rays, labels, background, objects)

    def _rays(self, scene: Scene, background: Background, ego_directions: Array) -> Rays:
        """Rays of all views in the frame of the background."""
        views = len(self.rig.names)
        poses = scene.exposure_poses if scene.exposure_poses is not None else np.broadcast_to(scene.ego.pose, (views, 4, 4))
        origins = np.einsum("vij,vj->vi", poses[:, :3, :3], self.rig.extrinsics[:, :3, 3]) + poses[:, :3, 3] - background.centre
        per_view = ego_directions.shape[1]
        direction = np.matmul(ego_directions, np.swapaxes(poses[:, :3, :3], 1, 2).astype(np.float32)).reshape(-1, 3)
        origin = np.repeat(origins.astype(np.float32), per_view, axis=0)
        norm = np.sqrt(np.einsum("ni,ni->n", direction, direction))
        pixel = np.repeat((1.0 / self.rig.intrinsics[:, 0, 0]).astype(np.float32), per_view)
        return Rays(origin, direction, norm, pixel)

    def _frame(self, color: Array, rays: Rays, hits: Hits, background: Background, objects: Objects) -> RenderedFrame:
        """Pictures from colours [N, 3], labels from hits."""
        shape = (len(self.rig.names), *self.rig.image_size)
        images = (np.clip(color, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
        semantic = np.full(len(hits.kind), semantics.SKY, np.uint8)
        instance = np.full(len(hits.kind), -1, np.int64)
        ground = np.flatnonzero(hits.kind == GROUND)
        xy = _points(rays, hits, ground)[:, :2] - background.corner
        semantic[ground] = SEMANTIC_OF_PAINT.take(background.ground.paint_at(xy))
        static = np.flatnonzero(hits.kind == STATIC)
        semantic[static] = background.scenery.semantic.take(hits.face.take(static))
        moving = np.flatnonzero(hits.kind == MOVING)
        owner = objects.mesh.owner.take(hits.face.take(moving))
        semantic[moving] = semantics.OBJECT_OFFSET + objects.tracks.class_ids.take(owner)
        instance[moving] = objects.tracks.ids.take(owner)
        return RenderedFrame(images.reshape(*shape, 3), hits.depth.reshape(shape), semantic.reshape(shape), instance.reshape(shape))


def _ego_directions(rig: CameraRig, offset: NDArray[np.float64]) -> Array:
    """Directions [V, H * W, 3] of rays through the pixel centres + offset, in the ego frame; depth along them is 1."""
    height, width = rig.image_size
    v, u = np.mgrid[0:height, 0:width] + 0.5
    pixels = np.stack([u + offset[0], v + offset[1], np.ones_like(u)], axis=-1).reshape(-1, 3)
    camera = np.einsum("vij,pj->vpi", np.linalg.inv(rig.intrinsics), pixels)
    return np.einsum("vij,vpj->vpi", rig.extrinsics[:, :3, :3], camera).astype(np.float32)


def place_objects(scene: Scene, background: Background) -> Objects:
    """The tracks near the ego as a mesh with its own ray tree."""
    ego = scene.ego.xy
    tracks = scene.tracks
    near = np.flatnonzero(np.abs(tracks.position[:, :2] - ego).max(axis=1, initial=0.0) < OBJECT_RANGE)
    tracks = tracks.take(near)
    mesh = objects_mesh(tracks, background.centre, ego)
    return Objects(tracks, mesh, mesh.normals(), ray_tree(mesh))


def _points(rays: Rays, hits: Hits, rows: NDArray[np.int64]) -> Array:
    """Where the rays of some rows hit [M, 3]."""
    return rays.origin.take(rows, 0) + rays.direction.take(rows, 0) * hits.depth.take(rows)[:, None]


def trace(rays: Rays, background: Background, objects: Objects) -> Hits:
    """First hits with the ground, the scenery and the objects."""
    down = rays.direction[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = -rays.origin[:, 2] / down
    on_ground = (down < 0.0) & (ground < FAR)
    reach = np.where(on_ground, ground, np.float32(FAR))
    static = background.tree.run(rays.origin, rays.direction, dists=reach, output=1)
    hit_static = static["primID"] >= 0
    reach = np.where(hit_static, static["tfar"], reach)
    moving = objects.tree.run(rays.origin, rays.direction, dists=reach, output=1)
    hit_moving = moving["primID"] >= 0
    kind = np.where(hit_moving, MOVING, np.where(hit_static, STATIC, np.where(on_ground, GROUND, SKY))).astype(np.uint8)
    depth = np.where(hit_moving, moving["tfar"], reach)
    depth[kind == SKY] = np.inf
    return Hits(kind, depth, np.where(hit_moving, moving["primID"], static["primID"]))


class Shader:
    """Colours of hits in one scene."""

    def __init__(self, scene: Scene, background: Background, objects: Objects, look: Look, sharpness: float) -> None:
        self.background, self.objects, self.look = background, objects, look
        self.sharpness = np.float32(sharpness)  # size of a sample relative to a pixel
        self.sun = sun_direction(look, background.statics.seed)
        self.ego_from_local = np.linalg.inv(scene.ego.pose)
        self.ego_from_local[:3, 3] += self.ego_from_local[:3, :3] @ background.centre

    def colors(self, rays: Rays, hits: Hits) -> Array:
        """Finished colours [N, 3]."""
        out = np.empty_like(rays.direction)
        sky = np.flatnonzero(hits.kind == SKY)
        unit = rays.direction.take(sky, 0) / rays.norm.take(sky)[:, None]
        out[sky] = sky_color(self.look, unit, self.sun)
        for kind, shade in ((GROUND, self._ground), (STATIC, self._static), (MOVING, self._moving)):
            rows = np.flatnonzero(hits.kind == kind)
            if len(rows):
                out[rows] = self._in_haze(shade(rays, hits, rows), hits.depth.take(rows) * rays.norm.take(rows))
        return out

    def _in_haze(self, color: Array, distance: Array) -> Array:
        horizon = np.array(self.look.horizon, np.float32)
        clear = np.exp(distance * np.float32(-self.look.haze))[:, None]
        return horizon + clear * (color - horizon)

    def _ground(self, rays: Rays, hits: Hits, rows: NDArray[np.int64]) -> Array:
        """Painted ground with shadows, lamp light and rain on it."""
        point, direction, depth = _points(rays, hits, rows), rays.direction.take(rows, 0), hits.depth.take(rows)
        xy = point[:, :2] - self.background.corner
        size = depth * rays.pixel.take(rows) * self.sharpness
        flat = direction[:, :2] / np.maximum(np.hypot(direction[:, 0], direction[:, 1]), 1e-6)[:, None]
        grazing = -direction[:, 2] / rays.norm.take(rows)
        along = flat * (size / np.maximum(grazing, 1e-3))[:, None]
        across = np.stack([-flat[:, 1], flat[:, 0]], axis=1) * size[:, None]
        color = self.background.ground.sample(xy, along, across)
        light = np.broadcast_to(np.array(self.look.sky, np.float32), color.shape)
        if self.look.shadows:
            lit = self._ground_visibility(point, xy, np.sqrt(size * size / np.maximum(grazing, 1e-3)))
            light = light + (lit * self.sun[2])[:, None] * np.array(self.look.sun, np.float32)
        else:
            light = light + np.array(self.look.sun, np.float32) * self.sun[2]
        light = self._with_lamps(light, point)
        if self.look.wetness > 0.0:
            return self._wet(color * light, xy, grazing)
        return color * light

    def _ground_visibility(self, point: Array, xy: Array, size: Array) -> Array:
        """How much of the sun [N] reaches points of the ground."""
        pyramid = self.background.shadows(self.sun)
        lit = 1.0 - pyramid.at(xy, pyramid.level_of(size)) * np.float32(1 / 255)
        near = np.flatnonzero(lit > 0.0)
        lit[near] *= ~_blocked(self.objects.tree, point.take(near, 0), self.sun)
        return lit

    def _wet(self, color: Array, xy: Array, grazing: Array) -> Array:
        """Dark, faintly mirroring where rain wets the paint."""
        wet = self.look.wetness * WET_OF_PAINT.take(self.background.ground.paint_at(xy))
        mirror = (wet * (0.06 + 0.55 * (1.0 - np.minimum(3.0 * grazing, 1.0)) ** 2))[:, None]
        dark = color * (1.0 - shading.WET_DARKENING * wet)[:, None]
        return dark + mirror * (0.8 * np.array(self.look.horizon, np.float32) - dark)

    def _static(self, rays: Rays, hits: Hits, rows: NDArray[np.int64]) -> Array:
        """Buildings, trees and poles."""
        scenery, face = self.background.scenery, hits.face.take(rows)
        point = _points(rays, hits, rows)
        normal = self.background.normals.take(face, 0)
        color = scenery.mesh.color.take(face, 0)
        material = scenery.mesh.material.take(face)
        own_light = np.zeros_like(color)
        leaves = np.flatnonzero(material == FOLIAGE)
        if len(leaves):
            tree = scenery.mesh.owner.take(face.take(leaves))
            radial = (point.take(leaves, 0) - scenery.crown_centre.take(tree, 0)) / scenery.crown_radius.take(tree, 0)
            smooth = radial / np.sqrt(np.einsum("ni,ni->n", radial, radial))[:, None]
            normal[leaves] = 0.3 * normal[leaves] + 0.7 * smooth
            color[leaves] *= (0.86 + 0.16 * radial[:, 2])[:, None]
        walls = np.flatnonzero(material == FACADE)
        if len(walls):
            size = hits.depth.take(rows.take(walls)) * rays.pixel.take(rows.take(walls)) * self.sharpness
            direction = rays.direction.take(rows.take(walls), 0)
            facing = np.abs(np.einsum("ni,ni->n", normal.take(walls, 0), direction)) / rays.norm.take(rows.take(walls))
            footprint = (size / np.maximum(facing, 0.05), size)
            color[walls], own_light[walls] = shading.facade(
                scenery, face.take(walls) >> 1, point.take(walls, 0), color.take(walls, 0), footprint, self.look
            )
        offset = np.where(material == FOLIAGE, np.float32(0.5), np.float32(0.03))
        light = self._surface_light(point, normal, hits.depth.take(rows), offset)
        own_light[material == LAMP] = shading.LAMPLIGHT * np.float32(self.look.lights)
        return color * light + own_light

    def _moving(self, rays: Rays, hits: Hits, rows: NDArray[np.int64]) -> Array:
        """Cars, people and other objects."""
        mesh, face = self.objects.mesh, hits.face.take(rows)
        point = _points(rays, hits, rows)
        normal = self.objects.normals.take(face, 0)
        direction = rays.direction.take(rows, 0)
        normal *= -np.sign(np.einsum("ni,ni->n", normal, direction))[:, None]
        material = mesh.material.take(face)
        light = self._surface_light(point, normal, hits.depth.take(rows), np.float32(0.03))
        color = mesh.color.take(face, 0) * light
        glass = np.flatnonzero(material == GLASS)
        color[glass] += shading.pane_reflection(normal[glass, 2], self.look)
        color[material == HEADLIGHT] += shading.HEADLIGHT * np.float32(0.9 * self.look.lights)
        color[material == TAILLIGHT] += np.array([0.75, 0.05, 0.04], np.float32) * np.float32(self.look.lights)
        return color

    def _surface_light(self, point: Array, normal: Array, depth: Array, offset: Array | np.float32) -> Array:
        """Light [N, 3] of sky, sun and lamps on upright surfaces."""
        light = shading.skylight(self.look, normal[:, 2])
        toward = normal @ self.sun
        if self.look.shadows:
            rows = np.flatnonzero((toward > 0.0) & (depth < SHADOW_RANGE))
            start = point.take(rows, 0) + normal.take(rows, 0) * np.broadcast_to(offset, depth.shape).take(rows)[:, None]
            blocked = _blocked(self.background.tree, start, self.sun)
            blocked |= _blocked(self.objects.tree, start, self.sun)
            toward[rows.compress(blocked)] = 0.0
        light += np.maximum(toward, 0.0)[:, None] * np.array(self.look.sun, np.float32)
        return self._with_lamps(light, point)

    def _with_lamps(self, light: Array, point: Array) -> Array:
        """Add street lamps and the headlights of the ego vehicle."""
        if self.look.lights < 0.6:
            return light
        lamps = self.background.lamplight()
        pool = lamps.at(point[:, :2] - self.background.corner, np.zeros(len(point), np.int32)) * np.float32(0.62 * self.look.lights / 255)
        pool *= np.clip(1.1 - point[:, 2] * np.float32(1 / 9), 0.0, 1.0)
        ego = self.ego_from_local.astype(np.float32)
        cone = shading.headlights(self.look, point @ ego[:3, :3].T + ego[:3, 3])
        return light + pool[:, None] * shading.LAMPLIGHT + cone[:, None] * shading.HEADLIGHT


def _blocked(tree: EmbreeScene, start: Array, direction: Array) -> NDArray[np.bool_]:
    """Whether something stands between points [N, 3] and a far light in one direction [3]."""
    if len(start) == 0:
        return np.zeros(0, bool)
    return tree.run(start, np.ascontiguousarray(np.broadcast_to(direction, start.shape)), query="OCCLUDED") >= 0
