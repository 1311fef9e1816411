"""A scenario that is being played: what never changes, what does, and one step of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.actors import Actors, Cast, anybody_reacts, objects_of, step, tracks_with
from drivesim.scenarios.casting import lane_offset
from drivesim.scenarios.line import ReferenceLine
from drivesim.scenarios.places import Found
from drivesim.scenarios.schema import Action, CameraFault, Event, Scenario
from drivesim.scenarios.triggers import Situation, Triggers, due, gaps, times_to_collision, triggers_of
from drivesim.scene import EgoState, Scene, Tags, Tracks, VehicleShape
from drivesim.traffic.perception import Objects


@dataclass(frozen=True, eq=False)
class Part:
    """What never changes while a scenario is played."""

    scenario: Scenario
    found: Found
    cast: Cast
    triggers: Triggers
    seed: int

    @property
    def line(self) -> ReferenceLine:
        """The ego's route as it was at the start."""
        return self.found.line

    @property
    def watched(self) -> NDArray[np.float64]:
        """Least distance [A] that the ego must keep from each actor [m], NaN where none is asked for."""
        wanted = dict(self.scenario.success.clearance)
        return np.array([wanted.get(name, np.nan) for name in self.cast.names])


@dataclass(frozen=True, eq=False)
class Script:
    """A scenario at one instant. A value: nothing in it is ever written to."""

    part: Part
    actors: Actors
    fired: NDArray[np.float64]  # [E] when events happened [s], NaN for not yet
    faults: tuple[tuple[CameraFault, float], ...]  # with the times when they began [s]
    tags: Tags
    time: float  # [s] since the start
    progress: float  # [m] of the ego along the reference line
    offset: float  # [m] of the ego from it, positive to the left
    distance: NDArray[np.float64]  # [A] between the bodies of ego and actors [m], inf where not there

    def __deepcopy__(self, memo: dict[int, Any]) -> Script:
        return self

    @property
    def scenario(self) -> Scenario:
        """What is being played."""
        return self.part.scenario

    @property
    def needs_others(self) -> bool:
        """Whether `advance` has to know where everybody else is."""
        return anybody_reacts(self.actors)

    def recent_events(self, seconds: float) -> list[str]:
        """Names of the events of the last seconds."""
        events = self.scenario.events
        return [event.name for event, at in zip(events, self.fired.tolist()) if self.time - at <= seconds]

    def objects(self) -> Objects:
        """The actors as things that others see."""
        return objects_of(self.part.cast, self.actors)

    def tracks_with(self, tracks: Tracks) -> Tracks:
        """Tracks with the actors after them."""
        return tracks_with(tracks, self.part.cast, self.actors)


def begin(scenario: Scenario, found: Found, cast: Cast, actors: Actors, seed: int, scene: Scene) -> Script:
    """The script at the start of a drive."""
    part = Part(scenario, found, cast, triggers_of(scenario.events, cast.names, cast.meets), seed)
    script = Script(
        part, actors, np.full(len(scenario.events), np.nan), (), scene.tags, 0.0, 0.0, 0.0,
        np.full(len(cast.names), np.inf),
    )  # fmt: skip
    return observed(script, scene.ego, scene.vehicle)


def advance(script: Script, ego: EgoState, shape: VehicleShape, others: Objects | None, dt: float) -> Script:
    """The script `dt` [s] later. Events are decided on, and actors look at, what is before the step: the `ego` and
    `others`, the ego among them, which may be None where no actor reacts."""
    script = _happen(script, ego, shape)
    actors = step(script.part.cast, script.actors, others, script.time, dt) if script.part.cast.names else script.actors
    return replace(script, actors=actors, time=script.time + dt)


def observed(script: Script, ego: EgoState, shape: VehicleShape) -> Script:
    """The script with where the ego has come to."""
    place = complex(ego.pose[0, 3], ego.pose[1, 3])
    progress, offset = script.part.line.project(place, script.progress)
    distance = script.distance
    if script.part.cast.names:
        distance = np.where(script.actors.present, _gaps(script, ego, shape), np.inf)
    return replace(script, progress=progress, offset=offset, distance=distance)


def _middle(ego: EgoState, shape: VehicleShape) -> tuple[complex, complex]:
    direction = complex(ego.pose[0, 0], ego.pose[1, 0])
    return complex(ego.pose[0, 3], ego.pose[1, 3]) + shape.centre_offset * direction, direction


def _gaps(script: Script, ego: EgoState, shape: VehicleShape) -> NDArray[np.float64]:
    position, direction = _middle(ego, shape)
    there = script.objects()
    return gaps(
        position, direction, (0.5 * shape.length, 0.5 * shape.width), there.position, there.direction,
        there.half_length, there.half_width,
    )  # fmt: skip


def _happen(script: Script, ego: EgoState, shape: VehicleShape) -> Script:
    """The script after the events whose conditions hold."""
    if not script.part.scenario.events:
        return script
    position, direction = _middle(ego, shape)
    velocity = script.actors.velocity - ego.speed * direction
    closing = times_to_collision(script.distance, script.actors.position - position, velocity)
    now = Situation(script.time, script.progress, ego.speed, script.distance, closing)
    happening = due(script.part.triggers, script.fired, now)
    if not happening.any():
        return script
    script = replace(script, fired=np.where(happening, script.time, script.fired))
    for index in np.flatnonzero(happening).tolist():
        script = _perform(script, script.part.scenario.events[index])
    return script


def _perform(script: Script, event: Event) -> Script:
    action = event.action
    tags = script.tags
    if action.weather is not None:
        tags = replace(tags, weather=action.weather)
    if action.time_of_day is not None:
        tags = replace(tags, time_of_day=action.time_of_day)
    faults = script.faults if action.fault is None else (*script.faults, (action.fault, script.time))
    script = replace(script, tags=tags, faults=faults)
    return script if action.actor is None else replace(script, actors=_direct(script, event, action))


def _direct(script: Script, event: Event, action: Action) -> Actors:
    """The actors after one of them was told what to do."""
    part, actors = script.part, script.actors
    row = part.cast.names.index(action.actor or "")
    changes: dict[str, float | bool] = {}
    if action.speed is not None:
        changes |= {"wanted": action.speed, "rate": action.rate}
    if action.lane is not None and action.offset is not None:
        to = lane_offset(part.scenario, event.line, action.lane, part.found) + action.offset
        path = part.scenario.actors[row].path
        changes |= {
            "move_from": float(actors.offset[row]), "move_to": -to if path == "against" else to,
            "move_begin": script.time, "move_over": action.over,
        }  # fmt: skip
    if action.reacts is not None:
        changes["reacts"] = action.reacts
    if action.door is not None:
        changes["door_to"] = action.door if action.door_side == "left" else -action.door
    if action.appear or action.vanish:
        changes["present"] = action.appear
    return replace(actors, **{name: _with(getattr(actors, name), row, value) for name, value in changes.items()})


def _with(column: NDArray, row: int, value: float | bool) -> NDArray:
    changed = column.copy()
    changed[row] = value
    return changed
