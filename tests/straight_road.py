"""The smallest world: a straight road along x with the objects that a test puts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.scene import CLASS_ID, MAP_CLASSES, EgoState, HdMap, LaneGraph, Scene, Tracks
from drivesim.town.rig import nuscenes_rig

ROAD_HALF_WIDTH = 3.5  # [m]


@dataclass(frozen=True)
class StraightRoute:
    points: NDArray[np.float64]


@dataclass(frozen=True)
class StraightWorld:
    scene: Scene
    route: StraightRoute


def track(x: float, y: float, yaw: float = 0.0, speed: float = 0.0, name: str = "car", number: int = 7) -> Tracks:
    """One object of 2 x 4 x 1.5 m."""
    velocity = speed * np.array([[np.cos(yaw), np.sin(yaw)]])
    return Tracks(
        np.array([number]), np.array([CLASS_ID[name]]), np.array([[x, y, 0.75]]), np.array([[2.0, 4.0, 1.5]]),
        np.array([yaw]), velocity,
    )  # fmt: skip


def straight_map() -> HdMap:
    """Drivable area 7 m wide from x = -50 to x = 1000 m."""
    road = shapely.box(-50, -ROAD_HALF_WIDTH, 1000, ROAD_HALF_WIDTH)
    layers = dict.fromkeys(MAP_CLASSES, ()) | {"drivable_area": (road,)}
    points = np.array([[-50.0, 0.0, 0.0], [1000.0, 0.0, 0.0]])
    none = np.array([-1])
    graph = LaneGraph(
        np.array([0]), points, np.array([0, 2]), np.array([7.0]), np.array([14.0]), np.zeros(0, np.int64),
        np.array([0, 0]), none, none, np.array([False]), np.array([0]),
    )  # fmt: skip
    return HdMap(layers, graph, (-50.0, -20.0, 1000.0, 20.0))


@dataclass
class StraightRoad:
    """World source whose tracks keep their velocity."""

    tracks: Tracks = field(default_factory=Tracks.empty)
    speed: float = 0.0
    map: HdMap | None = field(default_factory=straight_map)

    def check(self, seed: int, options: Mapping[str, Any]) -> None:
        """Nothing to refuse."""

    def reset(self, seed: int, options: dict | None) -> StraightWorld:
        """Ego at the origin."""
        along = np.linspace(-20.0, 980.0, 501)
        route = StraightRoute(np.stack([along, np.zeros(501), np.zeros(501)], axis=-1))
        return StraightWorld(
            Scene(0.0, EgoState.at(0, 0, 0, self.speed), self.tracks, self.map, nuscenes_rig((36, 64))), route
        )

    def step(self, world: StraightWorld, ego: EgoState, dt: float) -> StraightWorld:
        """Everything moves on."""
        tracks = world.scene.tracks
        position = tracks.position + dt * np.pad(tracks.velocity, ((0, 0), (0, 1)))
        moved = replace(tracks, position=position)
        return replace(world, scene=replace(world.scene, ego=ego, tracks=moved, timestamp=world.scene.timestamp + dt))

    def history_frames(self, world: StraightWorld) -> None:
        """No pictures."""
