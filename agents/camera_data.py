"""Training examples for the camera network from recorded episodes: pictures, and what the driver did next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.camera_network import CAMERAS, LAG, OFFSETS, ROUTE_POINTS, WAYPOINT_STEP, WAYPOINTS, grid_around
from drivesim.data.episodes import Episode, open_episodes
from drivesim.world import EVALUATION_TOWNS

SOON = 1.0  # [s], the second instant at which cells are said to be taken
Example = dict[str, NDArray]
_BODY = 1.1  # [m] that boxes are grown by to both sides: half the ego and a little more


@dataclass(frozen=True)
class Drive:
    """One episode ready for training: P pictures, and T rows of everything else."""

    frames: NDArray[np.uint8]  # [P, 6, H, W, 3], memory-mapped
    every: int  # rows per picture
    ego: NDArray[np.float32]  # [T, 7]
    route: NDArray[np.float32]  # [T, 20, 2]
    boxes: NDArray[np.float32]  # [T, 64, 10]
    intrinsics: NDArray[np.float32]  # [6, 3, 3] [px]
    extrinsics: NDArray[np.float32]  # [6, 4, 4]
    trajectory: NDArray[np.float32]  # [T, 6, 3]
    known: NDArray[np.bool_]  # [T, 6]


def load_drives(data: str | Path) -> list[Drive]:
    """All episodes of a folder. ValueError for those that cannot be learned from, or must not be: evaluation towns."""
    drives = [_drive(episode) for episode in open_episodes(data)]
    sizes = {drive.frames.shape[1:] for drive in drives}
    if len(sizes) > 1:
        raise ValueError(f"data={data}: found pictures of shapes {sorted(sizes)}, accepted one shape")
    return drives


def _drive(episode: Episode) -> Drive:
    head, every = episode.head, int(episode.head["pictures_every"])
    check_training_town(episode)
    if LAG % every or tuple(head["cameras"]) != CAMERAS or abs(12.0 * episode.dt - 1.0) > 1e-6:
        raise ValueError(
            f"{episode.folder}: found pictures_every {every}, cameras {head['cameras']}, {1.0 / episode.dt:g} steps/s; "
            f"accepted a divisor of {LAG}, {list(CAMERAS)}, 12 steps/s"
        )
    frames = episode.array("frames")
    trajectory, known = future(episode.pose, np.array(episode.array("disturbed")), episode.dt)
    scale = np.array([frames.shape[3], frames.shape[2], 1.0], np.float32)[:, None]
    return Drive(
        frames=frames,
        every=every,
        ego=np.array(episode.array("observation_ego")),
        route=np.array(episode.array("observation_route")),
        boxes=np.array(episode.array("observation_boxes")),
        intrinsics=np.array(episode.array("intrinsics")) * scale,
        extrinsics=np.array(episode.array("extrinsics")),
        trajectory=trajectory,
        known=known,
    )


def check_training_town(episode: Episode) -> None:
    """ValueError for an episode from a town that is reserved for evaluation."""
    town = episode.head.get("options", {}).get("town")
    if town is not None and int(town) >= EVALUATION_TOWNS:
        raise ValueError(f"{episode.folder}: found town {town}, accepted towns below {EVALUATION_TOWNS} for training")


def future(
    pose: NDArray[np.float64], disturbed: NDArray[np.bool_], dt: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where the ego of poses [T, 4, 4] is after each 0.5 s of the next 3 s: x, y [m], yaw [rad] [T, 6, 3] in its
    present frame, and which of them [T, 6] it reached undisturbed, which makes them the driver's own doing."""
    count, stride = len(pose), round(WAYPOINT_STEP / dt)
    pushes = np.concatenate([[0], np.cumsum(disturbed)])
    here = np.arange(count)[:, None]
    there = here + stride * np.arange(1, WAYPOINTS + 1)
    known = there < count
    there = np.minimum(there, count - 1)
    known &= pushes[there] == pushes[here]
    relative = np.linalg.inv(pose)[:, None] @ pose[there]
    yaw = np.arctan2(relative[..., 1, 0], relative[..., 0, 0])
    return np.concatenate([relative[..., :2, 3], yaw[..., None]], -1).astype(np.float32), known


def taken_cells(cells: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Which cells [B, 20, 5, 2] the ego could not stand on for boxes [B, 64, 10], now and in `SOON`: [B, 2, 20, 5]."""
    points = cells.reshape(len(cells), 1, -1, 2)
    c, s = np.cos(boxes[..., 6])[..., None], np.sin(boxes[..., 6])[..., None]
    half_width, half_length = 0.5 * boxes[..., 3, None] + _BODY, 0.5 * boxes[..., 4, None] + _BODY
    there = boxes[..., 9, None] >= 0.0
    found = []
    for later in (0.0, SOON):
        step = points - (boxes[..., :2] + later * boxes[..., 7:9])[:, :, None]
        along, across = c * step[..., 0] + s * step[..., 1], c * step[..., 1] - s * step[..., 0]
        found.append((there & (np.abs(along) < half_length) & (np.abs(across) < half_width)).any(1))
    return np.stack(found, 1).reshape(len(cells), 2, ROUTE_POINTS, len(OFFSETS)).astype(np.float32)


def mirrored(example: Example) -> Example:
    """The same example with left and right exchanged, which a driver who only looks at obstacles drives alike."""
    width = example["pictures"].shape[2]
    swap = {name: np.array(example[name]) for name in ("ego", "route", "boxes", "intrinsics", "trajectory")}
    swap["ego"][2:4] *= -1.0
    swap["route"][:, 1] *= -1.0
    swap["boxes"][:, [1, 6, 8]] *= -1.0
    swap["trajectory"][:, 1:] *= -1.0
    swap["intrinsics"][:, 0, 2] = width - swap["intrinsics"][:, 0, 2]
    ego, camera = np.diag([1.0, -1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])
    swap["extrinsics"] = (ego @ example["extrinsics"] @ camera).astype(np.float32)
    for name in ("pictures", "past"):
        swap[name] = np.ascontiguousarray(example[name][:, :, ::-1])
    return example | swap


class Jitter:
    """Pictures of another camera: brightness, contrast and colour balance, noise, and now and then a blur as generated
    pictures have it; the same in both moments of an example."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        views, height, width, channels = shape
        self._strip = (views * height, width, channels)
        noise = np.random.default_rng(0).normal(0.0, 5.0, self._strip)
        self._lighter, self._darker = (np.clip(sign * noise, 0.0, 255.0).astype(np.uint8) for sign in (1.0, -1.0))

    def __call__(self, pair: tuple[NDArray, NDArray], random: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Pictures [V, H, W, 3] now and before."""
        gain, shift = random.uniform(0.8, 1.2, 3), random.uniform(-20.0, 20.0)
        table = np.clip(gain * np.arange(256)[:, None] + shift, 0.0, 255.0).astype(np.uint8)[None]
        blurred, noisy = random.random() < 0.3, random.random() < 0.5
        changed = []
        for pictures in pair:
            strip = cv2.LUT(np.ascontiguousarray(pictures).reshape(self._strip), table)
            if blurred:
                strip = cv2.blur(strip, (3, 3))
            if noisy:
                first = int(random.integers(self._strip[0]))
                lighter, darker = (np.roll(noise, first, axis=0) for noise in (self._lighter, self._darker))
                strip = cv2.subtract(cv2.add(strip, lighter), darker)
            changed.append(strip.reshape(pictures.shape))
        return changed[0], changed[1]


class CameraBatches:
    """Batches of examples from drives, a pure function of the step number. Half of the training examples
    are mirrored; with `jitter` pictures are changed, too."""

    def __init__(self, drives: list[Drive], batch: int, seed: int, jitter: bool = False) -> None:
        self._drives, self._batch, self._seed = drives, batch, seed
        self._jitter = Jitter(drives[0].frames.shape[1:]) if jitter else None
        self._examples = np.array([
            (number, picture)
            for number, drive in enumerate(drives)
            for picture in range(len(drive.frames))
            if drive.known[picture * drive.every].any()
        ])  # fmt: skip
        if len(self._examples) == 0:
            raise ValueError("data: found no picture with half a second undisturbed after it, accepted longer drives")

    def __len__(self) -> int:
        return len(self._examples)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The examples of training step `step`; every one comes once per lap."""
        first = step * self._batch
        rows = []
        for place in range(first, first + self._batch):
            lap, position = divmod(place, len(self._examples))
            rows.append(self._order(lap)[position])
        return self.examples(self._examples[rows], np.random.default_rng([self._seed, step, 1]))

    def _order(self, lap: int) -> NDArray[np.int64]:
        if getattr(self, "_lap", None) != lap:
            self._lap, self._permutation = (
                lap,
                np.random.default_rng([self._seed, lap]).permutation(len(self._examples)),
            )
        return self._permutation

    def examples(self, chosen: NDArray[np.int64], random: np.random.Generator | None = None) -> dict[str, Tensor]:
        """Examples (drive, picture) [B, 2] as one batch; `random` mirrors half of them, and jitters if that is set."""
        rows = [self._example(number, picture, random) for number, picture in chosen.tolist()]
        batch = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
        cells = grid_around(batch["route"]).numpy()
        taken = torch.from_numpy(taken_cells(cells, batch["boxes"].numpy()))
        return batch | {"taken": taken}

    def _example(self, number: int, picture: int, random: np.random.Generator | None) -> Example:
        drive = self._drives[number]
        row, before = picture * drive.every, max(0, picture - LAG // drive.every)
        now, past = drive.frames[picture], drive.frames[before]
        if self._jitter is not None and random is not None:
            now, past = self._jitter((now, past), random)
        example = {
            "pictures": np.asarray(now), "past": np.asarray(past), "ego": drive.ego[row], "route": drive.route[row],
            "boxes": drive.boxes[row], "intrinsics": drive.intrinsics, "extrinsics": drive.extrinsics,
            "trajectory": drive.trajectory[row], "known": drive.known[row],
        }  # fmt: skip
        return mirrored(example) if random is not None and random.random() < 0.5 else example
