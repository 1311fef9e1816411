"""Policies that the tests of suites let drive."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Swerve:
    """Leaves the road as fast as it can."""

    action = "physical"
    observation: tuple[str, ...] = ()

    def reset(self, info: Mapping[str, Any]) -> None:
        """Nothing to remember."""

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Full throttle, wheel turned."""
        return np.array([[3.0, 0.3]], np.float32)


class Broken(Swerve):
    """Fails in its third step."""

    def reset(self, info: Mapping[str, Any]) -> None:
        """Starts to count."""
        self.steps = 0

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Two actions, then none."""
        self.steps += 1
        if self.steps == 3:
            raise RuntimeError("lost my map")
        return super().act(observation, info)


class KillsItsWorker(Swerve):
    """Takes the process that it drives in down with it in its third step, once: `marker` is the file that tells."""

    def __init__(self, marker: str) -> None:
        self._marker = Path(marker)

    def reset(self, info: Mapping[str, Any]) -> None:
        """Starts to count."""
        self.steps = 0

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Swerves, the second time to the end."""
        self.steps += 1
        if self.steps == 3 and not self._marker.exists():
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(observation, info)


class Watchful(Swerve):
    """Swerves, and has pictures drawn for it."""

    observation = ("CAM_FRONT",)


class Brake(Swerve):
    """Stops."""

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Firm braking, wheel straight."""
        return np.array([[-4.0, 0.0]], np.float32)


class NamesCameras(Brake):
    """Fails where it sees cameras, and says how many."""

    observation = ("default",)

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Stops where nobody draws pictures."""
        if cameras := sum(key.startswith("CAM_") for key in observation):
            raise RuntimeError(f"saw {cameras} cameras")
        return super().act(observation, info)
