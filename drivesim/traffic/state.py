"""Traffic as a value: arrays over vehicles and over walkers, positions as complex numbers x + iy [m]."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

PATH_POINTS = 240  # points of a path, 1 m apart
PATH_LANES = 28  # lanes that a path remembers
PATH_JUNCTIONS = 6  # groups of controlled lanes that a path remembers
WALKING, WAITING, CROSSING = range(3)

Rows = TypeVar("Rows", bound="Bodies | Paths | Motion | Walkers")
Complex = NDArray[np.complex128]
Float = NDArray[np.float64]


def take(table: Rows, rows: NDArray) -> Rows:
    """The given rows (indices) of a table of arrays."""
    columns: list[Any] = [getattr(table, name) for name in table.__dataclass_fields__]
    taken: list[Any] = [take(one, rows) if isinstance(one, Bodies) else one.take(rows, 0) for one in columns]
    return type(table)(*taken)


def append(table: Rows, more: Rows) -> Rows:
    """Rows of one table after those of another."""
    pairs: list[Any] = [(getattr(table, name), getattr(more, name)) for name in table.__dataclass_fields__]
    joined: list[Any] = [append(*two) if isinstance(two[0], Bodies) else np.concatenate(two) for two in pairs]
    return type(table)(*joined)


@lru_cache(maxsize=256)
def row_starts(rows: int, length: int) -> NDArray[np.int64]:
    """Flat index [rows] of the first column of every row of a table with `length` columns. Not to be written to."""
    starts = length * np.arange(rows)
    starts.flags.writeable = False
    return starts


def lengths(ways: Complex) -> Float:
    """Lengths [...] of vectors [...]. Unlike those of `numpy.abs` they are the same to the bit on every machine."""
    return np.sqrt(ways.real * ways.real + ways.imag * ways.imag)


def scaled(ways: Complex, by: Float) -> Complex:
    """Vectors [N] times factors [N], without the rounding of a complex product."""
    return (ways.view(np.float64).reshape(-1, 2) * by[:, None]).view(np.complex128)[:, 0]


@dataclass(frozen=True, eq=False)
class Bodies:
    """What never changes of road users."""

    ids: NDArray[np.int64]  # [N]
    class_ids: NDArray[np.int64]  # [N]
    size: Float  # [N, 3] (width, length, height) [m]
    color: NDArray[np.float32]  # [N, 3]
    eagerness: Float  # [N] wanted speed over what the road allows
    top_speed: Float  # [N] [m/s]

    @cached_property
    def half_length(self) -> Float:
        """[N] [m]."""
        return 0.5 * self.size[:, 1]

    @cached_property
    def half_width(self) -> Float:
        """[N] [m]."""
        return 0.5 * self.size[:, 0]


@dataclass(frozen=True, eq=False)
class Paths:
    """Where vehicles will drive: point k of a row is k metres along. Lanes are ids, so paths outlive map windows."""

    points: Complex  # [N, PATH_POINTS]
    heading: Complex  # [N, PATH_POINTS] unit vectors
    speed: Float  # [N, PATH_POINTS] from which every later limit can be met by gentle braking [m/s]
    end: Float  # [N] [m]
    blocked: Float  # [N] where an obstacle stands [m], inf without
    lanes: NDArray[np.int64]  # [N, PATH_LANES] ids, -1 beyond the last
    lane_start: Float  # [N, PATH_LANES] [m], inf beyond the last
    lane_end: Float  # [N, PATH_LANES] [m], inf beyond the last
    controlled: NDArray[np.bool_]  # [N, PATH_LANES]
    entry: Float  # [N, PATH_JUNCTIONS] stop line before each junction [m], inf beyond the last
    clear: Float  # [N, PATH_JUNCTIONS] where the junction ends [m], inf beyond the last


@dataclass(frozen=True, eq=False)
class Motion:
    """What changes at every step of vehicles."""

    s: Float  # [N] of the middle of the body along the path [m]
    speed: Float  # [N] [m/s]
    acceleration: Float  # [N] [m/s^2]
    position: Complex  # [N] middle of the body
    direction: Complex  # [N] unit vector of the heading
    granted: Float  # [N] `clear` of the junction that the vehicle may pass, -inf for none [m]
    hold: Float  # [N] where the bumper waits for others inside a junction [m], inf for nowhere
    waiting: Float  # [N] time since it last moved [s]


@dataclass(frozen=True, eq=False)
class Walkers:
    """Pedestrians; they walk from node to node of the walking graph."""

    bodies: Bodies
    position: Complex  # [W]
    velocity: Complex  # [W] [m/s]
    direction: Complex  # [W] unit vector of the heading
    source: Complex  # [W] node behind
    target: Complex  # [W] node ahead
    pace: Float  # [W] wanted speed [m/s]
    side: Float  # [W] distance kept to the right of the line between nodes [m]
    phase: NDArray[np.int64]  # [W] WALKING, WAITING at the kerb or CROSSING the road
    waiting: Float  # [W] time of standing [s], ebbing away while walking


@dataclass(frozen=True, eq=False)
class TrafficState:
    """All moving road users except the ego. A step makes a new state; arrays are never written to."""

    bodies: Bodies
    paths: Paths
    motion: Motion
    walkers: Walkers
    seed: int
    step_index: int = 0
    next_id: int = 1

    def __len__(self) -> int:
        return len(self.bodies.ids) + len(self.walkers.position)

    def with_motion(self, motion: Motion) -> TrafficState:
        """The same vehicles, moving otherwise."""
        return TrafficState(self.bodies, self.paths, motion, self.walkers, self.seed, self.step_index, self.next_id)

    def with_walkers(self, walkers: Walkers) -> TrafficState:
        """The same vehicles with other people."""
        return TrafficState(self.bodies, self.paths, self.motion, walkers, self.seed, self.step_index, self.next_id)


def no_bodies() -> Bodies:
    """No road users."""
    none = np.zeros(0, np.int64)
    return Bodies(none, none, np.zeros((0, 3)), np.zeros((0, 3), np.float32), np.zeros(0), np.zeros(0))


def empty_state(seed: int) -> TrafficState:
    """No traffic."""
    z, f = np.zeros(0, np.complex128), np.zeros(0)
    lanes = (0, PATH_LANES)
    paths = Paths(
        points=np.zeros((0, PATH_POINTS), np.complex128),
        heading=np.zeros((0, PATH_POINTS), np.complex128),
        speed=np.zeros((0, PATH_POINTS)),
        end=f,
        blocked=f,
        lanes=np.zeros(lanes, np.int64),
        lane_start=np.zeros(lanes),
        lane_end=np.zeros(lanes),
        controlled=np.zeros(lanes, bool),
        entry=np.zeros((0, PATH_JUNCTIONS)),
        clear=np.zeros((0, PATH_JUNCTIONS)),
    )
    walkers = Walkers(no_bodies(), z, z, z, z, z, f, f, np.zeros(0, np.int64), f)
    return TrafficState(no_bodies(), paths, Motion(f, f, f, z, z, f, f, f), walkers, seed)
