"""Poses, boxes and projection in nuScenes frames.

Global and ego frames: x forward, y left, z up [m]. Camera frames: x right, y down, z forward [m]. Angles in radians,
counter-clockwise seen from above. Functions take and return arrays; leading axes broadcast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

# Unit corners (x, y, z) of a box in its own frame, in the order of the nuScenes devkit: the four front corners, then
# the four rear ones, each face counted from the upper left.
UNIT_CORNERS = 0.5 * np.array(
    [[1, 1, 1], [1, -1, 1], [1, -1, -1], [1, 1, -1], [-1, 1, 1], [-1, -1, 1], [-1, -1, -1], [-1, 1, -1]], np.float64
)


def wrap_angle(angle: FloatArray | float) -> FloatArray:
    """Angle [rad] wrapped to [-pi, pi)."""
    return (np.asarray(angle) + np.pi) % (2.0 * np.pi) - np.pi


def pose_from_xy_yaw(x: float, y: float, yaw: float, z: float = 0.0) -> FloatArray:
    """Flat pose [4, 4] that maps points of a frame at (x, y, z) [m] with heading yaw [rad] to its parent frame."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0, x], [s, c, 0.0, y], [0.0, 0.0, 1.0, z], [0.0, 0.0, 0.0, 1.0]])


def invert_pose(pose: FloatArray) -> FloatArray:
    """Inverse of rigid transforms [..., 4, 4]."""
    rotation = np.swapaxes(pose[..., :3, :3], -1, -2)
    inverse = np.zeros_like(pose)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3:] = -(rotation @ pose[..., :3, 3:])
    inverse[..., 3, 3] = 1.0
    return inverse


def transform_points(pose: FloatArray, points: FloatArray) -> FloatArray:
    """Points [..., 3] moved by one rigid transform [4, 4]."""
    return points @ pose[:3, :3].T + pose[:3, 3]


def yaw_of_pose(pose: FloatArray) -> FloatArray:
    """Heading [rad] of poses [..., 4, 4]: the direction of their x axis on the ground."""
    return np.arctan2(pose[..., 1, 0], pose[..., 0, 0])


def box_corners(position: FloatArray, size: FloatArray, yaw: FloatArray) -> FloatArray:
    """Corners [N, 8, 3] of upright boxes: centre [N, 3], size (w, l, h) [N, 3], yaw [N]; order of `UNIT_CORNERS`."""
    local = UNIT_CORNERS * np.stack([size[:, 1], size[:, 0], size[:, 2]], axis=-1)[:, None, :]
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x = c * local[..., 0] - s * local[..., 1]
    y = s * local[..., 0] + c * local[..., 1]
    return np.stack([x, y, local[..., 2]], axis=-1) + position[:, None, :]


def box_footprints(position: FloatArray, size: FloatArray, yaw: FloatArray) -> FloatArray:
    """Ground rectangles [N, 4, 2] of upright boxes, counter-clockwise from the front left corner."""
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float64)
    half = 0.5 * np.stack([size[:, 1], size[:, 0]], axis=-1)[:, None, :] * signs
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x = c * half[..., 0] - s * half[..., 1] + position[:, None, 0]
    y = s * half[..., 0] + c * half[..., 1] + position[:, None, 1]
    return np.stack([x, y], axis=-1)


def rectangles_overlap(first: FloatArray, second: FloatArray) -> NDArray[np.bool_]:
    """Whether rectangles [..., 4, 2] (counter-clockwise) overlap with positive area; separating-axis test, leading axes
    broadcast. Touching edges do not overlap."""
    separated = np.zeros(np.broadcast_shapes(first.shape[:-2], second.shape[:-2]), bool)
    for rectangle in (first, second):
        edges = rectangle[..., [1, 2], :] - rectangle[..., [0, 1], :]
        axes = np.stack([-edges[..., 1], edges[..., 0]], axis=-1)
        a = np.einsum("...ij,...kj->...ik", axes, first)
        b = np.einsum("...ij,...kj->...ik", axes, second)
        gap = (a.max(-1) <= b.min(-1) + 1e-9) | (b.max(-1) <= a.min(-1) + 1e-9)
        separated |= gap.any(-1)
    return ~separated


def project(points: FloatArray, intrinsics: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pinhole projection of camera-frame points [..., 3] with K [3, 3]: pixels [..., 2] and depth [...] [m].

    Points at or behind the image plane get the depth they have and meaningless pixels; callers mask by depth.
    """
    depth = points[..., 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    uvw = points @ np.asarray(intrinsics).T
    return uvw[..., :2] / safe[..., None], depth


def scale_intrinsics(intrinsics: FloatArray, old_size: tuple[int, int], new_size: tuple[int, int]) -> FloatArray:
    """K [..., 3, 3] of a picture resized from old to new (height, width); pixel centres at half-integers + 0.5.

    Uses the continuous convention u' = u * w'/w, the one the nuScenes devkit implies for resized pictures.
    """
    scale = np.array([new_size[1] / old_size[1], new_size[0] / old_size[0], 1.0])
    return np.asarray(intrinsics) * scale[:, None]
