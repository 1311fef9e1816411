"""The environment: one driving world behind the Gymnasium interface. The only object with state of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from numpy.typing import ArrayLike, NDArray

from drivesim.actions import make_action
from drivesim.display import Window
from drivesim.env_settings import make_generator, name_of, picture_size
from drivesim.env_state import EnvState
from drivesim.generators.interface import Generator
from drivesim.observations import Observation, Truth, make_sensors
from drivesim.rewards import RewardWeights
from drivesim.road_ahead import RoadAhead
from drivesim.scene import CAMERAS, Scene
from drivesim.simulation import Info, Simulation
from drivesim.sources import check_options, make_source
from drivesim.vehicle import KinematicBicycle
from drivesim.video import Panel, camera_dict, compose

if TYPE_CHECKING:
    from drivesim.world import WorldSource

RENDER_FPS = 12.0
SEEDS = 2**31  # of worlds
_EVENT_SECONDS = 1.5  # that the picture tells of an event of the scenario


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
        self.reset_options = check_options(reset_options)
        self.settings = {
            "source": name_of(source), "generator": name_of(generator), "traffic": traffic, "action": action,
            "observation": list(observation),
            "image_size": list(image_size) if image_size is not None else None, "seconds": seconds,
            "reward": dict(reward or {}), "source_options": dict(source_options or {}),
            "generator_options": dict(generator_options or {}), "reset_options": dict(reset_options or {}),
        }  # fmt: skip
        weights = RewardWeights.of(reward)
        eyes = make_generator(generator, image_size, generator_options or {})
        spec = eyes.spec if eyes else None
        self.image_size = picture_size(image_size, spec.image_size if spec else None)
        chunk, dt = (spec.chunk, 1.0 / spec.fps) if spec else (1, 1.0 / RENDER_FPS)
        self.simulation = Simulation(
            make_source(source, traffic, self.image_size, source_options or {}), eyes,
            make_action(action, KinematicBicycle(), chunk),
            make_sensors(observation, spec.cameras if spec else None, self.image_size), Truth(self.image_size),
            weights, seconds, chunk, dt,
        )  # fmt: skip
        self._take_spaces()
        self._state: EnvState | None = None
        self._window: Window | None = None

    def _take_spaces(self) -> None:
        """Spaces of its own, since what is drawn from a space changes it."""
        self.action_space = self.simulation.action.space()
        entries = [(name, space) for sensor in self.simulation.sensors for name, space in sensor.spaces().items()]
        self.observation_space = spaces.Dict(entries)  # type: ignore[assignment]

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
        return self._running("road").road

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
        return self.simulation.step_seconds

    @property
    def seconds(self) -> float | None:
        """Time after which a drive is truncated [s]."""
        return self.simulation.seconds

    @seconds.setter
    def seconds(self, seconds: float | None) -> None:
        self.simulation = replace(self.simulation, seconds=seconds)

    @property
    def chunk(self) -> int:
        """Frames of a control step."""
        return self.simulation.chunk

    @property
    def generator(self) -> Generator | None:
        """What draws the pictures."""
        return self.simulation.generator

    @property
    def source(self) -> WorldSource:
        """Where worlds come from."""
        return self.simulation.source

    # Gymnasium.

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, Info]:
        """Begins a drive. Options: scene, town, weather, time_of_day, route, start_time; a source may take fewer. In
        the town also scenario (name or path) and variant, instead of scene, town and route.

        Options given here go before those that the environment was made with. Raises ValueError for options that the
        source does not accept; the last drive then goes on.
        """
        options = self.reset_options | check_options(options)
        random = copy.deepcopy(self.np_random) if seed is None else seeding.np_random(seed)[0]
        self.source.check(int(random.integers(SEEDS)), options)  # while the last drive can still go on
        super().reset(seed=seed)
        seed = int(self.np_random.integers(SEEDS))
        self._state = None  # the last drive's world makes room for the next
        (state,), memory, ((observation, info),) = self.simulation.begin([seed], [options], [self.np_random])
        self._state = replace(state, generator=memory)
        if self.render_mode == "human":
            self._show()
        return observation, info

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, Info]:
        """One control step: the ego moves, the others react, the cameras see what came of it."""
        state = self._running("step")
        outcomes, state.generator = self.simulation.step([state], state.generator, {0: action})
        if self.render_mode == "human":
            self._show()
        seen = outcomes[0]
        return seen.observation, seen.reward, seen.terminated, seen.truncated, seen.info

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
        twin._window, twin.render_mode = None, None
        twin.settings = self.settings | {"generator": None, "action": action, "observation": list(observation)}
        twin.simulation = replace(
            self.simulation, generator=None, seconds=None, action=make_action(action, KinematicBicycle(), self.chunk),
            sensors=make_sensors(observation, None, self.image_size),
        )  # fmt: skip
        twin._take_spaces()
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
        return self.simulation.observe(self._state)

    def __deepcopy__(self, memo: dict[int, Any]) -> DriveWorldEnv:
        return self.copy()

    def _running(self, what: str) -> EnvState:
        if self._state is None:
            raise ResetNeeded(
                f"{what}: found an environment before its first reset; accepted after reset() or set_state()"
            )
        return self._state

    def _show(self) -> None:
        if self._window is None:
            self._window = Window("drivesim")
        self._window.show(self.picture())


def _event_words(state: EnvState) -> list[str]:
    words = [f"hit {collision.class_name}" for collision in state.events.collisions]
    words += ["off road"] * state.events.off_road
    return words if state.script is None else words + state.script.recent_events(_EVENT_SECONDS)
