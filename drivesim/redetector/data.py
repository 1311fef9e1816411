"""Pictures of recorded clips with the layout that they show, as batches for the re-detector.

The clips hold pictures but no boxes, so the drive of a clip is driven again (it follows from its seed alone) and what
is seen of every box is counted by ray-casting. That happens once per clip; the result is kept in a folder.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from drivesim.data.clips import clip_folders, drive
from drivesim.redetector.layout import Boxes, layout_of, mirrored, seen
from drivesim.scene import CameraRig
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource

LEAST_PIXELS = 8  # of a box that counts as seen, at 72 x 128; other sizes in proportion


def least_pixels(rig: CameraRig) -> int:
    """Pixels from which on a box counts as seen in pictures of this size."""
    return max(1, round(LEAST_PIXELS * rig.image_size[0] * rig.image_size[1] / (72 * 128)))


def write_targets(data: str | Path, out: str | Path, stride: int) -> list[Path]:
    """Cells and seen boxes of every `stride`-th frame of the clips in `data`; what is there already is kept.

    Raises ValueError if a clip is not what its town shows today.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for clip in tqdm(clip_folders(data), desc="targets", unit="clip"):
        files.append(folder / f"{clip.name}_{stride}.npz")
        if not files[-1].exists():
            rows = _targets_of(clip, stride)
            temporary = files[-1].with_suffix(".tmp.npz")
            np.savez_compressed(temporary, **rows)
            temporary.rename(files[-1])
    return files


def _targets_of(clip: Path, stride: int) -> dict[str, NDArray[Any]]:
    pose = np.load(clip / "pose.npy")
    shape = np.load(clip / "frames.npy", mmap_mode="r").shape
    rig = nuscenes_rig((int(shape[2]), int(shape[3])))
    scenes = drive(TownSource(rig=rig), int(clip.name.split("_")[1]), len(pose))
    gap = float(np.abs(np.stack([scene.ego.pose for scene in scenes]) - pose).max())
    if gap > 1e-6:
        raise ValueError(f"{clip}: found ego poses {gap:.3g} m away from the town's, accepted clips of this version")
    raycaster, numbers = Raycaster(rig), np.arange(0, len(pose), stride)
    layouts = [layout_of(scenes[number]) for number in numbers]
    boxes = [
        seen(boxes, raycaster.render(scenes[number]).instance, least_pixels(rig))
        for number, (_, boxes) in zip(numbers, layouts)
    ]
    rows = {field.name: np.concatenate([getattr(b, field.name) for b in boxes]) for field in fields(Boxes)}
    ends = np.cumsum([len(b) for b in boxes])
    return rows | {"frame": numbers, "cells": np.stack([cells for cells, _ in layouts]), "ends": ends}


class LayoutPictures:
    """Batches of frames, a pure function of the step number; half of them mirrored."""

    def __init__(self, data: str | Path, targets: str | Path, batch: int, seed: int, stride: int) -> None:
        files = write_targets(data, targets, stride)
        self._clips = [_open(clip, file) for clip, file in zip(clip_folders(data), files, strict=True)]
        self._batch, self._seed = batch, seed

    def __call__(self, step: int) -> dict[str, Any]:
        """Of training step `step`: `pictures` uint8 [B, V, H, W, 3], `intrinsics` [B, V, 3, 3], `extrinsics`
        [B, V, 4, 4] as in Conditions, `cells` float32 [B, M, CELLS, CELLS] and `boxes`, B values of Boxes."""
        rng = np.random.default_rng([self._seed, step])
        samples = [self._sample(rng) for _ in range(self._batch)]
        stacked: dict[str, Any] = {
            name: _stack([sample[name] for sample in samples])
            for name in ("pictures", "intrinsics", "extrinsics", "cells")
        }
        return stacked | {"boxes": [sample["boxes"] for sample in samples]}

    def _sample(self, rng: np.random.Generator) -> dict[str, Any]:
        clip = self._clips[rng.integers(len(self._clips))]
        row = int(rng.integers(len(clip["frame"])))
        first = 0 if row == 0 else int(clip["ends"][row - 1])
        boxes = Boxes(*(clip[field.name][first : clip["ends"][row]] for field in fields(Boxes)))
        sample = {
            "pictures": _lit(np.asarray(clip["frames"][clip["frame"][row]]), rng),
            "intrinsics": clip["intrinsics"],
            "extrinsics": clip["extrinsics"],
            "cells": clip["cells"][row].astype(np.float32),
            "boxes": boxes,
        }
        return _mirror(sample) if rng.random() < 0.5 else sample


def _open(clip: Path, file: Path) -> dict[str, NDArray[Any]]:
    with np.load(file) as rows:
        content = dict(rows)
    return content | {
        "frames": np.load(clip / "frames.npy", mmap_mode="r"),
        "intrinsics": np.load(clip / "intrinsics.npy"),
        "extrinsics": np.load(clip / "extrinsics.npy"),
    }


def _lit(pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures [V, H, W, 3] in a slightly other light, so that the colours of the town are not all that is read."""
    gain, lift = rng.uniform(0.8, 1.25, 3), rng.uniform(-15.0, 15.0)
    return np.clip(pictures * gain.astype(np.float32) + np.float32(lift), 0.0, 255.0).astype(np.uint8)


def _mirror(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample with left and right exchanged: pictures, cameras, cells and boxes."""
    intrinsics = sample["intrinsics"].copy()
    intrinsics[:, 0, 2] = 1.0 - intrinsics[:, 0, 2]
    ego, camera = np.diag([1.0, -1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])
    return {
        "pictures": sample["pictures"][:, :, ::-1],
        "intrinsics": intrinsics,
        "extrinsics": (ego @ sample["extrinsics"] @ camera).astype(np.float32),
        "cells": sample["cells"][:, :, ::-1],
        "boxes": mirrored(sample["boxes"]),
    }


def _stack(rows: list[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(rows))
