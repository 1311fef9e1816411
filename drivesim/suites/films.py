"""Short films of the drives that failed: a drive is repeated with pictures, which a world that is a value allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.env import DriveWorldEnv
from drivesim.policy import load_policy
from drivesim.rollout import Trace, make_env, run
from drivesim.suites.runner import Job
from drivesim.video import VideoWriter

SECONDS = 6.0  # before the end


def film_failures(jobs: Sequence[Job], folder: Path) -> dict[tuple[str, str], Path]:
    """Films by (policy, drive) of the last moments of drives; those that are there already are kept."""
    films = {}
    for job in tqdm(jobs, unit="film", desc="films of failures", disable=not jobs):
        path = folder / job.entrant.name / f"{job.drive.name}.mp4"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _film(job, path)
        films[job.entrant.name, job.drive.name] = path
    return films


def _film(job: Job, path: Path) -> None:
    policy = load_policy(job.entrant.policy, **job.entrant.options)
    env = make_env(job.env, policy, job.drive.seconds)
    pictures: deque[NDArray[np.uint8]] = deque(maxlen=round(SECONDS / env.step_seconds))

    def keep(world: DriveWorldEnv, trace: Trace) -> None:
        pictures.append(world.picture(job.entrant.name))

    run(env, policy, seed=job.drive.seed, options=job.drive.options, on_step=keep)
    with VideoWriter(path, 1.0 / env.step_seconds) as film:
        for picture in pictures:
            film.write(picture)
        for _ in range(round(0.5 / env.step_seconds)):
            film.write(pictures[-1])  # the moment of fault stands for a while
    env.close()
