"""Meshes of what never moves: buildings, trees, poles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from drivesim.scene import Statics
from drivesim.town import semantics
from drivesim.town.mesh import FACADE, FOLIAGE, LAMP, MATTE, Mesh, block, column, merge

BARK = (0.30, 0.23, 0.17)
POLE_GREY = (0.34, 0.35, 0.37)
LAMP_COLOR = (0.80, 0.78, 0.70)
SIGN_COLORS = np.array([[0.72, 0.12, 0.12], [0.12, 0.28, 0.62], [0.86, 0.74, 0.16], [0.86, 0.86, 0.84]], np.float32)
# Facade patterns by style: storey height [m], window pitch [m], width and height of the window as shares of its cell.
FACADES = np.array([[3.2, 2.8, 0.52, 0.52], [3.4, 6.5, 0.90, 0.46], [3.0, 2.2, 0.44, 0.60], [3.8, 2.0, 0.82, 0.80],
                    [3.1, 4.2, 0.62, 0.50], [3.5, 3.2, 0.74, 0.62]], np.float32)  # fmt: skip
LAMP_ARM = 1.8  # reach of the arm of a street lamp [m]
CROWN_ROUGHNESS = 0.16
FINE_TREES = (
    130.0  # trees farther from the middle of the map have simpler crowns [m]; nobody gets near them in this window
)


@dataclass(frozen=True)
class Scenery:
    """Everything that never moves, in one mesh. Faces: first two per building wall, then roofs, trees, poles."""

    mesh: Mesh
    color: NDArray[np.float32]  # [3, F] of the faces
    semantic: NDArray[np.uint8]  # [F]
    wall_start: NDArray[np.float32]  # [2, 4 B] one end of each wall [m]
    wall_direction: NDArray[np.float32]  # [2, 4 B] unit vector along it
    wall_pattern: NDArray[
        np.float32
    ]  # [4, 4 B] windows per metre along and upwards [1/m], their shares of width and height
    wall_key: NDArray[np.uint32]  # [4 B] see `place_key`
    crown_centre: NDArray[np.float32]  # [3, T] [m]
    crown_radius: NDArray[np.float32]  # [3, T] half-axes [m]


def scenery_of(statics: Statics, centre: NDArray[np.float64]) -> Scenery:
    """Meshes relative to `centre` [2] [m]."""
    footprint = (statics.building_footprint - centre).astype(np.float32)
    walls, roofs = _buildings(footprint, statics)
    crown_centre, crown_radius = _crowns(statics, centre)
    trees = _trees(statics, crown_centre, crown_radius)
    poles = _poles(statics, centre)
    meshes = [walls, roofs, trees, poles]
    classes = (semantics.BUILDING, semantics.BUILDING, semantics.TREE, semantics.POLE)
    semantic = np.repeat(np.array(classes, np.uint8), [len(mesh.faces) for mesh in meshes])
    mesh = merge(meshes)
    start = footprint.reshape(-1, 2)
    along = np.roll(footprint, -1, axis=1).reshape(-1, 2) - start
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-3)
    pattern = _wall_pattern(length, np.repeat(statics.building_height, 4), np.repeat(statics.building_style, 4))
    key = place_key(statics.building_footprint.reshape(-1, 2))
    arrays = (mesh.color, semantic, start, along / length[:, None], pattern, key, crown_centre, crown_radius)
    return Scenery(mesh, *(np.ascontiguousarray(array.T) for array in arrays))


def _wall_pattern(
    length: NDArray[np.float32], height: NDArray[np.float64], style: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Window patterns [W, 4] that fit walls of given length, height [m] and style with whole windows."""
    storey, pitch, wide, high = FACADES[style % len(FACADES)].T
    columns, storeys = np.maximum(np.rint(length / pitch), 1.0), np.maximum(np.rint(height / storey), 1.0)
    return np.stack([columns / length, storeys / height, wide, high], axis=1).astype(np.float32)


def place_key(xy: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Random-looking number [N] of places [N, 2] [m]: what is drawn by it stays when the map window moves."""
    x, y = np.rint(8.0 * xy).astype(np.int64).astype(np.uint32).T
    key = (x * np.uint32(73856093)) ^ (y * np.uint32(19349663))
    key = (key ^ (key >> np.uint32(15))) * np.uint32(2246822519)
    return key ^ (key >> np.uint32(13))


def lamp_heads(statics: Statics) -> NDArray[np.float64]:
    """Where street lamps shine from [K, 3] [m], global frame."""
    rows = np.flatnonzero(statics.pole_kind == 0)
    arm = LAMP_ARM * np.stack([np.cos(statics.pole_yaw[rows]), np.sin(statics.pole_yaw[rows])], axis=1)
    return np.column_stack([statics.pole_position[rows] + arm, statics.pole_height[rows]])


def _buildings(footprint: NDArray[np.float32], statics: Statics) -> tuple[Mesh, Mesh]:
    """Walls (two faces each, four walls per building) and everything on top of them."""
    count = len(footprint)
    height = statics.building_height.astype(np.float32)
    color = np.asarray(statics.building_color, np.float32)
    walls = _extruded(footprint, np.zeros(count, np.float32), height)
    wall_faces = _repeated(
        np.array([[0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]]), 8, count
    )
    wall_mesh = _per_object(walls, wall_faces, color, FACADE)
    middle = footprint.mean(axis=1, keepdims=True)
    block_on_top = _extruded(middle + 0.4 * (footprint - middle), height, height + np.float32(2.4))
    all_faces = np.concatenate([wall_faces[:8], np.array([[4, 5, 6], [4, 6, 7]])]) if count else np.zeros((0, 3), int)
    top_faces = _repeated(np.array([[4, 5, 6], [4, 6, 7]]), 8, count)
    grey = 0.35 * color + 0.30
    roof = _per_object(walls, top_faces, grey, MATTE)
    small = _per_object(block_on_top, _repeated(all_faces, 8, count), 0.5 * color + 0.25, MATTE)
    return wall_mesh, merge([roof, small])


def _extruded(
    footprint: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Corners [B * 8, 3] of prisms: lower ring, then upper ring."""
    rings = [
        np.concatenate([footprint, np.broadcast_to(z[:, None, None], (len(z), 4, 1))], axis=2) for z in (low, high)
    ]
    return np.concatenate(rings, axis=1).reshape(-1, 3)


def _repeated(faces: NDArray, vertices: int, count: int) -> NDArray[np.int32]:
    """Faces [F, 3] of one object repeated for `count` objects with `vertices` vertices each."""
    return (faces + vertices * np.arange(count)[:, None, None]).reshape(-1, 3).astype(np.int32)


def _per_object(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], color: NDArray[np.float32], material: int
) -> Mesh:
    """Mesh whose faces come in equal groups, one group and one colour [N, 3] per object."""
    count = len(color)
    owner = np.repeat(np.arange(count, dtype=np.int32), len(faces) // max(count, 1))
    return Mesh(
        vertices,
        faces,
        color[owner].astype(np.float32),
        np.zeros(len(faces), np.float32),
        np.full(len(faces), material, np.uint8),
        owner,
    )


def _crowns(statics: Statics, centre: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centres and half-axes [T, 3] of the tree crowns."""
    trunk, radius, height = statics.tree_size.T
    position = np.column_stack([statics.tree_position - centre, trunk + 0.5 * height])
    return position.astype(np.float32), np.column_stack([radius, radius, 0.5 * height]).astype(np.float32)


def _trees(statics: Statics, centre: NDArray[np.float32], radius: NDArray[np.float32]) -> Mesh:
    """Trunks and crowns."""
    count = len(centre)
    far = np.abs(centre[:, :2]).max(axis=1, initial=0.0) > FINE_TREES
    leaves = [_leaves(statics, centre, radius, np.flatnonzero(far == coarse), 1 - coarse) for coarse in (False, True)]
    trunk = column((0.0, 0.0), (1.0, 1.0), (0.7, 0.7), (0.0, 1.0), 6)
    thickness = np.clip(0.09 * radius[:, 0], 0.12, 0.35)
    scale = np.stack([thickness, thickness, centre[:, 2]], axis=1)
    base = centre * np.array([1.0, 1.0, 0.0], np.float32)
    stems = (trunk.vertices * scale[:, None] + base[:, None]).reshape(-1, 3).astype(np.float32)
    bark = np.tile(np.array(BARK, np.float32), (count, 1))
    return merge([*leaves, _per_object(stems, _repeated(trunk.faces, len(trunk.vertices), count), bark, MATTE)])


def _leaves(
    statics: Statics, centre: NDArray[np.float32], radius: NDArray[np.float32], rows: NDArray[np.int64], detail: int
) -> Mesh:
    """Crowns of some trees, dented balls of 20 * 4 ** detail faces."""
    ball = trimesh.creation.icosphere(subdivisions=detail)
    dents = np.random.default_rng(statics.seed).random(len(ball.vertices) + 31)
    first = place_key(statics.tree_position[rows])[:, None] % len(dents)
    pattern = (first + np.arange(len(ball.vertices))) % len(dents)
    bumps = 1.0 - CROWN_ROUGHNESS * dents[pattern][..., None]
    crown = (ball.vertices * bumps * radius[rows, None] + centre[rows, None]).reshape(-1, 3).astype(np.float32)
    faces = _repeated(np.asarray(ball.faces), len(ball.vertices), len(rows))
    owner = np.repeat(rows, len(ball.faces)).astype(np.int32)
    color = np.asarray(statics.tree_color, np.float32)[owner]
    return Mesh(crown, faces, color, np.zeros(len(faces), np.float32), np.full(len(faces), FOLIAGE, np.uint8), owner)


def _poles(statics: Statics, centre: NDArray[np.float64]) -> Mesh:
    """Street lamps and traffic signs."""
    lamp = merge([
        column((0.0, 0.0), (0.10, 0.10), (0.07, 0.07), (0.0, 1.0), 5, POLE_GREY),
        block((0.0, LAMP_ARM), (-0.05, 0.05), (0.985, 1.0), POLE_GREY, bottom=True),
        block((LAMP_ARM - 0.45, LAMP_ARM + 0.35), (-0.17, 0.17), (0.97, 0.985), LAMP_COLOR, material=LAMP, bottom=True),
    ])  # fmt: skip
    sign = merge([
        column((0.0, 0.0), (0.05, 0.05), (0.05, 0.05), (0.0, 1.0), 5, POLE_GREY),
        block((0.05, 0.09), (-0.34, 0.34), (0.74, 1.0), own=1.0, bottom=True),
    ])  # fmt: skip
    meshes = [
        _placed(shape, statics, np.flatnonzero(statics.pole_kind == kind), centre)
        for kind, shape in enumerate((lamp, sign))
    ]
    return merge(meshes)


def _placed(shape: Mesh, statics: Statics, rows: NDArray[np.int64], centre: NDArray[np.float64]) -> Mesh:
    """Copies of a pole of unit height at the given rows."""
    c, s = np.cos(statics.pole_yaw[rows])[:, None], np.sin(statics.pole_yaw[rows])[:, None]
    x, y, z = shape.vertices.T
    position = statics.pole_position[rows] - centre
    points = np.stack(
        [c * x - s * y + position[:, :1], s * x + c * y + position[:, 1:], z * statics.pole_height[rows, None]], axis=-1
    )
    owner = np.repeat(rows, len(shape.faces)).astype(np.int32)
    own = np.tile(shape.own, len(rows))
    kind = np.repeat(place_key(statics.pole_position[rows]) % len(SIGN_COLORS), len(shape.faces))
    color = np.tile(shape.color, (len(rows), 1)) + own[:, None] * SIGN_COLORS[kind]
    faces = _repeated(shape.faces, len(shape.vertices), len(rows))
    return Mesh(
        points.reshape(-1, 3).astype(np.float32),
        faces,
        color.astype(np.float32),
        own,
        np.tile(shape.material, len(rows)),
        owner,
    )
