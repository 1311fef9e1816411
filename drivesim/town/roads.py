"""One edge of the network as a piece of town: roadway, walkways, markings, bays, lanes and what stands along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import Outline
from drivesim.town import parked, roadside
from drivesim.town.curves import Path, evenly, offset, offsets, parallels, reverse
from drivesim.town.elements import Element
from drivesim.town.hashing import generator, unit
from drivesim.town.ids import lane_id, parked_ids
from drivesim.town.junctions import entering_lanes
from drivesim.town.lanes import Lane
from drivesim.town.layers import area, strip
from drivesim.town.network import THROAT, Edge, Network, Node, Profile, end_node, side_sign

STOP_LINE = 0.4  # [m] thickness
_CROSSING = (1.2, 4.6)  # [m] from the mouth outward


def has_crossing(network: Network, edge: Edge, node: Node) -> bool:
    """Whether the arm of an edge at one of its nodes has a zebra crossing."""
    return network.junction(node).kind != "bend" and unit(network.seed, 20, *edge, *node) < 0.8


def make_road(network: Network, edge: Edge) -> Element:
    """The piece of town of one edge."""
    profile, path, element = network.profile(edge), network.path(edge), Element()
    rng = generator(network.seed, 21, *edge)
    bays = roadside.bay_ranges(path, profile)
    _add_surface(element, path, profile, bays)
    _add_markings(element, path, profile)
    for at_end in (False, True):
        _add_mouth(element, network, edge, at_end)
    element.lanes = _lanes(network, edge)
    objects = roadside.parked_cars(path, profile, bays, rng)
    works = roadside.road_works(path, profile, bays, rng)
    if works is not None:
        element.layers["road_block"].append(works.area)
        objects += works.objects
        element.closed = True  # what stands in the bays does not reach the lanes
    element.parked = parked.table(objects)
    element.parked_ids = parked_ids(edge[:2], edge[2], len(objects))
    element.poles = roadside.poles(path, profile, rng)
    return element


def _add_surface(element: Element, path: Path, profile: Profile, bays: roadside.Bays) -> None:
    """Roadway with the median cut out, walkways, bays, and the outline of it all.

    All are cut at the same stations, so that neighbours share their corners.
    """
    knots = [knot for bay in bays if bay is not None for knot in roadside.kerb_knots(bay)]
    s = np.unique(np.concatenate([evenly(0.0, path.length, 2.5), knots]))
    curve = path.at(s)
    edges, outers = [], []
    for side, bay in enumerate(bays):
        sign, near = side_sign(side), profile.kerb(side)
        setback = np.zeros(len(s)) if bay is None else np.interp(s, roadside.kerb_knots(bay), (0.0, 1.0, 1.0, 0.0))
        distances = (near + profile.bays[side] * setback, near, profile.outer(side))
        kerb, edge, outer = offsets(curve, [sign * distance for distance in distances])
        edges.append(edge)
        outers.append(outer)
        element.layers["walkway"].append(strip(kerb, outer))
        if bay is not None:
            first, last = np.searchsorted(s, [roadside.kerb_knots(bay)[0], roadside.kerb_knots(bay)[-1]])
            element.layers["carpark_area"].append(strip(edge[first : last + 1], kerb[first : last + 1]))
    median = _median(path, profile) if profile.median else None
    element.layers["drivable_area"].append(area(np.concatenate([edges[0], edges[1][::-1]]), median))
    element.outline = strip(outers[0], outers[1])


def _median(path: Path, profile: Profile) -> NDArray[np.float64]:
    """Ring [K, 2] of the raised island, with pointed noses."""
    s = evenly(THROAT, path.length - THROAT, 2.5)
    half = np.full(len(s), 0.5 * profile.median)
    half[[0, -1]] = 0.15
    curve = path.at(s)
    return np.concatenate([offset(curve, half), offset(curve, -half)[::-1]])


def _add_markings(element: Element, path: Path, profile: Profile) -> None:
    """Lines between lanes, and between the directions."""
    centre = path.between(THROAT, path.length - THROAT, 2.5)
    dividers = [0.5 * profile.median, -0.5 * profile.median] if profile.median else [0.0]
    lanes = [
        side_sign(side) * (0.5 * profile.median + lane * profile.lane_width)
        for side in (0, 1)
        for lane in range(1, profile.lanes[side])
    ]
    for name, distances in (("road_divider", dividers), ("lane_divider", lanes)):
        element.layers[name] += [(line,) for line in offsets(centre, distances)]


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
    inner, outer = side_sign(arriving) * 0.5 * profile.median, side_sign(arriving) * profile.kerb(arriving)
    element.layers["stop_line"].append(_bar(path, at_end, (THROAT - STOP_LINE, THROAT), inner, outer))


def _bar(path: Path, at_end: bool, distances: tuple[float, float], first: float, second: float) -> Outline:
    """Bar across the road between two distances from a mouth [m] and two lateral offsets [m]."""
    s = np.array(distances) if not at_end else path.length - np.array(distances)
    curve = path.at(s)
    return strip(offset(curve, first), offset(curve, second))


def _lanes(network: Network, edge: Edge) -> list[Lane]:
    """Lanes of both directions with their links into the junctions at the ends."""
    profile, path = network.profile(edge), network.path(edge)
    centre = path.between(THROAT, path.length - THROAT)
    lanes = []
    distances = [side_sign(side) * profile.lane_offset(lane) for side in (0, 1) for lane in range(profile.lanes[side])]
    curves = iter(parallels(centre, distances))
    for side, target in ((0, end_node(edge)), (1, edge[:2])):
        links = entering_lanes(network, edge, target)
        for lane in range(profile.lanes[side]):
            curve = next(curves)
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
