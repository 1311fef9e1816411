"""Finished colours of what the rays of a scene hit. Colours, points and normals have shape [3, N]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import Scene
from drivesim.town import shading
from drivesim.town.background import Background
from drivesim.town.culling import ShadowCells
from drivesim.town.ground import footprints
from drivesim.town.looks import look_of, sky_color, sun_direction
from drivesim.town.mesh import FACADE, FOLIAGE, GLASS, HEADLIGHT, LAMP, TAILLIGHT
from drivesim.town.objects import Objects
from drivesim.town.paint import WET_OF_PAINT
from drivesim.town.rays import Hits, Rays, blocked, lengths, rows_of_kinds, surface_at

Array = NDArray[np.float32]
Rows = NDArray[np.int64]

SHADOW_RANGE = 90.0  # surfaces farther away get no cast shadows [m]
OBJECT_SHADOW_HEIGHT = 5.0  # above it no object casts a shadow [m]
LEAF_OFFSET, FACE_OFFSET = 0.5, 0.03  # from where on shadows are looked for [m]


class Shader:
    """Lights one scene; `sharpness` is the size of a sample relative to a pixel."""

    def __init__(self, scene: Scene, background: Background, objects: Objects, sharpness: float) -> None:
        self.background, self.objects, self.look = background, objects, look_of(scene.tags)
        self.sharpness = np.float32(sharpness)
        self.sun = sun_direction(self.look, background.statics.seed)
        self.sunlight = np.array(self.look.sun, np.float32)
        if self.look.shadows:
            self.shaded_cells = ShadowCells.of(objects.tracks, self.sun, scene.ego.xy, background.centre[:2])
        ego_from_global = np.linalg.inv(scene.ego.pose)
        self.ego_rotation = ego_from_global[:3, :3].astype(np.float32)
        self.ego_offset = (ego_from_global[:3, :3] @ background.centre + ego_from_global[:3, 3]).astype(np.float32)[
            :, None
        ]

    def colors(self, rays: Rays, hits: Hits) -> Array:
        """Colours [3, N] of all rays."""
        sky, ground, static, moving = rows_of_kinds(hits.kind)
        ways = rays.direction.take(sky, 0).T
        parts = [(sky, np.ascontiguousarray(sky_color(self.look, ways / lengths(ways), self.sun)))]
        for rows, shade in ((ground, self._ground), (static, self._static), (moving, self._moving)):
            if len(rows):
                surface = Surface.of(rays, hits, rows)
                parts.append((rows, self._in_haze(shade(surface), surface)))
        return shading.put_together(len(hits.kind), parts)

    def _in_haze(self, color: Array, surface: Surface) -> Array:
        """Colours as they arrive after the air in between."""
        horizon = np.array(self.look.horizon, np.float32)
        return shading.in_air(color, np.exp(surface.depth * surface.norm * np.float32(-self.look.haze)), horizon)

    def _ground(self, surface: Surface) -> Array:
        """Painted ground with shadows, lamp light and rain on it."""
        direction, size = surface.direction, surface.size * self.sharpness
        xy = surface.point[:2] - self.background.corner[:, None]
        grazing, along, across = footprints(direction, surface.norm, size)
        color = self.background.ground.sample(xy, along, across)
        color *= self._ground_light(surface, xy, size / np.sqrt(grazing))
        return self._wet(color, xy, grazing) if self.look.wetness > 0.0 else color

    def _ground_light(self, surface: Surface, xy: Array, size: Array) -> Array:
        """Light [3, N] on the ground."""
        lit = self._ground_visibility(surface, xy, size) if self.look.shadows else np.ones(1, np.float32)
        light = np.array(self.look.sky, np.float32)[:, None] + shading.tinted(lit * self.sun[2], self.sunlight)
        return self._with_lamps(light, surface.point)

    def _ground_visibility(self, surface: Surface, xy: Array, size: Array) -> Array:
        """How much of the sun [N] reaches points of the ground."""
        pyramid = self.background.shadows(self.sun)
        lit = 1.0 - pyramid.at(xy, pyramid.level_of(size)) * np.float32(1 / 255)
        near = np.flatnonzero((lit > 0.0) & self.shaded_cells.at(surface.point))
        lit[near] *= ~blocked(self.objects.trees, surface.point.take(near, 1), self.sun)
        return lit

    def _wet(self, color: Array, xy: Array, grazing: Array) -> Array:
        """Dark, faintly mirroring where rain wets the paint."""
        wet = self.look.wetness * WET_OF_PAINT.take(self.background.ground.paint_at(xy))
        return shading.wetted(color, wet, grazing, np.array(self.look.horizon, np.float32))

    def _static(self, surface: Surface) -> Array:
        """Buildings, trees and poles."""
        scenery, face = self.background.scenery, surface.face
        normal, color = shading.of_faces(face, self.background.normals, scenery.color)
        material = scenery.mesh.material.take(face)
        leaves, walls = np.flatnonzero(material == FOLIAGE), np.flatnonzero(material == FACADE)
        self._leaf(surface, leaves, normal, color)
        color, lit = self._facade(surface, walls, normal, color)
        offset = np.where(material == FOLIAGE, np.float32(LEAF_OFFSET), np.float32(FACE_OFFSET))
        color *= self._light(surface, normal, offset)
        own_light = shading.put_together(len(face), [(walls, lit)] if lit is not None else [])
        if self.look.lights > 0.0:
            own_light[:, material == LAMP] = shading.LAMPLIGHT[:, None] * np.float32(self.look.lights)
        return color + own_light

    def _facade(self, surface: Surface, walls: Rows, normal: Array, color: Array) -> tuple[Array, Array | None]:
        """Colours [3, M] with windows in the walls, and the light [3, W] that these give, if any."""
        scenery = self.background.scenery
        color, wall, window, u, v, blur = shading.glazed(
            walls, color, surface.face, normal, surface.direction, surface.norm, surface.size * self.sharpness,
            surface.point, scenery.wall_start, scenery.wall_direction, scenery.wall_pattern, shading.PANE,
        )  # fmt: skip
        if self.look.lit_windows == 0.0:
            return color, None
        return color, shading.window_light(
            scenery.wall_key, wall, window, u, v, blur, self.look.lit_windows, 0.35 + 0.6 * self.look.lights,
            shading.LIT,
        )  # fmt: skip

    def _leaf(self, surface: Surface, rows: Rows, normal: Array, color: Array) -> None:
        """Round the crowns of trees: smooth normals, darker below."""
        if len(rows) == 0:
            return
        scenery = self.background.scenery
        tree = scenery.mesh.owner.take(surface.face.take(rows))
        radial = (surface.point.take(rows, 1) - scenery.crown_centre.take(tree, 1)) / scenery.crown_radius.take(tree, 1)
        smooth = radial / np.sqrt(np.square(radial).sum(0))
        normal[:, rows] = 0.3 * normal.take(rows, 1) + 0.7 * smooth
        color[:, rows] *= 0.95 + 0.2 * radial[2]

    def _moving(self, surface: Surface) -> Array:
        """Cars, people and other objects."""
        mesh, face = self.objects.mesh, surface.face
        normal = np.ascontiguousarray(self.objects.normals.take(face, 0).T)
        normal *= -np.sign((normal * surface.direction).sum(0))
        material = mesh.material.take(face)
        color = np.ascontiguousarray(mesh.color.take(face, 0).T)
        color *= self._light(surface, normal, np.full(len(face), FACE_OFFSET, np.float32))
        glass = np.flatnonzero(material == GLASS)
        color[:, glass] += shading.pane_reflection(self.look, normal[2].take(glass))
        if self.look.lights > 0.0:
            color[:, material == HEADLIGHT] += shading.HEADLIGHT[:, None] * np.float32(0.9 * self.look.lights)
            color[:, material == TAILLIGHT] += shading.TAILLIGHT[:, None] * np.float32(self.look.lights)
        return color

    def _light(self, surface: Surface, normal: Array, offset: Array) -> Array:
        """Light [3, N] of sky, sun and lamps on surfaces; `offset` [N] is where their shadow rays start [m]."""
        toward = np.maximum(self.sun @ normal, 0.0)
        if self.look.shadows:
            rows = np.flatnonzero((toward > 0.0) & (surface.depth < SHADOW_RANGE))
            start = surface.point.take(rows, 1) + normal.take(rows, 1) * offset.take(rows)
            dark = blocked([(self.background.tree, 0)], start, self.sun)
            low = np.flatnonzero(~dark & (start[2] < OBJECT_SHADOW_HEIGHT) & self.shaded_cells.at(start))
            dark[low] = blocked(self.objects.trees, start.take(low, 1), self.sun)
            toward[rows.compress(dark)] = 0.0
        sky, bounce = np.array(self.look.sky, np.float32), np.array(self.look.bounce, np.float32)
        light = shading.daylight(np.ascontiguousarray(normal[2]), toward, sky, bounce, self.sunlight)
        return self._with_lamps(light, surface.point)

    def _with_lamps(self, light: Array, point: Array) -> Array:
        """Light [3, N] or [3, 1] with that of street lamps and the headlights of the ego vehicle."""
        if self.look.lights < 0.6:
            return light
        pool = self.background.lamplight().at(point[:2] - self.background.corner[:, None]) * np.float32(
            0.95 * self.look.lights / 255
        )
        pool *= np.clip(1.1 - point[2] * np.float32(1 / 9), 0.0, 1.0)
        cone = shading.headlights(self.look, self.ego_rotation @ point + self.ego_offset)
        return light + shading.tinted(pool, shading.LAMPLIGHT) + shading.tinted(cone, shading.HEADLIGHT)


@dataclass(frozen=True)
class Surface:
    """Some of the hits of some rays."""

    depth: Array  # [M] [m]
    face: NDArray[np.int32]  # [M]
    direction: Array  # [3, M]
    norm: Array  # [M] length of the direction
    size: Array  # [M] width of the pixel there [m]
    point: Array  # [3, M] [m]

    @classmethod
    def of(cls, rays: Rays, hits: Hits, rows: Rows) -> Surface:
        """The hits `rows` [M]."""
        return cls(*surface_at(rays.origin, rays.direction, rays.pixel, hits.depth, hits.face, rows))
