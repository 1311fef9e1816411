"""The endless town: windows of map, statics and standing objects around any place, the same whoever asks when."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import Outline
from drivesim.scene import HdMap, Statics, Tags, Tracks
from drivesim.town.blocks import block_edges, block_nodes, make_block
from drivesim.town.elements import Element, LaterStatics, hd_map, parked_tracks, statics
from drivesim.town.hashing import mix, unit
from drivesim.town.junctions import make_junction
from drivesim.town.network import SPACING, Edge, Network, Node, incident_edges
from drivesim.town.roads import make_road

_REACH = 2  # [cells] beyond the central one
_SIDE = 2 * _REACH + 2  # nodes along each side of a window
_RIM = 30.0  # [m] from the outermost nodes inward where the map may be incomplete
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_Part = tuple[Hashable, Callable[[], Element]]

# A window has about 130 elements, and the next one shares most of them. More are kept only as long as a window has
# them, so that memory stays flat. With what is derived from it, a window takes up to 15 MB, so only the latest is kept
# for those who ask later; others live as long as some world is in them or comes to them.
_ELEMENT_CACHE, _WINDOW_CACHE = 176, 1
_LOOKS = (  # cumulative share of towns
    (0.35, Tags("sunny", "day")),
    (0.55, Tags("overcast", "day")),
    (0.72, Tags("sunny", "dusk")),
    (0.85, Tags("sunny", "night")),
    (1.0, Tags("rain", "day")),
)


@dataclass(frozen=True)
class TownWindow:
    """Everything that stands still around one lattice cell."""

    map: HdMap
    statics: Statics
    parked: Tracks
    cell: Node


class Preparation:
    """A window in the making, for whoever keeps this; all who come to the same place share it."""

    def __init__(self, pieces: Iterator[TownWindow | None]) -> None:
        self._pieces = pieces
        self.window: TownWindow | None = None

    def go_on(self) -> None:
        """Makes one more piece, if any is lacking."""
        self.window = next(self._pieces, self.window)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # elsewhere it begins anew


class Town:
    """Endless town of a seed. Seeds from 900,000 upward are for evaluation only."""

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"Town: found seed {seed}, accepted an integer >= 0")
        self.seed = int(seed)
        self.network = Network(self.seed)
        self._elements: WeakValueDictionary[Hashable, Element] = WeakValueDictionary()
        self._recent: OrderedDict[Hashable, Element] = OrderedDict()
        self._windows: WeakValueDictionary[Node, TownWindow] = WeakValueDictionary()
        self._elements_of: WeakKeyDictionary[TownWindow, list[Element]] = WeakKeyDictionary()
        self._latest: OrderedDict[Node, TownWindow] = OrderedDict()
        self._underway: WeakValueDictionary[Node, Preparation] = WeakValueDictionary()

    def __reduce__(self) -> tuple[type[Town], tuple[int]]:
        return Town, (self.seed,)

    def __deepcopy__(self, memo: dict[int, object]) -> Town:
        return self  # answers depend on the seed alone

    @property
    def tags(self) -> Tags:
        """Weather and time of day of this town."""
        draw = unit(self.seed, 50)
        return next(tags for share, tags in _LOOKS if draw < share)

    @staticmethod
    def cell(xy: NDArray[np.float64]) -> Node:
        """Lattice cell that a place [2] [m] lies in."""
        return math.floor(xy[0] / SPACING), math.floor(xy[1] / SPACING)

    def window(self, xy: NDArray[np.float64]) -> TownWindow:
        """Town around the cell of a place [2] [m]; the same object for as long as somebody keeps it."""
        return self._window(self.cell(xy))

    def _window(self, cell: Node) -> TownWindow:
        make = partial(_shared, self._windows, cell, lambda: self._make_window(cell))
        return _cached(self._latest, _WINDOW_CACHE, cell, make)

    def prepare(self, xy: NDArray[np.float64], derive: Callable[[TownWindow], Iterator[None]]) -> Preparation:
        """Makes one more piece of the window around the cell of a place [2] [m], if it lacks any.

        Pieces are roads, junctions and blocks, then the window, then what `derive` makes of it until its next yield.
        Who keeps what is returned and asks for the window later need not wait for all of them; what it holds does not
        depend on this.
        """
        cell = self.cell(xy)
        preparation = self._underway.get(cell)
        if preparation is None:
            preparation = self._underway[cell] = Preparation(self._pieces(cell, derive))
        preparation.go_on()
        return preparation

    def _pieces(self, cell: Node, derive: Callable[[TownWindow], Iterator[None]]) -> Iterator[TownWindow | None]:
        made = []  # and kept until they are those of the window
        for key, make in self._parts(cell) if cell not in self._windows else ():
            is_new = key not in self._elements
            made.append(self._element(key, make))
            if is_new:
                made[-1].finish()
                yield None
        window = self._window(cell)
        yield window
        for _ in derive(window):
            yield window

    def start(self, rng: np.random.Generator) -> tuple[int, float]:
        """Lane id and distance along it [m] of a start pose on a road of the origin cell."""
        graph = self.window(np.array([0.5 * SPACING, 0.5 * SPACING])).map.lane_graph
        middles = np.array(
            [graph.centre_line(lane)[len(graph.centre_line(lane)) // 2, :2] for lane in range(len(graph))]
        )
        distance = np.abs(middles / SPACING - 0.5).max(axis=1)
        rows = np.flatnonzero(~graph.in_junction & (graph.length > 15.0) & (distance < 0.7))
        lane = int(rows[rng.integers(len(rows))])
        return int(graph.ids[lane]), float(rng.uniform(0.2, 0.6) * graph.length[lane])

    def _make_window(self, cell: Node) -> TownWindow:
        elements = [self._element(key, make) for key, make in self._parts(cell)]
        x0, y0 = ((index - _REACH) * SPACING + _RIM for index in cell)
        width = (_SIDE - 1) * SPACING - 2 * _RIM
        bounds = (x0, y0, x0 + width, y0 + width)
        look = mix(self.seed, 51) & 0x7FFFFFFF
        surroundings = LaterStatics(lambda: statics(elements, look))
        window = TownWindow(hd_map(elements, bounds), surroundings, parked_tracks(elements), cell)
        self._elements_of[window] = elements
        return window

    def _parts(self, cell: Node) -> list[_Part]:
        """Keys and makers of the elements of a window."""
        i0, j0 = cell[0] - _REACH, cell[1] - _REACH
        nodes = [(i0 + i, j0 + j) for j in range(_SIDE) for i in range(_SIDE)]
        edges = dict.fromkeys(edge for node in nodes for edge in incident_edges(node) if self.network.exists(edge))
        blocks = [(i0 + i, j0 + j) for j in range(_SIDE - 1) for i in range(_SIDE - 1)]
        return [*map(self._node, nodes), *map(self._edge, edges), *map(self._block, blocks)]

    def _node(self, node: Node) -> _Part:
        return ("node", node), lambda: make_junction(self.network, node)

    def _edge(self, edge: Edge) -> _Part:
        return ("edge", edge), lambda: make_road(self.network, edge)

    def _block(self, cell: Node) -> _Part:
        return ("block", cell), lambda: make_block(self.network, cell, self._outlines(cell))

    def _outlines(self, cell: Node) -> list[Outline]:
        around = [*map(self._node, block_nodes(cell))]
        around += [self._edge(edge) for edge, _ in block_edges(cell) if self.network.exists(edge)]
        return [self._element(key, make).outline for key, make in around]

    def _element(self, key: Hashable, make: Callable[[], Element]) -> Element:
        return _cached(self._recent, _ELEMENT_CACHE, key, partial(_shared, self._elements, key, make))


def _shared(known: WeakValueDictionary[Key, Value], key: Key, make: Callable[[], Value]) -> Value:
    """Value of a key, made when nobody has it."""
    value = known.get(key)
    if value is None:
        value = known[key] = make()
    return value


def _cached(cache: OrderedDict[Key, Value], limit: int, key: Key, make: Callable[[], Value]) -> Value:
    """Value of a key, made when missing; the least recently used one goes when the cache is full."""
    if key not in cache:
        cache[key] = make()
        if len(cache) > limit:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]
