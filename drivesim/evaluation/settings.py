"""Which drives are evaluated and at which frames what is measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drivesim.generators.stage.shipped import weights_folder
from drivesim.redetector.network import SHIPPED as SHIPPED_REDETECTOR

READING_STRIDE = 5  # frames between those of a window in which the re-detector reads cells and boxes
_FREE = ("out", "towns", "steps", "trials", "workers")  # may change between runs into one folder


@dataclass(frozen=True)
class EvaluationConfig:
    """Which drives and what is measured on them."""

    out: str
    towns: int = 20
    frames: tuple[int, ...] = (1, 12, 60, 240)
    steps: tuple[int, ...] = (1, 2, 4, 8)  # the first is the one the steering test uses
    trials: int = 100  # of the steering test
    samples_per_pixel: int = 2
    window: int = 16  # frames from a measured one on over which features and obedience are taken
    color_every: int = 12  # frames between looks at the colours of cars; 0 leaves them out
    chunk: int = 0  # frames after which a stream begins anew from its own last picture; 0 for one that never does
    redetector: str | None = None  # weights folder, the shipped one by default
    workers: int = 2  # processes of one thread each; the figures do not depend on their number
    generator_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.frames or min(self.frames) < 1:
            raise ValueError(f"frames: found {self.frames}, accepted frame numbers from 1 on")
        if self.workers < 1:
            raise ValueError(f"workers: found {self.workers}, accepted at least 1")
        if self.window < 1 or self.color_every < 0 or self.chunk < 0:
            found = f"{self.window}, {self.color_every} and {self.chunk}"
            raise ValueError(f"window, color_every, chunk: found {found}, accepted at least 1, 0 and 0")

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        height, width = self.generator_options.get("image_size", (72, 128))
        return int(height), int(width)

    def window_of(self, frame: int) -> range:
        """The frames of the window that begins at a measured frame."""
        return range(frame, frame + self.window)

    def readings_of(self, frame: int) -> range:
        """Those of its window in which cells and boxes are read."""
        return self.window_of(frame)[::READING_STRIDE]

    @property
    def color_frames(self) -> range:
        """Frames at which the colours of cars are looked at."""
        return range(0, max(self.frames) + 1, self.color_every) if self.color_every else range(0)

    @property
    def last(self) -> int:
        """The last frame that is needed of every drive."""
        return max(self.frames) + self.window - 1

    @property
    def wanted(self) -> list[int]:
        """All frames of which pictures are needed, the first one of the drive included."""
        frames = {0, *self.color_frames}
        return sorted(frames.union(*(self.window_of(frame) for frame in self.frames)))


def claim_folder(config: EvaluationConfig) -> Path:
    """The output folder, new or of a run with the same settings and weights, which then goes on.

    Raises ValueError where it holds results of others.
    """
    out = Path(config.out)
    settings = {name: value for name, value in json.loads(json.dumps(asdict(config))).items() if name not in _FREE}
    weights = weights_folder(config.generator_options.get("weights"), config.image_size)
    settings["generator_options"].pop("weights", None)
    if not config.chunk:
        del settings["chunk"]
    settings["redetector"] = _digest(Path(config.redetector or SHIPPED_REDETECTOR))
    settings["weights"] = _digest(weights)
    file = out / "settings.json"
    if file.exists():
        before = json.loads(file.read_text())
        other = sorted(name for name in settings | before if before.get(name) != settings.get(name))
        if other:
            raise ValueError(
                f"out={out}: found results with another {', '.join(other)}, accepted the same or a new folder"
            )
    out.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(settings, indent=1) + "\n")
    temporary.rename(file)
    return out


def _digest(folder: Path) -> str:
    """What the weights of a folder are, whatever it is called."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
