"""The world as a value, where worlds come from, and the endless town as such a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from drivesim.ground_view import coverage_pyramid, has_pyramid
from drivesim.map_raster import map_raster
from drivesim.route import Route, ego_intent, follow, start_route
from drivesim.scenarios.library import load_scenario
from drivesim.scenarios.schema import Scenario
from drivesim.scenarios.script import Script, advance, observed
from drivesim.scenarios.staging import raise_curtain, set_up, set_up_elsewhere
from drivesim.scene import TIMES_OF_DAY, WEATHERS, CameraRig, EgoState, Scene, Tags, Tracks, VehicleShape
from drivesim.town.hashing import mix
from drivesim.town.rig import nuscenes_rig
from drivesim.town.town import Preparation, Town, TownWindow
from drivesim.traffic import Demand, LaneTables, ReactiveTraffic, TrafficState, empty_state, lane_tables, tracks_of
from drivesim.traffic.driving import objects_of
from drivesim.traffic.paths import open_lane
from drivesim.traffic.population import remove_near
from drivesim.traffic.walking import walking_graph

if TYPE_CHECKING:
    from drivesim.predictor.closed_loop import PredictedState, PredictedTraffic

EVALUATION_TOWNS = 900_000  # town seeds from here on are for evaluation only
TRAFFIC = ("idm", "predicted", "none")
RESET_OPTIONS = ("scene", "town", "weather", "time_of_day", "route", "start_time", "scenario", "variant")
_OF_SCENARIOS = ("scenario", "variant", "town", "weather", "time_of_day", "start_time")
_VIEW = 100.0  # [m] around the ego within which standing objects are in the scene
_VIEW_SLACK = 12.0  # [m] that the ego drives before they are looked up again
_REACH = 150.0  # [m] of map that must lie around the ego
_FORESIGHT = 26  # route points within which the next window is prepared
_WARM_UP = 5.0  # [s]
_CLEAR_AROUND = 16.0  # [m] around the ego without other vehicles at the start
_START_SPEED = 0.6  # of the speed limit
_DT = 1.0 / 12.0
_SEED_BITS = 0x7FFFFFFF


class RouteLike(Protocol):
    """The way that the ego is meant to go."""

    @property
    def points(self) -> NDArray[np.float64]:
        """[R, 3] x, y [m], heading [rad], from behind the ego to far ahead."""
        ...


class World(Protocol):
    """One instant of a drive. A value: nothing in it is ever written to.

    A world with an attribute `ended` that is true is the last one that there is: the drive is truncated there.
    """

    @property
    def scene(self) -> Scene:
        """What is where."""
        ...

    @property
    def route(self) -> RouteLike:
        """Where the ego is meant to go."""
        ...

    @property
    def step_index(self) -> int:
        """Steps since the reset."""
        ...


AnyWorld = TypeVar("AnyWorld", bound=World)


class WorldSource(Protocol[AnyWorld]):
    """Makes worlds and moves them on. It keeps settings and caches only; all state is in the worlds."""

    def check(self, seed: int, options: Mapping[str, Any]) -> None:
        """Raises ValueError for options that `reset` does not accept, before anything is made."""
        ...

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> AnyWorld:
        """A world at the start of a drive; ValueError for options that it does not accept."""
        ...

    def step(self, world: AnyWorld, ego: EgoState, dt: float) -> AnyWorld:
        """The world `dt` [s] later, the ego being where it was driven to."""
        ...

    def history_frames(self, world: AnyWorld) -> NDArray[np.uint8] | None:
        """Recorded pictures [1, V, H, W, 3] of the first instant, None if there are none."""
        ...


@dataclass(frozen=True, eq=False)
class TownWorld:
    """One instant of a drive through a town. Nothing in it is ever written to, so copies may share everything."""

    scene: Scene
    route: Route
    traffic: TrafficState
    window: TownWindow
    standing: Tracks  # parked vehicles and other standing objects near `standing_at`
    standing_at: tuple[float, float]  # [m]
    town: int  # seed
    seed: int
    streets: Town  # that windows are cut from; it stays for as long as one of its worlds
    step_index: int = 0
    script: Script | None = None  # of the scenario that is played
    predicted: PredictedState | None = None  # with traffic="predicted", what `traffic` is taken from
    ahead: Preparation | None = None  # of the window that the route leads to next

    def __deepcopy__(self, memo: dict[int, Any]) -> TownWorld:
        return self


_TOWNS: WeakValueDictionary[int, Town] = WeakValueDictionary()


@lru_cache(maxsize=1)  # so that the next drive through the same town finds it
def _town(seed: int) -> Town:
    town = _TOWNS.get(seed)
    if town is None:
        town = _TOWNS[seed] = Town(seed)
    return town


def _tables(window: TownWindow) -> LaneTables:
    return lane_tables(window.map, window.parked)


def _look_forward(world: TownWorld, window: TownWindow, route: Route) -> Preparation | None:
    """Makes one more piece of the window that the route leads to next, so that no step has to make all of it."""
    places = route.points[route.at : route.at + _FORESIGHT, :2]
    if _is_in(window, *places[-1].tolist()):
        return world.ahead
    x0, y0, x1, y1 = window.map.bounds
    beyond = np.abs(places - (0.5 * (x0 + x1), 0.5 * (y0 + y1))).max(axis=1) > 0.5 * (x1 - x0) - _REACH
    return world.streets.prepare(places[beyond.argmax()], partial(_derived, seen=has_pyramid(window.map)))


def _derived(window: TownWindow, seen: bool) -> Iterator[None]:
    """Makes what steps need of a window, a part at a time; `seen`: cameras look at its map, too."""
    map_raster(window.map)
    yield
    walking_graph(window.map)
    yield
    _tables(window)
    yield
    if seen:
        coverage_pyramid(window.map)


class TownSource:
    """Endless drives through seeded towns.

    `traffic` is "idm" (reacts to the ego), "predicted" (learned, reacts too; `predictor` names a weights folder in
    place of the shipped one) or "none"; `density` counts the road users around the ego.
    """

    def __init__(
        self,
        traffic: str = "idm",
        rig: CameraRig | None = None,
        density: int = 30,
        vehicle: VehicleShape | None = None,
        predictor: str | None = None,
    ) -> None:
        if traffic not in TRAFFIC:
            raise ValueError(f"traffic: found {traffic!r}, accepted in the town {TRAFFIC}")
        if density < 0:
            raise ValueError(f"density: found {density}, accepted an integer >= 0")
        self.rig = nuscenes_rig() if rig is None else rig
        self.vehicle = vehicle or VehicleShape()
        self.lively = traffic != "none"
        self.model = ReactiveTraffic(Demand(density=density if self.lively else 0), shape=self.vehicle)
        self.predicted: PredictedTraffic | None = None
        if traffic == "predicted":
            from drivesim.predictor.shipped import predicted_traffic

            self.predicted = predicted_traffic(predictor, self.model.demand, self.vehicle)

    def check(self, seed: int, options: Mapping[str, Any]) -> None:
        """Raises ValueError for options that `reset` does not accept, and for a scenario that there is not."""
        options = _checked(options)
        _tags(Tags(), options)
        if "scenario" in options:
            _scenario(seed, options)

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> TownWorld:
        """A drive that begins at a random place of a town.

        Options: `town` or `scene` (seed of the town; by default one below 900,000 drawn from `seed`), `weather` and
        `time_of_day` (by default those of the town; `weather` may also name a time of day), `route` (seed of the
        route's choices) and `start_time` [s]; or instead of place and route `scenario` (name in the library or path)
        and `variant` (its jitter: an integer, 0 for none, or "random", drawn from `seed`), with `town` in that town, at
        the place which is most like the scenario's. Raises ValueError for others.
        """
        options, seed = _checked(options), int(seed)
        if "scenario" in options:
            return self._reset_scenario(seed, options)
        town_seed = int(options.get("town", options.get("scene", mix(seed, 60) % EVALUATION_TOWNS)))
        town = _town(town_seed)
        route = _first_route(town, seed, int(options.get("route", mix(seed, 62) & _SEED_BITS)))
        x, y, heading = route.points[route.at].tolist()
        window = town.window(np.array([x, y]))
        tables = _tables(window)
        lane = int(tables.index(route.lane_ids[route.at : route.at + 1])[0])
        ego = EgoState.at(x, y, heading, speed=_START_SPEED * float(tables.limit[lane]))
        traffic = self._first_traffic(mix(seed, 63) & _SEED_BITS, tables, ego)
        standing = _standing(window, ego)
        scene = Scene(
            timestamp=float(options.get("start_time", 0.0)),
            ego=ego,
            tracks=tracks_of(traffic, standing),
            map=window.map,
            rig=self.rig,
            tags=_tags(town.tags, options),
            statics=window.statics,
            vehicle=self.vehicle,
            description=f"town {town_seed}",
        )
        return TownWorld(
            scene, route, traffic, window, standing, (x, y), town_seed, seed, town, predicted=self._foretold(traffic)
        )

    def _reset_scenario(self, seed: int, options: Mapping[str, Any]) -> TownWorld:
        """The start of a scenario. All of it follows from its file and its variant, nothing else from `seed`."""
        scenario = _scenario(seed, options)
        town = _town(int(options.get("town", scenario.town)))
        setting = set_up(scenario, town) if town.seed == scenario.town else set_up_elsewhere(scenario, town)
        window, ego = town.window(setting.ego.xy), setting.ego
        standing = _standing(window, ego)
        tags = _tags(town.tags, {"weather": scenario.weather, "time_of_day": scenario.time_of_day})
        scene = Scene(
            timestamp=float(options.get("start_time", 0.0)),
            ego=ego,
            tracks=standing,
            map=window.map,
            rig=self.rig,
            tags=_tags(tags, options),
            statics=window.statics,
            vehicle=self.vehicle,
            description=f"scenario {scenario.name}, variant {scenario.variant}",
        )
        script = raise_curtain(setting, scene)
        traffic = self._traffic_around(setting.seed, setting.tables, ego, script)
        scene = replace(scene, tracks=script.tracks_with(tracks_of(traffic, standing)))
        place = (float(ego.pose[0, 3]), float(ego.pose[1, 3]))
        return TownWorld(
            scene, setting.route, traffic, window, standing, place, town.seed, setting.seed, town, script=script,
            predicted=self._foretold(traffic),
        )  # fmt: skip

    def _foretold(self, traffic: TrafficState) -> PredictedState | None:
        """The traffic in the predictor's hands, if that is who moves it."""
        return None if self.predicted is None else self.predicted.take_over(traffic)

    def _traffic_around(self, seed: int, tables: LaneTables, ego: EgoState, script: Script) -> TrafficState:
        """The first traffic of a scenario, with free space around its actors too."""
        traffic = self._first_traffic(seed, tables, ego, script.scenario.traffic)
        for place in script.objects().position.tolist():
            traffic = remove_near(traffic, place, _CLEAR_AROUND)
        return traffic

    def _first_traffic(self, seed: int, tables: LaneTables, ego: EgoState, density: int | None = None) -> TrafficState:
        """Traffic that has been moving for a while, with free space around the ego."""
        model = self._model(density)
        if not model.demand.density:
            return empty_state(seed)
        state = model.reset(seed, tables, ego)
        for _ in range(round(_WARM_UP / _DT)):
            state = model.step(state, tables, ego, None, _DT, ghost=True)
        return model.make_way(state, ego, _CLEAR_AROUND)

    def _model(self, density: int | None) -> ReactiveTraffic:
        """The traffic model, with a density of a scenario's own."""
        if density is None or not self.lively:
            return self.model
        return replace(self.model, demand=replace(self.model.demand, density=density))

    def step(self, world: TownWorld, ego: EgoState, dt: float) -> TownWorld:
        """The world `dt` [s] later with the ego where it was driven to."""
        window, traffic, before, script = world.window, world.traffic, world.scene, world.script
        x, y = ego.pose[:2, 3].tolist()
        if not _is_in(window, x, y):
            window = world.streets.window(ego.xy)
        tables = _tables(window)
        route = follow(world.route, tables, ego)
        ahead = _look_forward(world, window, route)
        model = self.model if script is None else self._model(script.scenario.traffic)
        if script is not None:
            others = objects_of(traffic, before.ego, self.vehicle) if script.needs_others else None
            script, scripted = advance(script, before.ego, self.vehicle, others, dt), script.objects()
        else:
            scripted = None
        predicted = world.predicted
        if self.predicted is not None and predicted is not None:
            predictor = replace(self.predicted, demand=model.demand)
            predicted = predictor.step(predicted, tables, before.ego, ego, dt, scripted)
            traffic = predicted.traffic
        elif model.demand.density:
            front = self.vehicle.length - self.vehicle.rear_overhang
            intent = ego_intent(route, tables, front) if model.decides_at(traffic.step_index) else None
            traffic = model.step(traffic, tables, before.ego, intent, dt, scripted=scripted)
        standing, (x0, y0) = world.standing, world.standing_at
        if window is not world.window or abs(x - x0) + abs(y - y0) > _VIEW_SLACK:
            standing, x0, y0 = _standing(window, ego), x, y
        tracks, tags = tracks_of(traffic, standing), before.tags
        if script is not None:
            script = observed(script, ego, self.vehicle)
            tracks, tags = script.tracks_with(tracks), script.tags
        scene = Scene(
            before.timestamp + dt, ego, tracks, window.map, self.rig, tags, window.statics, self.vehicle, None,
            before.description,
        )  # fmt: skip
        return TownWorld(
            scene, route, traffic, window, standing, (x0, y0), world.town, world.seed, world.streets,
            world.step_index + 1, script, predicted, ahead,
        )  # fmt: skip

    def history_frames(self, world: TownWorld) -> None:
        """None: a town has no recordings."""
        return None


def _is_in(window: TownWindow, x: float, y: float) -> bool:
    """Whether a window is still the one to use at a place [m]: it changes when less map is left, not at cell edges."""
    x0, y0, x1, y1 = window.map.bounds
    return x0 + _REACH <= x <= x1 - _REACH and y0 + _REACH <= y <= y1 - _REACH


def _first_route(town: Town, seed: int, route_seed: int) -> Route:
    """Route from a random lane of the town's origin cell, marked where the ego starts."""
    lane_id, s = town.start(np.random.default_rng([seed, 61]))
    tables = _tables(town.window(np.array([1.0, 1.0])))
    lane = open_lane(tables, int(tables.index(np.array([lane_id]))[0]))
    return start_route(tables, lane, s, route_seed)


def _standing(window: TownWindow, ego: EgoState) -> Tracks:
    """Standing objects in view of the ego."""
    offset = window.parked.position[:, :2] - ego.xy
    return window.parked.take(np.flatnonzero((offset * offset).sum(-1) < (_VIEW + _VIEW_SLACK) ** 2))


def _checked(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options that are given; ValueError for unknown names and for values of another kind."""
    given = {name: value for name, value in (options or {}).items() if value is not None}
    accepted = _OF_SCENARIOS if "scenario" in given else RESET_OPTIONS
    unknown = sorted(set(given) - set(accepted))
    if unknown:
        where = "with a scenario" if "scenario" in given else "in the town"
        raise ValueError(f"options: found {unknown}, accepted {where} {list(accepted)}")
    if "variant" in given and "scenario" not in given:
        raise ValueError(f"options['variant']: found {given['variant']!r}, accepted together with a scenario")
    for name in ("scene", "town", "route"):
        value = given.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f"options[{name!r}]: found {value!r}, accepted an integer >= 0")
    start = given.get("start_time", 0.0)
    if isinstance(start, bool) or not isinstance(start, (int, float, np.number)) or not np.isfinite(start):
        raise ValueError(f"options['start_time']: found {start!r}, accepted a finite number of seconds")
    return given


def _scenario(seed: int, options: Mapping[str, Any]) -> Scenario:
    variant = options.get("variant", 0)
    return load_scenario(options["scenario"], mix(seed, 64) & _SEED_BITS if variant == "random" else variant)


def _tags(tags: Tags, options: Mapping[str, Any]) -> Tags:
    weather, time_of_day = options.get("weather"), options.get("time_of_day")
    if weather in TIMES_OF_DAY and time_of_day is None:
        weather, time_of_day = None, weather
    if weather is not None and weather not in WEATHERS:
        raise ValueError(f"options['weather']: found {weather!r}, accepted {WEATHERS + TIMES_OF_DAY}")
    chosen = replace(tags, weather=weather) if weather is not None else tags
    return chosen if time_of_day is None else replace(chosen, time_of_day=time_of_day)
