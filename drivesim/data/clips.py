"""Recorded drives as clips of pictures and conditions, and the streams of frames that training reads from them.

A clip is a folder of memory-mapped arrays, one row per frame at 12 Hz. Its conditions come from the same function as
the closed loop's (`drivesim.conditions.build_conditions`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from drivesim.conditions import Conditions, ConditionSpec, build_conditions, relative_motion
from drivesim.scene import Scene
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.vehicle import KinematicBicycle
from drivesim.world import EVALUATION_TOWNS, TownSource, World

FPS = 12.0
FIELDS = ("frames", "layout", "previous_points", "box_points", "object_pixels", "motion", "ego", "tags", "pose")


@dataclass(frozen=True)
class RecordConfig:
    """What to record."""

    out: str
    first_seed: int = 0
    clips: int = 200
    frames: int = 97
    image_size: tuple[int, int] = (72, 128)
    samples_per_pixel: int = 2


def record_clips(config: RecordConfig) -> list[Path]:
    """Drives one town per clip and writes what the cameras saw; clips that are already there are kept.

    Raises ValueError for seeds that are reserved for evaluation.
    """
    if config.first_seed + config.clips > EVALUATION_TOWNS:
        raise ValueError(
            f"first_seed + clips: found {config.first_seed + config.clips}, accepted at most {EVALUATION_TOWNS}"
        )
    rig = nuscenes_rig(config.image_size)
    raycaster = Raycaster(rig, config.samples_per_pixel)
    size = (config.image_size[0] // 2, config.image_size[1] // 2)
    spec = ConditionSpec(size, frozenset({"warp", "objects"}))
    folders = []
    for seed in tqdm(range(config.first_seed, config.first_seed + config.clips), desc="clips", unit="clip"):
        folder = Path(config.out) / f"clip_{seed:06d}"
        folders.append(folder)
        if not folder.exists():
            scenes = drive(TownSource(rig=rig), seed, config.frames)
            _write_clip(folder, scenes, raycaster, spec)
    return folders


def drive(source: TownSource, seed: int, frames: int) -> list[Scene]:
    """Scenes of a drive along the route with wandering speed and steering, so that every kind of ego motion occurs."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 7]))
    vehicle = KinematicBicycle()
    world = source.reset(seed, {"town": seed})
    target = rng.uniform(4.0, 12.0)
    wander = 0.0
    scenes = [world.scene]
    while len(scenes) < frames:
        if rng.random() < 0.02:
            target = 0.0 if rng.random() < 0.15 else rng.uniform(3.0, 13.0)
        wander += -0.1 * wander + rng.normal(0.0, 0.012)
        ego = world.scene.ego
        steering = _pursuit(world) + wander
        limit = min(target, _free_speed(world))
        ego = vehicle.step(ego, float(np.clip(1.5 * (limit - ego.speed), -6.0, 2.5)), steering, 1.0 / FPS)
        world = source.step(world, ego, 1.0 / FPS)
        scenes.append(world.scene)
    return scenes


def _pursuit(world: World) -> float:
    """Pure-pursuit steering [rad] towards the route."""
    ego = world.scene.ego
    points = world.route.points
    offset = points[:, :2] - ego.xy
    c, s = np.cos(ego.yaw), np.sin(ego.yaw)
    x, y = c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1]
    reach = 4.0 + 0.5 * ego.speed
    ahead = np.flatnonzero((x > 0.0) & (np.hypot(x, y) > reach))
    nearest = int(np.argmin(np.hypot(x, y)))
    ahead = ahead[ahead > nearest]
    if ahead.size == 0:
        return 0.0
    i = ahead[0]
    return float(np.arctan2(2.0 * world.scene.vehicle.wheelbase * y[i], x[i] ** 2 + y[i] ** 2))


def _free_speed(world: World) -> float:
    """Speed [m/s] that leaves room to whatever is in front of the ego, and for the curve ahead."""
    scene = world.scene
    ego = scene.ego
    offset = scene.tracks.position[:, :2] - ego.xy
    c, s = np.cos(ego.yaw), np.sin(ego.yaw)
    x, y = c * offset[:, 0] + s * offset[:, 1], -s * offset[:, 0] + c * offset[:, 1]
    blocking = (x > 0.0) & (x < 40.0) & (np.abs(y) < 1.6 + 0.03 * x)
    gap = float((x - 0.5 * scene.tracks.size[:, 1])[blocking].min(initial=60.0)) - 5.5
    heading = world.route.points[:, 2]
    near = np.hypot(*(world.route.points[:, :2] - ego.xy).T) < 18.0
    bend = np.abs(np.diff(np.unwrap(heading[near]))).max(initial=0.0) / 2.0
    return max(0.0, min(0.7 * gap, np.sqrt(2.5 / max(bend, 0.01))))


def _write_clip(folder: Path, scenes: Sequence[Scene], raycaster: Raycaster, spec: ConditionSpec) -> None:
    rows: dict[str, list[NDArray]] = {name: [] for name in FIELDS}
    for index, scene in enumerate(scenes):
        conditions = build_conditions([[scene]], [scenes[max(index - 1, 0)]], [scenes[0]], spec)
        rows["frames"].append(raycaster.pictures(scene))
        for name in ("layout", "box_points", "motion", "ego", "tags"):
            rows[name].append(getattr(conditions, name)[0, 0].numpy())
        assert conditions.previous_points is not None and conditions.object_pixels is not None
        rows["previous_points"].append(conditions.previous_points[0, 0].numpy().astype(np.float16))
        rows["object_pixels"].append(conditions.object_pixels[0, 0].numpy().astype(np.uint16))
        rows["pose"].append(scene.ego.pose)
    temporary = folder.with_name(folder.name + ".tmp")
    temporary.mkdir(parents=True, exist_ok=True)
    for name, values in rows.items():
        np.save(temporary / f"{name}.npy", np.stack(values))
    np.save(temporary / "intrinsics.npy", conditions.intrinsics[0].numpy())
    np.save(temporary / "extrinsics.npy", conditions.extrinsics[0].numpy())
    (temporary / "clip.json").write_text(json.dumps({"frames": len(scenes), "fps": FPS}) + "\n")
    temporary.rename(folder)


def clip_folders(data: str | Path) -> list[Path]:
    """The finished clips of a folder. Raises FileNotFoundError if there are none."""
    folders = sorted(path for path in Path(data).glob("clip_*") if path.suffix != ".tmp")
    if not folders:
        raise FileNotFoundError(f"data={data}: found no clip_* folder, accepted a folder written by `drivesim data`")
    return folders


class PictureBatches:
    """Batches of single pictures, a pure function of the step number."""

    def __init__(self, data: str | Path, batch: int, seed: int) -> None:
        self._frames = [np.load(folder / "frames.npy", mmap_mode="r") for folder in clip_folders(data)]
        self._batch, self._seed = batch, seed

    def __call__(self, step: int) -> dict[str, Tensor]:
        """`pictures` uint8 [N, H, W, 3] of training step `step`."""
        rng = np.random.default_rng([self._seed, step])
        pictures = []
        for clip in rng.integers(len(self._frames), size=self._batch):
            frames = self._frames[clip]
            pictures.append(frames[rng.integers(len(frames)), rng.integers(frames.shape[1])])
        return {"pictures": torch.from_numpy(np.stack(pictures))}


class FrameStreams:
    """B parallel streams that walk through clips frame by frame, a pure function of the step number."""

    def __init__(self, data: str | Path, streams: int, seed: int) -> None:
        self._clips = [_open_clip(folder) for folder in clip_folders(data)]
        self._length = min(len(clip["frames"]) for clip in self._clips)
        self._streams, self._seed = streams, seed

    def __call__(self, step: int) -> dict[str, Any]:
        """`frames` uint8 [B, V, H, W, 3], `conditions` (T = 1) and `reset` bool [B] of training step `step`."""
        picks = [self._pick(stream, step) for stream in range(self._streams)]
        rows = {name: _stack([clip[name][frame] for clip, frame in picks]) for name in FIELDS}
        anchors = [relative_motion(clip["pose"][frame], clip["pose"][0]) for clip, frame in picks]
        conditions = Conditions(
            layout=rows["layout"][:, None], motion=rows["motion"][:, None], ego=rows["ego"][:, None],
            tags=rows["tags"][:, None],
            anchor_motion=_stack(anchors)[:, None], previous_points=rows["previous_points"].float()[:, None],
            box_points=rows["box_points"][:, None], object_pixels=rows["object_pixels"].int()[:, None],
            intrinsics=_stack([clip["intrinsics"] for clip, _ in picks]),
            extrinsics=_stack([clip["extrinsics"] for clip, _ in picks]),
        )  # fmt: skip
        reset = torch.tensor([step == 0 or frame == 0 for _, frame in picks])
        return {"frames": rows["frames"], "conditions": conditions, "reset": reset}

    def _pick(self, stream: int, step: int) -> tuple[dict[str, NDArray], int]:
        """Clip and frame of a stream; streams are staggered so that they do not all begin at once."""
        clock = step + stream * self._length // self._streams
        lap, frame = divmod(clock, self._length)
        order = np.random.default_rng([self._seed, lap]).permutation(len(self._clips))
        return self._clips[order[stream % len(order)]], frame


def _open_clip(folder: Path) -> dict[str, NDArray]:
    missing = [name for name in FIELDS if not (folder / f"{name}.npy").exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder}: found no {missing[0]}.npy, accepted clips of this version: delete and record them again"
        )
    clip: dict[str, NDArray] = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in FIELDS}
    clip |= {name: np.load(folder / f"{name}.npy") for name in ("pose", "intrinsics", "extrinsics")}
    return clip


def _stack(rows: Sequence[NDArray]) -> Tensor:
    return torch.from_numpy(np.stack(rows))
