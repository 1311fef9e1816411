"""Rolling layouts on: from a window of the past to a state, and from state to state, many scenes at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from drivesim.predictor.features import along_way, on_way
from drivesim.predictor.layout import Layouts, Ways
from drivesim.predictor.network import HISTORY, ConditionPredictor, Minds, moved, seen_of
from drivesim.predictor.objective import chosen_ways, layout_at, put_ego, truth_at, ways_of, with_ego
from drivesim.predictor.windows import ROWS, batch_of, past_of
from drivesim.scene import Scene


@dataclass(frozen=True, eq=False)
class Imagined:
    """B scenes at one instant, imagined on from what was seen. A value, random generator included."""

    layout: Layouts
    minds: Minds
    generator: Tensor  # state of the random generator


EgoPolicy = Callable[[Imagined], Tensor]  # acceleration [m/s^2] and curvature [1/m] of the egos [B, 2]


@torch.inference_mode()
def begin(
    predictor: ConditionPredictor, batch: Mapping[str, Tensor], seed: int = 0, with_ways: bool = True
) -> Imagined:
    """The state at the present instant of windows, latent states from the posterior of what was seen.

    Everybody's way is the likeliest of the candidates; the ego's, too, so that it can be imagined to drive itself.
    """
    scenes, _, count, _ = batch["motion"].shape
    ways = chosen_ways(batch, likeliest_ways(predictor, batch))
    if not with_ways:
        ways = replace(ways, known=torch.zeros_like(ways.known))
    minds = predictor.minds(scenes, count)
    for step in range(HISTORY):
        layout = with_ego(layout_at(batch, step, ways), batch, step)
        position, yaw, speed, _ = truth_at(batch, step + 1)
        seen = seen_of(layout, position, yaw, speed)
        minds = predictor.foresee(layout, minds, torch.zeros_like(minds.s), seen).minds
    generator = torch.Generator().manual_seed(seed)
    return Imagined(layout_at(batch, HISTORY, ways), minds, generator.get_state())


def begin_from_scenes(
    predictor: ConditionPredictor, worlds: Sequence[Sequence[Scene]], seed: int = 0, rows: int = ROWS
) -> Imagined:
    """The state at the last scenes of some worlds, each with up to HISTORY scenes before it, PERIOD apart. Row 0 of
    every world is its ego, then come those nearest to it."""
    windows = [past_of(scenes, scenes[-1].tracks.ids, rows).window for scenes in worlds]
    return begin(predictor, batch_of([dict(window) for window in windows]), seed)


@torch.inference_mode()
def likeliest_ways(predictor: ConditionPredictor, batch: Mapping[str, Tensor]) -> Tensor:
    """Index [B, N] of the candidate that everybody is most likely to take."""
    scenes, _, count, _ = batch["motion"].shape
    nothing = chosen_ways(batch, torch.zeros(scenes, count, dtype=torch.long))
    past = batch["motion"][:, :HISTORY, :, :2].transpose(1, 2)
    return predictor.score_ways(layout_at(batch, HISTORY, nothing), ways_of(batch), past).argmax(-1)


@torch.inference_mode()
def step(predictor: ConditionPredictor, state: Imagined, action: Tensor | None = None, spread: float = 1.0) -> Imagined:
    """The state one PERIOD later. `action` [B, 2] is the acceleration [m/s^2] and curvature [1/m] of the egos; without
    they drive as the predictor would. `spread` scales the noise of the latent states, 0 for their means."""
    generator = torch.Generator()
    generator.set_state(state.generator)
    noise = spread * torch.randn(state.minds.s.shape, generator=generator)
    layout = state.layout
    if action is not None:
        layout = put_ego(
            layout, layout.position[:, 0], layout.yaw[:, 0], layout.speed[:, 0], action[:, 0], action[:, 1]
        )
    foreseen = predictor.foresee(layout, state.minds, noise)
    acceleration, curvature = foreseen.acceleration, foreseen.curvature
    if action is not None:
        acceleration = torch.cat([action[:, :1], acceleration[:, 1:]], 1)
        curvature = torch.cat([action[:, 1:], curvature[:, 1:]], 1)
    return Imagined(moved(layout, acceleration, curvature), foreseen.minds, generator.get_state())


def imagine(
    predictor: ConditionPredictor, state: Imagined, policy: EgoPolicy | None, steps: int, spread: float = 1.0
) -> list[Imagined]:
    """The states after every one of `steps` periods, the egos driven by a policy, or by the predictor itself."""
    states = []
    for _ in range(steps):
        state = step(predictor, state, None if policy is None else policy(state), spread)
        states.append(state)
    return states


def way_pursuit(state: Imagined, reach: float = 8.0) -> Tensor:
    """Curvature [B] [1/m] with which the egos follow their ways; for policies that choose a speed only."""
    layout = state.layout
    ways = Ways(*(getattr(layout.ways, name)[:, :1] for name in ("points", "allowed", "stops", "known")))
    along, _, _ = along_way(ways, layout.position[:, :1, None])
    offset = on_way(ways, along + reach)[0][:, 0, 0] - layout.position[:, 0]
    c, s = layout.direction[:, 0].unbind(-1)
    beside = c * offset[:, 1] - s * offset[:, 0]
    return torch.where(ways.known[:, 0], 2.0 * beside / offset.square().sum(-1).clamp(min=4.0), 0.0)
