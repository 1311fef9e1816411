"""The truth as a generator: casts rays into the town. Stateless; works wherever scenes carry a map and statics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.conditions import Conditions, ConditionSpec
from drivesim.generators.interface import Batch, GeneratorSpec
from drivesim.scene import CameraRig
from drivesim.town.raycast import Raycaster


class RaycastGenerator:
    """Ray-cast pictures of the scenes themselves (town only)."""

    def __init__(self, image_size: tuple[int, int] = (72, 128), samples_per_pixel: int = 1) -> None:
        self.spec = GeneratorSpec((int(image_size[0]), int(image_size[1])), ConditionSpec((0, 0)))
        self._samples_per_pixel = samples_per_pixel
        self._raycasters: dict[CameraRig, Raycaster] = {}

    def start(self, history: Tensor | None, conditions: Conditions, seeds: Sequence[int]) -> None:
        """Nothing to remember."""

    def step(self, state: None, conditions: Conditions) -> tuple[Tensor, None]:
        """Pictures uint8 [B, T, V, H, W, 3]. Raises ValueError if a scene is not of the town."""
        worlds = []
        for frames in conditions.scenes:
            pictures = [torch.from_numpy(self._raycaster(scene.rig).pictures(scene)) for scene in frames]
            worlds.append(torch.stack(pictures))
        return torch.stack(worlds), None

    def commit(self, state: None) -> None:
        """Nothing to refresh."""

    def take(self, state: None, worlds: Sequence[int]) -> None:
        """Nothing to copy."""

    def put(self, state: None, worlds: Sequence[int], part: None) -> None:
        """Nothing to replace."""

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Raises TypeError: there is nothing to train."""
        raise TypeError("generator 'raycast' has no weights and cannot be trained")

    def _raycaster(self, rig: CameraRig) -> Raycaster:
        if rig not in self._raycasters:
            self._raycasters[rig] = Raycaster(rig.resized(self.spec.image_size), self._samples_per_pixel)
        return self._raycasters[rig]
