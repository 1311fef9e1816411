"""How well road users of a closed loop behave: who touches whom, and who leaves the road."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.geometry import box_footprints, rectangles_overlap
from drivesim.scene import CLASS_ID, HdMap, Scene, Tracks

TOLERANCE = 0.3  # [m] that a corner may be off the road, as in `drivesim.metrics.drivable_area`
_REACH = 12.0  # [m] within which two bodies can touch
_SHRUNK = 0.1  # [m] less on every side: what only grazes is no collision


@dataclass(frozen=True)
class Conduct:
    """Counts over the vehicles of drives."""

    vehicle_minutes: float = 0.0
    collisions: int = 0  # first contacts of pairs of vehicles
    collisions_on_foot: int = 0  # of a vehicle with somebody on foot
    collisions_with_ego: int = 0
    off_road: int = 0  # times that a vehicle left the road
    vehicles: int = 0
    metres: float = 0.0  # driven by all together

    @property
    def mean_speed(self) -> float:
        """Of all vehicles over all times [m/s]."""
        return self.metres / max(60.0 * self.vehicle_minutes, 1e-9)

    def plus(self, other: Conduct) -> Conduct:
        """Both together."""
        return Conduct(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def per_minute(self, count: int) -> float:
        """A count per vehicle and minute."""
        return count / max(self.vehicle_minutes, 1e-9)


@dataclass
class Witness:
    """Watches a drive, scene by scene, and keeps count of what happens for the first time."""

    met: set[tuple[int, int]] = field(default_factory=set)
    out: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    on_foot: int = 0
    ego: int = 0
    pairs: int = 0
    left: int = 0
    seconds: float = 0.0
    metres: float = 0.0
    _roads: dict[int, tuple[HdMap, shapely.Geometry]] = field(default_factory=dict)

    def watch(self, scene: Scene, moving: NDArray[np.int64], dt: float) -> None:
        """One more scene, `dt` [s] after the one before; `moving` are the ids of the road users."""
        tracks = scene.tracks.take(np.isin(scene.tracks.ids, moving))
        foot = tracks.class_ids == CLASS_ID["pedestrian"]
        self.seconds += dt * float((~foot).sum())
        self.metres += dt * float(np.hypot(*tracks.velocity[~foot].T).sum())
        self.seen |= set(tracks.ids[~foot].tolist())
        corners = box_footprints(tracks.position, tracks.size - 2.0 * _SHRUNK, tracks.yaw)
        self._contacts(tracks, corners, foot)
        self._ego_contacts(scene, tracks, corners)
        if scene.map is not None:
            self._departures(scene.map, tracks.take(~foot))

    def conduct(self) -> Conduct:
        """What was counted."""
        return Conduct(self.seconds / 60.0, self.pairs, self.on_foot, self.ego, self.left, len(self.seen), self.metres)

    def _contacts(self, tracks: Tracks, corners: NDArray, foot: NDArray[np.bool_]) -> None:
        place = tracks.position[:, :2]
        apart = np.abs(place[:, None] - place[None]).max(-1)
        a, b = np.nonzero(np.triu(apart < _REACH, 1))
        hit = rectangles_overlap(corners[a], corners[b]) & ~(foot[a] & foot[b])
        for i, j in zip(a[hit].tolist(), b[hit].tolist()):
            pair = (int(min(tracks.ids[i], tracks.ids[j])), int(max(tracks.ids[i], tracks.ids[j])))
            if pair not in self.met:
                self.met.add(pair)
                self.on_foot += int(foot[i] or foot[j])
                self.pairs += int(not (foot[i] or foot[j]))

    def _ego_contacts(self, scene: Scene, tracks: Tracks, corners: NDArray) -> None:
        vehicle, yaw = scene.vehicle, scene.ego.yaw
        middle = scene.ego.xy + vehicle.centre_offset * np.array([np.cos(yaw), np.sin(yaw)])
        body = np.array([[vehicle.width, vehicle.length, vehicle.height]]) - 2.0 * _SHRUNK
        ego = box_footprints(np.append(middle, 0.0)[None], body, np.array([yaw]))
        for track in tracks.ids[rectangles_overlap(corners, ego)].tolist():
            if (-1, track) not in self.met:
                self.met.add((-1, track))
                self.ego += 1

    def _departures(self, hd_map: HdMap, vehicles: Tracks) -> None:
        inside = np.array([hd_map.contains(xy, 10.0) for xy in vehicles.position[:, :2]], bool)
        vehicles = vehicles.take(inside)
        corners = box_footprints(vehicles.position, vehicles.size, vehicles.yaw)
        on = shapely.contains_xy(self._road(hd_map), corners[..., 0], corners[..., 1]).all(1)
        for track, good in zip(vehicles.ids.tolist(), on.tolist()):
            if good:
                self.out.discard(track)
            elif track not in self.out:
                self.out.add(track)
                self.left += 1

    def _road(self, hd_map: HdMap) -> shapely.Geometry:
        if id(hd_map) not in self._roads:
            areas = [*hd_map.layers["drivable_area"], *hd_map.layers["carpark_area"]]
            road = shapely.buffer(shapely.union_all(areas), TOLERANCE)
            shapely.prepare(road)
            self._roads = {id(hd_map): (hd_map, road)}
        return self._roads[id(hd_map)][1]
