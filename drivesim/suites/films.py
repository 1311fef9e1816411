"""Short films of drives that failed: what was done is done again, with pictures. A world that is a value allows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.env import DriveWorldEnv
from drivesim.policy import Observation
from drivesim.processes import in_processes
from drivesim.rollout import Trace, make_env, run
from drivesim.suites.one_drive import Row
from drivesim.suites.plan import Job
from drivesim.video import VideoWriter

SECONDS = 6.0  # before the end
_HOLD = 1.0  # [s] for which the last picture stands
_COLUMNS = {"normalized": 2, "physical": 2, "discrete": 1, "trajectory": 3}  # of an action with several rows
_FAULT, _BORDER = (236, 96, 84), 6  # colour and width [px] of the frame around it


@dataclass(frozen=True)
class Film:
    """A film and its last picture."""

    video: Path
    poster: Path


@dataclass(frozen=True)
class _Take:
    job: Job
    row: Row
    film: Film


class Repeat:
    """Does what was done before; a policy that sees everything that is drawn."""

    observation: tuple[str, ...] = ("default",)

    def __init__(self, action: str, image_size: Sequence[int], actions: NDArray[np.float64]) -> None:
        self.action, self.image_size, self._actions = action, tuple(image_size), actions
        self._step = 0

    def reset(self, info: Mapping[str, Any]) -> None:
        """Begins again."""
        self._step = 0

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray[np.float64]:
        """The next action [A]."""
        self._step += 1
        action = self._actions[self._step - 1]
        return action.reshape(-1, _COLUMNS[self.action]) if len(action) > _COLUMNS[self.action] else action


def film_failures(failures: Sequence[tuple[Job, Row]], folder: Path, workers: int = 1) -> dict[tuple[str, str], Film]:
    """Films by (policy, drive) of the last moments of drives; those that are there already are kept."""
    films, missing = {}, []
    for job, row in failures:
        path = folder / job.entrant.name / f"{job.drive.name}.mp4"
        film = films[job.entrant.name, job.drive.name] = Film(path, path.with_suffix(".jpg"))
        if not (film.video.exists() and film.poster.exists()):
            missing.append(_Take(job, row, film))
    with tqdm(total=len(missing), unit="film", desc="films of failures", disable=not missing) as bar:
        for _ in in_processes(_shoot, missing, workers):
            bar.update()
    return films


def _shoot(take: _Take) -> None:
    job, row = take.job, take.row
    take.film.video.parent.mkdir(parents=True, exist_ok=True)
    policy = Repeat(row["action"], row["image_size"], np.load(job.actions))
    env = make_env(job.env, policy, job.drive.seconds)
    first = row["steps"] - round(SECONDS / env.step_seconds)
    pictures: deque[NDArray[np.uint8]] = deque()

    def keep(world: DriveWorldEnv, trace: Trace) -> None:
        if len(trace.steps) > first:
            pictures.append(world.picture(job.entrant.name))

    run(env, policy, seed=job.drive.seed, options=job.drive.options, on_step=keep)
    last = pictures[-1].copy()
    cv2.rectangle(last, (0, 0), (last.shape[1] - 1, last.shape[0] - 1), _FAULT, 2 * _BORDER)
    with VideoWriter(take.film.video, 1.0 / env.step_seconds) as film:
        for picture in pictures:
            film.write(picture)
        for _ in range(round(_HOLD / env.step_seconds)):
            film.write(last)
    env.close()
    _, poster = cv2.imencode(".jpg", cv2.cvtColor(last, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    take.film.poster.write_bytes(poster.tobytes())
