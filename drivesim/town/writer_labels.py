"""What annotators of nuScenes add to boxes: how much is seen, LIDAR points inside, and what the object is doing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import UNIT_CORNERS, invert_pose, project, transform_points
from drivesim.scene import OBJECT_CLASSES, CameraRig, Tracks

# Upper ends of the visibility levels; their tokens are "1" to "4".
VISIBILITY_LEVELS = {"v0-40": 0.4, "v40-60": 0.6, "v60-80": 0.8, "v80-100": 1.0}
MOVING_SPEED = 0.2  # [m/s]
# An occluder must stand this far in front of the nearest point of a box [m].
OCCLUSION_MARGIN = 0.1
# LIDAR points lie on the surface of what they hit, so the box is taken this much larger to every side [m].
SURFACE_MARGIN = 0.02
# Points of a box that are looked for, in its own frame and half sizes: a lattice inside it.
_LATTICE = 0.8 * np.stack(np.meshgrid(*([-1.0, 0.0, 1.0],) * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def _box_points(tracks: Tracks, lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [N, L, 3] of boxes at lattice positions [L, 3] in half sizes."""
    local = lattice * 0.5 * tracks.size[:, None, [1, 0, 2]]
    c, s = np.cos(tracks.yaw)[:, None], np.sin(tracks.yaw)[:, None]
    x, y = c * local[..., 0] - s * local[..., 1], s * local[..., 0] + c * local[..., 1]
    return np.stack([x, y, local[..., 2]], axis=-1) + tracks.position[:, None, :]


def visible_share(
    tracks: Tracks, rig: CameraRig, poses: NDArray[np.float64], depth: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Share [N] of every box that the cameras see: lattice points in any picture with nothing in front of the box.

    `poses` [V, 4, 4] ego poses at the exposures, `depth` [V, H, W] along the optical axis [m].
    """
    seen = np.zeros((len(tracks), len(_LATTICE)), bool)
    points, corners = _box_points(tracks, _LATTICE), _box_points(tracks, 2.0 * UNIT_CORNERS)
    height, width = rig.image_size
    for view in range(len(rig.names)):
        camera_from_global = rig.camera_from_ego[view] @ invert_pose(poses[view])
        pixels, z = project(transform_points(camera_from_global, points), rig.intrinsics[view])
        nearest = transform_points(camera_from_global, corners)[..., 2].min(axis=1)
        inside = (z > 0.1) & (pixels >= 0).all(-1) & (pixels[..., 0] < width) & (pixels[..., 1] < height)
        u, v = (np.where(inside, pixels[..., axis], 0).astype(np.int64) for axis in (0, 1))
        seen |= inside & (depth[view][v, u] > nearest[:, None] - OCCLUSION_MARGIN)
    return seen.mean(axis=1)


def visibility_tokens(share: NDArray[np.float64]) -> list[str]:
    """Token "1" to "4" of every share."""
    ends = np.array(list(VISIBILITY_LEVELS.values())[:-1])
    return [str(1 + int(level)) for level in np.searchsorted(ends, share, side="right")]


def points_in_boxes(tracks: Tracks, points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number [N] of points [P, 3] (global) in every box."""
    counts = np.zeros(len(tracks), np.int64)
    for row in range(len(tracks)):
        half = 0.5 * tracks.size[row, [1, 0, 2]] + SURFACE_MARGIN
        step = points - tracks.position[row]
        step = step[np.abs(step[:, :2]).max(axis=1, initial=0.0) <= np.hypot(half[0], half[1])]
        c, s = np.cos(tracks.yaw[row]), np.sin(tracks.yaw[row])
        local = np.stack([c * step[:, 0] + s * step[:, 1], c * step[:, 1] - s * step[:, 0], step[:, 2]], axis=-1)
        counts[row] = int((np.abs(local) <= half).all(axis=1).sum())
    return counts


def attribute(class_id: int, speed: float, fastest: float) -> str | None:
    """nuScenes attribute of an object from its speed now and its greatest in the drive [m/s]; None for things."""
    name = OBJECT_CLASSES[class_id]
    if name in ("barrier", "traffic_cone"):
        return None
    if name == "pedestrian":
        return "pedestrian.moving" if speed > MOVING_SPEED else "pedestrian.standing"
    if name in ("motorcycle", "bicycle"):
        return "cycle.with_rider" if fastest > MOVING_SPEED else "cycle.without_rider"
    if speed > MOVING_SPEED:
        return "vehicle.moving"
    return "vehicle.stopped" if fastest > MOVING_SPEED else "vehicle.parked"


def fastest_speeds(moments: Sequence[Tracks]) -> dict[int, float]:
    """Greatest speed [m/s] of every track id over several moments."""
    fastest: dict[int, float] = {}
    for tracks in moments:
        for number, speed in zip(tracks.ids.tolist(), np.hypot(*tracks.velocity.T).tolist()):
            fastest[number] = max(fastest.get(number, 0.0), speed)
    return fastest
