"""Colours of what rays hit: facades, foliage, objects and ground in the light of a look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.town.looks import Look
from drivesim.town.scenery import Scenery

Array = NDArray[np.float32]

# Facade patterns by style: storey height [m], window pitch [m], width and height of the window as shares of its cell.
FACADES = np.array([[3.2, 2.8, 0.52, 0.52], [3.4, 6.5, 0.90, 0.46], [3.0, 2.2, 0.44, 0.60], [3.8, 2.0, 0.82, 0.80],
                    [3.1, 4.2, 0.62, 0.50]], np.float32)  # fmt: skip
GROUND_FLOOR = np.array([3.6, 3.4, 0.72, 0.62], np.float32)
PANE = np.array([0.22, 0.27, 0.33], np.float32)
LIT = np.array([1.0, 0.80, 0.46], np.float32)
LAMPLIGHT = np.array([1.0, 0.78, 0.48], np.float32)
HEADLIGHT = np.array([1.0, 0.96, 0.86], np.float32)
WET_DARKENING = 0.42  # share of the light that wet ground swallows


def pulse_coverage(x: Array, footprint: Array, width: Array) -> Array:
    """Mean over [x - footprint / 2, x + footprint / 2] of a train of unit-period pulses that are `width` wide and centred in
    their periods: what a pixel sees of regular windows, at any distance."""
    return (_pulse_integral(x + 0.5 * footprint, width) - _pulse_integral(x - 0.5 * footprint, width)) / footprint


def _pulse_integral(x: Array, width: Array) -> Array:
    whole = np.floor(x)
    return whole * width + np.clip(x - whole - 0.5 * (1.0 - width), 0.0, width)


def facade(
    scenery: Scenery, wall: NDArray[np.int64], point: Array, color: Array, footprint: tuple[Array, Array], look: Look
) -> tuple[Array, Array]:
    """Surface colour and own light [N, 3] of points on walls; footprint: size of the pixel along the wall and upwards [m]."""
    building = wall >> 2
    length, height = scenery.wall_length.take(wall), scenery.building_height.take(building)
    along = ((point[:, :2] - scenery.wall_start.take(wall, 0)) * scenery.wall_direction.take(wall, 0)).sum(1)
    style = FACADES.take(scenery.building_style.take(building) % len(FACADES), 0)
    columns = np.maximum(np.rint(length / style[:, 1]), 1.0)
    storeys = np.maximum(np.rint(height / style[:, 0]), 1.0)
    u, v = along * (columns / length), point[:, 2] * (storeys / height)
    fu, fv = footprint[0] * (columns / length), footprint[1] * (storeys / height)
    window = pulse_coverage(u, np.maximum(fu, 1e-3), style[:, 2]) * pulse_coverage(v, np.maximum(fv, 1e-3), style[:, 3])
    surface = color + window[:, None] * (PANE - color)
    if look.lit_windows == 0.0:
        return surface, np.zeros((1, 3), np.float32)
    sharp = np.clip(1.5 - np.maximum(fu, fv), 0.0, 1.0)
    lit = look.lit_windows + sharp * (_lit(building, u, v, look.lit_windows) - look.lit_windows)
    return surface, (window * lit * np.float32(0.35 + 0.6 * look.lights))[:, None] * LIT


def _lit(building: NDArray[np.int64], u: Array, v: Array, share: float) -> Array:
    """Whether there is light behind each window, the same at every look [N]."""
    key = building.astype(np.uint32) * np.uint32(73856093) + u.astype(np.uint32) * np.uint32(19349663)
    key ^= v.astype(np.uint32) * np.uint32(83492791)
    key = (key ^ (key >> np.uint32(15))) * np.uint32(2246822519)
    return ((key >> np.uint32(16)) < np.uint32(share * 65536)).astype(np.float32)


def skylight(look: Look, normal_z: Array) -> Array:
    """Light [N, 3] from sky and ground on surfaces by the upward part [N] of their normals."""
    sky, bounce = np.array(look.sky, np.float32), np.array(look.bounce, np.float32)
    return bounce + (0.5 + 0.5 * normal_z)[:, None] * (sky - bounce)


def headlights(look: Look, ego_points: Array) -> Array:
    """Light [N] of the headlights of the ego vehicle on points [N, 3] of its frame."""
    x = np.maximum(ego_points[:, 0] - 3.0, 0.0)
    spread = 1.0 - np.clip(np.abs(ego_points[:, 1]) / (1.0 + 0.32 * x) - 0.3, 0.0, 1.0)
    drop = np.clip(1.4 - np.maximum(ego_points[:, 2], 0.0) / (0.6 + 0.06 * x), 0.0, 1.0)
    rise = np.clip(x * np.float32(0.25), 0.0, 1.0)
    return np.float32(0.62 * max(look.lights - 0.4, 0.0)) * rise * spread * drop / (1.0 + (x * np.float32(1 / 22)) ** 2)


def pane_reflection(normal_z: Array, look: Look) -> Array:
    """Faint mirror image [N, 3] of the sky in car windows."""
    horizon, zenith = np.array(look.horizon, np.float32), np.array(look.zenith, np.float32)
    return 0.30 * (horizon + np.clip(normal_z, 0.0, 1.0)[:, None] * (zenith - horizon))
