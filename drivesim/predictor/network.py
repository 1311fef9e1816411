"""The predictor: latent dynamics per road user, joined by attention, with a kinematic decoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from drivesim.predictor.features import (
    NEIGHBOUR_FEATURES,
    OWN_FEATURES,
    WAY_FEATURES,
    along_way,
    neighbour_features,
    neighbours,
    own_features,
    way_features,
)
from drivesim.predictor.kinematics import (
    HARDEST_ACCELERATION,
    HARDEST_BRAKING,
    TIGHTEST,
    TIGHTEST_ON_FOOT,
    advance,
    into_frame,
)
from drivesim.predictor.latent import Gaussian, LatentDynamics, mlp
from drivesim.predictor.layout import PERIOD, Layouts, Ways
from drivesim.scene import CLASS_ID
from drivesim.weights_io import load_module

if TYPE_CHECKING:
    from drivesim.predictor.imagination import EgoPolicy, Imagined

SEEN = 5  # features of what was seen to happen
HISTORY = 4  # layouts before the present one
_CORRECTION = 0.12  # [1/m] most that is learned on top of the pursuit of a way


@dataclass(frozen=True)
class PredictorConfig:
    """Sizes of the network."""

    width: int = 96
    pair_width: int = 32
    stochastic: int = 8
    neighbours: int = 8


@dataclass(frozen=True, eq=False)
class Minds:
    """Latent state of every road user."""

    h: Tensor  # [B, N, H]
    s: Tensor  # [B, N, S]


@dataclass(frozen=True, eq=False)
class Foreseen:
    """What everybody does in the next period, and how sure that was."""

    acceleration: Tensor  # [B, N] [m/s^2]
    curvature: Tensor  # [B, N] [1/m]
    minds: Minds
    prior: Gaussian
    posterior: Gaussian | None


class ConditionPredictor(nn.Module):
    """From a layout and what was before to what every road user does next. Holds weights and sizes only."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        w, p = config.width, config.pair_width
        self.own = mlp(OWN_FEATURES + WAY_FEATURES, w, w)
        self.pair = mlp(NEIGHBOUR_FEATURES, p, p)
        self.query = nn.Linear(w, p)
        self.nobody = nn.Parameter(torch.zeros(p))
        self.dynamics = LatentDynamics(w + 2 * p, SEEN, w, config.stochastic)
        self.decoder = mlp(2 * w + config.stochastic, w, 2)
        self.choice = mlp(OWN_FEATURES + WAY_FEATURES + HISTORY, 64, 64, 1)

    def minds(self, batch: int, count: int) -> Minds:
        """Those of road users that nothing is known of yet."""
        h, s = self.config.width, self.config.stochastic
        zero = self.nobody.new_zeros
        return Minds(zero(batch, count, h), zero(batch, count, s))

    def foresee(
        self, layout: Layouts, minds: Minds, noise: Tensor, seen: Tensor | None = None, alone: Tensor | None = None
    ) -> Foreseen:
        """Control of everybody for the next PERIOD. With `seen` [B, N, SEEN] (see `seen_of`) the latent state comes
        from the posterior, except in scenes that are left `alone` [B]; else from the prior. `noise` [B, N, S] is
        standard normal, zero for the mean."""
        way, pursuit, along = way_features(layout)
        own = self.own(torch.cat([own_features(layout), way], -1))
        x = torch.cat([own, self._attend(layout, along, own)], -1)
        h = self.dynamics.recur(minds.h, minds.s, x)
        prior = self.dynamics.prior(h)
        posterior = None if seen is None else self.dynamics.posterior(h, seen)
        s = (prior if posterior is None else posterior).sample(noise)
        if posterior is not None and alone is not None:
            s = torch.where(alone[:, None, None], prior.sample(noise), s)
        acceleration, correction = self.decoder(torch.cat([h, own, s.to(h.dtype)], -1)).float().unbind(-1)
        curvature = self._curvature(layout, pursuit, correction)
        acceleration = (2.0 * acceleration).clamp(-HARDEST_BRAKING, HARDEST_ACCELERATION)
        return Foreseen(acceleration, curvature, Minds(h, s), prior, posterior)

    def imagine(self, state: Imagined, policy: EgoPolicy | None, steps: int, spread: float = 1.0) -> list[Imagined]:
        """States after every one of `steps` periods; see `drivesim.predictor.imagination`, which makes states, too."""
        from drivesim.predictor.imagination import imagine

        return imagine(self, state, policy, steps, spread)

    def _attend(self, layout: Layouts, along: Tensor, own: Tensor) -> Tensor:
        """What matters of the neighbours [B, N, 2 * pair_width]: attended, and the strongest of every channel."""
        rows, there = neighbours(layout, self.config.neighbours)
        pairs = self.pair(neighbour_features(layout, along, rows))
        pairs = torch.cat([pairs, self.nobody.to(pairs.dtype).expand(*pairs.shape[:2], 1, -1)], 2)
        there = torch.cat([there, torch.ones_like(there[..., :1])], -1)
        scores = (pairs @ self.query(own)[..., None])[..., 0] * self.config.pair_width**-0.5
        weights = scores.masked_fill(~there, -torch.inf).softmax(-1).to(pairs.dtype)
        strongest = pairs.masked_fill(~there[..., None], -torch.inf).amax(2)
        return torch.cat([(weights[:, :, None] @ pairs)[:, :, 0], strongest], -1)

    @staticmethod
    def _curvature(layout: Layouts, pursuit: Tensor, correction: Tensor) -> Tensor:
        """Pursuit of the way where there is one, the present arc where there is none, and what was learned on top."""
        on_foot = layout.class_ids == CLASS_ID["pedestrian"]
        most = torch.where(on_foot, TIGHTEST_ON_FOOT, TIGHTEST)
        start = torch.where(layout.ways.known, pursuit, 0.8 * layout.curvature)
        learned = torch.where(on_foot, 0.5, _CORRECTION) * correction.tanh()
        return torch.minimum(torch.maximum(start + learned, -most), most)

    def score_ways(self, layout: Layouts, candidates: Ways, past: Tensor) -> Tensor:
        """How likely each of K ways is [B, N, K] (logits): `candidates` holds [B, N * K, ...], K of every road user
        in a row; `past` [B, N, HISTORY, 2] is where everybody was."""
        n = layout.speed.shape[1]
        k = candidates.known.shape[1] // n
        spread = repeated(layout, k)
        spread = replace(spread, ways=candidates)
        way, _, _ = way_features(spread)
        _, beside, _ = along_way(candidates, past.repeat_interleave(k, 1))
        features = torch.cat([own_features(spread), way, 0.5 * beside.clamp(-6.0, 6.0)], -1)
        logits = self.choice(features).float().view(-1, n, k)
        return logits.masked_fill(~candidates.known.view(-1, n, k), -1e4)


def repeated(layout: Layouts, times: int) -> Layouts:
    """A layout in which every row stands `times` times in a row, without its ways."""

    def spread(values: Tensor) -> Tensor:
        return values.repeat_interleave(times, 1)

    return Layouts(
        spread(layout.position), spread(layout.yaw), spread(layout.speed), spread(layout.acceleration),
        spread(layout.curvature), spread(layout.size), spread(layout.class_ids), spread(layout.present), layout.ways,
    )  # fmt: skip


def moved(layout: Layouts, acceleration: Tensor, curvature: Tensor, dt: float = PERIOD) -> Layouts:
    """The layout after `dt` [s] of controls [B, N]."""
    position, yaw, speed = advance(layout.position, layout.yaw, layout.speed, acceleration, curvature, dt)
    return replace(
        layout, position=position, yaw=yaw, speed=speed, acceleration=acceleration, curvature=curvature
    )  # fmt: skip


def seen_of(layout: Layouts, position: Tensor, yaw: Tensor, speed: Tensor) -> Tensor:
    """Where everybody really was one PERIOD later, in its own frame, as the posterior takes it [B, N, SEEN]."""
    offset = into_frame(position - layout.position, layout.direction)
    offset = offset - torch.stack([PERIOD * layout.speed, torch.zeros_like(layout.speed)], -1)
    turn = yaw - layout.yaw
    change = speed - layout.speed
    return torch.cat([offset, torch.stack([turn.sin(), change, 0.1 * speed], -1)], -1).clamp(-5.0, 5.0)


def load_predictor(folder: Path) -> ConditionPredictor:
    """The predictor of a weights folder; WeightsError with the reason if there is none."""
    return load_module(folder, "predictor", lambda raw: ConditionPredictor(PredictorConfig(**raw))).eval()
