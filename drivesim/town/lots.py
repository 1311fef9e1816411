"""Car parks and building sites inside blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.geometry import box_footprints
from drivesim.town import parked
from drivesim.town.curves import direction

if TYPE_CHECKING:
    from drivesim.town.blocks import Frontage

_STALL_WIDTH, _STALL_LENGTH, _AISLE = 2.9, 5.4, 6.5  # [m]
_ACCESS_WIDTH = 6.0  # [m]
_GAP = 1.8  # [m] between walkway and lot


@dataclass(frozen=True)
class Lot:
    """A paved rectangle beside a road: x of its frame runs along the road, y away from it."""

    origin: NDArray[np.float64]  # [2] middle of the side at the road [m]
    along: float  # [rad] direction of x
    away: float  # [rad] direction of y
    width: float  # [m] along x
    depth: float  # [m] along y
    area: shapely.Polygon

    def point(self, x: float, y: float) -> NDArray[np.float64]:
        """Point [2] of the lot's frame in the global frame."""
        return self.origin + x * direction(self.along) + y * direction(self.away)


def place(free: shapely.Geometry, front: Frontage, rng: np.random.Generator) -> Lot | None:
    """The largest lot beside a road that fits into the free land, with its access, or None."""
    depth = 2 * _STALL_LENGTH + _AISLE
    middle = np.array([0.5 * front.path.length])
    pose = front.line(middle, _GAP)[0]
    away = pose[2] + (0.5 * math.pi if front.side else -0.5 * math.pi)
    shapely.prepare(free)
    for rows, width in ((2, 40.0), (2, 30.0), (1, 30.0), (1, 22.0), (1, 14.0)):
        centre = pose[:2] + 0.5 * rows * depth * direction(away)
        size = np.array([[rows * depth, width, 1.0]])
        quad = shapely.polygons(box_footprints(centre[None], size, pose[2:3]))[0]
        if shapely.contains_properly(free, quad):
            access = box_footprints(
                (pose[:2] - 0.5 * _GAP * direction(away))[None], np.array([[_GAP, _ACCESS_WIDTH, 1.0]]), pose[2:3]
            )
            area = shapely.intersection(shapely.union(quad, shapely.buffer(shapely.polygons(access)[0], 0.01)), free)
            return Lot(pose[:2], pose[2], away, width, rows * depth, area)
    return None


def vehicles(lot: Lot, is_site: bool, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Rows of what stands on a lot."""
    return _site(lot, rng) if is_site else _car_park(lot, rng)


def _car_park(lot: Lot, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Rows of stalls on both sides of each aisle; the far row is for long vehicles now and then."""
    rows: list[NDArray[np.float64]] = []
    share = rng.uniform(0.35, 0.9)
    aisles = round(lot.depth / (2 * _STALL_LENGTH + _AISLE))
    for aisle in range(aisles):
        base = aisle * (2 * _STALL_LENGTH + _AISLE)
        for y, nose in ((base + 0.5 * _STALL_LENGTH, 1.0), (base + 1.5 * _STALL_LENGTH + _AISLE, -1.0)):
            last = aisle == aisles - 1 and nose < 0
            rows += _long_row(lot, y, rng) if last and rng.random() < 0.5 else _stall_row(lot, y, nose, share, rng)
    return rows


def _stall_row(lot: Lot, y: float, nose: float, share: float, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """One row of cars, square to the road; the access at the road's side stays clear."""
    places = np.arange(-0.5 * lot.width + 0.5 * _STALL_WIDTH + 0.3, 0.5 * lot.width - 0.5 * _STALL_WIDTH, _STALL_WIDTH)
    rows = []
    for x in places:
        blocks_access = abs(x) < 0.5 * (_ACCESS_WIDTH + _STALL_WIDTH)
        if blocks_access or rng.random() > share:
            continue
        yaw = (
            lot.away + (0.0 if nose > 0 else math.pi) + (math.pi if rng.random() < 0.3 else 0.0) + rng.normal(0.0, 0.02)
        )
        rows.append(parked.row("car", lot.point(x, y), yaw, rng))
    return rows


def _long_row(lot: Lot, y: float, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Buses, trucks and trailers one behind the other, parallel to the road."""
    rows: list[NDArray[np.float64]] = []
    x = -0.5 * lot.width + 0.6
    while True:
        name = ("bus", "truck", "trailer", "bus")[int(rng.integers(4))]
        thing = parked.row(name, np.zeros(2), lot.along, rng)
        length = thing[5]
        if x + length > 0.5 * lot.width - 0.4:
            return rows
        thing[1:3] = lot.point(x + 0.5 * length, y)
        rows.append(thing)
        x += length + rng.uniform(0.8, 3.0)


def _site(lot: Lot, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Building site: a fence of barriers with cones at the access, machines, trucks and trailers in a grid inside."""
    rows = []
    for x in np.arange(-0.5 * lot.width + 1.4, 0.5 * lot.width - 1.3, 2.4):
        name = "traffic_cone" if abs(x) < 0.5 * _ACCESS_WIDTH + 1.2 else "barrier"
        if name == "barrier" or rng.random() < 0.5:
            rows.append(parked.row(name, lot.point(x, 0.5), lot.away, rng))
    for y in np.arange(5.0, lot.depth - 3.0, 5.0):
        for x in np.arange(-0.5 * lot.width + 7.5, 0.5 * lot.width - 6.0, 13.0):
            if rng.random() < 0.75:
                name = ("construction_vehicle", "construction_vehicle", "truck", "trailer")[int(rng.integers(4))]
                yaw = lot.along + (math.pi if rng.random() < 0.5 else 0.0)
                rows.append(parked.row(name, lot.point(x, y), yaw, rng))
    return rows
