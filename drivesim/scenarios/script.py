"""A scenario that is being played: what never changes, what does, and one step of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.actors import NOBODY, Actors, Cast, anybody_reacts, objects_of, step, tracks_with
from drivesim.scenarios.casting import lane_offset
from drivesim.scenarios.line import ReferenceLine
from drivesim.scenarios.places import Found
from drivesim.scenarios.schema import Action, CameraFault, Event, Scenario
from drivesim.scenarios.triggers import Triggers, due, gaps, triggers_of
from drivesim.scenarios.watch import Watch, first_watch, situation, watched
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
    watch: Watch
    finished: bool = False  # whether an event has ended the scenario

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
        np.full(len(cast.names), np.inf), first_watch(part.triggers, len(cast.names), scene.ego),
    )  # fmt: skip
    return observed(script, scene.ego, scene.vehicle)


def advance(script: Script, ego: EgoState, shape: VehicleShape, others: Objects | None, dt: float) -> Script:
    """The script `dt` [s] later. Events are decided on, and actors look at, what is before the step: the `ego` and
    `others`, the ego among them, which may be None where no actor reacts."""
    script = _happen(script, ego, shape, dt)
    actors = script.actors
    if script.part.cast.names:
        own = (*_middle(ego, shape), ego.speed, 0.5 * shape.length)
        actors = step(script.part.cast, actors, others, script.time, dt, script.part.line, own)
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


def _happen(script: Script, ego: EgoState, shape: VehicleShape, dt: float) -> Script:
    """The script after the events whose conditions hold."""
    if not script.part.scenario.events:
        return script
    watch = watched(script.watch, script.actors, ego, dt)
    now = situation(watch, script.part.line, script.part.cast, script.actors, ego, shape, script)
    happening, otherwise = due(script.part.triggers, watch.otherwise, now)
    script = replace(script, watch=replace(watch, otherwise=otherwise))
    if not happening.any():
        return script
    script = replace(script, fired=np.where(happening, script.time, script.fired))
    for index in np.flatnonzero(happening).tolist():
        script = _perform(script, script.part.scenario.events[index], ego)
    return script


def _perform(script: Script, event: Event, ego: EgoState) -> Script:
    action = event.action
    tags = script.tags
    if action.weather is not None:
        tags = replace(tags, weather=action.weather)
    if action.time_of_day is not None:
        tags = replace(tags, time_of_day=action.time_of_day)
    faults = script.faults if action.fault is None else (*script.faults, (action.fault, script.time))
    script = replace(script, tags=tags, faults=faults, finished=script.finished or action.finish)
    return script if action.actor is None else replace(script, actors=_direct(script, event, action, ego))


def _direct(script: Script, event: Event, action: Action, ego: EgoState) -> Actors:
    """The actors after one of them was told what to do."""
    part, actors = script.part, script.actors
    row = part.cast.names.index(action.actor or "")
    changes: dict[str, float | bool] = {}
    speed = float(actors.speed[row])
    if action.speed is not None:
        wanted = _wanted(script, action, ego)
        changes |= {"wanted": wanted, "rate": _rate(action, speed, wanted), "keep_to": NOBODY}
    if action.keep is not None:
        keep = action.keep
        whom = len(part.cast.names) if keep.to is None else part.cast.names.index(keep.to)
        changes |= {"keep_to": whom, "keep_gap": keep.gap, "keep_seconds": keep.seconds, "keep_side": keep.ahead - 0.5}
        changes["rate"] = action.rate
    if action.lane is not None and action.offset is not None:
        to = lane_offset(part.scenario, event.line, action.lane, part.found) + action.offset
        path = part.scenario.actors[row].path
        changes |= {
            "move_from": float(actors.offset[row]), "move_to": -to if path == "against" else to,
            "move_begin": script.time,
            "move_over": action.over if action.over_metres is None else action.over_metres / max(speed, 0.5),
        }  # fmt: skip
    if action.reacts is not None:
        changes["reacts"] = action.reacts
    if action.door is not None:
        changes["door_to"] = action.door if action.door_side == "left" else -action.door
    if action.appear or action.vanish:
        changes["present"] = action.appear
    return replace(actors, **{name: _with(getattr(actors, name), row, value) for name, value in changes.items()})


def _wanted(script: Script, action: Action, ego: EgoState) -> float:
    """The speed that is wanted [m/s]."""
    assert action.speed is not None
    if action.speed_like is None:
        return action.speed
    part, actors = script.part, script.actors
    other = ego.speed if action.speed_like == "ego" else float(actors.speed[part.cast.names.index(action.speed_like)])
    return max(action.speed * other if action.times else action.speed + other, 0.0)


def _rate(action: Action, speed: float, wanted: float) -> float:
    """The rate [m/s^2] at which the wanted speed is reached within the time or the distance asked for."""
    if action.speed_over is not None:
        return max(abs(wanted - speed) / max(action.speed_over, 0.05), 0.1)
    if action.speed_within is not None:
        return max(abs(wanted * wanted - speed * speed) / (2.0 * max(action.speed_within, 0.1)), 0.1)
    return action.rate


def _with(column: NDArray, row: int, value: float | bool) -> NDArray:
    changed = column.copy()
    changed[row] = value
    return changed
