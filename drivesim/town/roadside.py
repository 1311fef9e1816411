"""What lies and stands along a road: parking bays, road works, lamps and signs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import Outline
from drivesim.town import parked
from drivesim.town.curves import Path, offset
from drivesim.town.layers import strip
from drivesim.town.network import THROAT, Profile, side_sign

Bays = tuple[tuple[float, float] | None, tuple[float, float] | None]  # start and end along the road [m], by side

_BAY_START = THROAT + 7.0  # [m] from the mouth
_TAPER = 1.5  # [m] over which the kerb steps back to a bay
_STALL = 6.2  # [m]
_LAMP_SPACING = 27.0  # [m]
_WORKS_SHARE = 0.06  # of the roads where works have room
_WORKS_VEHICLE_WIDTH = 2.1  # [m] fits beside the cones


@dataclass(frozen=True)
class RoadWorks:
    """A closed rectangle on the outermost lane and what stands on it."""

    area: Outline
    objects: list[NDArray[np.float64]]  # rows of `parked.PARKED_COLUMNS`


def bay_ranges(path: Path, profile: Profile) -> Bays:
    """Where the parking bays of both sides lie, whole stalls long; None on a side without."""
    stalls = int((path.length - 2 * _BAY_START) / _STALL)
    middle, half = 0.5 * path.length, 0.5 * stalls * _STALL
    right, left = ((middle - half, middle + half) if width > 0.0 and stalls >= 2 else None for width in profile.bays)
    return right, left


def kerb_knots(bay: tuple[float, float]) -> tuple[float, float, float, float]:
    """Distances along the road [m] between which the kerb steps back to a bay and forward again."""
    return bay[0] - _TAPER, bay[0], bay[1], bay[1] + _TAPER


def parked_cars(path: Path, profile: Profile, bays: Bays, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Rows of what stands in the bays."""
    rows = []
    for side, bay in enumerate(bays):
        if bay is None:
            continue
        stalls = path.at(np.arange(bay[0] + 0.5 * _STALL, bay[1], _STALL))
        stalls[:, :2] = offset(stalls, side_sign(side) * (profile.kerb(side) + 0.5 * profile.bays[side]))
        stalls[:, 2] += math.pi * side
        taken = rng.random(len(stalls)) < rng.uniform(0.3, 0.95)
        rows += [thing for stall in stalls[taken] for thing in parked.bay_row(stall, rng)]
    return rows


def road_works(path: Path, profile: Profile, bays: Bays, rng: np.random.Generator) -> RoadWorks | None:
    """Now and then, works on the outermost of several lanes, fenced by barriers and cones."""
    side, length, draw = int(rng.integers(2)), rng.uniform(10.0, 16.0), rng.random()
    room = path.length - 2 * THROAT - 24.0
    if draw > _WORKS_SHARE or profile.lanes[side] < 2 or bays[side] is not None or room < length:
        return None
    start = THROAT + 12.0 + rng.uniform(0.0, room - length)
    sign = side_sign(side)
    inner, outer = sign * (profile.kerb(side) - profile.lane_width + 0.3), sign * (profile.kerb(side) - 0.1)
    curve = path.between(start, start + length, 3.0)
    middle = 0.5 * (inner + outer)
    objects = [parked.row("traffic_cone", xy, 0.0, rng) for xy in offset(curve[1:-1], inner + sign * 0.25)]
    for pose, xy in zip(curve[[0, -1]], offset(curve[[0, -1]], middle), strict=True):
        objects.append(parked.row("barrier", xy, pose[2] + math.pi * side, rng))
    if rng.random() < 0.6:
        pose = path.at(np.array([start + 0.5 * length]))
        beside_kerb = outer - sign * (0.5 * _WORKS_VEHICLE_WIDTH + 0.05)
        vehicle = parked.row("construction_vehicle", offset(pose, beside_kerb)[0], pose[0, 2] + math.pi * side, rng)
        vehicle[4] = _WORKS_VEHICLE_WIDTH
        objects.append(vehicle)
    return RoadWorks(strip(offset(curve, inner), offset(curve, outer)), objects)


def poles(path: Path, profile: Profile, rng: np.random.Generator) -> NDArray[np.float64]:
    """Lamps along both kerbs, turned to the road, and signs before the junctions: rows of `elements.POLE_COLUMNS`."""
    rows = []
    height = rng.uniform(6.5, 9.0)
    for side in (0, 1):
        sign = side_sign(side)
        curve = path.at(np.arange(10.0 + 0.5 * _LAMP_SPACING * side, path.length - 6.0, _LAMP_SPACING))
        inward = curve[:, 2] - sign * 0.5 * math.pi
        kerb = sign * (profile.kerb(side) + profile.bays[side] + 0.45)
        lamps = zip(offset(curve, kerb).tolist(), inward.tolist(), strict=True)
        rows += [(x, y, height, yaw, 0) for (x, y), yaw in lamps]
        approach = path.at(np.array([THROAT + 1.5 if side else path.length - THROAT - 1.5]))
        if rng.random() < 0.6:
            x, y = offset(approach, sign * (profile.kerb(side) + 0.4))[0].tolist()
            rows.append((x, y, 2.6, float(approach[0, 2]) + math.pi * (1 - side), 1))
    return np.array(rows, np.float64).reshape(-1, 5)
