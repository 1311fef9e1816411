"""Everything that decides what a drive does next, as one value."""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drivesim.events import Events
from drivesim.road_ahead import RoadAhead
from drivesim.route_frame import RoutePosition
from drivesim.scenarios.camera_faults import CameraMemory
from drivesim.scenarios.criteria import Criteria
from drivesim.scene import Scene

if TYPE_CHECKING:
    from drivesim.scenarios.script import Script
    from drivesim.world import World

CURVE_STEPS = 240  # steps kept for the curves of the picture


@dataclass
class EnvState:
    """The whole world at one instant: saved by `get_state`, restored by `set_state`. Treat it as opaque."""

    world: World
    anchor: Scene  # first scene of the drive, without what is around: a drive may last, a map is large
    route: RoutePosition
    generator: Any  # memory of a batch of one; None while the world is one of many in a vector environment
    frames: NDArray[np.uint8] | None  # [V, H, W, 3], never changed in place
    random: np.random.Generator
    steps: int = 0
    distance: float = 0.0  # [m] driven
    over: bool = False
    action: list[float] = field(default_factory=list)
    terms: dict[str, float] = field(default_factory=dict)
    events: Events = field(default_factory=Events)
    speeds: deque[float] = field(default_factory=lambda: deque(maxlen=CURVE_STEPS))
    rewards: deque[float] = field(default_factory=lambda: deque(maxlen=CURVE_STEPS))
    criteria: Criteria | None = None  # of the scenario, if one is played
    cameras: CameraMemory = field(default_factory=CameraMemory)  # what camera faults of a scenario need
    _road: RoadAhead | None = field(default=None, repr=False, compare=False)  # as it was last asked for

    @property
    def script(self) -> Script | None:
        """The scenario that is played."""
        return getattr(self.world, "script", None)

    @property
    def road(self) -> RoadAhead:
        """The road along the route, as the ego is on it."""
        if self._road is None or self._road.scene is not self.world.scene or self._road.position is not self.route:
            self._road = RoadAhead(self.world.scene, self.world.route, self.route)
        return self._road

    def copy(self) -> EnvState:
        """An independent copy. Worlds and scenes are frozen and therefore shared."""
        shared = {id(value): value for value in (self.world, self.anchor, self.frames, self._road)}
        return copy.deepcopy(self, shared)
