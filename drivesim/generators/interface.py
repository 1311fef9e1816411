"""What a generator is: the next pictures from conditions, with its memory as a value in the caller's hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from torch import Tensor

from drivesim.conditions import Conditions, ConditionSpec
from drivesim.scene import CAMERAS

Batch = Mapping[str, Tensor]

_GENERATORS = {
    "layout": ("drivesim.generators.layout.rollout", "LayoutGenerator"),
    "raycast": ("drivesim.generators.raycast.rollout", "RaycastGenerator"),
    "stage": ("drivesim.generators.stage.rollout", "StageGenerator"),
}


@dataclass(frozen=True)
class GeneratorSpec:
    """What a generator draws and what it needs to be told."""

    image_size: tuple[int, int]  # (height, width) [px]
    conditions: ConditionSpec
    cameras: tuple[str, ...] = CAMERAS
    fps: float = 12.0
    chunk: int = 1  # frames per step
    history: int = 0  # frames that `start` needs


class Generator(Protocol):
    """Leading axes: B worlds, T frames of a chunk, V cameras. The state is opaque, copyable and of fixed size."""

    @property
    def spec(self) -> GeneratorSpec:
        """What it draws and needs."""
        ...

    def start(self, history: Tensor | None, conditions: Conditions, seeds: Sequence[int]) -> Any:
        """State after `history` uint8 [B, T0, V, H, W, 3], whose conditions are given; one seed per world."""
        ...

    def step(self, state: Any, conditions: Conditions) -> tuple[Tensor, Any]:
        """Frames uint8 [B, T, V, H, W, 3] of the next chunk and the state after it."""
        ...

    def commit(self, state: Any) -> Any:
        """Refreshes what only the next step reads; called after the frames were handed out."""
        ...

    def take(self, state: Any, worlds: Sequence[int]) -> Any:
        """A state of its own of some worlds, in that order; one may be named several times."""
        ...

    def put(self, state: Any, worlds: Sequence[int], part: Any) -> Any:
        """The state with `part` in the place of some worlds, one for each world of `part`.

        Written over the given state, which may no longer be used; the other worlds do not notice.
        """
        ...

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Training objective (scalar) and what to log."""
        ...


def load_generator(name: str, **options: Any) -> Generator:
    """The generator of that name; options are its constructor's. Raises ValueError for an unknown name."""
    if name not in _GENERATORS:
        raise ValueError(f"generator: found {name!r}, accepted {sorted(_GENERATORS)}")
    module, attribute = _GENERATORS[name]
    generator: Generator = getattr(import_module(module), attribute)(**options)
    return generator
