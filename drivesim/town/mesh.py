"""Triangle soup with attributes per face, and the convex pieces that everything is put together from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drivesim.kernels import compiled

MATTE, GLASS, FACADE, FOLIAGE, HEADLIGHT, TAILLIGHT, LAMP = range(7)  # materials

# Faces of the eight corners made by `frustum` (lower ring 0-3, upper ring 4-7, both counter-clockwise from above).
SIDE_FACES = np.array(
    [[0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]], np.int32
)
TOP_FACES = np.array([[4, 5, 6], [4, 6, 7]], np.int32)
BOTTOM_FACES = np.array([[0, 2, 1], [0, 3, 2]], np.int32)


@dataclass(frozen=True)
class Mesh:
    """P vertices and F triangles. A face shows `own * (colour of its object) + color`."""

    vertices: NDArray[np.float32]  # [P, 3]
    faces: NDArray[np.int32]  # [F, 3]
    color: NDArray[np.float32]  # [F, 3] RGB in 0..1
    own: NDArray[np.float32]  # [F] share of the colour of the object
    material: NDArray[np.uint8]  # [F]
    owner: NDArray[np.int32] = field(default=None)  # type: ignore[assignment,arg-type]  # [F] row of the object

    def __post_init__(self) -> None:
        if self.owner is None:
            object.__setattr__(self, "owner", np.zeros(len(self.faces), np.int32))

    def normals(self) -> NDArray[np.float32]:
        """Unit normals [F, 3] by the right-hand rule."""
        return face_normals(self.vertices, self.faces)


@compiled
def face_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Unit normals [F, 3] of triangles [F, 3] between vertices [P, 3], 0 for those without an area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    x, y, z = normal.T
    length = np.sqrt(x * x + y * y + z * z)
    return normal / np.maximum(length, np.float32(1e-12))[:, None]


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """All faces of several meshes in one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts[:-1], strict=True)]
    rest = [np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in ("color", "own", "material", "owner")]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces), *rest)


def frustum(
    lower: tuple[float, float, float, float],
    upper: tuple[float, float, float, float],
    z: tuple[float, float],
    color: tuple[float, float, float] = (0.0, 0.0, 0.0),
    own: float = 0.0,
    material: int = MATTE,
    top: bool = True,
    bottom: bool = False,
    sides: bool = True,
) -> Mesh:
    """Straight-edged body between a lower and an upper rectangle (x0, x1, y0, y1) at heights z."""
    rings = [
        [(x0, y0, h), (x1, y0, h), (x1, y1, h), (x0, y1, h)]
        for (x0, x1, y0, y1), h in zip((lower, upper), z, strict=True)
    ]
    vertices = np.array(rings, np.float32).reshape(8, 3)
    faces = np.concatenate(
        [f for f, wanted in ((SIDE_FACES, sides), (TOP_FACES, top), (BOTTOM_FACES, bottom)) if wanted]
    )
    return _uniform(vertices, faces, color, own, material)


def block(
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    color: tuple[float, float, float] = (0.0, 0.0, 0.0),
    own: float = 0.0,
    material: int = MATTE,
    bottom: bool = False,
) -> Mesh:
    """Upright box."""
    return frustum((*x, *y), (*x, *y), z, color, own, material, bottom=bottom)


def plate(
    x: float, y: tuple[float, float], z: tuple[float, float], color: tuple[float, float, float], material: int = MATTE
) -> Mesh:
    """Upright rectangle across the x axis."""
    vertices = np.array([(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])], np.float32)
    return _uniform(vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32), color, 0.0, material)


def column(
    centre: tuple[float, float],
    lower: tuple[float, float],
    upper: tuple[float, float],
    z: tuple[float, float],
    corners: int,
    color: tuple[float, float, float] = (0.0, 0.0, 0.0),
    own: float = 0.0,
    material: int = MATTE,
) -> Mesh:
    """Upright body with polygonal cross-section; lower and upper are its half-axes (x, y), 0 gives a tip."""
    angle = (np.arange(corners) + 0.5) * (2.0 * np.pi / corners)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = [
        np.column_stack([np.array(centre) + circle * np.array(r), np.full(corners, h)])
        for r, h in zip((lower, upper), z, strict=True)
    ]
    k = np.arange(corners)
    n = (k + 1) % corners
    sides = np.concatenate([np.stack([k, n, n + corners], 1), np.stack([k, n + corners, k + corners], 1)])
    cap = corners + np.stack([np.zeros(corners - 2, int), np.arange(1, corners - 1), np.arange(2, corners)], 1)
    return _uniform(
        np.concatenate(rings).astype(np.float32), np.concatenate([sides, cap]).astype(np.int32), color, own, material
    )


def wheel(
    x: float,
    y: tuple[float, float],
    z: float,
    radius: tuple[float, float],
    color: tuple[float, float, float] = (0.06, 0.06, 0.07),
) -> Mesh:
    """Six-sided wheel around an axle along y from y[0] inside to y[1] outside; radius along x and z."""
    standing = column((0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 1.0), 6)
    turned = standing.vertices[:, [0, 2, 1]] * np.array([radius[0], y[1] - y[0], radius[1]]) + np.array([x, y[0], z])
    return _uniform(turned.astype(np.float32), standing.faces, color, 0.0, MATTE)


def _uniform(
    vertices: NDArray[np.float32],
    faces: NDArray[np.int32],
    color: tuple[float, float, float],
    own: float,
    material: int,
) -> Mesh:
    count = len(faces)
    colors = np.tile(np.array(color, np.float32), (count, 1))
    return Mesh(vertices, faces, colors, np.full(count, own, np.float32), np.full(count, material, np.uint8))
