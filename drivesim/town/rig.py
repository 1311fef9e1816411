"""Camera rig and LIDAR mounting of a nuScenes vehicle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivesim.scene import CAMERAS, CameraRig

CALIBRATION_SIZE = (900, 1600)  # (height, width) [px] of the pictures that the intrinsics below belong to

# Nominal values of the public nuScenes calibration, rounded: x, y, z [m] in the ego frame (origin: middle of the rear
# axle on the ground), yaw of the optical axis [deg], focal length, principal point [px].
MOUNTS = {
    "CAM_FRONT_LEFT": (1.52, 0.49, 1.51, 55.2, 1272.6, 826.6, 479.8),
    "CAM_FRONT": (1.70, 0.02, 1.51, 0.3, 1266.4, 816.3, 491.5),
    "CAM_FRONT_RIGHT": (1.55, -0.49, 1.50, -56.4, 1260.8, 808.0, 495.3),
    "CAM_BACK_RIGHT": (1.01, -0.48, 1.56, -110.8, 1259.5, 807.3, 501.2),
    "CAM_BACK": (0.03, 0.00, 1.58, 179.9, 809.2, 829.2, 481.8),
    "CAM_BACK_LEFT": (1.04, 0.48, 1.59, 108.6, 1256.7, 792.1, 492.8),
}

# Sensor points -> ego frame: x of the LIDAR points to the right of the vehicle, y forward, z up.
LIDAR_EXTRINSICS = np.array(
    [[0.0, 1.0, 0.0, 0.94], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.84], [0.0, 0.0, 0.0, 1.0]], np.float64
)
LIDAR_EXTRINSICS.setflags(write=False)


def nuscenes_rig(image_size: tuple[int, int] = (72, 128)) -> CameraRig:
    """Six cameras in ring order as mounted on a nuScenes vehicle, pictures of (height, width) [px].

    Raises ValueError for a size that is not positive.
    """
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(f"image_size: found {image_size}, accepted two positive integers (height, width)")
    intrinsics = np.stack([_intrinsics(*MOUNTS[name][4:]) for name in CAMERAS])
    extrinsics = np.stack([_extrinsics(*MOUNTS[name][:4]) for name in CAMERAS])
    return CameraRig(CAMERAS, intrinsics, extrinsics, CALIBRATION_SIZE).resized(
        (int(image_size[0]), int(image_size[1]))
    )


def _intrinsics(focal: float, cx: float, cy: float) -> NDArray[np.float64]:
    """Camera matrix [3, 3] with square pixels."""
    return np.array([[focal, 0.0, cx], [0.0, focal, cy], [0.0, 0.0, 1.0]])


def _extrinsics(x: float, y: float, z: float, yaw_degrees: float) -> NDArray[np.float64]:
    """Pose [4, 4] of a level camera (x right, y down, z forward) in the ego frame."""
    c, s = np.cos(np.radians(yaw_degrees)), np.sin(np.radians(yaw_degrees))
    return np.array([[s, 0.0, c, x], [-c, 0.0, s, y], [0.0, -1.0, 0.0, z], [0.0, 0.0, 0.0, 1.0]])
