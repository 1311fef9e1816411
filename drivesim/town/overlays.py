"""Light on the ground that never moves: shadows of the scenery and pools of lamplight."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.scene import Statics
from drivesim.town.paint import Canvas
from drivesim.town.pyramid import Pyramid, halved
from drivesim.town.scenery import lamp_heads

SHADOW_RESOLUTION, LAMP_RESOLUTION = 0.2, 0.5  # [m/px]
LEVELS = 6
POOL_RADIUS = 9.0  # of the light of a street lamp [m]
Bounds = tuple[float, float, float, float]


def shadow_pyramid(statics: Statics, bounds: Bounds, sun: NDArray[np.float32]) -> Pyramid:
    """Shadows (255) of buildings, trees and poles on the ground for a direction towards the sun [3]."""
    canvas = Canvas(bounds, SHADOW_RESOLUTION)
    canvas.pixels[:] = 0
    cast = -np.asarray(sun[:2], np.float64) / float(sun[2])  # shift of the shadow per metre of height
    footprint = statics.building_footprint
    shifted = footprint + (statics.building_height[:, None] * cast)[:, None]
    sides = np.stack([footprint, np.roll(footprint, -1, 1), np.roll(shifted, -1, 1), shifted], axis=2)
    canvas.quads(np.concatenate([footprint, shifted, sides.reshape(-1, 4, 2)]), 255)
    canvas.quads(_crown_shadows(statics, cast), 255)
    trunks = statics.tree_position, statics.tree_size[:, 0] + 0.3 * statics.tree_size[:, 2], 0.4
    for base, height, width in (trunks, (statics.pole_position, statics.pole_height, 0.2)):
        canvas.lines(np.stack([base, base + height[:, None] * cast], axis=1), 255, width)
    return Pyramid.of_levels(halved(canvas.pixels, LEVELS), SHADOW_RESOLUTION)


def _crown_shadows(statics: Statics, cast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outlines [T, 16, 2] of the shadows of ellipsoids: ellipses, stretched away from the sun."""
    trunk, radius, height = statics.tree_size.T
    slope = np.hypot(*cast)
    away = cast / max(slope, 1e-9)
    angle = np.arange(16) * (2.0 * np.pi / 16)
    long = np.hypot(radius, 0.5 * height * slope)
    centre = statics.tree_position + (trunk + 0.5 * height)[:, None] * cast
    offset = long[:, None, None] * np.cos(angle)[:, None] * away
    offset = offset + radius[:, None, None] * np.sin(angle)[:, None] * np.array([-away[1], away[0]])
    return centre[:, None] + 0.94 * offset


def lamp_pyramid(statics: Statics, bounds: Bounds) -> Pyramid:
    """Light of the street lamps on the ground, 255 right below a lamp."""
    canvas = Canvas(bounds, LAMP_RESOLUTION)
    reach = int(2.5 * POOL_RADIUS / LAMP_RESOLUTION)
    light = np.zeros(np.array(canvas.pixels.shape) + 2 * reach, np.float32)
    x = np.arange(-reach, reach + 1) * (LAMP_RESOLUTION / POOL_RADIUS)
    pool = np.exp(-0.5 * (2.0 * x[:, None]) ** 2 - 0.5 * (2.0 * x) ** 2)
    for column, row in np.rint((lamp_heads(statics)[:, :2] - canvas.origin) / LAMP_RESOLUTION).astype(int):
        if 0 <= row < canvas.pixels.shape[0] and 0 <= column < canvas.pixels.shape[1]:
            light[row : row + 2 * reach + 1, column : column + 2 * reach + 1] += pool
    inner = light[reach:-reach, reach:-reach]
    return Pyramid.of_levels(halved(cv2.convertScaleAbs(np.minimum(inner, 1.0), alpha=255.0), LEVELS), LAMP_RESOLUTION)
