"""The tracks of a scene as meshes with ray trees."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache

import numpy as np
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from drivesim.scene import OBJECT_CLASSES, Scene, Tracks
from drivesim.town.mesh import Mesh, merge
from drivesim.town.rays import Tree, ray_tree
from drivesim.town.shapes import DISTANT, shape_of

RANGE = 110.0  # objects farther away are not drawn [m]
DETAIL_DISTANCES = (25.0, 55.0)  # up to which objects have wheels; have the parts of their class [m]
VIEWER_STEP = 8.0  # detail and range depend on where the ego is only to this precision, so that trees can be kept [m]
STANDING_CACHE_SIZE = 4
CAR_COLORS = ((0.90, 0.90, 0.90), (0.62, 0.64, 0.67), (0.16, 0.17, 0.19), (0.66, 0.12, 0.12), (0.14, 0.26, 0.52),
              (0.34, 0.38, 0.42), (0.20, 0.36, 0.28), (0.78, 0.62, 0.30))  # fmt: skip
CLOTHES = (
    (0.68, 0.20, 0.20),
    (0.20, 0.34, 0.62),
    (0.86, 0.84, 0.80),
    (0.24, 0.50, 0.34),
    (0.88, 0.68, 0.24),
    (0.28, 0.26, 0.30),
)
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
class ObjectGroup:
    """Some tracks as one mesh."""

    tracks: Tracks
    mesh: Mesh  # owners are rows of `tracks`
    normals: NDArray[np.float32]  # [F, 3]
    tree: EmbreeScene


@dataclass(frozen=True)
class Objects:
    """All tracks near the ego: those that stand, then those that move; faces and tracks are counted through."""

    tracks: Tracks
    mesh: Mesh
    normals: NDArray[np.float32]  # [F, 3]
    trees: tuple[Tree, ...]


def place_objects(scene: Scene, centre: NDArray[np.float64]) -> Objects:
    """The tracks around the ego, relative to `centre` [3] [m]."""
    viewer = (np.floor(scene.ego.xy / VIEWER_STEP) + 0.5) * VIEWER_STEP
    tracks = scene.tracks
    near = np.abs(tracks.position[:, :2] - viewer).max(axis=1, initial=0.0) < RANGE
    standing = near & ~tracks.velocity.any(axis=1)
    groups = (
        _standing_group(tracks.take(standing), centre, viewer),
        _group(tracks.take(near & ~standing), centre, viewer),
    )
    parts = [group.tracks for group in groups]
    together = Tracks(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Tracks.__dataclass_fields__)
    )
    mesh = merge([group.mesh for group in groups])
    mesh.owner[len(groups[0].mesh.faces) :] += len(groups[0].tracks)
    trees = ((groups[0].tree, 0), (groups[1].tree, len(groups[0].mesh.faces)))
    filled = tuple(tree for tree, group in zip(trees, groups, strict=True) if len(group.mesh.faces))
    return Objects(together, mesh, np.concatenate([group.normals for group in groups]), filled)


_standing: OrderedDict[bytes, ObjectGroup] = OrderedDict()


def _standing_group(tracks: Tracks, centre: NDArray[np.float64], viewer: NDArray[np.float64]) -> ObjectGroup:
    """Like `_group`, kept for as long as the same tracks stand in the same places."""
    key = b"".join(
        [centre.tobytes(), viewer.tobytes(), *(getattr(tracks, name).tobytes() for name in Tracks.__dataclass_fields__)]
    )
    if key not in _standing:
        _standing[key] = _group(tracks, centre, viewer)
        if len(_standing) > STANDING_CACHE_SIZE:
            _standing.popitem(last=False)
    _standing.move_to_end(key)
    return _standing[key]


def _group(tracks: Tracks, centre: NDArray[np.float64], viewer: NDArray[np.float64]) -> ObjectGroup:
    mesh = objects_mesh(tracks, centre, viewer)
    return ObjectGroup(tracks, mesh, mesh.normals(), ray_tree(mesh))


def object_colors(tracks: Tracks) -> NDArray[np.float32]:
    """Body colours [N, 3]: that of the track, or one chosen by its id where it has none."""
    colors = np.array(tracks.color, np.float32)
    for row in np.flatnonzero(np.isnan(colors).any(axis=1)):
        choices = DEFAULT_COLORS[OBJECT_CLASSES[tracks.class_ids[row]]]
        colors[row] = choices[(int(tracks.ids[row]) * 2654435761 >> 7) % len(choices)]
    return colors


def objects_mesh(tracks: Tracks, centre: NDArray[np.float64], viewer: NDArray[np.float64]) -> Mesh:
    """One mesh of all tracks relative to `centre` [3] [m], simpler far from `viewer` [2]; owners are track rows."""
    library, vertex_start, face_start = _library()
    distance = np.hypot(*(tracks.position[:, :2] - viewer).T)
    shape = (DISTANT + 1) * tracks.class_ids + np.searchsorted(DETAIL_DISTANCES, distance)
    vertex_count, face_count = np.diff(vertex_start)[shape], np.diff(face_start)[shape]
    vertex_rows, owner_of_vertex = _ragged(vertex_start[shape], vertex_count)
    face_rows, owner = _ragged(face_start[shape], face_count)
    vertices = _placed(library.vertices[vertex_rows], owner_of_vertex, tracks, centre)
    shift = np.cumsum(vertex_count) - vertex_count - vertex_start[shape]
    faces = library.faces[face_rows] + shift[owner, None].astype(np.int32)
    own = library.own[face_rows]
    color = library.color[face_rows] + own[:, None] * object_colors(tracks)[owner]
    return Mesh(vertices, faces, np.minimum(color, 1.0), own, library.material[face_rows], owner.astype(np.int32))


def _ragged(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows start .. start + count of every group in turn, and the group of each of them."""
    group = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(group)) + (starts - np.cumsum(counts) + counts)[group], group


def _placed(
    unit: NDArray[np.float32], owner: NDArray[np.int64], tracks: Tracks, centre: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Unit-box points [P, 3] scaled, turned and moved to where their tracks are."""
    local = unit * tracks.size[:, [1, 0, 2]][owner]
    c, s = np.cos(tracks.yaw)[owner], np.sin(tracks.yaw)[owner]
    turned = np.stack([c * local[:, 0] - s * local[:, 1], s * local[:, 0] + c * local[:, 1], local[:, 2]], axis=1)
    return (turned + (tracks.position - centre)[owner]).astype(np.float32)


@cache
def _library() -> tuple[Mesh, NDArray[np.int64], NDArray[np.int64]]:
    """All shapes (class 0 in every detail, class 1 in every detail, ...) in one mesh; where the vertices and the
    faces of each shape start, with the ends appended."""
    shapes = [shape_of(name, detail) for name in OBJECT_CLASSES for detail in range(DISTANT + 1)]
    vertex_start = np.cumsum([0, *(len(shape.vertices) for shape in shapes)])
    face_start = np.cumsum([0, *(len(shape.faces) for shape in shapes)])
    return merge(shapes), vertex_start, face_start
