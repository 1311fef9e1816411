"""Whether neighbouring cameras show the same thing where they see the same place."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.ground_view import pixel_rays
from drivesim.scene import CameraRig

FAR = 1000.0  # [m], where the sky is taken to be
_SAME_PLACE = 0.1  # share of the distance by which two cameras may disagree about it


def seam_psnr(pictures: NDArray[np.uint8], depth: NDArray[np.float32], rig: CameraRig) -> float:
    """PSNR [dB] between every camera and its right-hand ring neighbour, over the pixels that both see.

    Pictures [V, H, W, 3]; the true `depth` [V, H, W] [m] along the optical axis says what both see. The true pictures
    are not quite equal there either: they are sampled at different places. NaN where nothing is shared.
    """
    views = len(pictures)
    errors = [np.zeros(0)]
    for view in range(views if views > 1 else 0):
        other = (view + 1) % views
        places, shared = _places(view, other, depth, rig)
        look = cv2.remap(pictures[other], places, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        errors.append((look[shared].astype(np.float64) - pictures[view][shared]).reshape(-1) ** 2)
    every = np.concatenate(errors)
    if not len(every):
        return float("nan")
    return float(10.0 * np.log10(255.0**2 / max(every.mean(), 1e-6)))


def _places(
    view: int, other: int, depth: NDArray[np.float32], rig: CameraRig
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where [H, W, 2] (x, y) [px] camera `other` sees what the pixels of `view` show, and where [H, W] it does."""
    size = depth.shape[1:]
    sized = rig.resized((int(size[0]), int(size[1])))
    rays = pixel_rays(sized, sized.image_size)[view]
    points = sized.extrinsics[view, :3, 3] + rays * np.minimum(depth[view], FAR)[..., None]
    pose = sized.camera_from_ego[other]
    camera = points @ pose[:3, :3].T + pose[:3, 3]
    pixels = camera @ sized.intrinsics[other].T
    far = camera[..., 2]
    # cv2 counts from the middle of the first pixel.
    places = (pixels[..., :2] / np.maximum(far, 1e-3)[..., None] - 0.5).astype(np.float32)
    inside = (far > 0.1) & (places >= 0.0).all(-1) & (places <= np.array([size[1] - 1, size[0] - 1])).all(-1)
    there = np.minimum(depth[other], FAR)
    nearest = cv2.remap(there, places, np.empty(0), cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return places, inside & (np.abs(nearest - far) < _SAME_PLACE * far)
