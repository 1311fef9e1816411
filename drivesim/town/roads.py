"""One edge of the network as a piece of town: roadway, walkways, markings, bays, lanes and what stands along it."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.town import parked
from drivesim.town.curves import Curve, Path, offset, parallel, reverse
from drivesim.town.elements import Element, Lane
from drivesim.town.hashing import generator, unit
from drivesim.town.ids import lane_id, parked_ids
from drivesim.town.junctions import entering_lanes
from drivesim.town.network import THROAT, Edge, Network, Node, Profile, end_node

STOP_LINE = 0.4  # [m] thickness
_CROSSING = (1.2, 4.6)  # [m] from the mouth outward
_BAY_START = THROAT + 7.0  # [m] from the mouth
_TAPER = 1.5  # [m] over which the kerb steps back to a bay
_STALL = 6.2  # [m]
_LAMP_SPACING = 27.0  # [m]


def has_crossing(network: Network, edge: Edge, node: Node) -> bool:
    """Whether the arm of an edge at one of its nodes has a zebra crossing."""
    return network.junction(node).kind != "bend" and unit(network.seed, 20, *edge, *node) < 0.8


def make_road(network: Network, edge: Edge) -> Element:
    """The piece of town of one edge."""
    profile, path, element = network.profile(edge), network.path(edge), Element()
    rng = generator(network.seed, 21, *edge)
    bays = tuple(_bay_range(path, profile.bays[side]) for side in (0, 1))
    kerbs = [_kerb(path, profile, side, bays[side]) for side in (0, 1)]
    _add_surface(element, path, profile, bays, kerbs)
    _add_markings(element, path, profile)
    for at_end in (False, True):
        _add_mouth(element, network, edge, at_end)
    element.lanes = _lanes(network, edge)
    objects = [thing for side in (0, 1) for thing in _parked_cars(path, profile, side, bays[side], rng)]
    objects += _road_block(element, path, profile, bays, rng)
    element.parked = parked.table(objects)
    element.parked_ids = parked_ids(edge[:2], edge[2], len(objects))
    element.poles = _poles(path, profile, bays, rng)
    return element


def _sign(side: int) -> float:
    """Right is negative, left positive."""
    return 1.0 if side else -1.0


def _bay_range(path: Path, width: float) -> tuple[float, float] | None:
    """Start and end [m] of the parking bay, whole stalls long, or None."""
    stalls = int((path.length - 2 * _BAY_START) / _STALL)
    if width == 0.0 or stalls < 2:
        return None
    middle, half = 0.5 * path.length, 0.5 * stalls * _STALL
    return middle - half, middle + half


def _kerb(path: Path, profile: Profile, side: int, bay: tuple[float, float] | None) -> tuple[Curve, NDArray[np.float64]]:
    """Centre poses [K, 3] and kerb distances [K] [m] there, stepping back at the bay."""
    s = np.linspace(0.0, path.length, math.ceil(path.length / 2.5) + 1)
    near = profile.kerb(side)
    if bay is None:
        return path.at(s), np.full(len(s), near)
    knots = [bay[0] - _TAPER, bay[0], bay[1], bay[1] + _TAPER]
    s = np.unique(np.concatenate([s, knots]))
    far = near + profile.bays[side]
    return path.at(s), np.interp(s, knots, [near, far, far, near])


def _strip(first: NDArray[np.float64], second: NDArray[np.float64]) -> shapely.Polygon:
    """Polygon between two lines [K, 2] that run the same way."""
    return shapely.polygons(np.concatenate([first, second[::-1]]))


def _add_surface(element: Element, path: Path, profile: Profile, bays: tuple, kerbs: list) -> None:
    """Roadway with the median cut out, walkways, bays, and the outline of it all."""
    centre = path.between(0.0, path.length, 2.5)
    right, left = offset(centre, -profile.kerb(0)), offset(centre, profile.kerb(1))
    shell = np.concatenate([right, left[::-1]])
    holes = [_median(path, profile)] if profile.median else None
    element.layers["drivable_area"].append(shapely.Polygon(shell, holes))
    for side, sign in ((0, -1.0), (1, 1.0)):
        curve, kerb = kerbs[side]
        outer = offset(curve, sign * profile.outer(side))
        element.layers["walkway"].append(_strip(offset(curve, sign * kerb), outer))
        bay = bays[side]
        if bay is not None:
            rows = np.flatnonzero(kerb > profile.kerb(side) + 1e-9)
            rows = np.arange(rows[0] - 1, rows[-1] + 2)
            near = offset(curve[rows], sign * profile.kerb(side))
            element.layers["carpark_area"].append(_strip(near, offset(curve[rows], sign * kerb[rows])))
    element.outline = _strip(offset(centre, -profile.outer(0)), offset(centre, profile.outer(1)))


def _median(path: Path, profile: Profile) -> NDArray[np.float64]:
    """Ring [K, 2] of the raised island, with pointed noses."""
    s = np.linspace(THROAT, path.length - THROAT, math.ceil(path.length / 2.5) + 1)
    half = np.full(len(s), 0.5 * profile.median)
    half[[0, -1]] = 0.15
    curve = path.at(s)
    return np.concatenate([offset(curve, half), offset(curve, -half)[::-1]])


def _add_markings(element: Element, path: Path, profile: Profile) -> None:
    """Lines between lanes, and between the directions."""
    centre = path.between(THROAT, path.length - THROAT, 2.5)
    dividers = [0.5 * profile.median, -0.5 * profile.median] if profile.median else [0.0]
    lanes = [
        _sign(side) * (0.5 * profile.median + lane * profile.lane_width)
        for side in (0, 1)
        for lane in range(1, profile.lanes[side])
    ]
    for name, distances in (("road_divider", dividers), ("lane_divider", lanes)):
        element.layers[name] += [shapely.LineString(offset(centre, distance)) for distance in distances]


def _add_mouth(element: Element, network: Network, edge: Edge, at_end: bool) -> None:
    """Crossing and stop line at one end of the road."""
    node = end_node(edge) if at_end else edge[:2]
    junction = network.junction(node)
    if junction.kind == "bend":
        return
    profile, path = network.profile(edge), network.path(edge)
    arriving = 0 if at_end else 1
    if has_crossing(network, edge, node):
        element.layers["ped_crossing"].append(_bar(path, at_end, _CROSSING, -profile.kerb(0), profile.kerb(1)))
    inner, outer = _sign(arriving) * 0.5 * profile.median, _sign(arriving) * profile.kerb(arriving)
    element.layers["stop_line"].append(_bar(path, at_end, (THROAT - STOP_LINE, THROAT), inner, outer))


def _bar(path: Path, at_end: bool, distances: tuple[float, float], first: float, second: float) -> shapely.Polygon:
    """Bar across the road between two distances from a mouth [m] and two lateral offsets [m]."""
    s = np.array(distances) if not at_end else path.length - np.array(distances)
    curve = path.at(s)
    return _strip(offset(curve, first), offset(curve, second))


def _lanes(network: Network, edge: Edge) -> list[Lane]:
    """Lanes of both directions with their links into the junctions at the ends."""
    profile, path = network.profile(edge), network.path(edge)
    centre = path.between(THROAT, path.length - THROAT)
    lanes = []
    for side, target in ((0, end_node(edge)), (1, edge[:2])):
        links = entering_lanes(network, edge, target)
        for lane in range(profile.lanes[side]):
            curve = parallel(centre, _sign(side) * profile.lane_offset(lane))
            lanes.append(
                Lane(
                    id=lane_id(edge, side, lane),
                    curve=reverse(curve) if side else curve,
                    width=profile.lane_width,
                    speed_limit=profile.speed_limit,
                    successors=links[lane],
                    left=lane_id(edge, side, lane - 1) if lane > 0 else -1,
                    right=lane_id(edge, side, lane + 1) if lane + 1 < profile.lanes[side] else -1,
                    priority=profile.rank,
                )
            )
    return lanes


def _parked_cars(
    path: Path, profile: Profile, side: int, bay: tuple[float, float] | None, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Rows of what stands in the bay of one side."""
    if bay is None:
        return []
    stalls = path.at(np.arange(bay[0] + 0.5 * _STALL, bay[1], _STALL))
    stalls[:, :2] = offset(stalls, _sign(side) * (profile.kerb(side) + 0.5 * profile.bays[side]))
    stalls[:, 2] += math.pi * side
    taken = rng.random(len(stalls)) < rng.uniform(0.3, 0.95)
    return [thing for stall in stalls[taken] for thing in parked.bay_row(stall, rng)]


def _road_block(
    element: Element, path: Path, profile: Profile, bays: tuple, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Now and then, works on the outermost of several lanes: a closed rectangle, fenced by barriers and cones."""
    side = int(rng.integers(2))
    length = rng.uniform(10.0, 16.0)
    room = path.length - 2 * THROAT - 24.0
    if rng.random() > 0.12 or profile.lanes[side] < 2 or bays[side] is not None or room < length:
        return []
    start = THROAT + 12.0 + rng.uniform(0.0, room - length)
    sign = _sign(side)
    inner = sign * (profile.kerb(side) - profile.lane_width + 0.35)
    outer = sign * (profile.kerb(side) - 0.1)
    curve = path.between(start, start + length, 3.0)
    element.layers["road_block"].append(_strip(offset(curve, inner), offset(curve, outer)))
    cones = [parked.row("traffic_cone", xy, 0.0, rng) for xy in offset(curve[1:-1], inner + sign * 0.25)]
    ends = curve[[0, -1]]
    barriers = [
        parked.row("barrier", xy, pose[2] + math.pi * side, rng)
        for pose, xy in zip(ends, offset(ends, 0.5 * (inner + outer)), strict=True)
    ]
    middle = path.at(np.array([start + 0.5 * length]))
    works = offset(middle, 0.5 * (inner + outer) + sign * 0.1)[0]
    vehicle = [parked.row("construction_vehicle", works, middle[0, 2] + math.pi * side, rng)] if rng.random() < 0.6 else []
    return cones + barriers + vehicle


def _poles(path: Path, profile: Profile, bays: tuple, rng: np.random.Generator) -> NDArray[np.float64]:
    """Lamps along both kerbs, turned to the road, and a sign before each junction: rows x, y, height, yaw, kind."""
    rows = []
    height = rng.uniform(6.5, 9.0)
    for side in (0, 1):
        s = np.arange(10.0 + 0.5 * _LAMP_SPACING * side, path.length - 6.0, _LAMP_SPACING)
        distance = _sign(side) * (profile.kerb(side) + (profile.bays[side] if bays[side] else 0.0) + 0.45)
        curve = path.at(s)
        inward = curve[:, 2] - _sign(side) * 0.5 * math.pi
        rows += [(*xy, height, yaw, 0) for xy, yaw in zip(offset(curve, distance), inward, strict=True)]
        approach = path.at(np.array([THROAT + 1.5 if side else path.length - THROAT - 1.5]))
        xy = offset(approach, _sign(side) * (profile.kerb(side) + 0.4))[0]
        if rng.random() < 0.6:
            rows.append((*xy, 2.6, approach[0, 2] + math.pi * (1 - side), 1))
    return np.array(rows, np.float64).reshape(-1, 5)
