"""How surfaces look in a light: facades, foliage, glass, lamps. Colours and points have shape [3, N]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.town.looks import Look

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


@compiled
def of_faces(face: NDArray[np.int32], normals: Array, colors: Array) -> tuple[Array, Array]:
    """Normals and colours [3, N] of faces [N], from those of all faces [3, F]."""
    return normals.take(face, 1), colors.take(face, 1)


@compiled
def glazed(
    rows: NDArray[np.int64],
    color: Array,
    face: NDArray[np.int32],
    normal: Array,
    direction: Array,
    norm: Array,
    size: Array,
    point: Array,
    start: Array,
    along: Array,
    pattern: Array,
    pane: Array,
) -> tuple[Array, NDArray[np.int32], Array, Array, Array, Array]:
    """Colours [3, N] of surfaces, with windows of colour `pane` [3] in those of them, `rows` [M], that are walls.

    Also the wall [M], the share of windows in the pixel [M], its place in windows along the wall and upwards [M], and
    its larger side in windows [M]. Surfaces have a face [N], a normal [3, N], the direction [3, N] they are seen in and
    its length [N], the size of a pixel there [N] [m] and a point [3, N]; walls have two faces each, a start [2, W], a
    direction [2, W] and a pattern [4, W], see `Scenery`.
    """
    wall, upwards, place = face.take(rows) >> 1, size.take(rows), point.take(rows, 1)
    x, y, z = normal.take(rows, 1) * direction.take(rows, 1)
    across = upwards / np.maximum(np.abs(x + y + z) / norm.take(rows), np.float32(0.05))
    start, along = start.take(wall, 1), along.take(wall, 1)
    per_metre_u, per_metre_v, wide, high = pattern.take(wall, 1)
    u = ((place[0] - start[0]) * along[0] + (place[1] - start[1]) * along[1]) * per_metre_u
    v = place[2] * per_metre_v
    fu, fv = np.maximum(across * per_metre_u, np.float32(1e-3)), np.maximum(upwards * per_metre_v, np.float32(1e-3))
    share = pulse_coverage(u, fu, wide) * pulse_coverage(v, fv, high)
    out, plain = color.copy(), color.take(rows, 1)
    out[:, rows] = plain + share * (pane[:, None] - plain)
    return out, wall, share, u, v, np.maximum(fu, fv)


@compiled
def window_light(
    keys: NDArray[np.uint32],
    wall: NDArray[np.int32],
    window: Array,
    u: Array,
    v: Array,
    blur: Array,
    lit_windows: float,
    brightness: float,
    color: Array,
) -> Array:
    """Light [3, N] of a colour [3] from windows that take a share [N] of a pixel at places u, v [N] in windows.

    `keys` [W] are those of all walls, `wall` [N] the walls that are seen, `blur` [N] the size of the pixel in windows.
    """
    sharp = np.clip(np.float32(1.5) - blur, np.float32(0.0), np.float32(1.0))
    mean = lit_windows * 0.775
    lit = mean + sharp * (_lit(keys.take(wall), u, v, lit_windows) - mean)
    return tinted(window * lit * np.float32(brightness), color).astype(np.float32)


def _lit(key: NDArray[np.uint32], u: Array, v: Array, share: float) -> Array:
    """Brightness [N] of the light behind each window: 0 or 0.55 .. 1."""
    key = key + u.astype(np.uint32) * np.uint32(19349663)
    key ^= v.astype(np.uint32) * np.uint32(83492791)
    key = (key ^ (key >> np.uint32(15))) * np.uint32(2246822519)
    shade = 0.55 + (key & np.uint32(255)).astype(np.float64) * np.float32(0.45 / 255)
    return ((key >> np.uint32(16)) < np.uint32(share * 65536)) * shade


@compiled
def daylight(normal_z: Array, toward: Array, sky: Array, bounce: Array, sun: Array) -> Array:
    """Light [3, N] of the sky [3], the ground [3] and the sun [3] on surfaces.

    Given are the upward part [N] of their normals and the part [N] towards the sun, as far as it reaches them.
    """
    light = bounce[:, None] + tinted(np.float32(0.5) + np.float32(0.5) * normal_z, sky - bounce)
    return light + tinted(toward, sun)


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


@compiled
def wetted(color: Array, wet: Array, grazing: Array, horizon: Array) -> Array:
    """Colours [3, N] of ground that is wet to a degree [N] under sines of grazing angles [N], below a horizon [3]."""
    mirror = wet * (
        np.float32(0.06)
        + np.float32(0.55) * np.square(np.float32(1.0) - np.minimum(np.float32(3.0) * grazing, np.float32(1.0)))
    )
    color = color * (np.float32(1.0) - np.float32(WET_DARKENING) * wet)
    return color + mirror * ((np.float32(0.8) * horizon)[:, None] - color)


@compiled
def in_air(color: Array, share: Array, horizon: Array) -> Array:
    """Colours [3, N] of which the air leaves a share [N], the rest being as the horizon [3]."""
    return (color - horizon[:, None]) * share + horizon[:, None]


@compiled
def put_together(count: int, parts: Sequence[tuple[NDArray[np.int64], Array]]) -> Array:
    """Colours [3, count] from parts: rows [M], ascending, and their colours [3, M]; 0 for rows in none of them."""
    out = np.zeros((3, count), np.float32)
    for rows, color in parts:
        out[:, rows] = color
    return out


@compiled
def as_bytes(color: Array) -> NDArray[np.uint8]:
    """Pixels [N, 3] of colours [3, N] in 0..1, what is beyond being cut off."""
    scaled = color * np.float32(255.0) + np.float32(0.5)
    return np.ascontiguousarray(np.clip(scaled, 0.0, 255.0, out=scaled).astype(np.uint8).T)
