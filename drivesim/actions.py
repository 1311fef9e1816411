"""What an agent does: small objects with `space()` and `act()`; every action becomes accelerations and wheel angles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike

from drivesim.action_values import finite_values
from drivesim.road_ahead import RoadAhead
from drivesim.route_action import AlongRoute
from drivesim.scene import EgoState
from drivesim.vehicle import KinematicBicycle

Control = tuple[float, float]  # acceleration [m/s^2], front wheel angle [rad]


class Action(Protocol):
    """One way to act. `chunk` is the number of frames of a control step."""

    def space(self) -> spaces.Space:
        """The action space."""
        ...

    def act(self, action: ArrayLike, ego: EgoState, road: RoadAhead | None = None) -> list[Control]:
        """Control of the ego for every frame [chunk]; ValueError if the action is not finite or of another shape.

        `road` is where the ego is; who follows the route needs it.
        """
        ...


@dataclass(frozen=True)
class Normalized:
    """Two numbers: pedal (1 full throttle, -1 full brake) and steering (1 full left); clipped to [-1, 1]."""

    vehicle: KinematicBicycle
    chunk: int = 1

    def space(self) -> spaces.Box:
        """[2]."""
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    def act(self, action: ArrayLike, ego: EgoState, road: RoadAhead | None = None) -> list[Control]:
        """Scaled to the limits of the vehicle."""
        pedal, steering = (min(max(value, -1.0), 1.0) for value in finite_values(action, ((2,),)).tolist())
        limits = self.vehicle.limits
        strongest = limits.max_acceleration if pedal > 0.0 else limits.max_braking
        return [(pedal * strongest, steering * limits.max_steering)] * self.chunk


@dataclass(frozen=True)
class Physical:
    """Acceleration [m/s^2] and front wheel angle [rad], one row per frame: [chunk, 2]. A single row [2] holds for all.

    The limits of the vehicle apply.
    """

    vehicle: KinematicBicycle
    chunk: int = 1

    def space(self) -> spaces.Box:
        """[chunk, 2]."""
        limits = self.vehicle.limits
        low = np.tile(np.array([-limits.max_braking, -limits.max_steering], np.float32), (self.chunk, 1))
        high = np.tile(np.array([limits.max_acceleration, limits.max_steering], np.float32), (self.chunk, 1))
        return spaces.Box(low, high, dtype=np.float32)

    def act(self, action: ArrayLike, ego: EgoState, road: RoadAhead | None = None) -> list[Control]:
        """As it is."""
        values = finite_values(action, ((2,), (self.chunk, 2))).reshape(-1, 2).tolist()
        rows = [(acceleration, steering) for acceleration, steering in values]
        return rows if len(rows) == self.chunk else rows * self.chunk


@dataclass(frozen=True)
class Discrete:
    """Fifteen choices: index = 5 * pedal + wheel; pedals brake, hold, accelerate; wheels from right to left."""

    vehicle: KinematicBicycle
    chunk: int = 1
    pedals = (-3.0, 0.0, 2.0)  # [m/s^2]
    wheels = (-0.25, -0.06, 0.0, 0.06, 0.25)  # [rad]

    def space(self) -> spaces.Discrete:
        """15."""
        return spaces.Discrete(len(self.pedals) * len(self.wheels))

    def act(self, action: ArrayLike, ego: EgoState, road: RoadAhead | None = None) -> list[Control]:
        """Looked up."""
        index = float(finite_values(action, ((), (1,))).reshape(()))
        count = len(self.pedals) * len(self.wheels)
        if not (index.is_integer() and 0 <= index < count):
            raise ValueError(f"action: found {index}, accepted an integer from 0 to {count - 1}")
        pedal, wheel = divmod(int(index), len(self.wheels))
        return [(self.pedals[pedal], self.wheels[wheel])] * self.chunk


@dataclass(frozen=True)
class Trajectory:
    """A plan: x, y [m] and yaw [rad] of the ego after every 0.5 s of the next 3 s, in its present frame: [6, 3].

    The vehicle follows it with the constant control that comes closest, within its limits.
    """

    vehicle: KinematicBicycle
    chunk: int = 1
    points = 6
    duration = 3.0  # [s]
    reach = 100.0  # [m]

    def space(self) -> spaces.Box:
        """[6, 3]."""
        high = np.tile(np.array([self.reach, self.reach, np.pi], np.float32), (self.points, 1))
        return spaces.Box(-high, high, dtype=np.float32)

    def act(self, action: ArrayLike, ego: EgoState, road: RoadAhead | None = None) -> list[Control]:
        """Tracked by the vehicle."""
        return [self.vehicle.track(ego, finite_values(action, ((self.points, 3),)), self.duration)] * self.chunk


ACTIONS: dict[str, Callable[[KinematicBicycle, int], Action]] = {
    "normalized": Normalized,
    "physical": Physical,
    "discrete": Discrete,
    "trajectory": Trajectory,
    "route": AlongRoute,
}


def make_action(name: str, vehicle: KinematicBicycle, chunk: int) -> Action:
    """The action type of that name; ValueError for an unknown one."""
    if name not in ACTIONS:
        raise ValueError(f"action: found {name!r}, accepted {list(ACTIONS)}")
    return ACTIONS[name](vehicle, chunk)
