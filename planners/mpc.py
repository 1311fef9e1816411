"""Model-predictive planner: the cross-entropy method over the inputs of a kinematic bicycle (Rubinstein 1999).

Every step it draws input sequences around the plan of the step before, rolls the bicycle out under each, costs them
against the route, the others' predicted motion and comfort, and moves the distribution to the best few. Steering is
drawn as a deviation from a feedback that follows the route, so that "nothing special" needs no luck. All rollouts are
one array operation per time step. Draws come from a generator that `reset` seeds, so a drive is repeatable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.geometry import wrap_angle
from planners.bicycle import BX, BY, HEADING, SPEED, STEERING, bicycle_step, start_state
from planners.idm import IdmConfig, front_overhang, idm_acceleration, leader
from planners.obstacles import Obstacles, drivable, rectangle_points
from planners.route_geometry import Path, route_path, speed_profile

_CORNERS = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)


@dataclass(frozen=True)
class MpcConfig:
    """Horizon, search and weights of the cost; running costs are per second."""

    steps: int = 16
    dt: float = 0.25  # [s]
    knots: int = 5  # of the input sequences, equally spaced over the horizon
    samples: int = 96
    elites: int = 12
    rounds: int = 3
    seed: int = 0
    acceleration_spread: float = 1.5  # [m/s^2] of the first draws
    steering_spread: float = 0.05  # [rad]
    fallback_speed: float = 15.0  # [m/s], where no limit is known
    lateral_acceleration: float = 2.5  # [m/s^2], accepted in bends
    easy_braking: float = 1.5  # [m/s^2] before bends and lower limits
    clearance: float = 0.6  # [m] to others, below which nearness costs
    headway: float = 0.5  # [s] that the front reaches ahead when it is asked for its clearance
    speed_weight: float = 0.5
    lateral_weight: float = 2.0
    heading_weight: float = 5.0
    acceleration_weight: float = 0.2
    jerk_weight: float = 0.1
    lateral_acceleration_weight: float = 0.1
    nearness_weight: float = 100.0
    collision_cost: float = 3000.0
    off_road_cost: float = 1500.0
    command_seconds: float = 1.0 / 12.0  # [s] for which a command holds

    def __post_init__(self) -> None:
        if not 2 <= self.elites <= self.samples - 3:
            raise ValueError(f"elites: found {self.elites}, accepted 2 to samples - 3 ({self.samples - 3})")


@dataclass(frozen=True, eq=False)
class _Task:
    """What one plan is made for."""

    state: NDArray  # [5], see planners.bicycle
    ego: NDArray  # [7], the observation
    path: Path
    profile: NDArray  # [K] [m/s], wished speed at the path's points
    obstacles: Obstacles
    area: NDArray  # the `drivable_area` observation


class MpcPlanner:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad])."""

    action = "physical"
    observation = ("boxes", "centre_line", "drivable_area")

    def __init__(self, **settings: Any) -> None:
        self.config = config = MpcConfig(**settings)
        self._knots = np.linspace(0.0, config.steps * config.dt, config.knots)  # [s]
        times = config.dt * np.arange(config.steps)
        self._spread = np.array([config.acceleration_spread, config.steering_spread])[:, None]
        self._weights = np.stack([np.interp(times, self._knots, row) for row in np.eye(config.knots)])  # [knots, T]
        self.reset({})

    def reset(self, info: Mapping[str, Any]) -> None:
        """Forgets the plan and seeds the draws anew."""
        self._random = np.random.default_rng(self.config.seed)
        self._plan: NDArray | None = None  # [2, knots]: acceleration [m/s^2], deviation of the wheel angle [rad]

    def act(self, observation: Mapping[str, NDArray], info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [2] for the present observation."""
        task = self._task(observation)
        cruise = np.zeros((2, self.config.knots))
        cruise[0] = self._cruise(task)
        mean = cruise if self._plan is None else self._plan
        best, best_cost = mean, np.inf
        spread = np.broadcast_to(self._spread, mean.shape)
        stop = cruise.copy()
        stop[0] = -6.0
        for _ in range(self.config.rounds):
            draws = mean + spread * self._random.standard_normal((self.config.samples - 3, *mean.shape))
            plans = np.concatenate([[mean, cruise, stop], draws])
            cost = self._cost(task, plans)
            order = np.argsort(cost, kind="stable")[: self.config.elites]
            if cost[order[0]] < best_cost:
                best, best_cost = plans[order[0]], cost[order[0]]
            mean, spread = plans[order].mean(0), plans[order].std(0) + 0.1 * self._spread
        later = self._knots + self.config.command_seconds
        self._plan = np.stack([np.interp(later, self._knots, row) for row in best])
        path_angle, _, _ = self._follow(task, task.state[None])
        return np.array([best[0, 0], path_angle[0] + best[1, 0]], np.float32)

    def _task(self, observation: Mapping[str, NDArray]) -> _Task:
        config, ego = self.config, observation["ego"].astype(float)
        path, limits = route_path(observation["centre_line"].astype(float))
        profile = speed_profile(path, limits, config.fallback_speed, config.lateral_acceleration, config.easy_braking)
        obstacles = Obstacles.of(observation["boxes"])
        relevant = obstacles.near(path.points[path.along < 80.0], 5.0, config.steps * config.dt)
        # Who comes from behind keeps its own distance.
        behind = (obstacles.position[:, 0] < 0.0) & (np.cos(obstacles.heading) > 0.5)
        return _Task(
            start_state(ego), ego, path, profile, obstacles.take(relevant & ~behind), observation["drivable_area"]
        )

    def _cruise(self, task: _Task) -> float:
        """Acceleration [m/s^2] that the intelligent driver model would choose now."""
        speed = float(task.ego[0])
        target = float(task.path.values_at(np.array(0.5 * speed), task.profile))
        gap, lead_speed = leader(task.path, task.obstacles, task.ego, 0.2)
        return float(np.clip(idm_acceleration(IdmConfig(), speed, target, gap, lead_speed), -6.0, 2.0))

    def _follow(self, task: _Task, state: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Wheel angle [S] [rad] that follows the route, offset [m] and heading error [rad] [S] of states [S, 5]."""
        along, offset, direction = task.path.project(state[:, [BX, BY]])
        error = wrap_angle(state[:, HEADING] - np.arctan2(direction[:, 1], direction[:, 0]))
        speed = np.maximum(state[:, SPEED], 2.0)
        bend = task.path.values_at(along + 0.2 * speed, task.path.curvature)
        # e'' = -w^2 e - 2 w e' with w falling with speed: critically damped, e' = v psi.
        w = np.minimum(1.2, 0.35 * speed)
        curvature = bend - (w / speed) ** 2 * offset - 2.0 * w / speed * error
        return np.arctan(float(task.ego[6]) * curvature), offset, error

    def _cost(self, task: _Task, plans: NDArray) -> NDArray:
        """Cost [S] of plans [S, 2, knots]."""
        config, wheelbase = self.config, float(task.ego[6])
        inputs = plans @ self._weights  # [S, 2, T]
        state = np.tile(task.state, (len(plans), 1))
        states = np.empty((len(plans), config.steps, 5))
        cost = np.zeros(len(plans))
        for step in range(config.steps):
            wheel, offset, error = self._follow(task, state)
            cost += config.lateral_weight * offset**2 + config.heading_weight * error**2
            state = bicycle_step(state, inputs[:, 0, step], wheel + inputs[:, 1, step], wheelbase, config.dt)
            states[:, step] = state
        along = task.path.project(states[..., [BX, BY]])[0]
        cost += config.speed_weight * ((states[..., SPEED] - task.path.values_at(along, task.profile)) ** 2).sum(1)
        cost += self._discomfort(task, inputs, states) + self._danger(task, states)
        return config.dt * cost

    def _discomfort(self, task: _Task, inputs: NDArray, states: NDArray) -> NDArray:
        config = self.config
        before = np.full((len(inputs), 1), float(task.ego[1]))
        jerk = np.diff(inputs[:, 0], axis=1, prepend=before) / config.dt
        lateral = states[..., SPEED] ** 2 * np.tan(states[..., STEERING]) / float(task.ego[6])
        return (
            config.acceleration_weight * (inputs[:, 0] ** 2).sum(1) + config.jerk_weight * (jerk**2).sum(1)
            + config.lateral_acceleration_weight * (lateral**2).sum(1)
        )  # fmt: skip

    def _danger(self, task: _Task, states: NDArray) -> NDArray:
        """Cost [S] of nearness to others, of collisions and of leaving the road; sooner counts more."""
        config, ego, others = self.config, task.ego, task.obstacles
        direction = np.stack([np.cos(states[..., HEADING]), np.sin(states[..., HEADING])], axis=-1)
        middle = states[..., [BX, BY]] + 0.5 * float(ego[6]) * direction
        corners = rectangle_points(middle, states[..., HEADING], 0.5 * ego[4:6], _CORNERS)
        urgency = np.linspace(1.0, 0.3, config.steps)
        off_road = (~drivable(task.area, corners)).mean(-1)
        cost = config.off_road_cost * (off_road * urgency).sum(1)
        if not len(others):
            return cost
        # Four discs as wide as the body: three along it, one ahead by the headway.
        reach = 0.5 * float(ego[4] - ego[5])
        along = np.stack([np.full(states.shape[:2], place) for place in (-reach, 0.0, reach)], axis=-1)
        ahead = front_overhang(ego) - 0.5 * float(ego[6] + ego[5]) + config.headway * states[..., SPEED]
        along = np.concatenate([along, ahead[..., None]], axis=-1)
        discs = middle[:, :, None] + along[..., None] * direction[:, :, None]  # [S, T, 4, 2]
        gap = _distance(discs, others, config.dt * np.arange(1, config.steps + 1)) - 0.5 * float(ego[5])  # [S, T, 4, N]
        near = np.maximum(1.0 - np.maximum(gap, 0.0) / config.clearance, 0.0).max(2)
        hit = gap[:, :, :3].min(2) <= 0.0
        cost += config.nearness_weight * ((near**2).sum(-1) * urgency).sum(1)
        return cost + config.collision_cost * (hit.any(-1) * urgency).sum(1)


def _distance(points: NDArray, others: Obstacles, times: NDArray) -> NDArray:
    """Distance [S, T, D, N] [m] of points [S, T, D, 2] from rectangles of constant velocity, 0 inside."""
    place = others.position + times[:, None, None] * others.velocity  # [T, N, 2]
    dx = points[..., 0, None] - place[:, None, :, 0]
    dy = points[..., 1, None] - place[:, None, :, 1]
    c, s = np.cos(others.heading), np.sin(others.heading)
    out_x = np.maximum(np.abs(c * dx + s * dy) - others.half_size[:, 0], 0.0)
    out_y = np.maximum(np.abs(c * dy - s * dx) - others.half_size[:, 1], 0.0)
    return np.hypot(out_x, out_y)
