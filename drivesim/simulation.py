"""What happens in a reset and in a step, for any number of worlds at once: one world is a batch of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from numpy.typing import ArrayLike, NDArray

from drivesim.actions import Action, Control
from drivesim.conditions import Conditions, build_conditions
from drivesim.env_state import EnvState
from drivesim.events import Events
from drivesim.generators.interface import Generator
from drivesim.judge import Verdict, judge
from drivesim.observations import (
    ROUTE_POINTS,
    ROUTE_SPACING,
    Depth,
    Observation,
    Semantics,
    Sensor,
    Truth,
    View,
)
from drivesim.rewards import RewardWeights, weighted_sum
from drivesim.route_frame import locate, points_ahead
from drivesim.scenarios.camera_faults import faulty, remember, remembered_steps
from drivesim.scenarios.criteria import assess, report
from drivesim.scene import Scene
from drivesim.sources import first_frames, forget_truth
from drivesim.timings import Stopwatch, Timings
from drivesim.vehicle import KinematicBicycle

if TYPE_CHECKING:
    from drivesim.world import World, WorldSource

Info = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one world tells of a step."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: Info


@dataclass(frozen=True)
class Simulation:
    """The parts of driving worlds. They hold settings and caches only.

    Each of B worlds is an `EnvState`; what the generator remembers of all of them is one value, the `memory`, with
    their axis first. A step changes the states that it is given.
    """

    source: WorldSource
    generator: Generator | None
    action: Action
    sensors: Sequence[Sensor]
    truth: Truth
    weights: RewardWeights
    seconds: float | None  # after which a drive is truncated
    chunk: int  # frames of a control step
    dt: float  # [s] between frames

    @property
    def step_seconds(self) -> float:
        """Duration of one control step [s]."""
        return self.chunk * self.dt

    def begin(
        self, seeds: Sequence[int], options: Sequence[Mapping[str, Any]], random: Sequence[np.random.Generator]
    ) -> tuple[list[EnvState], Any, list[tuple[Observation, Info]]]:
        """New drives, each from a seed and options that its source has checked: states, memory, what is first seen.

        `random` are the generators that later seeds come from. Raises ValueError as the source does.
        """
        clock = Stopwatch()
        worlds = [self.source.reset(seed, given) for seed, given in zip(seeds, options, strict=True)]
        clock.lap("world")
        pictures, memory = self._first_pictures(worlds, seeds, clock)
        states = []
        for world, frames, generator in zip(worlds, pictures, random, strict=True):
            position = locate(world.route.points, world.scene.ego)
            state = EnvState(world, replace(world.scene, map=None, statics=None), position, None, frames, generator)
            state.speeds.append(world.scene.ego.speed)
            state.rewards.append(0.0)
            self._play(state, Events())
            states.append(state)
        observations = [self.observe(state) for state in states]
        clock.lap("observe")
        timings = clock.timings()
        return states, memory, [(seen, self.info(state, timings)) for seen, state in zip(observations, states)]

    def step(
        self, states: Sequence[EnvState], memory: Any, actions: Mapping[int, ArrayLike]
    ) -> tuple[dict[int, Outcome], Any]:
        """One control step of those worlds [B] that have an action, by index; returns outcomes and the next memory.

        The others stay as they are, except for what the generator remembers of them, which is lost. `Timings` are those
        of the whole batch. Raises ResetNeeded if one of the drives is over and ValueError for a bad action; nothing has
        changed then.
        """
        controls = {row: self._controls(states, row, action) for row, action in actions.items()}
        clock = Stopwatch()
        moved = {row: self._advance(states[row], given) for row, given in controls.items()}
        clock.lap("world")
        memory = self._draw(states, {row: worlds for row, (worlds, _) in moved.items()}, memory, clock)
        for row, (worlds, verdict) in moved.items():
            self._settle(states[row], worlds[-1], verdict, np.asarray(actions[row], float).reshape(-1).tolist())
        observations = {row: self.observe(states[row]) for row in moved}
        clock.lap("observe")
        if self.generator is not None:
            memory = self.generator.commit(memory)
            clock.lap("commit")
        timings = clock.timings(getattr(self.generator, "timings", None))
        return {row: self._outcome(states[row], seen, timings) for row, seen in observations.items()}, memory

    def observe(self, state: EnvState) -> Observation:
        """What the sensors show of a world."""
        scene = state.world.scene
        ahead = points_ahead(state.world.route.points, state.route, scene.ego, ROUTE_POINTS, ROUTE_SPACING)
        view = View(scene, ahead, self._observed_frames(state), self.truth, state.road)
        observation: Observation = {}
        for sensor in self.sensors:
            observation.update(sensor.observe(view))
        return observation

    def info(self, state: EnvState, timings: Timings) -> Info:
        """What else there is to tell of a world."""
        ego = state.world.scene.ego
        events = {
            "collisions": [asdict(collision) for collision in state.events.collisions],
            "off_road": state.events.off_road,
            "corners_off_road": state.events.corners_off_road,
        }
        metrics = {
            "time": state.steps * self.step_seconds, "speed": ego.speed, "acceleration": ego.acceleration,
            "route_offset": state.route.offset, "heading_error": state.route.heading_error,
            "distance": state.distance, "tracks": float(len(state.world.scene.tracks)),
        }  # fmt: skip
        info: Info = {"rewards": dict(state.terms), "events": events, "metrics": metrics, "timings": timings}
        if state.script is not None and state.criteria is not None:
            info["scenario"] = report(state.script, state.criteria)
            info["events"]["scenario"] = state.criteria.outcome
        return info

    # The parts of a step.

    def _controls(self, states: Sequence[EnvState], row: int, action: ArrayLike) -> list[Control]:
        state = states[row]
        world = f"world {row}: " if len(states) > 1 else ""
        if state.over:
            raise ResetNeeded(f"step: {world}the drive is over; accepted after reset()")
        try:
            return self.action.act(action, state.world.scene.ego, state.road)
        except ValueError as error:
            raise ValueError(f"{world}{error}") from error

    def _advance(self, state: EnvState, controls: Sequence[Control]) -> tuple[list[World], Verdict]:
        """The world at every frame of the control step, and what came of it."""
        world, worlds = state.world, []
        vehicle = KinematicBicycle(world.scene.vehicle)
        for acceleration, steering in controls:
            world = self.source.step(world, vehicle.step(world.scene.ego, acceleration, steering, self.dt), self.dt)
            worlds.append(world)
        return worlds, judge(state.world.scene.ego, worlds, self.dt)

    def _draw(
        self, states: Sequence[EnvState], moved: Mapping[int, Sequence[World]], memory: Any, clock: Stopwatch
    ) -> Any:
        """Gives the moved worlds their new pictures; all worlds go through the generator together."""
        if self.generator is None:
            return memory
        paths = [moved.get(row, [state.world] * self.chunk) for row, state in enumerate(states)]
        scenes = [[world.scene for world in path] for path in paths]
        conditions = self._conditions(
            scenes, [state.world.scene for state in states], [state.anchor for state in states]
        )
        clock.lap("conditions")
        frames, memory = self.generator.step(memory, conditions)
        pictures = _pictures(frames)
        for row in moved:
            states[row].frames = pictures[row]
        clock.lap("generate")
        return memory

    def _conditions(
        self, scenes: Sequence[Sequence[Scene]], before: Sequence[Scene | None], anchors: Sequence[Scene]
    ) -> Conditions:
        assert self.generator is not None
        return build_conditions(scenes, before, anchors, self.generator.spec.conditions)

    def _first_pictures(
        self, worlds: Sequence[World], seeds: Sequence[int], clock: Stopwatch
    ) -> tuple[Sequence[NDArray[np.uint8] | None], Any]:
        """Pictures of the first scenes and the generator's memory after them."""
        if self.generator is None:
            return [None] * len(worlds), None
        scenes = [world.scene for world in worlds]
        conditions = self._conditions([[scene] for scene in scenes], [None] * len(scenes), scenes)
        clock.lap("conditions")
        recorded = [first_frames(self.source, world, self.generator.spec) for world in worlds]
        if self.generator.spec.history and not any(isinstance(sensor, (Depth, Semantics)) for sensor in self.sensors):
            forget_truth(scenes)  # only now, as worlds may share a window
        known = [frames for frames in recorded if frames is not None]
        if known and len(known) < len(worlds):
            raise ValueError(
                f"source: found {len(known)} of {len(worlds)} worlds with recorded first pictures, accepted all or none"
            )
        past = torch.from_numpy(np.stack(known)) if known else None
        memory = self.generator.start(past, conditions, seeds)
        if past is None:
            frames, memory = self.generator.step(memory, conditions)
            memory = self.generator.commit(memory)
        else:
            frames = past
        clock.lap("generate")
        return _pictures(frames), memory

    def _settle(self, state: EnvState, world: World, verdict: Verdict, action: list[float]) -> None:
        """Takes over what the step has led to."""
        state.world, state.route, state.events, state.terms = world, verdict.route, verdict.events, verdict.terms
        state.steps += 1
        state.distance += verdict.distance
        state.action = action
        state.speeds.append(world.scene.ego.speed)
        state.rewards.append(weighted_sum(verdict.terms, self.weights))
        self._play(state, verdict.events)

    def _play(self, state: EnvState, events: Events) -> None:
        """Judges the scenario, if one is played, and remembers what its camera faults need."""
        script, scene = state.script, state.world.scene
        if script is None:
            return
        state.criteria = assess(script, state.criteria, events, scene.ego, scene.tracks)
        if state.frames is not None:
            steps = remembered_steps(script.scenario, self.step_seconds)
            state.cameras = remember(state.cameras, state.frames, script.faults, steps)

    def _observed_frames(self, state: EnvState) -> NDArray[np.uint8] | None:
        """The pictures as the cameras of the car deliver them."""
        script = state.script
        if script is None or state.frames is None or not script.faults or self.generator is None:
            return state.frames
        return faulty(
            state.cameras, script.faults, self.generator.spec.cameras, state.world.scene.rig, script.time,
            self.step_seconds, script.part.seed,
        )  # fmt: skip

    def _outcome(self, state: EnvState, observation: Observation, timings: Timings) -> Outcome:
        """What the world tells; its drive may be over now."""
        terminated = bool(state.events.collisions) or state.events.off_road
        truncated = self.seconds is not None and state.steps * self.step_seconds >= self.seconds - 1e-9
        truncated |= state.criteria is not None and state.criteria.outcome != "running"
        truncated |= bool(getattr(state.world, "ended", False))
        state.over = terminated or truncated
        return Outcome(observation, state.rewards[-1], terminated, truncated, self.info(state, timings))


def _pictures(frames: torch.Tensor) -> list[NDArray[np.uint8]]:
    """The last frame [V, H, W, 3] of every world of frames [B, T, V, H, W, 3], in memory of its own."""
    return [world.copy() for world in frames[:, -1].cpu().numpy()]
