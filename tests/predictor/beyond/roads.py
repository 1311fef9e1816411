"""Recorded maps whose road ends: two lanes each way along x, as sheets."""

from __future__ import annotations

import shapely
import torch

from drivesim.data.nuscenes_map import MapSheet
from drivesim.predictor.beyond.network import MapNetwork, MapNetworkConfig
from drivesim.scene import MAP_CLASSES
from tests.roads import RoadLane, road_map


def tiny_network(seed: int = 0) -> MapNetwork:
    torch.manual_seed(seed)
    network = MapNetwork(MapNetworkConfig((8, 8, 8))).eval().requires_grad_(False)
    network.leave[-1].bias.fill_(-2.0)  # type: ignore[union-attr, operator]  # little is there, as in most places
    return network


def two_way(length: float = 120.0, blind: bool = False) -> MapSheet:
    """A road from x = 0 to `length`, eastward lanes 1 and 2 at y = -1.75 and -5.25, westward lane 3 at y = 1.75; if
    `blind` lane 4 turns off lane 2 towards a building."""
    lanes = [
        RoadLane(1, (0, -1.75), (length, -1.75), right=2),
        RoadLane(2, (0, -5.25), (0.5 * length, -5.25), (5, 4) if blind else (5,), left=1),
        RoadLane(3, (length, 1.75), (0, 1.75)),
        RoadLane(5, (0.5 * length, -5.25), (length, -5.25), left=1),
        RoadLane(6, (0, 40.0), (length, 40.0)),  # another street, so that the map is no line
        *([RoadLane(4, (0.5 * length, -5.25), (0.5 * length, -25.0))] if blind else []),
    ]
    made = road_map(lanes)
    layers = {name: list(made.layers[name]) for name in MAP_CLASSES}
    layers["walkway"] = [shapely.box(0.0, -12.0, length, -8.0)]
    return MapSheet(layers, made.lane_graph)
