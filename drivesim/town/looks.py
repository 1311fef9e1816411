"""Light, sky and air for every weather and time of day. Colours are RGB in 0..1 of the finished picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import Tags

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """How a scene is lit."""

    sun: Color  # light of the sun on a surface that faces it
    sky: Color  # light of the sky on a surface that faces up
    bounce: Color  # light from below on a surface that faces down
    horizon: Color
    zenith: Color
    haze: float  # share of the light that the air swallows per metre [1/m]
    sun_elevation: float  # [deg]
    shadows: bool = False
    glow: float = 0.0  # brightness of the sky around the sun
    lights: float = 0.0  # brightness of lamps, head and tail lights
    lit_windows: float = 0.0  # share of windows with light behind them
    wetness: float = 0.0


LOOKS: dict[tuple[str, str], Look] = {
    ("sunny", "day"): Look(
        sun=(0.62, 0.58, 0.5),
        sky=(0.5, 0.55, 0.62),
        bounce=(0.48, 0.47, 0.44),
        horizon=(0.76, 0.85, 0.94),
        zenith=(0.34, 0.55, 0.86),
        haze=0.0012,
        sun_elevation=46.0,
        shadows=True,
        glow=0.25,
    ),
    ("overcast", "day"): Look(
        sun=(0.14, 0.14, 0.14),
        sky=(0.8, 0.81, 0.83),
        bounce=(0.6, 0.6, 0.59),
        horizon=(0.8, 0.82, 0.84),
        zenith=(0.66, 0.69, 0.73),
        haze=0.0025,
        sun_elevation=60.0,
    ),
    ("rain", "day"): Look(
        sun=(0.08, 0.08, 0.08),
        sky=(0.66, 0.69, 0.73),
        bounce=(0.48, 0.49, 0.5),
        horizon=(0.64, 0.67, 0.71),
        zenith=(0.5, 0.54, 0.59),
        haze=0.006,
        sun_elevation=60.0,
        lights=0.5,
        lit_windows=0.12,
        wetness=1.0,
    ),
    ("sunny", "dusk"): Look(
        sun=(0.62, 0.38, 0.2),
        sky=(0.46, 0.42, 0.48),
        bounce=(0.4, 0.35, 0.33),
        horizon=(0.96, 0.7, 0.48),
        zenith=(0.34, 0.4, 0.62),
        haze=0.002,
        sun_elevation=13.0,
        shadows=True,
        glow=0.55,
        lights=0.7,
        lit_windows=0.25,
    ),
    ("overcast", "dusk"): Look(
        sun=(0.08, 0.07, 0.06),
        sky=(0.48, 0.45, 0.49),
        bounce=(0.34, 0.32, 0.33),
        horizon=(0.62, 0.54, 0.54),
        zenith=(0.38, 0.38, 0.46),
        haze=0.0035,
        sun_elevation=40.0,
        lights=0.8,
        lit_windows=0.35,
    ),
    ("rain", "dusk"): Look(
        sun=(0.05, 0.05, 0.05),
        sky=(0.42, 0.42, 0.47),
        bounce=(0.3, 0.29, 0.31),
        horizon=(0.46, 0.43, 0.47),
        zenith=(0.28, 0.29, 0.36),
        haze=0.0065,
        sun_elevation=40.0,
        lights=0.9,
        lit_windows=0.4,
        wetness=1.0,
    ),
    ("sunny", "night"): Look(
        sun=(0.05, 0.06, 0.09),
        sky=(0.24, 0.26, 0.36),
        bounce=(0.18, 0.19, 0.25),
        horizon=(0.12, 0.13, 0.22),
        zenith=(0.03, 0.04, 0.1),
        haze=0.002,
        sun_elevation=50.0,
        lights=1.0,
        lit_windows=0.34,
    ),
    ("overcast", "night"): Look(
        sun=(0.02, 0.02, 0.03),
        sky=(0.25, 0.25, 0.3),
        bounce=(0.19, 0.19, 0.22),
        horizon=(0.15, 0.14, 0.17),
        zenith=(0.08, 0.08, 0.11),
        haze=0.0035,
        sun_elevation=60.0,
        lights=1.0,
        lit_windows=0.34,
    ),
    ("rain", "night"): Look(
        sun=(0.02, 0.02, 0.02),
        sky=(0.23, 0.24, 0.29),
        bounce=(0.17, 0.18, 0.21),
        horizon=(0.13, 0.13, 0.16),
        zenith=(0.07, 0.07, 0.1),
        haze=0.007,
        sun_elevation=60.0,
        lights=1.0,
        lit_windows=0.36,
        wetness=1.0,
    ),
}


def look_of(tags: Tags) -> Look:
    """The look of a weather and time of day."""
    return LOOKS[tags.weather, tags.time_of_day]


def sun_direction(look: Look, seed: int) -> NDArray[np.float32]:
    """Unit vector [3] towards the sun (or moon): height by the look, azimuth by the seed of the town."""
    azimuth = 2.0 * np.pi * ((seed * 2654435761) % 4096) / 4096.0
    elevation = np.radians(look.sun_elevation)
    direction = (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation))
    return np.array(direction, np.float32)


def sky_color(look: Look, direction: NDArray[np.float32], sun: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour [3, N] of the sky in unit directions [3, N]."""
    horizon, zenith = np.array(look.horizon, np.float32), np.array(look.zenith, np.float32)
    height = np.minimum(1.25 * np.sqrt(np.maximum(direction[2], 0.0)), 1.0)
    color = horizon[:, None] + height * (zenith - horizon)[:, None]
    if look.glow > 0.0:
        near = np.maximum(sun @ direction, 0.0)
        cube = near * near * near
        glow = np.float32(look.glow) * (cube * cube * cube * cube * cube + 0.5 * cube)
        color += glow * np.array(look.sun, np.float32)[:, None]
    return color
