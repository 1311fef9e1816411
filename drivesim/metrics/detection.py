"""How well boxes were found, by the distance of centres on the ground, as in the nuScenes detection task (Caesar et al.
2020, section 3.1); average precision is the devkit's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from drivesim.redetector.layout import BOX_GROUPS, Boxes

DISTANCES = (0.5, 1.0, 2.0, 4.0)  # [m] up to which a detection counts as that of an object
LEAST_RECALL = LEAST_PRECISION = 0.1  # below which the devkit does not count

# The devkit knows classes of nuScenes alone; a group goes by the name of one of its classes.
_DEVKIT_NAMES = {"vehicle": "car", "cycle": "bicycle", "pedestrian": "pedestrian", "obstacle": "barrier"}


def average_precision(found: Sequence[Boxes], wanted: Sequence[Boxes]) -> dict[str, float]:
    """Average precision by group, mean over DISTANCES, for lists with one entry per frame; only groups that are wanted
    somewhere. Raises ValueError for lists of different lengths."""
    from nuscenes.eval.common.utils import center_distance
    from nuscenes.eval.detection.algo import accumulate, calc_ap

    if len(found) != len(wanted):
        raise ValueError(f"found: found {len(found)} frames, accepted as many as are wanted ({len(wanted)})")
    truth, detected = _devkit(wanted), _devkit(found)
    values = {}
    for index, group in enumerate(BOX_GROUPS):
        if any((boxes.group == index).any() for boxes in wanted):
            name = _DEVKIT_NAMES[group]
            curves = [accumulate(truth, detected, name, center_distance, distance) for distance in DISTANCES]
            values[group] = float(np.mean([calc_ap(curve, LEAST_RECALL, LEAST_PRECISION) for curve in curves]))
    return values


def mean_average_precision(values: Mapping[str, float]) -> float:
    """Mean over groups (mAP); NaN where there is none."""
    return float(np.mean(list(values.values()))) if values else float("nan")


def are_found(wanted: Boxes, found: Boxes, distance: float, least_score: float) -> NDArray[np.bool_]:
    """Which of N wanted boxes [N] are found: detections of the same group, best score first, each take the nearest
    wanted box that is left, if it is nearer than `distance` [m]."""
    taken = np.zeros(len(wanted), bool)
    for row in np.argsort(-found.score, kind="stable"):
        if found.score[row] < least_score:
            break
        gaps = np.hypot(*(wanted.centre[:, :2] - found.centre[row, :2]).T)
        gaps = np.where(taken | (wanted.group != found.group[row]), np.inf, gaps)
        if gaps.min(initial=np.inf) < distance:
            taken[int(gaps.argmin())] = True
    return taken


def _devkit(frames: Sequence[Boxes]):  # type: ignore[no-untyped-def]  # EvalBoxes has no types
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

    names = [_DEVKIT_NAMES[group] for group in BOX_GROUPS]
    collection = EvalBoxes()
    for number, boxes in enumerate(frames):
        rows = [
            DetectionBox(
                sample_token=str(number), translation=tuple(centre), size=tuple(size),
                rotation=(float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))),
                detection_name=names[group], detection_score=float(score),
            )
            for centre, size, yaw, group, score in zip(boxes.centre, boxes.size, boxes.yaw, boxes.group, boxes.score)
        ]  # fmt: skip
        collection.add_boxes(str(number), rows)
    return collection
