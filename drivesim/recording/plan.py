"""What to record: who drives where, how disturbed, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivesim.recording.disturbance import DisturbanceConfig
from drivesim.recording.sparse_pictures import STATELESS
from drivesim.town.writer_sheets import MARGIN, lay_out

FORMATS = ("episodes", "nuscenes")
_FAST = 15.0  # [m/s] mean speed up to which drives are sure to fit on the map sheets
_PLACES = ("scene", "town", "scenario")


@dataclass(frozen=True)
class RecordPlan:
    """Everything that decides what is recorded. Raises ValueError that names the field for what cannot be."""

    policy: str  # as `load_policy` takes it
    policy_options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)  # arguments of DriveWorldEnv
    options: Mapping[str, Any] = field(default_factory=dict)  # of every reset
    episodes: int = 10
    first: int = 0  # number of the first episode: its seed, and its town where no place is given
    seconds: float = 20.0
    formats: tuple[str, ...] = ("episodes",)
    observation: tuple[str, ...] = ("boxes",)  # kept besides pictures, ego and route
    conditions: bool = False  # keep what generators are trained on
    pictures_every: int = 1  # steps from one drawn picture to the next
    disturbance: DisturbanceConfig = field(default_factory=DisturbanceConfig)

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise ValueError(f"formats: found {list(self.formats)}, accepted one or more of {list(FORMATS)}")
        if self.episodes < 1 or self.first < 0:
            raise ValueError(
                f"episodes, first: found {self.episodes}, {self.first}, accepted at least 1 and at least 0"
            )
        if not 0.0 < self.seconds < float("inf"):
            raise ValueError(f"seconds: found {self.seconds}, accepted a positive number")
        if self.disturbance.strength < 0.0:
            raise ValueError(f"disturbance: found {self.disturbance.strength}, accepted 0 or more")
        self._check_pictures()
        if "nuscenes" in self.formats:
            self._check_sheets()

    @property
    def generator(self) -> Any:
        """The generator's name; None for no pictures."""
        return self.env.get("generator", "stage")

    def _check_pictures(self) -> None:
        if self.pictures_every < 1:
            raise ValueError(f"pictures_every: found {self.pictures_every}, accepted at least 1")
        sparse = self.pictures_every > 1
        if sparse and self.generator not in STATELESS:
            raise ValueError(
                f"pictures_every: found {self.pictures_every} with generator {self.generator!r}, accepted 1, or a "
                f"generator without memory: {STATELESS}"
            )
        for name, wanted in (("formats", "nuscenes" in self.formats), ("conditions", self.conditions)):
            if wanted and (sparse or self.generator is None):
                raise ValueError(
                    f"{name}: found {getattr(self, name)} with pictures_every={self.pictures_every} and generator "
                    f"{self.generator!r}, accepted a generator that draws every picture"
                )

    def _check_sheets(self) -> None:
        """A data set has four map sheets: rather refused now than when all is driven."""
        side = 2.0 * MARGIN + _FAST * self.seconds
        try:
            lay_out([(0.0, 0.0, side, side)] * self.episodes)
        except ValueError as fault:
            raise ValueError(f"episodes, seconds: {fault}") from None

    def drive(self, index: int) -> tuple[int, dict[str, Any]]:
        """Seed and reset options of an episode.

        Where nothing says where to drive, an episode has the town of its own number; a scenario without a variant is
        played in that of the episode's number.
        """
        options = {key: value for key, value in self.options.items() if value is not None}
        if options.get("scenario") is not None:
            options.setdefault("variant", index)
        elif self.env.get("source", "town") == "town" and not any(key in options for key in _PLACES):
            options["town"] = index
        return index, options
