"""Shapes of the ten object classes in the unit box (x forward, y left, z up, all in -0.5 .. 0.5), and a scene full of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from drivesim.scene import CLASS_ID, OBJECT_CLASSES, Scene, Tracks
from drivesim.town.mesh import GLASS, HEADLIGHT, TAILLIGHT, Mesh, block, column, frustum, merge, plate, wheel
from drivesim.town.rays import ray_tree

RANGE = 130.0  # objects farther away are not drawn [m]
DETAIL_DISTANCE = 40.0  # objects that are farther away get simple shapes [m]
GLASS_COLOR = (0.13, 0.15, 0.18)
DARK = (0.09, 0.09, 0.10)
RUBBER = (0.06, 0.06, 0.07)
GREY = (0.45, 0.46, 0.48)
SKIN = (0.80, 0.62, 0.50)
TROUSERS = (0.16, 0.17, 0.24)
HEAD_COLOR, TAIL_COLOR = (0.92, 0.92, 0.88), (0.62, 0.06, 0.06)
CAR_COLORS = ((0.90, 0.90, 0.90), (0.62, 0.64, 0.67), (0.16, 0.17, 0.19), (0.66, 0.12, 0.12), (0.14, 0.26, 0.52),
              (0.34, 0.38, 0.42), (0.20, 0.36, 0.28), (0.78, 0.62, 0.30))  # fmt: skip
CLOTHES = ((0.68, 0.20, 0.20), (0.20, 0.34, 0.62), (0.86, 0.84, 0.80), (0.24, 0.50, 0.34), (0.88, 0.68, 0.24), (0.28, 0.26, 0.30))
# Colours of objects of which none is known, by class.
DEFAULT_COLORS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "car": CAR_COLORS,
    "truck": ((0.88, 0.88, 0.86), (0.30, 0.42, 0.62), (0.72, 0.22, 0.18), (0.60, 0.62, 0.64)),
    "construction_vehicle": ((0.92, 0.68, 0.12),),
    "bus": ((0.78, 0.24, 0.20), (0.90, 0.88, 0.82), (0.24, 0.46, 0.66), (0.36, 0.58, 0.34)),
    "trailer": ((0.84, 0.84, 0.82), (0.52, 0.56, 0.60)),
    "barrier": ((0.90, 0.42, 0.16),),
    "motorcycle": CAR_COLORS,
    "bicycle": CLOTHES,
    "pedestrian": CLOTHES,
    "traffic_cone": ((0.94, 0.40, 0.10),),
}


@dataclass(frozen=True)
class Objects:
    """The moving part of a scene: its mesh, the tree for rays, and the tracks that it shows."""

    tracks: Tracks
    mesh: Mesh
    normals: NDArray[np.float32]  # [F, 3]
    tree: EmbreeScene


def place_objects(scene: Scene, centre: NDArray[np.float64]) -> Objects:
    """The tracks around the ego, relative to `centre` [3] [m]."""
    ego = scene.ego.xy
    near = np.flatnonzero(np.abs(scene.tracks.position[:, :2] - ego).max(axis=1, initial=0.0) < RANGE)
    tracks = scene.tracks.take(near)
    mesh = objects_mesh(tracks, centre, ego)
    return Objects(tracks, mesh, mesh.normals(), ray_tree(mesh))


def object_colors(tracks: Tracks) -> NDArray[np.float32]:
    """Body colours [N, 3]: that of the track, or one chosen by its id where it has none."""
    colors = np.array(tracks.color, np.float32)
    for row in np.flatnonzero(np.isnan(colors).any(axis=1)):
        choices = DEFAULT_COLORS[OBJECT_CLASSES[tracks.class_ids[row]]]
        colors[row] = choices[(int(tracks.ids[row]) * 2654435761 >> 7) % len(choices)]
    return colors


def objects_mesh(tracks: Tracks, centre: NDArray[np.float64], viewer: NDArray[np.float64]) -> Mesh:
    """One mesh of all tracks relative to `centre` [3] [m], simple where far from `viewer` [2]; owners are track rows."""
    library, vertex_start, face_start = _library()
    distant = np.hypot(*(tracks.position[:, :2] - viewer).T) > DETAIL_DISTANCE
    shape = 2 * tracks.class_ids + distant
    vertex_count, face_count = np.diff(vertex_start)[shape], np.diff(face_start)[shape]
    vertex_rows, owner_of_vertex = _ragged(vertex_start[shape], vertex_count)
    face_rows, owner = _ragged(face_start[shape], face_count)
    vertices = _placed(library.vertices[vertex_rows], owner_of_vertex, tracks, centre)
    shift = np.cumsum(vertex_count) - vertex_count - vertex_start[shape]
    faces = library.faces[face_rows] + shift[owner, None].astype(np.int32)
    own = library.own[face_rows]
    color = library.color[face_rows] + own[:, None] * object_colors(tracks)[owner]
    return Mesh(vertices, faces, color, own, library.material[face_rows], owner.astype(np.int32))


def _ragged(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows start .. start + count of every group in turn, and the group of each of them."""
    group = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(group)) + (starts - np.cumsum(counts) + counts)[group], group


def _placed(unit: NDArray[np.float32], owner: NDArray[np.int64], tracks: Tracks, centre: NDArray[np.float64]) -> NDArray[np.float32]:
    """Unit-box points [P, 3] scaled, turned and moved to where their tracks are."""
    local = unit * tracks.size[:, [1, 0, 2]][owner]
    c, s = np.cos(tracks.yaw)[owner], np.sin(tracks.yaw)[owner]
    turned = np.stack([c * local[:, 0] - s * local[:, 1], s * local[:, 0] + c * local[:, 1], local[:, 2]], axis=1)
    return (turned + (tracks.position - centre)[owner]).astype(np.float32)


@cache
def _library() -> tuple[Mesh, NDArray[np.int64], NDArray[np.int64]]:
    """All shapes (class 0 detailed, class 0 simple, class 1 ...) in one mesh with faces relative to their shape's own
    vertices shifted to the mesh; starts of the vertices and faces of each shape, with the ends appended."""
    shapes = [SHAPES[name](detailed) for name in OBJECT_CLASSES for detailed in (True, False)]
    vertex_start = np.cumsum([0, *(len(shape.vertices) for shape in shapes)])
    face_start = np.cumsum([0, *(len(shape.faces) for shape in shapes)])
    return merge(shapes), vertex_start, face_start


def _wheels(axles: tuple[float, ...], radius: tuple[float, float], detailed: bool, thickness: float = 0.12) -> list[Mesh]:
    """Wheels on both sides at x = axles; plain dark blocks where not detailed."""
    z = -0.5 + radius[1]
    if not detailed:
        return [block((min(axles) - radius[0], max(axles) + radius[0]), (-0.44, 0.44), (-0.5, z), RUBBER)]
    sides = ((-0.5 + thickness, -0.5), (0.5 - thickness, 0.5))
    return [wheel(x, y, z, radius) for x in axles for y in sides]


def _lights(z: tuple[float, float], width: float = 0.13) -> list[Mesh]:
    """Pairs of head and tail lights on the front and rear ends of the box."""
    spans = ((-0.46, -0.46 + width), (0.46 - width, 0.46))
    front = [plate(0.5, y, z, HEAD_COLOR, HEADLIGHT) for y in spans]
    return front + [plate(-0.5, y[::-1], z, TAIL_COLOR, TAILLIGHT) for y in spans]


def _car(detailed: bool) -> Mesh:
    lower = frustum((-0.49, 0.49, -0.47, 0.47), (-0.495, 0.495, -0.5, 0.5), (-0.36, -0.12), own=0.96, bottom=True, top=False)
    upper = frustum((-0.495, 0.495, -0.5, 0.5), (-0.47, 0.46, -0.46, 0.46), (-0.12, 0.06), own=1.0)
    windows = frustum((-0.45, 0.24, -0.44, 0.44), (-0.32, 0.06, -0.37, 0.37), (0.06, 0.45), GLASS_COLOR, material=GLASS, top=False)
    roof = frustum((-0.33, 0.07, -0.38, 0.38), (-0.30, 0.04, -0.35, 0.35), (0.44, 0.5), own=1.0)
    bumpers = [block((-0.5, 0.5), (-0.42, 0.42), (-0.36, -0.26), DARK)] if detailed else []
    return merge([lower, upper, windows, roof, *bumpers, *_lights((-0.12, -0.02)), *_wheels((-0.30, 0.31), (0.074, 0.21), detailed)])


def _truck(detailed: bool) -> Mesh:
    cab = frustum((0.20, 0.49, -0.46, 0.46), (0.22, 0.46, -0.44, 0.44), (-0.34, 0.28), own=1.0)
    windscreen = frustum((0.24, 0.487, -0.462, 0.462), (0.25, 0.472, -0.452, 0.452), (0.0, 0.22), GLASS_COLOR, material=GLASS)
    cargo = block((-0.49, 0.18), (-0.5, 0.5), (-0.26, 0.5), (0.16, 0.16, 0.16), own=0.8, bottom=True)
    frame = block((-0.49, 0.48), (-0.38, 0.38), (-0.40, -0.26), DARK)
    return merge([cab, windscreen, cargo, frame, *_lights((-0.30, -0.22)), *_wheels((-0.36, -0.22, 0.33), (0.065, 0.15), detailed)])


def _bus(detailed: bool) -> Mesh:
    lower = block((-0.49, 0.49), (-0.5, 0.5), (-0.40, 0.02), own=1.0, bottom=True)
    windows = block((-0.495, 0.495), (-0.49, 0.49), (0.02, 0.32), GLASS_COLOR, material=GLASS)
    roof = block((-0.49, 0.49), (-0.5, 0.5), (0.32, 0.5), own=1.0, bottom=True)
    return merge([lower, windows, roof, *_lights((-0.28, -0.20)), *_wheels((-0.28, 0.32), (0.045, 0.155), detailed)])


def _construction_vehicle(detailed: bool) -> Mesh:
    tracks = [block((-0.48, 0.22), y, (-0.5, -0.26), RUBBER) for y in ((-0.5, -0.28), (0.28, 0.5))]
    body = block((-0.5, 0.18), (-0.44, 0.44), (-0.26, 0.08), own=1.0, bottom=True)
    cabin = frustum((-0.14, 0.16, -0.4, 0.08), (-0.12, 0.12, -0.38, 0.06), (0.08, 0.44), GLASS_COLOR, material=GLASS, top=False)
    roof = block((-0.15, 0.15), (-0.42, 0.1), (0.44, 0.5), own=0.9)
    boom = frustum((0.14, 0.26, 0.14, 0.3), (0.30, 0.40, 0.14, 0.3), (-0.2, 0.46), own=1.0)
    stick = frustum((0.40, 0.46, 0.14, 0.3), (0.30, 0.40, 0.14, 0.3), (-0.34, 0.46), own=0.9)
    bucket = frustum((0.34, 0.48, 0.0, 0.44), (0.36, 0.5, 0.04, 0.4), (-0.5, -0.3), DARK)
    return merge([*tracks, body, cabin, roof, boom, stick, bucket])


def _trailer(detailed: bool) -> Mesh:
    box = block((-0.49, 0.5), (-0.5, 0.5), (-0.24, 0.5), own=1.0, bottom=True)
    frame = block((-0.48, 0.48), (-0.36, 0.36), (-0.36, -0.24), DARK)
    tail = _lights((-0.34, -0.28))[2:]
    return merge([box, frame, *tail, *_wheels((-0.40, -0.29, -0.18), (0.048, 0.14), detailed)])


def _rider(own_torso: float, seat: float, lean: float) -> list[Mesh]:
    """Somebody who sits at height `seat` and leans forward."""
    legs = frustum((-0.14, 0.10, -0.34, 0.34), (-0.16, 0.02, -0.30, 0.30), (seat - 0.26, seat + 0.04), TROUSERS)
    torso = frustum((-0.16, 0.0, -0.36, 0.36), (-0.12 + lean, 0.04 + lean, -0.44, 0.44), (seat, 0.34), own=own_torso)
    arms = frustum((0.06, 0.26, -0.46, 0.46), (-0.02, 0.1, -0.46, 0.46), (0.1, 0.26), own=own_torso)
    head = column((lean, 0.0), (0.07, 0.2), (0.06, 0.16), (0.34, 0.5), 6, SKIN)
    return [legs, torso, arms, head]


def _two_wheeler(radius: tuple[float, float], frame_own: float, frame_z: tuple[float, float], rider: list[Mesh], thick: float) -> Mesh:
    hubs = [wheel(x, (-thick, thick), -0.5 + radius[1], radius, RUBBER) for x in (-0.5 + radius[0], 0.5 - radius[0])]
    frame = frustum((-0.34, 0.32, -thick, thick), (-0.30, 0.24, -1.4 * thick, 1.4 * thick), frame_z, DARK, own=frame_own)
    bar = block((0.22, 0.28), (-0.5, 0.5), (0.08, 0.14), DARK)
    return merge([*hubs, frame, bar, *rider])


def _motorcycle(detailed: bool) -> Mesh:
    return _two_wheeler((0.15, 0.20), 0.85, (-0.28, 0.02), _rider(0.9, 0.0, 0.06), 0.14)


def _bicycle(detailed: bool) -> Mesh:
    return _two_wheeler((0.19, 0.19), 0.3, (-0.26, -0.16), _rider(1.0, 0.0, 0.1), 0.06)


def _pedestrian(detailed: bool) -> Mesh:
    legs = [frustum((-0.2 + dx, 0.1 + dx, *y), (-0.16, 0.16, *y), (-0.5, -0.02), TROUSERS) for dx, y in ((0.12, (-0.3, -0.03)), (-0.02, (0.03, 0.3)))]
    torso = frustum((-0.2, 0.2, -0.34, 0.34), (-0.24, 0.24, -0.42, 0.42), (-0.06, 0.33), own=1.0)
    arms = [frustum((-0.16, 0.16, *y), (-0.14, 0.14, *y), (-0.04, 0.3), own=0.85, bottom=True) for y in ((-0.5, -0.42), (0.42, 0.5))]
    head = column((0.03, 0.0), (0.2, 0.18), (0.17, 0.15), (0.34, 0.5), 6, SKIN)
    return merge([*legs, torso, *arms, head])


def _barrier(detailed: bool) -> Mesh:
    foot = block((-0.5, 0.5), (-0.48, 0.48), (-0.5, -0.38), (0.75, 0.75, 0.73))
    wall = frustum((-0.4, 0.4, -0.5, 0.5), (-0.2, 0.2, -0.5, 0.5), (-0.38, 0.5), own=1.0)
    bands = [frustum((-0.36, 0.36, *y), (-0.24, 0.24, *y), (-0.1, 0.3), (0.9, 0.9, 0.88)) for y in ((-0.32, -0.14), (0.14, 0.32))]
    return merge([foot, wall, *bands])


def _traffic_cone(detailed: bool) -> Mesh:
    foot = block((-0.5, 0.5), (-0.5, 0.5), (-0.5, -0.42), own=0.6)
    low = column((0.0, 0.0), (0.38, 0.38), (0.25, 0.25), (-0.42, -0.05), 8, own=1.0)
    band = column((0.0, 0.0), (0.25, 0.25), (0.16, 0.16), (-0.05, 0.22), 8, (0.92, 0.92, 0.90))
    tip = column((0.0, 0.0), (0.16, 0.16), (0.07, 0.07), (0.22, 0.5), 8, own=1.0)
    return merge([foot, low, band, tip])


SHAPES = {
    "car": _car, "truck": _truck, "construction_vehicle": _construction_vehicle, "bus": _bus, "trailer": _trailer,
    "barrier": _barrier, "motorcycle": _motorcycle, "bicycle": _bicycle, "pedestrian": _pedestrian, "traffic_cone": _traffic_cone,
}  # fmt: skip
assert set(SHAPES) == set(CLASS_ID)
