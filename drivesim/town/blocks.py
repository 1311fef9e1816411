"""The land between four nodes: buildings along the roads and behind, parks, car parks and building sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.geometry import box_footprints, rectangles_overlap
from drivesim.map_raster import Outline, outlines_of
from drivesim.town import lots, parked
from drivesim.town.curves import Path, offset
from drivesim.town.elements import BUILDING_COLUMNS, TREE_COLUMNS, Element
from drivesim.town.hashing import generator
from drivesim.town.ids import parked_ids
from drivesim.town.layers import polygons
from drivesim.town.network import Edge, Network, Node, Profile

WALLS = np.array(
    [
        (0.62, 0.36, 0.28),
        (0.78, 0.72, 0.62),
        (0.55, 0.56, 0.60),
        (0.86, 0.84, 0.80),
        (0.68, 0.60, 0.48),
        (0.45, 0.48, 0.52),
        (0.74, 0.52, 0.40),
        (0.58, 0.64, 0.66),
        (0.82, 0.74, 0.56),
        (0.42, 0.33, 0.30),
    ]
)
STYLES = 6
_BLOCK_KINDS = (("built", 0.66), ("park", 0.80), ("lot", 0.93), ("site", 1.0))


@dataclass(frozen=True)
class Frontage:
    """A road as seen from a block beside it."""

    path: Path
    profile: Profile
    side: int  # of the profile, that faces the block

    def line(self, s: NDArray[np.float64], distance: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Poses [K, 3] beside the road, `distance` [m] beyond the walkway, at distances s [K] along it."""
        curve = self.path.at(s)
        sign = 1.0 if self.side else -1.0
        return np.column_stack(
            [offset(curve, sign * (self.profile.outer(self.side) + np.asarray(distance))), curve[:, 2]]
        )


def block_edges(cell: Node) -> tuple[tuple[Edge, int], ...]:
    """The four lattice edges around a block, each with the profile side that faces it: south, east, north, west."""
    i, j = cell
    return ((i, j, 0), 1), ((i + 1, j, 1), 1), ((i, j + 1, 0), 0), ((i, j, 1), 0)


def block_nodes(cell: Node) -> tuple[Node, Node, Node, Node]:
    """The four nodes around a block counter-clockwise."""
    i, j = cell
    return (i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)


def make_block(network: Network, cell: Node, outlines: Sequence[Outline]) -> Element:
    """The piece of town of one block; `outlines` are those of the nodes and roads around it."""
    rng = generator(network.seed, 40, *cell)
    element = Element()
    fronts = [
        Frontage(network.path(edge), network.profile(edge), side)
        for edge, side in block_edges(cell)
        if network.exists(edge)
    ]
    draw = rng.random()
    kind = next(name for name, share in _BLOCK_KINDS if draw < share) if fronts else "park"  # where no road leads
    lot = None
    if kind in ("lot", "site"):
        free = free_land(network, cell, outlines)
        lot = lots.place(free, fronts[int(rng.integers(len(fronts)))], rng)
        if lot is not None:
            element.layers["carpark_area"] += outlines_of([lot.area])
            objects = lots.vehicles(lot, kind == "site", rng)
            element.parked, element.parked_ids = parked.table(objects), parked_ids(cell, 2, len(objects))

    def grow() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        land = free_land(network, cell, outlines)
        if lot is not None:
            land = shapely.difference(land, shapely.buffer(lot.area, 1.0, join_style="mitre"))
        buildings = _buildings(land, fronts, 0.15 if kind == "park" else 1.0, rng)
        return buildings, _trees(land, fronts, buildings, kind == "park", rng)

    element.grow = grow
    return element


def free_land(network: Network, cell: Node, outlines: Sequence[Outline]) -> shapely.Polygon:
    """The block without roads, walkways and junctions."""
    south, east, north, west = block_edges(cell)
    nodes = block_nodes(cell)
    chains = []
    for (edge, _), corner, backward in zip((south, east, north, west), nodes, (False, False, True, True), strict=True):
        chains.append(network.position(corner)[None])
        if network.exists(edge):
            path = network.path(edge)
            line = path.between(0.0, path.length, 4.0)[:, :2]
            chains.append(line[::-1] if backward else line)
    face = shapely.Polygon(np.concatenate(chains))
    parts = shapely.get_parts(shapely.difference(face, shapely.union_all(polygons(outlines))))
    return max(parts, key=lambda part: part.area)


def _buildings(
    free: shapely.Geometry, fronts: list[Frontage], density: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Rows of `elements.BUILDING_COLUMNS`: along the roads first, then behind; none touches another."""
    if not fronts:
        return np.zeros((0, BUILDING_COLUMNS))
    rows = [_along(front, rng) for front in fronts] + [_behind(free, fronts, rng)]
    boxes = np.concatenate(rows)  # x, y, yaw, depth, width
    boxes = boxes[rng.random(len(boxes)) < density]
    shapely.prepare(free)
    margin = np.column_stack([boxes[:, 3:5] + 1.0, np.ones(len(boxes))])
    roomy = box_footprints(boxes[:, :2], margin, boxes[:, 2])
    boxes = boxes[shapely.contains_properly(free, shapely.polygons(roomy))]
    quads = box_footprints(boxes[:, :2], np.column_stack([boxes[:, 3:5], np.ones(len(boxes))]), boxes[:, 2])
    quads = quads[_first_come(quads)]
    count = len(quads)
    tall = rng.random() < 0.35
    heights = rng.uniform(12.0, 40.0, count) if tall else rng.uniform(6.0, 18.0, count)
    colors = np.clip(WALLS[rng.integers(len(WALLS), size=count)] + rng.uniform(-0.05, 0.05, (count, 3)), 0.05, 0.95)
    styles = rng.integers(STYLES, size=count)
    return np.column_stack([quads.reshape(count, 8), heights, colors, styles]).reshape(count, BUILDING_COLUMNS)


def _along(front: Frontage, rng: np.random.Generator) -> NDArray[np.float64]:
    """Candidate houses [K, 5] (x, y, yaw, depth, width) in a row along a road."""
    widths = rng.uniform(8.0, 25.0, 12)
    gaps = rng.choice([0.6, 2.5, 6.0], 12, p=[0.45, 0.35, 0.2])
    ends = np.cumsum(widths + gaps) - gaps + rng.uniform(-6.0, 2.0)
    middles = ends - 0.5 * widths
    depths = rng.uniform(9.0, 16.0, 12)
    setback = rng.uniform(3.2, 7.5) + rng.choice([0.0, 0.8], 12)
    keep = (middles > 0.0) & (middles < front.path.length)
    poses = front.line(middles, setback + 0.5 * depths)
    return np.column_stack([poses, depths, widths])[keep]


def _behind(free: shapely.Geometry, fronts: list[Frontage], rng: np.random.Generator) -> NDArray[np.float64]:
    """Candidate buildings [K, 5] scattered over the block, turned like one of its roads."""
    count = 28
    x0, y0, x1, y1 = free.bounds
    xy = rng.uniform((x0, y0), (x1, y1), (count, 2))
    headings = np.array([front.path.at(np.array([0.5 * front.path.length]))[0, 2] for front in fronts])
    yaw = headings[rng.integers(len(headings), size=count)]
    return np.column_stack([xy, yaw, rng.uniform(8.0, 18.0, (count, 2))])


def _first_come(quads: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the rectangles [N, 4, 2] that overlap none accepted before them."""
    overlap = rectangles_overlap(quads[:, None], quads[None])
    kept: list[int] = []
    for row in range(len(quads)):
        if not overlap[row, kept].any():
            kept.append(row)
    return np.array(kept, np.int64)


def _trees(
    free: shapely.Geometry,
    fronts: list[Frontage],
    buildings: NDArray[np.float64],
    is_park: bool,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Rows of `elements.TREE_COLUMNS`: avenues along the walkways and trees inside the block, clear of buildings."""
    avenues = []
    for front in fronts:
        spacing = rng.uniform(7.0, 14.0)
        if rng.random() < 0.7:
            avenues.append(front.line(np.arange(2.0, front.path.length, spacing), 1.0)[:, :2])
    x0, y0, x1, y1 = free.bounds
    scattered = rng.uniform((x0, y0), (x1, y1), (60 if is_park else 20, 2))
    xy = np.concatenate([*avenues, scattered])
    size = rng.uniform((2.0, 1.5, 2.0), (3.5, 3.5, 5.0), (len(xy), 3))
    size[: len(xy) - len(scattered), 1] = rng.uniform(1.4, 2.2, len(xy) - len(scattered))
    points = shapely.points(xy)
    shapely.prepare(free)
    clear = shapely.contains_properly(free, points)
    if len(buildings):
        houses = shapely.union_all(shapely.polygons(buildings[:, :8].reshape(-1, 4, 2)))
        clear &= shapely.distance(houses, points) > 0.9 * size[:, 1]
    green = rng.uniform((0.10, 0.28, 0.05), (0.30, 0.48, 0.16), (len(xy), 3))
    return np.concatenate([xy, size, green], axis=1)[clear].reshape(-1, TREE_COLUMNS)
