"""What an agent sees: small sensors, each with the entries it adds to the flat `Dict` observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from drivesim.geometry import box_footprints, wrap_angle
from drivesim.ground_view import BirdsEyeView, coverage_pyramid
from drivesim.map_raster import ROAD_BITS, map_raster
from drivesim.road_ahead import LINE_POINTS, RoadAhead
from drivesim.scene import CAMERAS, MAP_CLASSES, OBJECT_CLASSES, CameraRig, Scene
from drivesim.state_vector import StateVector
from drivesim.town.semantics import SEMANTIC_NAMES

if TYPE_CHECKING:
    from drivesim.town.raycast import Raycaster, RenderedFrame

Observation = dict[str, NDArray]

MAX_BOXES = 64
BOX_RANGE = 80.0  # [m]
ROUTE_POINTS = 20
ROUTE_SPACING = 2.0  # [m]
MAX_DEPTH = 200.0  # [m], depth of the sky
LAYOUT_CELLS = 100
LAYOUT_EXTENT = 40.0  # [m] to every side of the ego
AREA_SHAPE = (160, 200)  # cells to the sides and along the ego
AREA_CELL = 0.5  # [m]
AREA_BEHIND = 20.0  # [m] of area behind the ego
OTHER_KEYS = (
    "ego", "route", "centre_line", "drivable_area", "layout", "boxes", "calibration", "depth", "semantics",
    "state_vector",
)  # fmt: skip


class Truth:
    """Renders scenes for the sensors that show what no generator knows. Town only."""

    def __init__(self, image_size: tuple[int, int]) -> None:
        self._image_size = image_size
        self._raycasters: dict[CameraRig, Raycaster] = {}

    def render(self, scene: Scene) -> RenderedFrame:
        """The ray-cast scene; ValueError if it is not of the town."""
        from drivesim.town.raycast import Raycaster

        if scene.rig not in self._raycasters:
            self._raycasters[scene.rig] = Raycaster(scene.rig.resized(self._image_size))
        return self._raycasters[scene.rig].render(scene)


@dataclass
class View:
    """What there is to observe at one instant."""

    scene: Scene
    route: NDArray[np.float64]  # [ROUTE_POINTS, 2], ego frame [m]
    frames: NDArray[np.uint8] | None  # [V, H, W, 3]
    renderer: Truth
    road: RoadAhead  # along the route

    @cached_property
    def truth(self) -> RenderedFrame:
        """The ray-cast scene, rendered once for all sensors that need it."""
        return self.renderer.render(self.scene)


class Sensor(Protocol):
    """One part of the observation."""

    def spaces(self) -> dict[str, spaces.Box]:
        """The entries that it adds."""
        ...

    def observe(self, view: View) -> Observation:
        """Their values."""
        ...


def _box(low: float | NDArray, high: float | NDArray, shape: Sequence[int]) -> spaces.Box:
    low, high = (np.broadcast_to(np.float32(bound), shape) for bound in (low, high))
    return spaces.Box(low, high, dtype=np.float32)


@dataclass(frozen=True)
class Camera:
    """The picture of one camera, uint8 [H, W, 3], under its nuScenes channel name."""

    name: str
    index: int
    image_size: tuple[int, int]

    def spaces(self) -> dict[str, spaces.Box]:
        """One picture."""
        return {self.name: spaces.Box(0, 255, (*self.image_size, 3), np.uint8)}

    def observe(self, view: View) -> Observation:
        """A copy, so that nobody's changes reach the world."""
        assert view.frames is not None
        return {self.name: view.frames[self.index].copy()}


class Ego:
    """`ego` [7]: speed [m/s], acceleration [m/s^2], yaw rate [rad/s], steering [rad], length, width, wheelbase [m]."""

    low = np.array([-20.0, -20.0, -4.0, -1.5, 0.0, 0.0, 0.0], np.float32)
    high = np.array([80.0, 20.0, 4.0, 1.5, 30.0, 5.0, 20.0], np.float32)

    def spaces(self) -> dict[str, spaces.Box]:
        """One vector."""
        return {"ego": spaces.Box(self.low, self.high, dtype=np.float32)}

    def observe(self, view: View) -> Observation:
        """Clipped to the space: recorded poses can imply accelerations no car has."""
        ego, shape = view.scene.ego, view.scene.vehicle
        values = (ego.speed, ego.acceleration, ego.yaw_rate, ego.steering, shape.length, shape.width, shape.wheelbase)
        return {"ego": np.minimum(np.maximum(np.array(values, np.float32), self.low), self.high)}


class Route:
    """`route` [20, 2]: where the route leads, every 2 m ahead of the ego, in the ego frame [m]."""

    limit = 500.0

    def spaces(self) -> dict[str, spaces.Box]:
        """One list of points."""
        return {"route": _box(-self.limit, self.limit, (ROUTE_POINTS, 2))}

    def observe(self, view: View) -> Observation:
        """Clipped to the space."""
        return {"route": np.minimum(np.maximum(view.route, -self.limit), self.limit).astype(np.float32)}


class CentreLine:
    """`centre_line` [64, 5]: x, y [m], heading [rad], lane width [m] and speed limit [m/s] along the route.

    Every 2 m from the ego's foot on the route, in the ego frame, held at the route's end. Width and limit are 0 where
    the route or the map does not tell.
    """

    high = np.array([500.0, 500.0, 3.2, 20.0, 80.0], np.float32)

    def spaces(self) -> dict[str, spaces.Box]:
        """One table."""
        return {"centre_line": _box(self.high * (-1.0, -1.0, -1.0, 0.0, 0.0), self.high, (LINE_POINTS, 5))}

    def observe(self, view: View) -> Observation:
        """Clipped to the space."""
        return {"centre_line": np.clip(view.road.line, -self.high, self.high).astype(np.float32)}


class DrivableArea:
    """`drivable_area` uint8 [160, 200]: 1 where the ground may be driven or parked on, as `off_road` is judged.

    Cell (row, column) covers 0.5 m from x = 0.5 column - 20 m and y = 0.5 row - 40 m on, in the ego frame. All ones
    where there is no map, since nothing is off the road then.
    """

    def spaces(self) -> dict[str, spaces.Box]:
        """One raster."""
        return {"drivable_area": spaces.Box(0, 1, AREA_SHAPE, np.uint8)}

    def observe(self, view: View) -> Observation:
        """The map's raster under the middles of the cells."""
        if view.scene.map is None:
            return {"drivable_area": np.ones(AREA_SHAPE, np.uint8)}
        raster, ego = map_raster(view.scene.map), view.scene.ego
        first = AREA_CELL * np.array([0.5, 0.5]) - (AREA_BEHIND, 0.5 * AREA_SHAPE[0] * AREA_CELL)
        rotation = ego.pose[:2, :2]
        corner = (rotation @ first + ego.xy - raster.origin) / raster.resolution - 0.5
        steps = np.column_stack([rotation * (AREA_CELL / raster.resolution), corner])
        bits = cv2.warpAffine(raster.bits, steps, AREA_SHAPE[::-1], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        return {"drivable_area": (np.bitwise_and(bits.view(np.uint8), ROAD_BITS) != 0).view(np.uint8)}


class Boxes:
    """`boxes` [64, 10], nearest first: x, y, z, width, length, height [m], yaw [rad], velocity x, y [m/s], class.

    Positions and yaw are in the ego frame. Velocities are those over ground, in its directions. Rows beyond
    the last box are zero with class -1.
    """

    limit = np.array([BOX_RANGE, BOX_RANGE, 100, 50, 50, 50, 3.2, 100, 100, len(OBJECT_CLASSES)], np.float32)

    def spaces(self) -> dict[str, spaces.Box]:
        """One table."""
        low = -self.limit
        low[9] = -1.0
        return {"boxes": _box(low, self.limit, (MAX_BOXES, 10))}

    def observe(self, view: View) -> Observation:
        """The nearest boxes within BOX_RANGE."""
        tracks, ego = view.scene.tracks, view.scene.ego
        rotation = ego.pose[:2, :2]
        xy = (tracks.position[:, :2] - ego.xy) @ rotation
        distance = np.hypot(xy[:, 0], xy[:, 1])
        rows = np.argsort(distance, kind="stable")[:MAX_BOXES]
        rows = rows[distance[rows] < BOX_RANGE]
        table = np.zeros((MAX_BOXES, 10), np.float32)
        table[len(rows) :, 9] = -1.0
        part = table[: len(rows)]
        part[:, :2] = xy[rows]
        part[:, 2] = tracks.position[rows, 2] - ego.pose[2, 3]
        part[:, 3:6] = tracks.size[rows]
        part[:, 6] = wrap_angle(tracks.yaw[rows] - ego.yaw)
        part[:, 7:9] = tracks.velocity[rows] @ rotation
        part[:, 9] = tracks.class_ids[rows]
        return {"boxes": np.clip(table, np.where(np.arange(10) == 9, -1.0, -self.limit), self.limit).astype(np.float32)}


class Layout:
    """`layout` uint8 [9, 100, 100]: map classes and occupancy seen from above, 40 m to every side, ego heading up."""

    def __init__(self) -> None:
        self._grid = BirdsEyeView(LAYOUT_EXTENT, LAYOUT_CELLS)

    def spaces(self) -> dict[str, spaces.Box]:
        """One raster."""
        return {"layout": spaces.Box(0, 255, (len(MAP_CLASSES) + 1, LAYOUT_CELLS, LAYOUT_CELLS), np.uint8)}

    def observe(self, view: View) -> Observation:
        """Map coverage (zero where there is no map) and boxes."""
        scene = view.scene
        raster = np.zeros((len(MAP_CLASSES) + 1, LAYOUT_CELLS, LAYOUT_CELLS), np.uint8)
        if scene.map is not None:
            raster[:-1] = self._grid.sample(coverage_pyramid(scene.map), scene.ego.pose)
        corners = (_footprints(scene) - scene.ego.xy) @ scene.ego.pose[:2, :2]
        scale = 0.5 * LAYOUT_CELLS / LAYOUT_EXTENT
        pixels = np.round((LAYOUT_EXTENT - corners[..., ::-1]) * scale - 0.5).astype(np.int32)
        for polygon in pixels:
            cv2.fillConvexPoly(raster[-1], polygon, (255,))
        return {"layout": raster}


def _footprints(scene: Scene) -> NDArray[np.float64]:
    tracks = scene.tracks
    near = np.abs(tracks.position[:, :2] - scene.ego.xy).max(-1, initial=0.0) < 2.0 * LAYOUT_EXTENT
    return box_footprints(tracks.position[near], tracks.size[near], tracks.yaw[near])


@dataclass(frozen=True)
class Calibration:
    """`intrinsics` [V, 3, 3] of the observed pictures and `extrinsics` [V, 4, 4], camera points to the ego frame."""

    image_size: tuple[int, int]
    views: int

    def spaces(self) -> dict[str, spaces.Box]:
        """Two stacks of matrices."""
        return {"intrinsics": _box(-1e5, 1e5, (self.views, 3, 3)), "extrinsics": _box(-1e3, 1e3, (self.views, 4, 4))}

    def observe(self, view: View) -> Observation:
        """Matrices of the present rig."""
        rig = view.scene.rig.resized(self.image_size)
        return {"intrinsics": rig.intrinsics.astype(np.float32), "extrinsics": rig.extrinsics.astype(np.float32)}


@dataclass(frozen=True)
class Depth:
    """`depth` [V, H, W]: true depth along the optical axis [m], at most 200 (sky). Town only."""

    image_size: tuple[int, int]
    views: int

    def spaces(self) -> dict[str, spaces.Box]:
        """One stack."""
        return {"depth": _box(0.0, MAX_DEPTH, (self.views, *self.image_size))}

    def observe(self, view: View) -> Observation:
        """Rendered from the scene."""
        return {"depth": np.clip(view.truth.depth, 0.0, MAX_DEPTH).astype(np.float32)}


@dataclass(frozen=True)
class Semantics:
    """`semantics` uint8 [V, H, W]: true class of every pixel, see `drivesim.town.semantics`. Town only."""

    image_size: tuple[int, int]
    views: int

    def spaces(self) -> dict[str, spaces.Box]:
        """One stack."""
        return {"semantics": spaces.Box(0, len(SEMANTIC_NAMES) - 1, (self.views, *self.image_size), np.uint8)}

    def observe(self, view: View) -> Observation:
        """Rendered from the scene."""
        return {"semantics": view.truth.semantic.copy()}


def make_sensors(keys: Sequence[str], cameras: Sequence[str] | None, image_size: tuple[int, int]) -> list[Sensor]:
    """Sensors for observation keys; `cameras` are those that the generator draws, None without generator.

    The key "default" stands for all of these cameras, ego and route.

    Raises ValueError for an unknown key, a repeated one, or a camera that nobody draws.
    """
    drawn, views = list(cameras or ()), len(cameras or CAMERAS)
    default = (*drawn, "ego", "route")
    keys = [key for given in keys for key in (default if given == "default" else (given,))]
    others: Mapping[str, Sensor] = {
        "ego": Ego(), "route": Route(), "centre_line": CentreLine(), "drivable_area": DrivableArea(), "boxes": Boxes(),
        "calibration": Calibration(image_size, views),
        "depth": Depth(image_size, views), "semantics": Semantics(image_size, views),
        "state_vector": StateVector(),
    }  # fmt: skip
    if len(set(keys)) != len(keys) or not keys:
        raise ValueError(f"observation: found {tuple(keys)}, accepted one or more different keys")
    accepted = ("default", *drawn, *OTHER_KEYS)
    sensors: list[Sensor] = []
    for key in keys:
        if key in drawn:
            sensors.append(Camera(key, drawn.index(key), image_size))
        elif key == "layout":
            sensors.append(Layout())
        elif key in others:
            sensors.append(others[key])
        elif key in CAMERAS and cameras is None:
            raise ValueError(f"observation: found {key!r} with generator=None, accepted {OTHER_KEYS} then")
        else:
            raise ValueError(f"observation: found {key!r}, accepted {accepted}")
    return sensors
