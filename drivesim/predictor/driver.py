"""The predictor at the wheel: a policy that does, four times a second, what the predictor expects of the ego."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drivesim.predictor.guard import braking_for_crossings, braking_for_lane, setting_off
from drivesim.predictor.handover import straight_path
from drivesim.predictor.imagination import Imagined, begin, step
from drivesim.predictor.layout import PERIOD
from drivesim.predictor.network import HISTORY
from drivesim.predictor.shipped import shipped_predictor
from drivesim.predictor.ways import way_rows
from drivesim.predictor.windows import ROWS, batch_of, past_of
from drivesim.route import SPACING, Route
from drivesim.route_frame import nearest_row
from drivesim.scene import CLASS_ID, EgoState, Scene
from drivesim.traffic import empty_state, lane_tables
from drivesim.traffic.driving import ego_object
from drivesim.traffic.paths import BEHIND, make_path
from drivesim.traffic.perception import Objects, look_ahead
from drivesim.traffic.state import Bodies, Motion, Paths, TrafficState
from drivesim.traffic.tables import LaneTables

if TYPE_CHECKING:
    from drivesim.env import DriveWorldEnv

_MARGIN = 0.3  # [m] that is kept from others beside the path
_JUMP = 0.5  # [m] between route and lanes from which the route counts


class PredictedDriver:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad]): the predictor drives along the route.

    `guarded`: the rules of `drivesim.predictor.guard` have the last word, as over predicted traffic. `weights` names a
    folder in place of the shipped one. Sees the world's tracks and map, no pictures.
    """

    action = "physical"
    observation = ()

    def __init__(self, guarded: bool = True, weights: str | None = None) -> None:
        self.predictor = shipped_predictor(weights)
        self.guarded = guarded
        self._past: deque[Scene] = deque(maxlen=HISTORY + 1)
        self._control = np.zeros(2, np.float32)

    def attach(self, world: DriveWorldEnv) -> None:
        """Takes the world that is looked at."""
        self._world = world

    def reset(self, info: Mapping[str, Any]) -> None:
        """Forgets the last drive."""
        self._past.clear()

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [2], decided anew every PERIOD."""
        scene = self._world.scene
        if not self._past or scene.timestamp - self._past[-1].timestamp > PERIOD - 1e-3:
            self._past.append(scene)
            self._control = self._decide(scene)
        return self._control

    def _decide(self, scene: Scene) -> NDArray[np.float32]:
        path = self._path(scene)
        foreseen = step(self.predictor, self._state(path, scene), spread=0.0).layout
        acceleration, curvature = float(foreseen.acceleration[0, 0]), float(foreseen.curvature[0, 0])
        if self.guarded:
            acceleration = _guarded(acceleration, path, scene)
        # The predictor steers the middle of the body, the wheels the circle of the rear axle.
        offset, turn = scene.vehicle.centre_offset, min(abs(curvature), 0.3)
        rear = np.sign(curvature) * turn / np.sqrt(max(1.0 - (turn * offset) ** 2, 0.1))
        return np.array([acceleration, np.arctan(scene.vehicle.wheelbase * rear)], np.float32)

    def _state(self, path: Paths, scene: Scene) -> Imagined:
        """What is known of the last second, with the route as the ego's way."""
        window = dict(past_of(list(self._past), scene.tracks.ids, ROWS).window)
        place, _ = ego_object(scene.ego, scene.vehicle)
        points, allowed, stops = way_rows(path, _along(path, place))
        offset = points[0] - place
        window["points"][0, 0] = np.column_stack([offset.real, offset.imag])
        window["allowed"][0, 0], window["stops"][0, 0] = allowed[0], stops[0]
        window["candidates"][0] = False
        window["candidates"][0, 0] = True
        return begin(self.predictor, batch_of([window]))

    def _path(self, scene: Scene) -> Paths:
        """The route as a path of one row."""
        route = self._world.road.way
        place, facing = ego_object(scene.ego, scene.vehicle)
        if isinstance(route, Route) and scene.map is not None and len(scene.map.lane_graph):
            path = route_path(route, lane_tables(scene.map), scene.ego)
            if path is not None:
                return path
        return straight_path(place, float(np.angle(facing)), scene.ego.speed)


def route_path(route: Route, tables: LaneTables, ego: EgoState) -> Paths | None:
    """A route from BEHIND [m] behind the ego on as a path of one row; None where its lanes are not on the map."""
    at = nearest_row(route.points, float(ego.xy[0]), float(ego.xy[1]), 0, len(route.points))
    first = max(at - round(BEHIND / SPACING), 0)
    ids = route.lane_ids[first:]
    runs = ids[np.append(True, ids[1:] != ids[:-1])]
    lanes = tables.index(runs).tolist()
    lanes = lanes[: lanes.index(-1)] if -1 in lanes else lanes
    if not lanes:
        return None
    path = make_path(tables, lanes, float(route.lane_s[first]))
    x, y = route.points[first:, :2].T
    metres = np.arange(int(SPACING * (len(x) - 1)), dtype=np.float64)[: path.points.shape[1] - 1]
    axis = SPACING * np.arange(len(x))
    points = path.points.copy()
    points[0, : len(metres)] = np.interp(metres, axis, x) + 1j * np.interp(metres, axis, y)
    if np.abs(points - path.points).max() < _JUMP:
        return path
    heading = path.heading.copy()
    ahead = np.diff(points[0, : len(metres)])
    heading[0, : len(ahead)] = ahead / np.maximum(np.abs(ahead), 1e-6)
    return replace(path, points=points, heading=heading)  # the route changes lanes


def _along(path: Paths, place: complex) -> NDArray[np.float64]:
    return np.abs(path.points[0, :40] - place).argmin(keepdims=True).astype(np.float64)


def _guarded(acceleration: float, path: Paths, scene: Scene) -> float:
    """An acceleration [m/s^2] with what the rules ask for on top of it."""
    traffic, objects = _alone(acceleration, path, scene), _objects(scene)
    guided = path.lanes[:, 0] >= 0
    sight = look_ahead(traffic.bodies, traffic.paths, traffic.motion, objects)
    least = float(setting_off(traffic, sight, guided)[0])
    wanted = max(acceleration, least)
    traffic = _alone(wanted, path, scene)
    most = np.minimum(braking_for_lane(traffic, sight), braking_for_crossings(traffic, objects, guided))
    return min(wanted, float(most[0]))


def _alone(acceleration: float, path: Paths, scene: Scene) -> TrafficState:
    """The ego as the only vehicle there is."""
    place, facing = ego_object(scene.ego, scene.vehicle)
    vehicle, one, never = scene.vehicle, np.ones(1), np.full(1, np.inf)
    size = np.array([[vehicle.width, vehicle.length, vehicle.height]])
    bodies = Bodies(np.full(1, -1), np.full(1, CLASS_ID["car"]), size, np.zeros((1, 3), np.float32), one, 40.0 * one)
    motion = Motion(
        _along(path, place), np.array([abs(scene.ego.speed)]), np.array([acceleration]), np.array([place]),
        np.array([facing]), -never, never, np.zeros(1),
    )  # fmt: skip
    return replace(empty_state(0), bodies=bodies, paths=path, motion=motion)


def _objects(scene: Scene) -> Objects:
    """The ego, then everybody and everything else."""
    tracks, vehicle = scene.tracks, scene.vehicle
    place, facing = ego_object(scene.ego, vehicle)
    return Objects(
        np.append(place, tracks.position[:, 0] + 1j * tracks.position[:, 1]),
        np.append(facing, np.exp(1j * tracks.yaw)),
        np.append(abs(scene.ego.speed), np.hypot(*tracks.velocity.T)),
        0.5 * np.append(vehicle.length, tracks.size[:, 1]),
        0.5 * np.append(vehicle.width, tracks.size[:, 0]),
        np.full(len(tracks) + 1, _MARGIN),
    )
