"""How surfaces look in a light: facades, foliage, glass, lamps. Colours and points have shape [3, N]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.town.looks import Look
from drivesim.town.scenery import Scenery

Array = NDArray[np.float32]

PANE = np.array([0.24, 0.29, 0.35], np.float32)
LIT = np.array([1.0, 0.80, 0.46], np.float32)
LAMPLIGHT = np.array([1.0, 0.78, 0.48], np.float32)
HEADLIGHT = np.array([1.0, 0.96, 0.86], np.float32)
TAILLIGHT = np.array([0.75, 0.05, 0.04], np.float32)
WET_DARKENING = 0.42  # share of the light that wet ground swallows


def tinted(strength: Array, color: Array) -> Array:
    """Light [3, N] of one colour [3] and different strengths [N]."""
    return strength * color[:, None]


def pulse_coverage(x: Array, footprint: Array, width: Array) -> Array:
    """Mean over [x - footprint / 2, x + footprint / 2] of a train of unit-period pulses that are `width` wide and
    centred in their periods: what a pixel sees of regular windows, at any distance."""
    return (_pulse_integral(x + 0.5 * footprint, width) - _pulse_integral(x - 0.5 * footprint, width)) / footprint


def _pulse_integral(x: Array, width: Array) -> Array:
    whole = np.floor(x)
    return whole * width + np.minimum(np.maximum(x - whole - 0.5 * (1.0 - width), 0.0), width)


def facade(
    scenery: Scenery, wall: NDArray[np.int64], point: Array, color: Array, footprint: tuple[Array, Array], look: Look
) -> tuple[Array, Array | float]:
    """Surface colour and own light [3, N] of points on walls; footprint: size of a pixel along and upwards [m]."""
    start, direction = scenery.wall_start.take(wall, 1), scenery.wall_direction.take(wall, 1)
    along = (point[0] - start[0]) * direction[0] + (point[1] - start[1]) * direction[1]
    per_metre_u, per_metre_v, wide, high = scenery.wall_pattern.take(wall, 1)
    u, v = along * per_metre_u, point[2] * per_metre_v
    fu, fv = np.maximum(footprint[0] * per_metre_u, 1e-3), np.maximum(footprint[1] * per_metre_v, 1e-3)
    window = pulse_coverage(u, fu, wide) * pulse_coverage(v, fv, high)
    surface = color + window * (PANE[:, None] - color)
    if look.lit_windows == 0.0:
        return surface, 0.0
    sharp = np.clip(1.5 - np.maximum(fu, fv), 0.0, 1.0)
    mean = look.lit_windows * 0.775
    lit = mean + sharp * (_lit(scenery.wall_key.take(wall), u, v, look.lit_windows) - mean)
    return surface, tinted(window * lit * np.float32(0.35 + 0.6 * look.lights), LIT)


def _lit(key: NDArray[np.uint32], u: Array, v: Array, share: float) -> Array:
    """Brightness [N] of the light behind each window: 0 or 0.55 .. 1."""
    key = key + u.astype(np.uint32) * np.uint32(19349663)
    key ^= v.astype(np.uint32) * np.uint32(83492791)
    key = (key ^ (key >> np.uint32(15))) * np.uint32(2246822519)
    shade = 0.55 + (key & np.uint32(255)) * np.float32(0.45 / 255)
    return ((key >> np.uint32(16)) < np.uint32(share * 65536)) * shade


def skylight(look: Look, normal_z: Array) -> Array:
    """Light [3, N] from sky and ground on surfaces by the upward part [N] of their normals."""
    sky, bounce = np.array(look.sky, np.float32), np.array(look.bounce, np.float32)
    return bounce[:, None] + tinted(0.5 + 0.5 * normal_z, sky - bounce)


def headlights(look: Look, ego_points: Array) -> Array:
    """Light [N] of the headlights of the ego vehicle on points [3, N] of its frame."""
    x = np.maximum(ego_points[0] - 3.0, 0.0)
    spread = 1.0 - np.clip(np.abs(ego_points[1]) / (1.0 + 0.32 * x) - 0.3, 0.0, 1.0)
    drop = np.clip(1.4 - np.maximum(ego_points[2], 0.0) / (0.6 + 0.06 * x), 0.0, 1.0)
    rise = np.minimum(x * np.float32(0.25), 1.0)
    return (
        np.float32(0.75 * max(look.lights - 0.3, 0.0))
        * rise
        * spread
        * drop
        / (1.0 + np.square(x * np.float32(1 / 22)))
    )


def pane_reflection(look: Look, normal_z: Array) -> Array:
    """Faint mirror image [3, N] of the sky in car windows."""
    horizon, zenith = np.array(look.horizon, np.float32), np.array(look.zenith, np.float32)
    return 0.3 * (horizon[:, None] + tinted(np.maximum(normal_z, 0.0), zenith - horizon))
