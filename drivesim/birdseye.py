"""The bird's-eye view: map, boxes, route and ego drawn from above, ego heading up."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from drivesim.events import ego_footprint
from drivesim.geometry import box_footprints
from drivesim.scene import LINE_CLASSES, OBJECT_CLASSES, EgoState, HdMap, Scene, VehicleShape

Color = tuple[int, int, int]

BACKGROUND: Color = (28, 31, 36)
# Later entries are drawn over earlier ones.
LAYER_COLORS: dict[str, Color] = {
    "walkway": (58, 54, 50), "carpark_area": (52, 58, 72), "drivable_area": (68, 73, 81), "road_block": (84, 64, 64),
    "ped_crossing": (128, 130, 134), "stop_line": (170, 96, 88), "lane_divider": (150, 153, 158),
    "road_divider": (214, 174, 76),
}  # fmt: skip
CLASS_COLORS: dict[str, Color] = {
    "car": (236, 148, 68), "truck": (226, 106, 82), "construction_vehicle": (214, 128, 40), "bus": (232, 92, 122),
    "trailer": (200, 118, 96), "barrier": (150, 140, 128), "motorcycle": (178, 132, 236), "bicycle": (148, 110, 226),
    "pedestrian": (98, 172, 240), "traffic_cone": (240, 196, 60),
}  # fmt: skip
ROUTE_COLOR: Color = (64, 196, 170)
EGO_COLOR: Color = (244, 246, 248)
_SHIFT = 4  # fractional bits of cv2's coordinates: anti-aliased edges move smoothly


@dataclass(frozen=True)
class View:
    """What a bird's-eye picture shows: (height, width) [px], metres across its width, share of it behind the ego."""

    size: tuple[int, int] = (484, 288)
    width: float = 48.0  # [m]
    behind: float = 0.28  # of the height

    def pixels(self, xy: NDArray[np.float64], ego: EgoState) -> NDArray[np.int32]:
        """Fixed-point pixel positions of global points [..., 2]."""
        h, w = self.size
        scale = w / self.width
        x, y = np.moveaxis(xy - ego.xy, -1, 0)
        c, s = ego.pose[0, 0], ego.pose[1, 0]
        u = 0.5 * w - scale * (c * y - s * x)
        v = (1.0 - self.behind) * h - scale * (c * x + s * y)
        return np.round(np.stack([u, v], axis=-1) * (1 << _SHIFT)).astype(np.int32)

    @property
    def reach(self) -> float:
        """Distance from the ego to the farthest corner [m]."""
        h, w = self.size
        return float(np.hypot(0.5 * self.width, max(self.behind, 1.0 - self.behind) * h * self.width / w))


@dataclass(frozen=True)
class _Shape:
    layer: str
    rings: tuple[NDArray[np.float64], ...]
    bounds: tuple[float, float, float, float]


_SHAPES: weakref.WeakKeyDictionary[HdMap, list[_Shape]] = weakref.WeakKeyDictionary()


def _shapes(hd_map: HdMap) -> list[_Shape]:
    """Polygon rings and lines of a map in drawing order; computed once per map object."""
    if hd_map not in _SHAPES:
        _SHAPES[hd_map] = [
            _Shape(layer, _rings(part), part.bounds)
            for layer in LAYER_COLORS
            for geometry in hd_map.layers[layer]
            for part in shapely.get_parts(geometry)
            if not part.is_empty
        ]
    return _SHAPES[hd_map]


def _rings(part: shapely.Geometry) -> tuple[NDArray[np.float64], ...]:
    if isinstance(part, shapely.Polygon):
        return tuple(shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors))
    return (shapely.get_coordinates(part),)


def draw_birdseye(scene: Scene, route: NDArray[np.float64] | None, view: View | None = None) -> NDArray[np.uint8]:
    """Picture [H, W, 3] of a scene from above; `route` [R, 2 or more] global points [m]."""
    view = view or View()
    picture = np.empty((*view.size, 3), np.uint8)
    picture[:] = BACKGROUND
    if scene.map is not None:
        _draw_map(picture, scene.map, scene.ego, view)
    if route is not None and len(route) > 1:
        cv2.polylines(picture, [view.pixels(route[:, :2], scene.ego)], False, ROUTE_COLOR, 2, cv2.LINE_AA, _SHIFT)
    _draw_tracks(picture, scene, view)
    _draw_ego(picture, scene.ego, scene.vehicle, view)
    return picture


def _draw_map(picture: NDArray[np.uint8], hd_map: HdMap, ego: EgoState, view: View) -> None:
    (x, y), reach = ego.xy, view.reach
    for shape in _shapes(hd_map):
        x0, y0, x1, y1 = shape.bounds
        if x0 > x + reach or x1 < x - reach or y0 > y + reach or y1 < y - reach:
            continue
        rings = [view.pixels(ring, ego) for ring in shape.rings]
        if shape.layer in LINE_CLASSES:
            cv2.polylines(picture, rings, False, LAYER_COLORS[shape.layer], 1, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillPoly(picture, rings, LAYER_COLORS[shape.layer], cv2.LINE_AA, _SHIFT)


def _draw_tracks(picture: NDArray[np.uint8], scene: Scene, view: View) -> None:
    tracks = scene.tracks
    near = np.flatnonzero(np.linalg.norm(tracks.position[:, :2] - scene.ego.xy, axis=-1) < view.reach + 10.0)
    footprints = box_footprints(tracks.position[near], tracks.size[near], tracks.yaw[near])
    for row, corners in zip(near, footprints):
        _draw_box(picture, corners, CLASS_COLORS[OBJECT_CLASSES[tracks.class_ids[row]]], scene.ego, view)


def _draw_ego(picture: NDArray[np.uint8], ego: EgoState, shape: VehicleShape, view: View) -> None:
    _draw_box(picture, ego_footprint(ego, shape), EGO_COLOR, ego, view)


def _draw_box(
    picture: NDArray[np.uint8], corners: NDArray[np.float64], color: Color, ego: EgoState, view: View
) -> None:
    pixels = view.pixels(corners, ego)
    cv2.fillConvexPoly(picture, pixels, color, cv2.LINE_AA, _SHIFT)
    nose = corners[[0, 3]] + 0.3 * (corners[[1, 2]] - corners[[0, 3]])
    shade = [int(0.55 * channel) for channel in color]
    start, end = view.pixels(nose, ego).tolist()
    cv2.line(picture, start, end, shade, 2, cv2.LINE_AA, _SHIFT)
