"""Camera faults: what a policy gets to see when cameras fail. The world and the generator know nothing of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.schema import CameraFault, Scenario
from drivesim.scene import CameraRig
from drivesim.town.hashing import generator

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CameraMemory:
    """The latest pictures [V, H, W, 3], oldest first, and those at which cameras froze, by the time of the fault."""

    latest: tuple[Pictures, ...] = ()
    frozen: tuple[tuple[float, Pictures], ...] = ()

    def __deepcopy__(self, memo: dict[int, object]) -> CameraMemory:
        return self  # pictures are never changed in place


def remembered_steps(scenario: Scenario, step_seconds: float) -> int:
    """Steps that the longest delay of a scenario takes."""
    faults = [event.action.fault for event in scenario.events if event.action.fault is not None]
    delays = [fault.strength for fault in faults if fault.kind == "delay"]
    return max((round(delay / step_seconds) for delay in delays), default=0)


def remember(
    memory: CameraMemory, pictures: Pictures, faults: Sequence[tuple[CameraFault, float]], steps: int
) -> CameraMemory:
    """The memory after new pictures; a camera that froze shows the ones of the step of its fault."""
    known = {begun for begun, _ in memory.frozen}
    news = tuple((begun, pictures) for fault, begun in faults if fault.kind == "freeze" and begun not in known)
    return CameraMemory((*memory.latest, pictures)[-(steps + 1) :], memory.frozen + news)


def faulty(
    memory: CameraMemory, faults: Sequence[tuple[CameraFault, float]], cameras: Sequence[str], rig: CameraRig,
    time: float, step_seconds: float, seed: int,
) -> Pictures:  # fmt: skip
    """The latest pictures as cameras with the given faults (each with the time when it began [s]) deliver them."""
    pictures = memory.latest[-1]
    present = [(fault, begun) for fault, begun in faults if time < begun + fault.seconds - 1e-9]
    if not present:
        return pictures
    shown = pictures.copy()
    for fault, begun in present:
        for index, name in enumerate(cameras):
            if not fault.cameras or name in fault.cameras:
                shown[index] = _delivered(fault, begun, index, name, shown, memory, rig, time, step_seconds, seed)
    return shown


def _delivered(
    fault: CameraFault, begun: float, index: int, name: str, shown: Pictures, memory: CameraMemory, rig: CameraRig,
    time: float, step_seconds: float, seed: int,
) -> Pictures:  # fmt: skip
    """The picture [H, W, 3] of one camera with one fault."""
    if fault.kind == "drop":
        return np.zeros_like(shown[index])
    if fault.kind == "freeze":
        return dict(memory.frozen)[begun][index]
    if fault.kind == "delay":
        steps = round(fault.strength / step_seconds)
        return memory.latest[max(len(memory.latest) - 1 - steps, 0)][index]
    if fault.kind == "noise":
        random = generator(seed, 74, index, round(time / step_seconds))
        noise = random.normal(0.0, fault.strength, shown[index].shape)
        return np.clip(np.round(shown[index] + noise), 0, 255).astype(np.uint8)
    return turned(
        shown[index], rig.resized((shown.shape[1], shown.shape[2])).intrinsics[rig.names.index(name)], fault.strength
    )


def turned(picture: Pictures, intrinsics: NDArray[np.float64], angle: float) -> Pictures:
    """The picture of a camera that points `angle` [rad] left of where its calibration says.

    A rotation about the centre maps pixels by the homography K R K^-1 (Hartley and Zisserman 2004, section 8.4.2);
    what was out of view is black.
    """
    c, s = math.cos(angle), math.sin(angle)
    rotation = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])  # true camera frame to the turned one
    # cv2 counts pixel centres from 0, the intrinsics from 0.5.
    shift = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
    homography = shift @ intrinsics @ rotation @ np.linalg.inv(intrinsics) @ np.linalg.inv(shift)
    return cv2.warpPerspective(picture, homography, picture.shape[1::-1]).astype(np.uint8)
