"""Rays of a camera rig and what they hit first: ground, scenery or objects."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from drivesim.kernels import compiled
from drivesim.scene import CameraRig
from drivesim.town.mesh import Mesh

Array = NDArray[np.float32]
Tree = tuple[EmbreeScene, int]  # and the number of its first face

FAR = 1000.0  # nothing is seen beyond [m]
SKY, GROUND, STATIC, MOVING = range(4)  # kinds of hits
RAYS_PER_THREAD = 8192  # fewer are not worth another thread


@dataclass(frozen=True)
class Rays:
    """N rays. Their directions have length one along the optical axis, so that lengths of rays are depths."""

    origin: Array  # [N, 3] relative to the centre of the background [m]
    direction: Array  # [N, 3]
    pixel: Array  # [N] width of a pixel at depth one


@dataclass(frozen=True)
class Hits:
    """What N rays hit first."""

    kind: NDArray[np.uint8]  # [N]
    depth: Array  # [N] in lengths of the rays; inf where the sky is
    face: NDArray[np.int32]  # [N] face of the scenery or of the objects


def ray_tree(mesh: Mesh) -> EmbreeScene:
    """Embree scene of one mesh; hits name its faces."""
    tree = EmbreeScene()
    if len(mesh.faces):
        TriangleMesh(tree, np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(mesh.faces))
    return tree


def ego_directions(rig: CameraRig, offset: tuple[float, float]) -> Array:
    """Directions [V, H * W, 3] in the ego frame of rays through pixel centres + offset [px]; depth along them is 1."""
    height, width = rig.image_size
    v, u = np.mgrid[0:height, 0:width] + 0.5
    pixels = np.stack([u + offset[0], v + offset[1], np.ones_like(u)], axis=-1).reshape(-1, 3)
    camera = np.einsum("vij,pj->vpi", np.linalg.inv(rig.intrinsics), pixels)
    return np.einsum("vij,vpj->vpi", rig.extrinsics[:, :3, :3], camera).astype(np.float32)


def rig_rays(rig: CameraRig, directions: Array, poses: NDArray[np.float64], centre: NDArray[np.float64]) -> Rays:
    """Rays of all views from `ego_directions` and the ego pose [V, 4, 4] of each, relative to `centre` [3]."""
    rotation = poses[:, :3, :3]
    origin = np.einsum("vij,vj->vi", rotation, rig.extrinsics[:, :3, 3]) + poses[:, :3, 3] - centre
    pixels = directions.shape[1]
    turned = np.matmul(directions, np.swapaxes(rotation, 1, 2).astype(np.float32)).reshape(-1, 3)
    width = np.repeat((1.0 / rig.intrinsics[:, 0, 0]).astype(np.float32), pixels)
    return Rays(np.repeat(origin.astype(np.float32), pixels, axis=0), turned, width)


def trace(
    rays: Rays, scenery: EmbreeScene, objects: Sequence[Tree], candidates: NDArray[np.int64] | None = None
) -> Hits:
    """First hits with the ground plane, the scenery and the objects, whose faces are counted through their trees; only
    `candidates` (rows) may hit objects."""
    reach = ground_reach(rays.origin, rays.direction)
    static = _run(scenery, rays.origin, rays.direction, reach, output=1)
    face, depth = (_joined([part[name] for part in static]) for name in ("primID", "tfar"))
    kind, depth = scenery_or_ground(face, depth, reach)
    hits = Hits(kind, depth, face)
    _trace_objects(rays, objects, hits, np.arange(len(kind)) if candidates is None else candidates)
    hits.depth[kind == SKY] = np.inf
    return hits


def _joined(parts: Sequence[NDArray]) -> NDArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@compiled
def ground_reach(origin: Array, direction: Array) -> Array:
    """Lengths [N] of rays [N, 3] to the ground plane, FAR where they do not meet it before."""
    down = direction[:, 2]
    reach = np.where(down < 0.0, origin[:, 2] / -np.minimum(down, np.float32(-1e-9)), np.float32(FAR))
    return np.minimum(reach, np.float32(FAR), out=reach)


@compiled
def scenery_or_ground(face: NDArray[np.int32], depth: Array, reach: Array) -> tuple[NDArray[np.uint8], Array]:
    """Kinds [N] and depths [N] of hits with the scenery, faces [N] (-1 for none), before the ground at `reach` [N]."""
    static = face >= 0
    kind = np.where(static, np.uint8(STATIC), np.where(reach < FAR, np.uint8(GROUND), np.uint8(SKY)))
    return kind, np.where(static, depth, reach)


def _trace_objects(rays: Rays, trees: Sequence[Tree], hits: Hits, rows: NDArray[np.int64]) -> None:
    """Overwrite the hits of some rows that lie behind an object."""
    if len(rows) == 0:
        return
    origin, direction = rays.origin.take(rows, 0), rays.direction.take(rows, 0)
    for tree, first_face in trees:
        found = tree.run(origin, direction, dists=hits.depth.take(rows), output=1)
        near = np.flatnonzero(found["primID"] >= 0)
        closer = rows.take(near)
        hits.kind[closer] = MOVING
        hits.depth[closer], hits.face[closer] = found["tfar"].take(near), found["primID"].take(near) + first_face


def _run(tree: EmbreeScene, origin: Array, direction: Array, reach: Array | None = None, **options: Any) -> list[Any]:
    """What `EmbreeScene.run` returns for consecutive parts of N rays, a thread each; as many as torch uses."""
    threads = max(min(torch.get_num_threads(), len(origin) // RAYS_PER_THREAD), 1)
    bounds = [len(origin) * part // threads for part in range(threads + 1)]

    def part(start: int, end: int) -> Any:
        dists = None if reach is None else reach[start:end]
        return tree.run(origin[start:end], direction[start:end], dists=dists, **options)

    others = [
        _helpers(os.getpid(), threads - 1).submit(part, start, end)
        for start, end in zip(bounds[1:-1], bounds[2:], strict=True)
    ]
    return [part(0, bounds[1]), *(other.result() for other in others)]


@cache
def _helpers(process: int, count: int) -> ThreadPoolExecutor:
    """Threads of a process: those of its parent do not live on in it."""
    return ThreadPoolExecutor(count)


def blocked(trees: Sequence[Tree], start: Array, direction: Array) -> NDArray[np.bool_]:
    """Whether something stands between points [3, N] and a far light in one direction [3]."""
    found = np.zeros(start.shape[1], bool)
    if len(found):
        origin = np.ascontiguousarray(start.T)
        ways = np.ascontiguousarray(np.broadcast_to(direction, origin.shape))
        for tree, _ in trees:
            found |= np.concatenate(_run(tree, origin, ways, query="OCCLUDED")) >= 0
    return found


@compiled
def rows_of_kinds(kind: NDArray[np.uint8]) -> tuple[NDArray[np.int64], ...]:
    """Rows of the hits [N] with the sky, the ground, the scenery and objects, in turn."""
    return tuple(np.flatnonzero(kind == wanted) for wanted in (SKY, GROUND, STATIC, MOVING))


@compiled
def surface_at(
    origin: Array, direction: Array, pixel: Array, depth: Array, face: NDArray[np.int32], rows: NDArray[np.int64]
) -> tuple[Array, NDArray[np.int32], Array, Array, Array, Array]:
    """Depth, face, direction [3, M], its length, width of a pixel and point [3, M] of the hits `rows` [M] of rays [N].

    Distances are in metres.
    """
    depth, way = depth.take(rows), np.ascontiguousarray(direction.take(rows, 0).T)
    point = np.ascontiguousarray(origin.take(rows, 0).T) + way * depth
    return depth, face.take(rows), way, lengths(way), depth * pixel.take(rows), point


def lengths(vectors: Array) -> Array:
    """Lengths [N] of vectors [3, N]."""
    x, y, z = vectors
    return np.sqrt(x * x + y * y + z * z)
