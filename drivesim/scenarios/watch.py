"""What conditions need to know of the past, and the situation that they are compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drivesim.scenarios.actors import START, Actors, Cast
from drivesim.scenarios.line import ReferenceLine
from drivesim.scenarios.triggers import Situation, Triggers
from drivesim.scene import EgoState, VehicleShape

if TYPE_CHECKING:
    from drivesim.scenarios.script import Script

_STILL = 0.05  # [m/s] below which somebody stands


@dataclass(frozen=True, eq=False)
class Watch:
    """The past of A actors and the ego, who is the last."""

    stood: NDArray[np.float64]  # [A + 1] without a break [s]
    driven: float  # [m] by the ego
    place: complex  # of the ego's rear axle [m]
    otherwise: NDArray[np.bool_]  # [C] conditions that have not held some time


def first_watch(triggers: Triggers, actors: int, ego: EgoState) -> Watch:
    """The past at the start of a drive."""
    return Watch(np.full(actors + 1, -np.inf), 0.0, _place(ego), np.zeros(len(triggers.bound), bool))


def watched(watch: Watch, actors: Actors, ego: EgoState, dt: float) -> Watch:
    """The past with the present added, `dt` [s] after the last."""
    still = np.append(np.abs(actors.velocity), ego.speed) < _STILL
    stood = np.where(still, np.maximum(watch.stood, -dt) + dt, -dt)
    return replace(watch, stood=stood, driven=watch.driven + abs(_place(ego) - watch.place), place=_place(ego))


def _place(ego: EgoState) -> complex:
    return complex(ego.pose[0, 3], ego.pose[1, 3])


def situation(
    watch: Watch, line: ReferenceLine, cast: Cast, actors: Actors, ego: EgoState, shape: VehicleShape, script: Script
) -> Situation:
    """What conditions are compared with. Nothing is known of actors that are not there."""
    own = complex(ego.pose[0, 0], ego.pose[1, 0])
    position = np.append(np.where(actors.present, actors.position, np.nan), watch.place + shape.centre_offset * own)
    at, beside = line.project_all(np.nan_to_num(position))
    here = np.isfinite(position)
    bodies = cast.bodies
    return Situation(
        time=script.time,
        at=np.where(here, at, np.nan),
        beside=np.where(here, beside, np.nan),
        position=position,
        direction=np.append(actors.direction, own),
        velocity=np.append(actors.velocity, ego.speed * own),
        acceleration=np.append(actors.acceleration, ego.acceleration),
        half_length=np.append(bodies.half_length, 0.5 * shape.length),
        half_width=np.append(bodies.half_width + 0.5 * np.abs(actors.door), 0.5 * shape.width),
        travelled=np.append(actors.s - START, watch.driven),
        stood=watch.stood,
        fired=script.fired,
        progress=script.progress,
        speed=np.append(np.where(actors.present, actors.speed, np.nan), ego.speed),
    )
