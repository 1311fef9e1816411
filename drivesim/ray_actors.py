"""Drives over Ray actors, on this machine or on a cluster: what `drivesim.processes` does, and workers may die."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

LOCAL = "local"  # in place of an address: a Ray of its own on this machine
_TRIES = 3  # of a job whose worker dies


def in_ray_actors(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, address: str = LOCAL
) -> Iterator[Result]:
    """What `work` returns of every job, as they end; `address` is that of a cluster as `ray.init` takes it.

    A worker that dies is replaced and its job done anew; what it had not returned does not count. The first error that
    `work` raises ends it. Raises ImportError without Ray, RuntimeError for a job whose worker dies every time.
    """
    with connected(workers, address) as ray:
        begin = partial(ray.remote(num_cpus=1)(_Worker).remote, work, os.getcwd(), sys.path)
        idle = [begin() for _ in range(min(workers, len(jobs)))]
        waiting = [(job, 1) for job in reversed(jobs)]
        running: dict[Any, tuple[Any, Job, int]] = {}
        while waiting or running:
            while waiting and idle:
                worker, (job, tries) = idle.pop(), waiting.pop()
                running[worker.do.remote(job)] = worker, job, tries
            (done,), _ = ray.wait(list(running), num_returns=1)
            worker, job, tries = running.pop(done)
            try:
                result = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except _deaths(ray) as error:
                if tries == _TRIES:
                    raise RuntimeError(f"job: found {job} whose worker died {_TRIES} times, last: {error}") from error
                ray.kill(worker)  # it may only be out of reach, and nothing is to be done twice
                idle.append(begin())
                waiting.append((job, tries + 1))
            else:
                idle.append(worker)
                yield result


def _deaths(ray: Any) -> tuple[type[Exception], ...]:
    """Errors that tell of a worker or machine that is gone, not of the work."""
    names = ("RayActorError", "WorkerCrashedError", "NodeDiedError", "ObjectLostError", "OutOfMemoryError")
    return tuple(getattr(ray.exceptions, name) for name in names)


class _Worker:
    """Does jobs one after another in a process of its own, with modules found as they are where it was started."""

    def __init__(self, work: Callable[[Any], Any], folder: str, search_path: list[str]) -> None:
        if os.path.isdir(folder):
            os.chdir(folder)
        sys.path += [entry for entry in search_path if entry not in sys.path]
        self._work = work

    def do(self, job: Any) -> Any:
        """One job."""
        return self._work(job)


@contextmanager
def connected(workers: int, address: str) -> Iterator[Any]:
    """The module `ray`, connected to a cluster; one that was before is left alone. Raises ImportError without Ray."""
    try:
        import ray
    except ImportError as error:
        raise ImportError("executor: found ray, which is not installed: pip install 'drivesim[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    settings: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
    ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **settings)
    try:
        yield ray
    finally:
        ray.shutdown()
