"""The action type "route": how fast and how far beside the route to drive; a controller does the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from drivesim.action_values import finite_values
from drivesim.rewards import MAX_ACCELERATION, MAX_BRAKING
from drivesim.road_ahead import RoadAhead
from drivesim.scene import EgoState
from drivesim.vehicle import KinematicBicycle

if TYPE_CHECKING:
    from drivesim.actions import Control

MAX_OFFSET = 3.0  # [m] to either side of the route
RESPONSE = 0.8  # [s] in which a difference of speed is made up
JERK = 4.0  # [m/s^3], unless it brakes harder than comfort allows; nuPlan's limit along the way is 4.13
LOOK_AHEAD, SHORTEST_LOOK_AHEAD = 0.8, 4.0  # [s], [m]


@dataclass(frozen=True)
class AlongRoute:
    """Two numbers in [-1, 1]: from standstill (-1) to all the speed that limits and bends allow (1), and how far left
    of the route to drive (1: 3 m); `action` gives them for a share of the speed and an offset in metres.

    Pure pursuit (Coulter 1992) steers; speed differences decay within 0.8 s, with bounded jerk up to the braking that
    counts as comfortable and without bound beyond. Values outside the space are clipped.
    """

    vehicle: KinematicBicycle
    chunk: int = 1
    dt: float = 1.0 / 12.0  # [s] between frames

    def space(self) -> spaces.Box:
        """[2]."""
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    @staticmethod
    def action(share: float, offset: float) -> NDArray[np.float32]:
        """The action [2] for a share (0 to 1) of the free speed and an offset [m] left of the route."""
        return np.array([2.0 * share - 1.0, offset / MAX_OFFSET], np.float32)

    def act(self, action: ArrayLike, ego: EgoState, road: RoadAhead | None = None) -> list[Control]:
        """What the controller makes of it; ValueError without a road."""
        if road is None:
            raise ValueError("action: found 'route' without a road, accepted with the road ahead of the ego")
        speed, side = finite_values(action, ((2,),)).clip(-1.0, 1.0).tolist()
        share, offset = 0.5 * (1.0 + speed), MAX_OFFSET * side
        wanted = (share * road.free_speed - ego.speed) / RESPONSE
        if wanted > -MAX_BRAKING:
            change = JERK * self.dt * self.chunk
            wanted = min(max(wanted, ego.acceleration - change), ego.acceleration + change, MAX_ACCELERATION)
        steering = _pursue(road.line, offset, max(SHORTEST_LOOK_AHEAD, LOOK_AHEAD * ego.speed), self.vehicle)
        return [(wanted, steering)] * self.chunk

    def inverse(self, acceleration: float, steering: float, road: RoadAhead) -> NDArray[np.float32]:
        """Action [2] that comes closest to an acceleration [m/s^2] and front wheel angle [rad]; the clone's teacher."""
        ego = road.scene.ego
        share = (ego.speed + RESPONSE * acceleration) / max(road.free_speed, 0.1)
        index = _target(road.line, max(SHORTEST_LOOK_AHEAD, LOOK_AHEAD * ego.speed))
        x, y, heading = road.line[index, :3].tolist()
        # The circle of that wheel angle through the origin, at the same distance from it.
        wanted = 0.5 * (x * x + y * y) * math.tan(steering) / self.vehicle.shape.wheelbase
        offset = (wanted - y) / max(math.cos(heading), 0.3)
        return self.action(share, offset).clip(-1.0, 1.0)


def _target(line: NDArray[np.float64], reach: float) -> int:
    """Row of the first point at least `reach` [m] away."""
    far = np.hypot(line[:, 0], line[:, 1]) >= reach
    return int(far.argmax()) if far.any() else len(line) - 1


def _pursue(line: NDArray[np.float64], offset: float, reach: float, vehicle: KinematicBicycle) -> float:
    """Front wheel angle [rad] towards the point `reach` [m] ahead, `offset` [m] left of the line."""
    x, y, heading = line[_target(line, reach), :3].tolist()
    x, y = x - offset * math.sin(heading), y + offset * math.cos(heading)
    return math.atan(2.0 * vehicle.shape.wheelbase * y / max(x * x + y * y, 1e-6))
