"""Scripted scenarios: one YAML file each, played in the town next to the reactive traffic."""

from drivesim.scenarios.library import library_names, load_scenario
from drivesim.scenarios.schema import Scenario
from drivesim.scenarios.yaml_tree import ScenarioError

__all__ = ["Scenario", "ScenarioError", "library_names", "load_scenario"]
