"""PDM-Closed: fifteen driver models compete in a simulation, the best-scored one drives (Dauner et al. 2023).

Every step it lets intelligent driver models with five target speeds follow the route at three lateral offsets, drives
the ego along each of these plans with a tracker and a bicycle model, scores the drives (`planners.pdm_score`), and
takes the first command of the winner. All fifteen are simulated at once.

Where it departs from the publication: the vehicle is the environment's own (no actuator lag), others are those of the
`boxes` observation (64 within 80 m), there are no traffic lights, and only the first command of a plan is used. Two
departures can be taken back, `PdmClosed(emergency_speed=5.0, heed_all=False)`: the emergency brake works at any speed,
and collisions that others would cause count too, unless they come from behind. Here a drive ends with any collision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.bicycle import STEERING, bicycle_step, start_state
from planners.idm import IdmConfig, front_overhang, idm_acceleration
from planners.lqr import LqrConfig, track
from planners.obstacles import Obstacles, Occupancy, occupancy
from planners.pdm_score import Situation, score
from planners.route_geometry import Path, route_path

_STEPS_PER_LOOK = 2  # simulation steps between looks at the leader


@dataclass(frozen=True)
class PdmConfig:
    """Constants of the publication."""

    speed_fractions: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the speed limit
    offsets: tuple[float, ...] = (0.0, 1.0, -1.0)  # [m] to the left of the route
    fallback_speed: float = 15.0  # [m/s], where no limit is known
    horizon: float = 4.0  # [s]
    dt: float = 0.1  # [s]
    emergency_time: float = 2.0  # [s] to an at-fault collision within which it brakes
    emergency_speed: float = float("inf")  # [m/s] up to which it does; published: 5
    heed_all: bool = True  # whether collisions count that others would cause; published: no
    emergency_braking: float = 8.0  # [m/s^2]
    command_seconds: float = 1.0 / 12.0  # [s] for which a command holds

    @property
    def steps(self) -> int:
        """Simulation steps."""
        return round(self.horizon / self.dt)


class PdmClosed:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad])."""

    action = "physical"
    observation = ("boxes", "centre_line", "drivable_area")

    def __init__(self, **settings: Any) -> None:
        self.config = PdmConfig(**settings)
        self.driver, self.tracker = IdmConfig(), LqrConfig(dt=self.config.dt)

    def reset(self, info: Mapping[str, Any]) -> None:
        """Nothing to remember between drives."""

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [2] for the present observation."""
        config, ego = self.config, observation["ego"].astype(float)
        path, limits = route_path(observation["centre_line"].astype(float))
        obstacles = Obstacles.of(observation["boxes"])
        reach = 0.5 * float(ego[4] + ego[5]) + max(map(abs, config.offsets))
        obstacles = obstacles.take(obstacles.near(path.points, reach + 2.0, config.horizon + 1.0))
        plans = self._plans(path, limits, obstacles, ego)
        states, commands = self._simulate(plans, ego)
        situation = Situation(states, config.dt, ego, path, obstacles, observation["drivable_area"], config.heed_all)
        result = score(situation)
        best = int(np.argmax(result.total))
        if result.collision_time[best] <= config.emergency_time and ego[0] <= config.emergency_speed:
            return np.array([-config.emergency_braking, ego[3]], np.float32)
        acceleration, rate = commands[:, best].tolist()
        return np.array([acceleration, ego[3] + rate * config.command_seconds], np.float32)

    def _plans(self, path: Path, limits: NDArray, obstacles: Obstacles, ego: NDArray) -> NDArray:
        """Reference [P, T, 5] (x, y, heading, speed, curvature) of every proposal, slowest first."""
        config = self.config
        count = config.steps + self.tracker.horizon + 1
        times = config.dt * _STEPS_PER_LOOK * np.arange(-(-count // _STEPS_PER_LOOK))
        taken = occupancy(path, obstacles, times)
        fractions, offsets = (
            grid.reshape(-1) for grid in np.meshgrid(config.speed_fractions, config.offsets, indexing="ij")
        )
        speeds = np.where(limits > 0.0, limits, config.fallback_speed)
        blocked = np.stack(
            [taken.blocks(offset, 0.5 * float(ego[5])) for offset in config.offsets], axis=1
        )  # [T, O, N]
        lane = np.tile(np.arange(len(config.offsets)), len(config.speed_fractions))
        s, v = np.zeros(len(offsets)), np.full(len(offsets), float(ego[0]))
        along, speed = np.empty((count, len(s))), np.empty((count, len(s)))
        front = front_overhang(ego)
        for step in range(count):
            along[step], speed[step] = s, v
            if step % _STEPS_PER_LOOK == 0:
                look = step // _STEPS_PER_LOOK
                rear, lead = _leader(taken, blocked[look][lane], look, s + front, path.length)
            target = fractions * path.values_at(s, speeds)
            rate = idm_acceleration(self.driver, v, target, np.maximum(rear - s - front, 0.0), lead)
            rate = np.clip(rate, -self.driver.braking, self.driver.acceleration)
            s = s + config.dt * v
            v = np.maximum(v + config.dt * rate, 0.0)
        poses = path.at(along, offsets)
        bend = path.values_at(along, path.curvature)
        bend = bend / np.maximum(1.0 - bend * offsets, 0.2)
        return np.concatenate([poses, speed[..., None], bend[..., None]], axis=-1).swapaxes(0, 1)

    def _simulate(self, plans: NDArray, ego: NDArray) -> tuple[NDArray, NDArray]:
        """States [P, steps + 1, 5] of the ego that tracks the plans, and the first commands [2, P]: acceleration
        [m/s^2] and steering rate [rad/s]."""
        config, wheelbase = self.config, float(ego[6])
        state = np.tile(start_state(ego), (len(plans), 1))
        states, first = [state], None
        for step in range(config.steps):
            window = plans[:, step : step + self.tracker.horizon + 1]
            acceleration, rate = track(self.tracker, state, window, wheelbase)
            first = np.stack([acceleration, rate]) if first is None else first
            state = bicycle_step(state, acceleration, state[:, STEERING] + config.dt * rate, wheelbase, config.dt)
            states.append(state)
        assert first is not None
        return np.stack(states, axis=1), first


def _leader(
    taken: Occupancy, blocked: NDArray, look: int, front: NDArray, path_length: float
) -> tuple[NDArray, NDArray]:
    """Where along the path [m] the nearest thing ahead of each front bumper [P] begins, infinity without, and its speed
    [m/s]. `blocked` [P, N]: what is in the strip of each proposal."""
    if not blocked.shape[1]:
        return np.full(len(front), np.inf), np.zeros(len(front))
    ahead = blocked & (taken.end[look] > front[:, None]) & (taken.begin[look] < path_length)
    rear = np.where(ahead, np.maximum(taken.begin[look], front[:, None]), np.inf)
    nearest = rear.argmin(axis=1)
    rear = rear[np.arange(len(front)), nearest]
    return rear, np.where(np.isfinite(rear), taken.speed[look][nearest], 0.0)
