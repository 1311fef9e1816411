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
class TrueFrames:
    """What the cameras truly saw of one drive; of `frames` [N] pictures and track ids, of `measured` [F] all labels."""

    rows: Mapping[str, NDArray[Any]]

    def images(self, number: int) -> NDArray[np.uint8]:
        """Pictures [V, H, W, 3] of a wanted frame."""
        return self.rows["images"][self._place("frames", number)]

    def instance(self, number: int) -> NDArray[np.int64]:
        """Track ids [V, H, W] of a wanted frame, -1 where there is none."""
        return self.rows["instance"][self._place("frames", number)]

    def labelled(self, number: int) -> RenderedFrame:
        """All that was rendered of a measured frame."""
        place = self._place("measured", number)
        depth, semantic = self.rows["depth"][place], self.rows["semantic"][place]
        return RenderedFrame(self.images(number), depth, semantic, self.instance(number))

    def _place(self, name: str, number: int) -> int:
        return int(np.flatnonzero(self.rows[name] == number)[0])


@dataclass(frozen=True, eq=False)
class TownTruth:
    """The truth of one drive: files of its layout and of what the cameras saw, which is much more."""

    seed: int
    folder: Path

    def frames(self) -> TrueFrames:
        """What the cameras saw, read from its file."""
        with np.load(self.folder / "frames.npz") as rows:
            return TrueFrames(dict(rows))

    def cells(self, number: int) -> NDArray[np.bool_]:
        """Map cells [M, CELLS, CELLS] of a frame that is read."""
        return self._layout["cells"][self._reading(number)]

    def boxes(self, number: int) -> Boxes:
        """Seen boxes of a frame that is read."""
        return unpack_boxes(self._layout, self._reading(number))

    def cars(self, number: int) -> NDArray[np.int64]:
        """Track ids of the vehicles within COLOR_RANGE at a frame whose colours are looked at."""
        return self._layout["car_track"][self._layout["car_frame"] == number]

    @cached_property
    def _layout(self) -> Mapping[str, NDArray[Any]]:
        with np.load(self.folder / "layout.npz") as rows:
            return dict(rows)

    def _reading(self, number: int) -> int:
        return int(np.flatnonzero(self._layout["readings"] == number)[0])


def rig_of(config: EvaluationConfig) -> CameraRig:
    """The cameras of the drives."""
    return nuscenes_rig(config.image_size)


def scenes_of(config: EvaluationConfig, seed: int) -> list[Scene]:
    """All scenes of a drive."""
    return drive(TownSource(rig=rig_of(config)), seed, config.last + 1)


def record_truth(config: EvaluationConfig, seed: int, folder: Path) -> TownTruth:
    """The truth of a town, from its files if they are there."""
    truth = TownTruth(seed, folder)
    if (folder / "layout.npz").exists():
        return truth
    scenes, wanted = scenes_of(config, seed), config.wanted
    raycaster = Raycaster(rig_of(config), config.samples_per_pixel)
    frames = {number: raycaster.render(scenes[number]) for number in wanted}
    seen_rows = {name: np.stack([getattr(frames[n], name) for n in wanted]) for name in ("images", "instance")}
    labels = {name: np.stack([getattr(frames[n], name) for n in config.frames]) for name in ("depth", "semantic")}
    numbers = {"frames": np.array(wanted), "measured": np.array(config.frames)}
    save_rows(folder / "frames.npz", numbers | seen_rows | labels)
    save_rows(folder / "layout.npz", _layout_rows(config, scenes, frames))
    return truth


def _layout_rows(
    config: EvaluationConfig, scenes: list[Scene], frames: Mapping[int, RenderedFrame]
) -> dict[str, NDArray[Any]]:
    readings = sorted({number for frame in config.frames for number in config.readings_of(frame)})
    layouts = [layout_of(scenes[number]) for number in readings]
    least = least_pixels(rig_of(config))
    boxes = [seen(b, frames[n].instance, least) for n, (_, b) in zip(readings, layouts)]
    cars = [_cars_near(scenes[number]) for number in config.color_frames]
    return {
        "readings": np.array(readings),
        "cells": np.stack([cells for cells, _ in layouts]),
        **pack_boxes(boxes),
        "car_track": np.concatenate([np.zeros(0, np.int64), *cars]),
        "car_frame": np.repeat(np.array(config.color_frames, np.int64), [len(ids) for ids in cars]),
    }


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
