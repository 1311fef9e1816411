"""How far predictions are off: displacement of moving vehicles against constant velocity and constant turn rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.predictor.imagination import begin, step
from drivesim.predictor.kinematics import control_between
from drivesim.predictor.layout import PERIOD
from drivesim.predictor.network import HISTORY, ConditionPredictor
from drivesim.predictor.objective import truth_at
from drivesim.scene import CLASS_ID

HORIZONS = (1.0, 3.0)  # [s]
METHODS = ("constant velocity", "constant turn rate", "predictor", "predictor without map")
_MOVING = 1.0  # [m/s] from which a vehicle counts as moving


@dataclass(frozen=True)
class Displacement:
    """Error of a method at a horizon [m]: at its end, and on average until then."""

    method: str
    horizon: float  # [s]
    final: float
    average: float
    count: int


def constant_velocity(batch: Mapping[str, Tensor], steps: int) -> Tensor:
    """Places [B, steps, N, 2] of all who go on as they do now [m]."""
    position, yaw, speed, _ = truth_at(batch, HISTORY)
    times = PERIOD * torch.arange(1, steps + 1)[None, :, None, None]
    return position[:, None] + times * (speed[..., None] * torch.stack([yaw.cos(), yaw.sin()], -1))[:, None]


def constant_turn_rate(batch: Mapping[str, Tensor], steps: int) -> Tensor:
    """Places [B, steps, N, 2] of all who keep speed and yaw rate of the last period [m], in closed form."""
    position, yaw, speed, _ = truth_at(batch, HISTORY)
    _, before, slower, was = truth_at(batch, HISTORY - 1)
    _, curvature = control_between(before, slower, yaw, speed, PERIOD)
    way = PERIOD * torch.arange(1, steps + 1)[None, :, None] * speed[:, None]
    turn = way * (curvature.clamp(-0.3, 0.3) * was)[:, None]
    chord = way * torch.sinc(0.5 * turn / torch.pi)
    middle = yaw[:, None] + 0.5 * turn
    return position[:, None] + chord[..., None] * torch.stack([middle.cos(), middle.sin()], -1)


def predicted(
    predictor: ConditionPredictor, batch: Mapping[str, Tensor], steps: int, with_ways: bool = True, drives: bool = False
) -> Tensor:
    """Places [B, steps, N, 2] that the predictor expects, the egos doing what they did, or what it expects of them if
    it `drives`."""
    state = begin(predictor, batch, with_ways=with_ways)
    places = []
    for index in range(steps):
        _, yaw, speed, _ = truth_at(batch, HISTORY + index)
        _, later, faster, _ = truth_at(batch, HISTORY + index + 1)
        action = torch.stack(control_between(yaw[:, 0], speed[:, 0], later[:, 0], faster[:, 0], PERIOD), -1)
        state = step(predictor, state, None if drives else action, spread=0.0)
        places.append(state.layout.position)
    return torch.stack(places, 1)


def measured(batch: Mapping[str, Tensor], steps: int, egos: bool = False) -> Tensor:
    """Which vehicles [B, N] count: moving, there from the past on to the end, not the ego; or the egos alone."""
    motion, kind = batch["motion"], batch["body"][..., 2].long()
    there = (motion[:, HISTORY - 1 : HISTORY + steps + 1, :, 4] > 0.5).all(1)
    there &= (motion[:, HISTORY, :, 3] > _MOVING) & (kind != CLASS_ID["pedestrian"])
    is_ego = torch.zeros_like(there)
    is_ego[:, 0] = True
    return there & (is_ego == egos)


def displacements(
    predictor: ConditionPredictor, batches: Iterable[Mapping[str, Tensor]], egos: bool = False
) -> list[Displacement]:
    """Errors of all methods at all horizons, mean over the moving vehicles of all windows; or over the egos, with the
    predictor in their place."""
    steps = round(max(HORIZONS) / PERIOD)
    sums: dict[tuple[str, float], list[float]] = {}
    for batch in batches:
        truth = batch["motion"][:, HISTORY + 1 : HISTORY + 1 + steps, :, :2]
        places = dict(zip(METHODS, (
            constant_velocity(batch, steps), constant_turn_rate(batch, steps),
            predicted(predictor, batch, steps, drives=egos),
            predicted(predictor, batch, steps, with_ways=False, drives=egos),
        )))  # fmt: skip
        for horizon in HORIZONS:
            until = round(horizon / PERIOD)
            rows = measured(batch, until, egos)
            for method, place in places.items():
                error = (place - truth)[:, :until].norm(dim=-1)
                total = sums.setdefault((method, horizon), [0.0, 0.0, 0.0])
                total[0] += float(error[:, -1][rows].sum())
                total[1] += float(error.mean(1)[rows].sum())
                total[2] += float(rows.sum())
    return [
        Displacement(method, horizon, final / max(count, 1.0), average / max(count, 1.0), int(count))
        for (method, horizon), (final, average, count) in sums.items()
    ]
