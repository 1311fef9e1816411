"""Drives side by side: jobs over processes of one thread each, or over whatever does the same (`FanOut`)."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


class FanOut(Protocol):
    """Does jobs by several workers: `in_processes`, or `drivesim.ray_actors.in_ray_actors`."""

    def __call__(self, work: Callable[[Any], Any], jobs: Sequence[Any], workers: int) -> Iterator[Any]:
        """What `work` returns of every job, once each, as they end."""
        ...


def in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """What `work` returns of every job, as they end; with one worker in this process and in order.

    The first error ends it: jobs that have not begun are dropped.
    """
    if workers == 1:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(work, job) for job in jobs]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, whatever the number of workers: the last bits of pictures depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
