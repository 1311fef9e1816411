"""Who moves the others."""

from drivesim.traffic.idm import DriverModel
from drivesim.traffic.intent import EgoIntent
from drivesim.traffic.model import ReactiveTraffic, tracks_of
from drivesim.traffic.population import Demand
from drivesim.traffic.state import TrafficState, empty_state
from drivesim.traffic.tables import LaneTables, lane_tables

__all__ = [
    "Demand",
    "DriverModel",
    "EgoIntent",
    "LaneTables",
    "ReactiveTraffic",
    "TrafficState",
    "empty_state",
    "lane_tables",
    "tracks_of",
]
