"""Held-out drives: what the cameras truly saw at the frames that are measured, and the layout that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.data.clips import drive
from drivesim.evaluation.settings import EvaluationConfig
from drivesim.redetector.data import least_pixels
from drivesim.redetector.layout import Boxes, layout_of, seen
from drivesim.scene import VEHICLE_CLASS_IDS, CameraRig, Scene
from drivesim.town.raycast import Raycaster, RenderedFrame
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource

COLOR_RANGE = 30.0  # [m] within which the colour of a car is looked at


@dataclass(frozen=True, eq=False)
class TownTruth:
    """The truth of one drive, read from its file when it is asked for."""

    seed: int
    file: Path

    @cached_property
    def _rows(self) -> Mapping[str, NDArray[Any]]:
        with np.load(self.file) as rows:
            return dict(rows)

    def frame(self, number: int) -> RenderedFrame:
        """What was rendered of a wanted frame."""
        row = int(np.flatnonzero(self._rows["frames"] == number)[0])
        return RenderedFrame(*(self._rows[name][row] for name in ("images", "depth", "semantic", "instance")))

    def cells(self, number: int) -> NDArray[np.bool_]:
        """Map cells [M, CELLS, CELLS] of a frame that is read."""
        return self._rows["cells"][self._reading(number)]

    def boxes(self, number: int) -> Boxes:
        """Seen boxes of a frame that is read."""
        return unpack_boxes(self._rows, self._reading(number))

    def cars(self, number: int) -> NDArray[np.int64]:
        """Track ids of the vehicles within COLOR_RANGE at a frame whose colours are looked at."""
        rows = self._rows
        return rows["car_track"][rows["car_frame"] == number]

    def _reading(self, number: int) -> int:
        return int(np.flatnonzero(self._rows["readings"] == number)[0])


def rig_of(config: EvaluationConfig) -> CameraRig:
    """The cameras of the drives."""
    return nuscenes_rig(config.image_size)


def scenes_of(config: EvaluationConfig, seed: int) -> list[Scene]:
    """All scenes of a drive."""
    return drive(TownSource(rig=rig_of(config)), seed, config.last + 1)


def record_truth(config: EvaluationConfig, seed: int, folder: Path) -> TownTruth:
    """The truth of a town, from its file if there is one."""
    truth = TownTruth(seed, folder / "truth.npz")
    if truth.file.exists():
        return truth
    rig, scenes, wanted = rig_of(config), scenes_of(config, seed), config.wanted
    raycaster = Raycaster(rig, config.samples_per_pixel)
    frames = {number: raycaster.render(scenes[number]) for number in wanted}
    readings = sorted({number for frame in config.frames for number in config.readings_of(frame)})
    layouts = [layout_of(scenes[number]) for number in readings]
    boxes = [seen(b, frames[n].instance, least_pixels(rig)) for n, (_, b) in zip(readings, layouts)]
    cars = [_cars_near(scenes[number]) for number in config.color_frames]
    rows = {
        "frames": np.array(wanted),
        **{name: np.stack([getattr(frames[n], name) for n in wanted])
           for name in ("images", "depth", "semantic", "instance")},
        "readings": np.array(readings),
        "cells": np.stack([cells for cells, _ in layouts]),
        **pack_boxes(boxes),
        "car_track": np.concatenate([np.zeros(0, np.int64), *cars]),
        "car_frame": np.repeat(np.array(config.color_frames, np.int64), [len(ids) for ids in cars]),
    }  # fmt: skip
    save_rows(truth.file, rows)
    return truth


def _cars_near(scene: Scene) -> NDArray[np.int64]:
    tracks = scene.tracks
    near = np.linalg.norm(tracks.position[:, :2] - scene.ego.xy, axis=-1) < COLOR_RANGE
    return tracks.ids[near & np.isin(tracks.class_ids, VEHICLE_CLASS_IDS)]


def pack_boxes(frames: list[Boxes]) -> dict[str, NDArray[Any]]:
    """Boxes of several frames as arrays of a file."""
    rows = {f"box_{f.name}": np.concatenate([getattr(b, f.name) for b in frames]) for f in fields(Boxes)}
    return rows | {"box_ends": np.cumsum([len(b) for b in frames])}


def unpack_boxes(rows: Mapping[str, NDArray[Any]], index: int) -> Boxes:
    """Boxes of the frame with that place among those that were packed."""
    ends = np.concatenate([[0], rows["box_ends"]])
    return Boxes(*(rows[f"box_{f.name}"][ends[index] : ends[index + 1]] for f in fields(Boxes)))


def save_rows(file: Path, rows: Mapping[str, NDArray[Any]]) -> None:
    """Writes arrays to a temporary name first, then renames it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.stem + ".tmp.npz")
    np.savez_compressed(temporary, **dict(rows))  # type: ignore[arg-type]  # its stub has a keyword of its own
    temporary.rename(file)
