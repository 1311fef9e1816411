"""The drive of the human who recorded a scene, to compare other drives of that scene with."""

from __future__ import annotations

import numpy as np

from drivesim.data.nuscenes import NuScenesSource
from drivesim.data.recorded_route import recorded_route
from drivesim.metrics.drive_log import DriveLog
from drivesim.metrics.recorder import drive_log


def human_drive(
    source: NuScenesSource, scene: str, start_time: float = 0.0, seconds: float | None = None, fps: float = 12.0
) -> DriveLog:
    """What the human drove in a recorded scene from `start_time` [s] on, for at most `seconds` [s], at `fps` [Hz].

    With its progress as `Reference.route_length` a drive is complete where the recording ends. Raises ValueError for
    unknown scenes, times outside of the recording and numbers that are not positive.
    """
    for name, value in (("seconds", seconds), ("fps", fps)):
        if value is not None and not 0.0 < value < float("inf"):
            raise ValueError(f"{name}: found {value}, accepted a positive number")
    drive = source.reader.drive(scene)
    left = drive.span[1] - start_time
    if start_time < 0.0 or left <= 0.0:
        raise ValueError(f"start_time: found {start_time} s, accepted 0 to less than {drive.span[1]:.3f} s")
    times = np.arange(int(min(left, left if seconds is None else seconds) * fps + 1e-6) + 1) / fps
    scenes = [source.reader.scene(scene, start_time + time) for time in times.tolist()]
    route = recorded_route(drive.poses).points
    return drive_log(scenes, [route] * len(times), times, [{}] * len(times), "time", "log", None, {"scene": scene})
