"""What the predictor learns from: windows of layouts, first as they were seen, then left to itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

from drivesim.predictor.features import along_way
from drivesim.predictor.kinematics import control_between, into_frame
from drivesim.predictor.latent import balanced_kl
from drivesim.predictor.layout import PERIOD, Layouts, Ways
from drivesim.predictor.network import HISTORY, ConditionPredictor, moved, seen_of
from drivesim.scene import CLASS_ID

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class PredictorObjectiveConfig:
    """Weights of the losses and how often something is withheld."""

    divergence: float = 0.01
    balance: float = 0.75  # of KL balancing
    alone: float = 0.6  # share of windows that roll on the prior; the others on the posterior
    without_ways: float = 0.15  # share of windows without a map
    beside: float = 2.0  # weight of errors across the heading
    speed: float = 0.2
    heading: float = 3.0
    choice: float = 0.2
    jerk: float = 0.002


class PredictorObjective(nn.Module):
    """Loss of a predictor on windows, see `drivesim.predictor.windows`."""

    def __init__(self, predictor: ConditionPredictor, config: PredictorObjectiveConfig) -> None:
        super().__init__()
        self.predictor = predictor
        self.config = config

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        """Mean loss over the road users of a batch of windows, and its parts."""
        c, predictor = self.config, self.predictor
        chosen, choice = self._choice(batch)
        steps = batch["motion"].shape[1] - 1
        scenes, count = batch["motion"].shape[0], batch["motion"].shape[2]
        blind = torch.rand(scenes) < c.without_ways
        ways = replace(chosen, known=chosen.known & ~blind[:, None])
        alone = torch.rand(scenes) < c.alone
        layout = layout_at(batch, 0, ways)
        minds = predictor.minds(scenes, count)
        total = divergence = jerk = batch["motion"].new_zeros(())
        weights = 0.0
        for step in range(steps):
            if step <= HISTORY:
                layout = layout_at(batch, step, ways)
            layout = with_ego(layout, batch, step)
            position, yaw, speed, present = truth_at(batch, step + 1)
            seen = seen_of(layout, position, yaw, speed)
            there = layout.present & present
            there[:, 0] = False
            noise = torch.randn_like(minds.s)
            foreseen = predictor.foresee(layout, minds, noise, seen, alone if step >= HISTORY else None)
            assert foreseen.posterior is not None
            divergence = divergence + masked_mean(balanced_kl(foreseen.posterior, foreseen.prior, c.balance), there)
            before = layout
            layout = moved(layout, foreseen.acceleration, foreseen.curvature)
            layout = replace(layout, present=there | ego_row(there))
            minds = foreseen.minds
            error = self._error(layout, position, yaw, speed)
            weight = 1.0 if step >= HISTORY else 0.5
            total = total + weight * masked_mean(error, there)
            weights += weight
            change = layout.acceleration - before.acceleration
            jerk = jerk + masked_mean(change.square(), there)
        motion, divergence = total / weights, divergence / steps
        loss = motion + c.divergence * divergence + c.choice * choice + c.jerk * jerk / steps
        return loss, {"motion": motion.detach(), "divergence": divergence.detach(), "choice": choice.detach()}

    def _error(self, layout: Layouts, position: Tensor, yaw: Tensor, speed: Tensor) -> Tensor:
        """Error [B, N] of a layout: place along and across the true heading, speed, and heading of those who drive."""
        c = self.config
        heading = torch.stack([yaw.cos(), yaw.sin()], -1)
        offset = into_frame(layout.position - position, heading)
        along, beside = smooth_l1_loss(offset, torch.zeros_like(offset), reduction="none").unbind(-1)
        pace = smooth_l1_loss(layout.speed, speed, reduction="none")
        drives = layout.class_ids != CLASS_ID["pedestrian"]
        turned = (1.0 - (layout.yaw - yaw).cos()) * drives
        return along + c.beside * beside + c.speed * pace + c.heading * turned

    def _choice(self, batch: Batch) -> tuple[Ways, Tensor]:
        """The way that everybody took of those there were, and how badly that was foreseen."""
        candidates = ways_of(batch)
        label, certain = taken_way(batch, candidates)
        layout = layout_at(batch, HISTORY, chosen_ways(batch, label))
        past = batch["motion"][:, :HISTORY, :, :2].transpose(1, 2)
        logits = self.predictor.score_ways(layout, candidates, past)
        loss = cross_entropy(logits.flatten(0, 1), label.flatten(), reduction="none").view_as(label)
        return layout.ways, masked_mean(loss, certain & layout.present)


def masked_mean(value: Tensor, mask: Tensor) -> Tensor:
    """Mean of `value` where `mask` holds; zero where it never does."""
    return torch.where(mask, value, 0.0).sum() / mask.sum().clamp(min=1)


def ego_row(mask: Tensor) -> Tensor:
    """A mask that holds for the ego alone."""
    alone = torch.zeros_like(mask)
    alone[:, 0] = True
    return alone


def truth_at(batch: Batch, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position, yaw, speed and presence of everybody at one step of the windows."""
    motion = batch["motion"][:, step]
    return motion[..., :2], motion[..., 2], motion[..., 3], motion[..., 4] > 0.5


def layout_at(batch: Batch, step: int, ways: Ways) -> Layouts:
    """The true layout at one step of the windows, with the control that led there."""
    position, yaw, speed, present = truth_at(batch, step)
    acceleration, curvature = torch.zeros_like(speed), torch.zeros_like(speed)
    if step > 0:
        _, before, slower, was = truth_at(batch, step - 1)
        acceleration, curvature = control_between(before, slower, yaw, speed, PERIOD)
        acceleration, curvature = acceleration * was, curvature.clamp(-0.4, 0.4) * was
    body = batch["body"]
    return Layouts(position, yaw, speed, acceleration.clamp(-10.0, 10.0), curvature, body[..., :2],
                   body[..., 2].long(), present, ways)  # fmt: skip


def with_ego(layout: Layouts, batch: Batch, step: int) -> Layouts:
    """The layout with the ego where it was at a step, and with the action that it takes then."""
    position, yaw, speed, _ = truth_at(batch, step)
    _, later, faster, _ = truth_at(batch, step + 1)
    acceleration, curvature = control_between(yaw[:, :1], speed[:, :1], later[:, :1], faster[:, :1], PERIOD)
    return put_ego(layout, position[:, 0], yaw[:, 0], speed[:, 0], acceleration[:, 0], curvature[:, 0])


def put_ego(
    layout: Layouts, position: Tensor, yaw: Tensor, speed: Tensor, acceleration: Tensor, curvature: Tensor
) -> Layouts:
    """The layout with the ego [B, ...] at a place and with an action."""

    def put(values: Tensor, first: Tensor) -> Tensor:
        return torch.cat([first[:, None], values[:, 1:]], 1)

    return replace(
        layout, position=put(layout.position, position), yaw=put(layout.yaw, yaw), speed=put(layout.speed, speed),
        acceleration=put(layout.acceleration, acceleration), curvature=put(layout.curvature, curvature),
    )  # fmt: skip


def ways_of(batch: Batch) -> Ways:
    """All K candidates of everybody, [B, N * K, ...]."""
    return Ways(*(batch[name].flatten(1, 2) for name in ("points", "allowed", "stops", "candidates")))


def chosen_ways(batch: Batch, which: Tensor) -> Ways:
    """One way of everybody by its index [B, N]."""

    def pick(name: str) -> Tensor:
        table = batch[name]
        index = which.view(*which.shape, *[1] * (table.dim() - 2)).expand(-1, -1, 1, *table.shape[3:])
        return table.gather(2, index)[:, :, 0]

    return Ways(pick("points"), pick("allowed"), pick("stops"), pick("candidates"))


def taken_way(batch: Batch, candidates: Ways) -> tuple[Tensor, Tensor]:
    """Index [B, N] of the candidate that everybody kept closest to from the present on, and whether that is certain."""
    motion = batch["motion"][:, HISTORY:]
    scenes, _, count, _ = motion.shape
    k = candidates.known.shape[1] // count
    places = motion[..., :2].transpose(1, 2)
    there = (motion[..., 4] > 0.5).transpose(1, 2)
    _, beside, _ = along_way(candidates, places.repeat_interleave(k, 1))
    distance = (beside.abs().view(scenes, count, k, -1) * there[:, :, None]).sum(-1) / there.sum(-1)[:, :, None].clamp(
        1
    )
    distance = distance.masked_fill(~candidates.known.view(scenes, count, k), 1e3)
    best, label = distance.min(-1)
    distance = distance.scatter(-1, label[..., None], 1e3)
    certain = (best < 1.5) & (distance.amin(-1) > best + 0.3) & (distance.amin(-1) < 1e3)
    return label, certain
