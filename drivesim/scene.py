"""The vocabulary that everything else speaks: ego, tracks, map, cameras, scene.

All frames are nuScenes frames (see `drivesim.geometry`). Values are frozen dataclasses over arrays: one array per
attribute over all tracks, never one object per car. A changed value is a new object (`dataclasses.replace`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.geometry import invert_pose, pose_from_xy_yaw, scale_intrinsics, yaw_of_pose

# Orders of MagicDrive-V2; they fix the meaning of every class index in tensors and weights.
OBJECT_CLASSES = (
    "car", "truck", "construction_vehicle", "bus", "trailer",
    "barrier", "motorcycle", "bicycle", "pedestrian", "traffic_cone",
)  # fmt: skip
MAP_CLASSES = (
    "drivable_area", "ped_crossing", "walkway", "stop_line",
    "carpark_area", "road_divider", "lane_divider", "road_block",
)  # fmt: skip
LINE_CLASSES = ("road_divider", "lane_divider")
CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT")
WEATHERS = ("sunny", "overcast", "rain")
TIMES_OF_DAY = ("day", "dusk", "night")

VEHICLE_CLASS_IDS = np.array([0, 1, 2, 3, 4, 6, 7])
CLASS_ID = {name: index for index, name in enumerate(OBJECT_CLASSES)}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class VehicleShape:
    """Body of the ego vehicle [m]; the ego frame's origin is the middle of the rear axle on the ground."""

    length: float = 4.084
    width: float = 1.73
    height: float = 1.562
    wheelbase: float = 2.588
    rear_overhang: float = 0.95

    @property
    def centre_offset(self) -> float:
        """Distance from the rear axle forward to the middle of the body [m]."""
        return 0.5 * self.length - self.rear_overhang


@dataclass(frozen=True, eq=False)
class EgoState:
    """Motion of the ego vehicle. `pose` [4, 4] maps ego points to the global frame (float64)."""

    pose: NDArray[np.float64]
    speed: float = 0.0  # [m/s], along x of the ego frame
    acceleration: float = 0.0  # [m/s^2]
    steering: float = 0.0  # front wheel angle [rad]
    yaw_rate: float = 0.0  # [rad/s]

    def __post_init__(self) -> None:
        if self.pose.shape != (4, 4):
            raise ValueError(f"EgoState.pose: found shape {self.pose.shape}, accepted (4, 4)")
        if not all(map(math.isfinite, self.pose.reshape(-1).tolist())):
            raise ValueError("EgoState.pose: found NaN or infinity, accepted finite numbers")

    @classmethod
    def at(cls, x: float, y: float, yaw: float, speed: float = 0.0) -> EgoState:
        """Ego on flat ground at (x, y) [m] with heading yaw [rad]."""
        return cls(pose_from_xy_yaw(x, y, yaw), speed=speed)

    @property
    def xy(self) -> NDArray[np.float64]:
        """Position of the rear axle in the global frame [2] [m]."""
        return self.pose[:2, 3]

    @property
    def yaw(self) -> float:
        """Heading in the global frame [rad]."""
        return float(yaw_of_pose(self.pose))


@dataclass(frozen=True, eq=False)
class Tracks:
    """Other road users and objects at one instant, global frame, N rows."""

    ids: NDArray[np.int64]  # [N], unique, stable over time
    class_ids: NDArray[np.int64]  # [N], index into OBJECT_CLASSES
    position: NDArray[np.float64]  # [N, 3], box centre [m]
    size: NDArray[np.float64]  # [N, 3], (width, length, height) [m]
    yaw: NDArray[np.float64]  # [N] [rad]
    velocity: NDArray[np.float64]  # [N, 2] [m/s]
    color: NDArray[np.float32] = None  # type: ignore[assignment]  # [N, 3] mean body RGB in [0, 1]; NaN where unknown
    interpolated: NDArray[np.bool_] = None  # type: ignore[assignment]  # [N], not annotated at this very instant

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.color is None:
            object.__setattr__(self, "color", np.full((n, 3), np.nan, np.float32))
        if self.interpolated is None:
            object.__setattr__(self, "interpolated", np.zeros(n, bool))
        one, two, three = (n,), (n, 2), (n, 3)
        if (
            self.class_ids.shape == self.yaw.shape == self.interpolated.shape == one
            and self.position.shape == self.size.shape == self.color.shape == three
            and self.velocity.shape == two
        ):
            return
        accepted = {"class_ids": one, "position": three, "size": three, "yaw": one, "velocity": two,
                    "color": three, "interpolated": one}  # fmt: skip
        for name, shape in accepted.items():
            found = getattr(self, name).shape
            _require(found == shape, f"Tracks.{name}: found shape {found}, accepted {shape} (one row per id)")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray) -> Tracks:
        """The tracks of the given rows (indices or mask)."""
        return Tracks(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def empty(cls) -> Tracks:
        """No tracks."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0),
                   np.zeros((0, 2)))  # fmt: skip


@dataclass(frozen=True, eq=False)
class LaneGraph:
    """Lanes as centre lines in driving direction with links, L lanes, ragged arrays in CSR form."""

    ids: NDArray[np.int64]  # [L], ascending, stable while the map window moves
    points: NDArray[np.float64]  # [P, 3]: x, y [m], heading [rad]
    offsets: NDArray[np.int64]  # [L + 1] into points
    width: NDArray[np.float64]  # [L] [m]
    speed_limit: NDArray[np.float64]  # [L] [m/s]; NaN where the data has none
    successors: NDArray[np.int64]  # [E] lane indices
    successor_offsets: NDArray[np.int64]  # [L + 1] into successors
    left: NDArray[np.int64]  # [L] index of the left neighbour of the same direction, -1 where none
    right: NDArray[np.int64]  # [L] likewise to the right
    in_junction: NDArray[np.bool_]  # [L] connector inside a junction
    priority: NDArray[np.int64]  # [L] junction right of way; lower values give way to higher ones

    def __post_init__(self) -> None:
        lanes = len(self.ids)
        _require(self.points.ndim == 2 and self.points.shape[1] == 3,
                 f"LaneGraph.points: found shape {self.points.shape}, accepted (P, 3)")  # fmt: skip
        for name in ("offsets", "successor_offsets"):
            found = getattr(self, name).shape
            _require(found == (lanes + 1,), f"LaneGraph.{name}: found shape {found}, accepted ({lanes + 1},)")
        for name in ("width", "speed_limit", "left", "right", "in_junction", "priority"):
            found = getattr(self, name).shape
            _require(found == (lanes,), f"LaneGraph.{name}: found shape {found}, accepted ({lanes},)")

    def __len__(self) -> int:
        return len(self.ids)

    def centre_line(self, lane: int) -> NDArray[np.float64]:
        """Points [K, 3] (x, y, heading) of one lane."""
        return self.points[self.offsets[lane] : self.offsets[lane + 1]]

    def successors_of(self, lane: int) -> NDArray[np.int64]:
        """Indices of the lanes that follow."""
        return self.successors[self.successor_offsets[lane] : self.successor_offsets[lane + 1]]

    @cached_property
    def arc_length(self) -> NDArray[np.float64]:
        """Distance [P] [m] of every point from the start of its lane."""
        step = np.linalg.norm(np.diff(self.points[:, :2], axis=0, prepend=self.points[:1, :2]), axis=1)
        total = np.cumsum(step)
        starts = self.offsets[:-1]
        lengths = np.diff(self.offsets)
        return total - np.repeat(total[starts], lengths) if len(starts) else total

    @cached_property
    def length(self) -> NDArray[np.float64]:
        """Length [L] of every lane [m]."""
        return self.arc_length[self.offsets[1:] - 1]


@dataclass(frozen=True, eq=False)
class HdMap:
    """Map around the ego in the global frame: the eight MagicDrive-V2 classes and the lane graph.

    `layers` maps every name of MAP_CLASSES to shapely polygons (lines for LINE_CLASSES). `bounds` (xmin, ymin, xmax,
    ymax) [m] is the region in which the map is complete. Frozen and compared by identity, so whatever is derived from
    it (rasters, trees) may be cached for as long as the object lives.
    """

    layers: Mapping[str, tuple[shapely.Geometry, ...]]
    lane_graph: LaneGraph
    bounds: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        found = set(self.layers)
        _require(found == set(MAP_CLASSES),
                 f"HdMap.layers: found {sorted(found)}, accepted exactly {list(MAP_CLASSES)}")  # fmt: skip

    def contains(self, xy: NDArray[np.float64], margin: float = 0.0) -> bool:
        """Whether the point [2] lies inside the bounds by at least `margin` [m]."""
        x0, y0, x1, y1 = self.bounds
        return bool(x0 + margin <= xy[0] <= x1 - margin and y0 + margin <= xy[1] <= y1 - margin)


@dataclass(frozen=True, eq=False)
class Statics:
    """What stands around the roads of a town and never moves; only ray casting sees it. Colours are RGB in [0, 1]."""

    seed: int  # look of everything that is drawn by noise
    building_footprint: NDArray[np.float64]  # [B, 4, 2] counter-clockwise quadrilaterals [m]
    building_height: NDArray[np.float64]  # [B] [m]
    building_color: NDArray[np.float32]  # [B, 3]
    building_style: NDArray[np.int64]  # [B] index of a facade pattern
    tree_position: NDArray[np.float64]  # [T, 2] [m]
    tree_size: NDArray[np.float64]  # [T, 3]: trunk height, crown radius, crown height [m]
    tree_color: NDArray[np.float32]  # [T, 3]
    pole_position: NDArray[np.float64]  # [P, 2] [m]
    pole_height: NDArray[np.float64]  # [P] [m]
    pole_yaw: NDArray[np.float64]  # [P] direction of the arm [rad]
    pole_kind: NDArray[np.int64]  # [P] 0 lamp with arm, 1 traffic sign

    def __post_init__(self) -> None:
        b, t, p = len(self.building_height), len(self.tree_position), len(self.pole_height)
        accepted = {"building_footprint": (b, 4, 2), "building_color": (b, 3), "building_style": (b,),
                    "tree_position": (t, 2), "tree_size": (t, 3), "tree_color": (t, 3),
                    "pole_position": (p, 2), "pole_yaw": (p,), "pole_kind": (p,)}  # fmt: skip
        for name, shape in accepted.items():
            found = getattr(self, name).shape
            _require(found == shape, f"Statics.{name}: found shape {found}, accepted {shape}")


@dataclass(frozen=True, eq=False)
class CameraRig:
    """V pinhole cameras. `extrinsics` [V, 4, 4] maps camera points to the ego frame; K belongs to `image_size`."""

    names: tuple[str, ...]
    intrinsics: NDArray[np.float64]  # [V, 3, 3]
    extrinsics: NDArray[np.float64]  # [V, 4, 4]
    image_size: tuple[int, int]  # (height, width) [px]

    def __post_init__(self) -> None:
        v = len(self.names)
        _require(self.intrinsics.shape == (v, 3, 3),
                 f"CameraRig.intrinsics: found shape {self.intrinsics.shape}, accepted ({v}, 3, 3)")  # fmt: skip
        _require(self.extrinsics.shape == (v, 4, 4),
                 f"CameraRig.extrinsics: found shape {self.extrinsics.shape}, accepted ({v}, 4, 4)")  # fmt: skip

    def resized(self, image_size: tuple[int, int]) -> CameraRig:
        """The same cameras with pictures of another (height, width)."""
        intrinsics = scale_intrinsics(self.intrinsics, self.image_size, image_size)
        return CameraRig(self.names, intrinsics, self.extrinsics, image_size)

    @cached_property
    def camera_from_ego(self) -> NDArray[np.float64]:
        """Inverse extrinsics [V, 4, 4]: ego points to camera frames."""
        return invert_pose(self.extrinsics)


@dataclass(frozen=True)
class Tags:
    """Look of a scene, as named by data sets."""

    weather: str = "sunny"
    time_of_day: str = "day"

    def __post_init__(self) -> None:
        _require(self.weather in WEATHERS, f"Tags.weather: found {self.weather!r}, accepted {WEATHERS}")
        _require(
            self.time_of_day in TIMES_OF_DAY, f"Tags.time_of_day: found {self.time_of_day!r}, accepted {TIMES_OF_DAY}"
        )

    def vector(self) -> NDArray[np.float32]:
        """One-hot weather and time of day [6]."""
        weather = [float(self.weather == name) for name in WEATHERS]
        return np.array(weather + [float(self.time_of_day == name) for name in TIMES_OF_DAY], np.float32)


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is known of the world at one instant."""

    timestamp: float  # [s]
    ego: EgoState
    tracks: Tracks
    map: HdMap | None  # None where the data has no map
    rig: CameraRig
    tags: Tags = field(default_factory=Tags)
    statics: Statics | None = None  # buildings, trees and poles; None where they are not known (recorded data)
    vehicle: VehicleShape = field(default_factory=VehicleShape)
    exposure_poses: NDArray[np.float64] | None = None  # [V, 4, 4] ego poses when the cameras fired; None: ego.pose
    description: str = ""
