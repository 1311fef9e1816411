"""A job that ends the process it is done in; a module of its own, which such a process imports every time."""

from __future__ import annotations

import os
import signal


def die(job: int) -> int:
    """Never returns."""
    os.kill(os.getpid(), signal.SIGKILL)
    return job
