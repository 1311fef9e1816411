"""The environment: one driving world behind the Gymnasium interface. The only object with state of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from drivesim.actions import Control, make_action
from drivesim.conditions import Conditions, build_conditions
from drivesim.display import Window
from drivesim.env_settings import make_generator, name_of, picture_size
from drivesim.env_state import EnvState
from drivesim.events import Events
from drivesim.generators.interface import Generator
from drivesim.judge import Verdict, judge
from drivesim.observations import ROUTE_POINTS, ROUTE_SPACING, Observation, Truth, View, make_sensors
from drivesim.rewards import RewardWeights, weighted_sum
from drivesim.road_ahead import RoadAhead
from drivesim.route_frame import locate, points_ahead
from drivesim.scenarios.camera_faults import faulty, remember, remembered_steps
from drivesim.scenarios.criteria import assess, report
from drivesim.scene import CAMERAS, Scene
from drivesim.sources import check_options, first_frames, make_source
from drivesim.timings import Stopwatch, Timings
from drivesim.vehicle import KinematicBicycle
from drivesim.video import Panel, camera_dict, compose

if TYPE_CHECKING:
    from drivesim.world import World, WorldSource

RENDER_FPS = 12.0
_SEEDS = 2**31  # of worlds
_EVENT_SECONDS = 1.5  # that the picture tells of an event of the scenario
Info = dict[str, Any]


class DriveWorldEnv(gym.Env[Observation, ArrayLike]):
    """A driving world. Strings choose its parts; see README.md for what each of them means.

    Raises ValueError for any setting that does not exist, with what is accepted.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": RENDER_FPS}

    def __init__(
        self,
        source: str | WorldSource = "town",
        generator: str | Generator | None = "stage",
        traffic: str | None = None,
        action: str = "normalized",
        observation: Sequence[str] = ("default",),
        image_size: Sequence[int] | None = None,
        seconds: float | None = 60.0,
        reward: Mapping[str, float] | None = None,
        source_options: Mapping[str, Any] | None = None,
        generator_options: Mapping[str, Any] | None = None,
        reset_options: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode: found {render_mode!r}, accepted {self.metadata['render_modes']} or None")
        if seconds is not None and not 0.0 < seconds < float("inf"):
            raise ValueError(f"seconds: found {seconds}, accepted a positive number, or None for no limit")
        self.render_mode = render_mode
        self.seconds = seconds
        self.reset_options = check_options(reset_options)
        self.settings = {
            "source": name_of(source), "generator": name_of(generator), "traffic": traffic, "action": action,
            "observation": list(observation),
            "image_size": list(image_size) if image_size is not None else None, "seconds": seconds,
            "reward": dict(reward or {}), "source_options": dict(source_options or {}),
            "generator_options": dict(generator_options or {}), "reset_options": dict(reset_options or {}),
        }  # fmt: skip
        self.weights = RewardWeights.of(reward)
        self.generator = make_generator(generator, image_size, generator_options or {})
        spec = self.generator.spec if self.generator else None
        self.image_size = picture_size(image_size, spec.image_size if spec else None)
        self.chunk, self.dt = (spec.chunk, 1.0 / spec.fps) if spec else (1, 1.0 / RENDER_FPS)
        self.source = make_source(source, traffic, self.image_size, source_options or {})
        self._action = make_action(action, KinematicBicycle(), self.chunk)
        cameras = spec.cameras if spec else None
        self._sensors = make_sensors(observation, cameras, self.image_size)
        self._truth = Truth(self.image_size)
        self.action_space = self._action.space()
        entries = [(name, space) for sensor in self._sensors for name, space in sensor.spaces().items()]
        self.observation_space = spaces.Dict(entries)  # type: ignore[assignment]
        self._state: EnvState | None = None
        self._window: Window | None = None
        self._road: RoadAhead | None = None  # as it was last asked for

    # What a policy, a planner or a recorder may look at.

    @property
    def scene(self) -> Scene:
        """Everything that is known of the world now."""
        return self._running("scene").world.scene

    @property
    def route(self) -> NDArray[np.float64]:
        """Route points [R, 3] (x, y, heading) in the global frame [m, rad]."""
        return self._running("route").world.route.points

    @property
    def road(self) -> RoadAhead:
        """The road along the route, as the ego is on it."""
        state = self._running("road")
        if self._road is None or self._road.scene is not state.world.scene or self._road.position is not state.route:
            self._road = RoadAhead(state.world.scene, state.world.route, state.route)
        return self._road

    @property
    def frames(self) -> NDArray[np.uint8] | None:
        """Pictures [V, H, W, 3] of the cameras that the generator draws; None without generator."""
        return self._running("frames").frames

    @property
    def time(self) -> float:
        """Time since the reset [s]."""
        return self._running("time").steps * self.step_seconds

    @property
    def step_seconds(self) -> float:
        """Duration of one control step [s]."""
        return self.chunk * self.dt

    # Gymnasium.

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Info]:
        """Begins a drive. Options: scene, town, weather, time_of_day, route, start_time; a source may take fewer. In
        the town also scenario (name or path) and variant, instead of scene, town and route.

        Options given here go before those that the environment was made with. Raises ValueError for options that the
        source does not accept; the last drive then goes on.
        """
        options = self.reset_options | check_options(options)
        random = copy.deepcopy(self.np_random) if seed is None else seeding.np_random(seed)[0]
        self.source.check(int(random.integers(_SEEDS)), options)  # while the last drive can still go on
        super().reset(seed=seed)
        clock = Stopwatch()
        world_seed = int(self.np_random.integers(_SEEDS))
        self._state = None  # the last drive's world makes room for the next
        world = self.source.reset(world_seed, options)
        clock.lap("world")
        frames, generator = self._first_frames(world, world_seed, clock)
        position = locate(world.route.points, world.scene.ego)
        anchor = replace(world.scene, map=None, statics=None)
        self._state = EnvState(world, anchor, position, generator, frames, self.np_random)
        self._state.speeds.append(world.scene.ego.speed)
        self._state.rewards.append(0.0)
        self._play(self._state, Events())
        observation = self._observe()
        clock.lap("observe")
        if self.render_mode == "human":
            self._show()
        return observation, self._info(clock.timings())

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, Info]:
        """One control step: the ego moves, the others react, the cameras see what came of it."""
        state = self._running("step")
        if state.over:
            raise ResetNeeded("step: the drive is over; accepted after reset()")
        before = state.world.scene
        controls = self._action.act(action, before.ego, self.road)
        clock = Stopwatch()
        worlds, verdict = self._advance(state, controls)
        clock.lap("world")
        self._draw(state, [world.scene for world in worlds], before, clock)
        self._settle(state, worlds[-1], verdict, np.asarray(action, float).reshape(-1).tolist())
        observation = self._observe()
        clock.lap("observe")
        if self.generator is not None:
            state.generator = self.generator.commit(state.generator)
            clock.lap("commit")
        terminated = bool(verdict.events.collisions) or verdict.events.off_road
        truncated = self.seconds is not None and state.steps * self.step_seconds >= self.seconds - 1e-9
        truncated |= state.criteria is not None and state.criteria.outcome != "running"
        truncated |= bool(getattr(worlds[-1], "ended", False))
        state.over = terminated or truncated
        if self.render_mode == "human":
            self._show()
        info = self._info(clock.timings(getattr(self.generator, "timings", None)))
        return observation, state.rewards[-1], terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """The picture of the present state [484, 1152, 3] for "rgb_array"; "human" shows it by itself."""
        if self.render_mode is None:
            gym.logger.warn('render() does nothing without render_mode="rgb_array" or "human" at construction')
            return None
        if self.render_mode == "human":
            self._show()
            return None
        return self.picture()

    def picture(self, title: str = "") -> NDArray[np.uint8]:
        """Cameras in ring layout, bird's-eye view, speed, action and reward [484, 1152, 3]."""
        state = self._running("picture")
        scene, names = state.world.scene, self.generator.spec.cameras if self.generator else CAMERAS
        panel = Panel(
            title, self.time, state.action, scene.ego.acceleration, scene.ego.steering, _event_words(state),
            state.terms, list(state.speeds), list(state.rewards),
        )  # fmt: skip
        frames = camera_dict(state.frames, names) if state.frames is not None else None
        return compose(frames, scene, state.world.route.points, panel)

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    # The world is a value.

    def get_state(self) -> EnvState:
        """A copy of everything that decides what happens next."""
        return self._running("get_state").copy()

    def set_state(self, state: EnvState) -> None:
        """Continues from a state that this env, or one made with the same settings, has saved."""
        if not isinstance(state, EnvState):
            raise ValueError(f"set_state: found {type(state).__name__}, accepted an EnvState from get_state()")
        self._state = state.copy()
        self.np_random = self._state.random

    def copy(self) -> DriveWorldEnv:
        """A second env in the same state, with weights and settings shared."""
        twin = copy.copy(self)
        twin._window = None
        twin.action_space, twin.observation_space = copy.deepcopy((self.action_space, self.observation_space))
        if self._state is not None:
            twin.set_state(self._state)
        return twin

    def imagination(self, action: str, observation: Sequence[str]) -> DriveWorldEnv:
        """A second env in the same world that draws no pictures: for planners that try what would happen.

        It speaks another action type and shows other keys, none of them pictures, and never ends on time. Raises
        ValueError as the constructor does. What happens in it never reaches this env; `follow` takes it to a later
        state of this one.
        """
        twin = copy.copy(self)
        twin._window, twin.render_mode, twin.generator, twin.seconds = None, None, None, None
        twin.settings = self.settings | {"generator": None, "action": action, "observation": list(observation)}
        twin._action = make_action(action, KinematicBicycle(), self.chunk)
        twin._sensors = make_sensors(observation, None, self.image_size)
        twin.action_space = twin._action.space()
        entries = [(name, space) for sensor in twin._sensors for name, space in sensor.spaces().items()]
        twin.observation_space = spaces.Dict(entries)  # type: ignore[assignment]
        twin._state = None
        if self._state is not None:
            twin.follow(self)
        return twin

    def follow(self, other: DriveWorldEnv) -> Observation:
        """Takes over the present world of another env without its pictures; returns what this env observes of it."""
        if self.generator is not None:
            raise ValueError("follow: found an env with a generator, accepted one made by imagination()")
        self._state = replace(other._running("follow"), generator=None, frames=None).copy()
        self.np_random = self._state.random
        return self._observe()

    def __deepcopy__(self, memo: dict[int, Any]) -> DriveWorldEnv:
        return self.copy()

    # The parts of a step.

    def _running(self, what: str) -> EnvState:
        if self._state is None:
            raise ResetNeeded(
                f"{what}: found an environment before its first reset; accepted after reset() or set_state()"
            )
        return self._state

    def _advance(self, state: EnvState, controls: Sequence[Control]) -> tuple[list[World], Verdict]:
        """The worlds at every frame of the control step, and what came of it."""
        world, worlds = state.world, []
        vehicle = KinematicBicycle(world.scene.vehicle)
        for acceleration, steering in controls:
            world = self.source.step(world, vehicle.step(world.scene.ego, acceleration, steering, self.dt), self.dt)
            worlds.append(world)
        return worlds, judge(state.world.scene.ego, worlds, self.dt)

    def _draw(self, state: EnvState, scenes: list[Scene], before: Scene, clock: Stopwatch) -> None:
        if self.generator is None:
            return
        conditions = self._conditions(scenes, before, state.anchor)
        clock.lap("conditions")
        frames, state.generator = self.generator.step(state.generator, conditions)
        state.frames = _pictures(frames)
        clock.lap("generate")

    def _conditions(self, scenes: list[Scene], before: Scene | None, anchor: Scene) -> Conditions:
        assert self.generator is not None
        return build_conditions([scenes], [before], [anchor], self.generator.spec.conditions)

    def _first_frames(self, world: World, seed: int, clock: Stopwatch) -> tuple[NDArray[np.uint8] | None, Any]:
        """Pictures of the first scene and the generator's state after them."""
        if self.generator is None:
            return None, None
        conditions = self._conditions([world.scene], None, world.scene)
        clock.lap("conditions")
        history = first_frames(self.source, world, self.generator.spec)
        past = None if history is None else torch.from_numpy(history)[None]
        generator = self.generator.start(past, conditions, [seed])
        if past is None:
            frames, generator = self.generator.step(generator, conditions)
            generator = self.generator.commit(generator)
        else:
            frames = past
        clock.lap("generate")
        return _pictures(frames), generator

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

    def _observe(self) -> Observation:
        state = self._running("observe")
        scene, route = state.world.scene, state.world.route.points
        ahead = points_ahead(route, state.route, scene.ego, ROUTE_POINTS, ROUTE_SPACING)
        frames = self._observed_frames(state)
        view = View(scene, ahead, frames, self._truth, self.road)
        observation: Observation = {}
        for sensor in self._sensors:
            observation.update(sensor.observe(view))
        return observation

    def _info(self, timings: Timings) -> Info:
        state = self._running("info")
        ego = state.world.scene.ego
        events = {
            "collisions": [asdict(collision) for collision in state.events.collisions],
            "off_road": state.events.off_road,
            "corners_off_road": state.events.corners_off_road,
        }
        metrics = {
            "time": self.time, "speed": ego.speed, "acceleration": ego.acceleration, "route_offset": state.route.offset,
            "heading_error": state.route.heading_error, "distance": state.distance,
            "tracks": float(len(state.world.scene.tracks)),
        }  # fmt: skip
        info: Info = {"rewards": dict(state.terms), "events": events, "metrics": metrics, "timings": timings}
        if state.script is not None and state.criteria is not None:
            info["scenario"] = report(state.script, state.criteria)
            info["events"]["scenario"] = state.criteria.outcome
        return info

    def _show(self) -> None:
        if self._window is None:
            self._window = Window("drivesim")
        self._window.show(self.picture())


def _event_words(state: EnvState) -> list[str]:
    words = [f"hit {collision.class_name}" for collision in state.events.collisions]
    words += ["off road"] * state.events.off_road
    return words if state.script is None else words + state.script.recent_events(_EVENT_SECONDS)


def _pictures(frames: torch.Tensor) -> NDArray[np.uint8]:
    """The last frame of the only world [V, H, W, 3] of frames [1, T, V, H, W, 3]."""
    return frames[0, -1].cpu().numpy().copy()
