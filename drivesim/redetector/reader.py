"""Pictures to what they show: filled cells, boxes with scores, and features that describe a picture as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d

from drivesim.redetector.layout import CELL, CELLS, EXTENT, Boxes
from drivesim.redetector.network import Reading, Redetector
from drivesim.scene import CameraRig

TRAINED_SIZE = (72, 128)  # (height, width) of the pictures it learnt on; larger ones are averaged down to it
MOST_BOXES = 100
LEAST_SCORE = 0.05


@dataclass(frozen=True, eq=False)
class Found:
    """What is read in one set of pictures."""

    cells: NDArray[np.bool_]  # [M, CELLS, CELLS], by MAP_GROUPS
    boxes: Boxes


def read(redetector: Redetector, pictures: NDArray[np.uint8], rig: CameraRig) -> list[Found]:
    """What is seen in every of N sets of pictures [N, V, H, W, 3] of one rig."""
    tensor = _as_learnt(pictures)
    unit = rig.resized((1, 1))
    cameras = [
        torch.from_numpy(np.broadcast_to(values, (len(tensor), *values.shape)).astype(np.float32))
        for values in (unit.intrinsics, unit.extrinsics)
    ]
    with torch.inference_mode():
        reading = redetector(tensor, *cameras)
    cells = (reading.cells > 0.0).cpu().numpy()
    return [Found(cells[world], boxes) for world, boxes in enumerate(decode(reading))]


def pooled_features(redetector: Redetector, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features [N, V, C] of pictures [N, V, H, W, 3]: those that are lifted to the ground, mean over the picture."""
    with torch.inference_mode():
        features = redetector.features(_as_learnt(pictures))
    return features.float().mean((-2, -1)).cpu().numpy()


def _as_learnt(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures [N, V, H, W, 3], at most TRAINED_SIZE."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures))
    if pictures.shape[2] <= TRAINED_SIZE[0]:
        return tensor
    planes = tensor.flatten(0, 1).permute(0, 3, 1, 2).float()
    smaller = adaptive_avg_pool2d(planes, TRAINED_SIZE).round().to(torch.uint8)
    return smaller.permute(0, 2, 3, 1).unflatten(0, pictures.shape[:2]).contiguous()


def decode(reading: Reading) -> list[Boxes]:
    """Boxes of every world: cells whose heat is the highest among their eight neighbours, best first."""
    heat = reading.heat.sigmoid()
    peaks = torch.where(max_pool2d(heat, 3, 1, 1) == heat, heat, 0.0).flatten(1)
    scores, places = peaks.topk(min(MOST_BOXES, peaks.shape[1]))
    return [_boxes(*parts) for parts in zip(scores, places, reading.boxes)]


def _boxes(scores: Tensor, places: Tensor, numbers: Tensor) -> Boxes:
    kept = scores > LEAST_SCORE
    score, place = scores[kept].double().cpu().numpy(), places[kept].cpu().numpy()
    group, cell = np.divmod(place, CELLS * CELLS)
    row, column = np.divmod(cell, CELLS)
    values = numbers.flatten(1).T.double().cpu().numpy()[cell]
    middle = EXTENT - CELL * (np.stack([row, column], axis=-1) + 0.5)
    centre = np.concatenate([middle + values[:, :2], values[:, 2:3]], axis=-1)
    size, yaw = np.exp(np.clip(values[:, 3:6], -4.0, 4.0)), np.arctan2(values[:, 6], values[:, 7])
    return Boxes(group, centre, size, yaw, score, np.full(len(group), -1))
