"""When and how a recorded drive passes from its log to the predictor: its road users, its map, and the ego's route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from drivesim.data.interpolation import BoxLog, PoseLog
from drivesim.data.nuscenes_map import MapSheet
from drivesim.data.recorded_route import RecordedRoute, endless_route, recorded_route
from drivesim.route import Route, follow
from drivesim.scene import EgoState, HdMap, Scene
from drivesim.traffic.tables import lane_tables

if TYPE_CHECKING:
    from drivesim.predictor.beyond.growth import Beyond
    from drivesim.predictor.handover import PredictedLog


class LogPredictor:
    """Takes the road users of logs over and moves them on, and leads roads on where the map ends; keeps weights and
    settings only.

    Raises ValueError for a `hand_over` that is neither "start" nor "end", WeightsError for absent weights.
    """

    def __init__(self, hand_over: str, weights: str | None) -> None:
        from drivesim.predictor import handover
        from drivesim.predictor.beyond.growth import MapGrower
        from drivesim.predictor.beyond.network import shipped_map_network
        from drivesim.predictor.shipped import predicted_traffic
        from drivesim.scene import VehicleShape
        from drivesim.traffic import Demand

        if hand_over not in handover.HAND_OVER:
            raise ValueError(f"hand_over: found {hand_over!r}, accepted {handover.HAND_OVER}")
        self.at_start = hand_over == "start"
        self.traffic = predicted_traffic(weights, Demand(), VehicleShape())
        self.grower = MapGrower(shipped_map_network())

    def is_time(self, now: float, end: float) -> bool:
        """Whether a drive whose log ends at `end` [s] is the predictor's by now."""
        return self.at_start or now >= end - 1e-6

    def begin(self, scene: Scene, past: Callable[[float], Scene | None], boxes: BoxLog, seed: int) -> PredictedLog:
        """The road users of a scene; `past` gives the scenes some seconds ago, None where there are none."""
        from drivesim.predictor import handover
        from drivesim.predictor.layout import PERIOD
        from drivesim.predictor.network import HISTORY

        # The ego may not have driven as in the log: before now it is taken to have driven straight.
        earlier = [(PERIOD * step, past(PERIOD * step)) for step in range(HISTORY, 0, -1)]
        scenes = [replace(one, ego=straight_back(scene.ego, ago)) for ago, one in earlier if one is not None]
        moving = handover.moving_ids(boxes.ids, boxes.position)
        return handover.hand_over(self.traffic, [*scenes, scene], moving, int(boxes.ids.max(initial=0)) + 1, seed)

    def step(self, log: PredictedLog, before: Scene, hd_map: HdMap | None, ego: EgoState, dt: float) -> PredictedLog:
        """The road users `dt` [s] later with the ego where it was driven to."""
        from drivesim.predictor import handover

        return handover.step(self.traffic, log, hd_map, before.ego, ego, dt)

    def map_at(
        self, beyond: Beyond | None, sheet: MapSheet | None, window: HdMap | None, ego: EgoState
    ) -> Beyond | None:
        """The map around the ego with the roads led on that end near it; `beyond` is what there was before. None where
        there is no map, or no lanes in it."""
        if sheet is None or window is None or not len(sheet.graph):
            return None
        if beyond is None:
            return self.grower.begin(sheet, window, ego.xy)
        return self.grower.step(sheet, beyond, window, ego.xy)

    def route(
        self, poses: PoseLog, sheet: MapSheet | None, radius: float, ego: EgoState, seed: int
    ) -> RecordedRoute | Route:
        """The way of the ego: the recorded path, and from its end along the lanes that are there or are predicted."""
        if sheet is None or not len(sheet.graph):
            return recorded_route(poses)
        end = poses.at(poses.times[-1:])[0, :2, 3]
        return endless_route(poses, self.grower.begin(sheet, sheet.window(end, radius), end).map, ego, seed)


def followed(route: RecordedRoute | Route, hd_map: HdMap | None, ego: EgoState) -> RecordedRoute | Route:
    """A route moved on to the ego: along the lanes if it is one of lanes, else as it is."""
    if not isinstance(route, Route) or hd_map is None or not len(hd_map.lane_graph):
        return route
    return follow(route, lane_tables(hd_map), ego)


def straight_back(ego: EgoState, seconds: float) -> EgoState:
    """The ego some time ago, had it kept speed and heading."""
    pose = ego.pose.copy()
    pose[:2, 3] -= seconds * ego.speed * np.array([np.cos(ego.yaw), np.sin(ego.yaw)])
    return replace(ego, pose=pose)
