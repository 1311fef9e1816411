"""Sets a scenario up in a town: place, ego, actors, script."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivesim.route import Route, start_route
from drivesim.scenarios.casting import cast_actors, check_free
from drivesim.scenarios.fields import Jitter
from drivesim.scenarios.places import ORIGIN, Found, find_place
from drivesim.scenarios.schema import Scenario
from drivesim.scenarios.script import Script, begin
from drivesim.scenarios.yaml_tree import ScenarioError
from drivesim.scene import EgoState, Scene
from drivesim.town.town import Town
from drivesim.traffic.tables import LaneTables, lane_tables

MAX_PICKS = 8  # places of a kind in another town that a scenario is played at


@dataclass(frozen=True, eq=False)
class Setting:
    """Where a scenario plays and how the ego starts in it."""

    scenario: Scenario
    found: Found
    tables: LaneTables
    route: Route
    ego: EgoState
    seed: int  # of everything that varies besides the jitter


def set_up(scenario: Scenario, town: Town) -> Setting:
    """The setting of a scenario; ScenarioError where the town has no such place."""
    found = find_place(town, scenario.place)
    if found is None:
        raise ScenarioError(
            f"{scenario.file}:{scenario.place.line}: place: found none like it in the middle of town {town.seed}, "
            "accepted a smaller pick, fewer demands or another town"
        )
    window = town.window(ORIGIN)
    tables = lane_tables(window.map, window.parked)
    route = start_route(tables, found.lane, found.s, found.route_seed)
    place = found.line.place(0.0, scenario.ego.offset)
    heading = float(route.points[route.at, 2])
    ego = EgoState.at(place.real, place.imag, heading, scenario.ego.speed)
    return Setting(scenario, found, tables, route, ego, Jitter(scenario.name, scenario.variant).seed)


def set_up_elsewhere(scenario: Scenario, town: Town) -> Setting:
    """The setting in another town than the scenario's own: at one of the places there that fit, drawn from the variant.

    Raises ScenarioError where there is none.
    """
    pick = Jitter(scenario.name, scenario.variant).seed % MAX_PICKS
    while pick and find_place(town, replace(scenario.place, pick=pick)) is None:
        pick //= 2
    return set_up(replace(scenario, town=town.seed, place=replace(scenario.place, pick=pick)), town)


def raise_curtain(setting: Setting, scene: Scene) -> Script:
    """The script of a setting whose first scene, actors left out, is given; ScenarioError if actors have no room."""
    cast, actors = cast_actors(setting.scenario, setting.found, setting.tables, setting.seed)
    check_free(setting.scenario, cast, actors, setting.ego, scene.vehicle, scene.tracks)
    return begin(setting.scenario, setting.found, cast, actors, setting.seed, scene)
