"""Searches in the world itself: tries manoeuvres in a copy of it, goes back, tries the next, and drives the best.

A tree of manoeuvres, each held for `segment` seconds, `depth` levels deep: follow the route at a share of the speed
that the road allows with regard to who is ahead, brake, or press on without that regard. How others answer is not
predicted but happens, since the copy is the world. So this planner is clairvoyant: it knows what everyone will do,
chance included. Its figures show what knowing the future is worth, not what a car could do, and traces of its drives
say `policy_sees_world`.

Cost: with M manoeuvres at most M + M^2 + ... + M^depth segments of world and of driver model per search, 20 segments of
18 frames with the defaults, one search every `hold` seconds. Branches that cannot beat the best one any more are cut,
so that a search on a free road is often one branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim import DriveWorldEnv, EnvState
from planners.idm import IdmPlanner

Observation = Mapping[str, NDArray]


@dataclass(frozen=True)
class Manoeuvre:
    """A share of the speed that the road allows, with or without regard to the leader."""

    share: float
    heed_leader: bool = True


MANOEUVRES = (Manoeuvre(1.0), Manoeuvre(0.5), Manoeuvre(0.5, heed_leader=False), Manoeuvre(0.0))


@dataclass(frozen=True)
class SearchConfig:
    """Size of the tree and what counts."""

    segment: float = 1.5  # [s]
    depth: int = 2
    hold: float = 0.5  # [s] between searches
    top_speed: float = 15.0  # [m/s] that a branch is trusted to reach when it is decided whether to follow it
    collision_cost: float = 200.0  # [m] of progress
    fault_cost: float = 800.0  # [m] more if the ego is at fault
    off_road_cost: float = 400.0  # [m]
    braking_cost: float = 1.0  # [m] per second and m/s^2 of braking beyond 3 m/s^2

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ValueError(f"depth: found {self.depth}, accepted an integer >= 1")
        if not 0.0 < self.hold <= self.segment:
            raise ValueError(f"hold: found {self.hold} s, accepted more than 0 up to segment ({self.segment} s)")


@dataclass(frozen=True, eq=False)
class _Node:
    """A world that manoeuvres lead to."""

    state: EnvState
    observation: Observation
    value: float  # [m] of progress less what it cost
    over: bool


class SearchPlanner:
    """Policy with actions (acceleration [m/s^2], front wheel angle [rad]) that needs the world: see `attach`."""

    action = "physical"
    observation = ("boxes", "centre_line")

    def __init__(self, **settings: Any) -> None:
        self.config = SearchConfig(**settings)
        self._driver = IdmPlanner()
        self._world: DriveWorldEnv | None = None
        self._try: DriveWorldEnv | None = None
        self.reset({})

    def attach(self, world: DriveWorldEnv) -> None:
        """The world to drive in. It is looked at and copied, never stepped."""
        self._world = world
        self._try = world.imagination(self.action, ("ego", *self.observation))

    def reset(self, info: Mapping[str, Any]) -> None:
        """No manoeuvre is under way."""
        self._chosen, self._until = MANOEUVRES[0], -np.inf

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Action [2]; RuntimeError if no world was attached."""
        if self._world is None:
            raise RuntimeError("SearchPlanner.act: found no world, accepted after attach(env)")
        if self._world.time >= self._until - 1e-9:
            self._chosen = self._search()
            self._until = self._world.time + self.config.hold
        return self._control(self._chosen, observation)

    def _control(self, manoeuvre: Manoeuvre, observation: Observation) -> NDArray[np.float32]:
        return self._driver.drive(observation, manoeuvre.share, manoeuvre.heed_leader)

    def _search(self) -> Manoeuvre:
        """The first manoeuvre of the best branch."""
        assert self._world is not None and self._try is not None
        observation = self._try.follow(self._world)
        root = _Node(self._try.get_state(), observation, 0.0, False)
        best_value, best = -np.inf, MANOEUVRES[0]
        horizon = self._world.time + self.config.depth * self.config.segment
        for manoeuvre in MANOEUVRES:
            if self._hope(root, 0) <= best_value:
                break
            value = self._best_value(self._drive(root, manoeuvre, horizon), 1, best_value, horizon)
            if value > best_value:
                best_value, best = value, manoeuvre
        return best

    def _best_value(self, node: _Node, level: int, enough: float, horizon: float) -> float:
        """Value of the best continuation of a node, or some value not above `enough` if there is no better one."""
        if node.over or level == self.config.depth:
            return node.value
        best = -np.inf
        for manoeuvre in MANOEUVRES:
            if self._hope(node, level) <= max(best, enough):
                break
            after = self._drive(node, manoeuvre, horizon)
            best = max(best, self._best_value(after, level + 1, max(best, enough), horizon))
        return best

    def _hope(self, node: _Node, level: int) -> float:
        """What a node can come to at best [m]: as fast as the road allows from now on, less a little for the search."""
        left = (self.config.depth - level) * self.config.segment
        speed, limits = float(node.observation["ego"][0]), node.observation["centre_line"][:, 4]
        top = min(max(speed, float(limits.max()) or self.config.top_speed), speed + 0.8 * left)
        return node.value + 0.9 * left * 0.5 * (speed + top)

    def _drive(self, node: _Node, manoeuvre: Manoeuvre, horizon: float) -> _Node:
        """The node after one segment of a manoeuvre; the search looks as far as `horizon` [s] of the drive."""
        config, world = self.config, self._try
        assert world is not None
        world.set_state(node.state)
        observation, value, over = node.observation, node.value, False
        for _ in range(round(config.segment / world.step_seconds)):
            observation, _, terminated, truncated, info = world.step(self._control(manoeuvre, observation))
            value += self._gain(info, world.step_seconds)
            over = terminated or truncated
            if over:
                break
        if over and not terminated:  # a scenario that is decided is no reason to stop
            value += info["metrics"]["speed"] * (horizon - world.time)
        return _Node(world.get_state(), observation, value, over)

    def _gain(self, info: Mapping[str, Any], seconds: float) -> float:
        """Value [m] of one step."""
        config, metrics, events = self.config, info["metrics"], info["events"]
        gain = metrics["speed"] * seconds
        gain -= config.braking_cost * seconds * max(-metrics["acceleration"] - 3.0, 0.0)
        for hit in events["collisions"]:
            gain -= config.collision_cost + config.fault_cost * hit["at_fault"]
        return gain - config.off_road_cost * events["off_road"]
