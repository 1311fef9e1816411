"""The network of a cloned driver: ego, route and what else it sees to an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from agents.route_frame import along_route

CLASSES = 10
NEAREST = 24  # of the observed boxes, which come nearest first
_EGO_SEEN = [0, 3]  # speed and steering; a clone that sees its own acceleration just repeats it (Wen et al. 2020)


class CloneNetwork(nn.Module):
    """Maps observations [B, ...] to actions [B, *action_shape].

    Boxes, the nearest 24, are a set: each is seen in the frame of the route, passes through the same small network, and
    the maximum over all is taken (Deep Sets, Zaheer et al. 2017). Other observations are flattened.
    """

    action_mean: Tensor  # [A]
    action_spread: Tensor  # [A]

    def __init__(self, sizes: Mapping[str, Sequence[int]], action_shape: Sequence[int], width: int = 128) -> None:
        super().__init__()
        self.observation = tuple(name for name in sizes if name not in ("ego", "route"))
        self.action_shape = tuple(action_shape)
        actions = int(torch.Size(self.action_shape).numel())
        flat = {name: int(torch.Size(sizes[name]).numel()) for name in self.observation if name != "boxes"}
        inputs = len(_EGO_SEEN) + int(torch.Size(sizes["route"]).numel()) + sum(flat.values())
        self.boxes = None
        if "boxes" in self.observation:
            self.boxes = nn.Sequential(nn.Linear(9 + CLASSES, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
            inputs += width
        self.decision = nn.Sequential(
            nn.Linear(inputs, 2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * width), nn.ReLU(),
            nn.Linear(2 * width, actions),
        )  # fmt: skip
        self.register_buffer("action_mean", torch.zeros(actions))
        self.register_buffer("action_spread", torch.ones(actions))

    def fit(self, observation: Mapping[str, Tensor], action: Tensor) -> None:
        """Takes the mean and spread of actions [R, A] as the units it answers in."""
        self.action_mean.copy_(action.mean(0))
        self.action_spread.copy_(action.std(0).clamp(min=1e-3))

    def standardised(self, action: Tensor) -> Tensor:
        """Actions [B, A] in units of their spread."""
        return (action - self.action_mean) / self.action_spread

    def decide(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Standardised actions [B, A]."""
        ego, route = observation["ego"], observation["route"]
        parts = [ego[:, _EGO_SEEN] / ego.new_tensor([10.0, 0.3]), route.flatten(1) / 40.0]
        parts += [observation[name].flatten(1) for name in self.observation if name != "boxes"]
        if self.boxes is not None:
            parts.append(self._surroundings(observation["boxes"], ego, route))
        return self.decision(torch.cat(parts, 1))

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Actions [B, *action_shape] for observations."""
        action = self.decide(observation) * self.action_spread + self.action_mean
        return action.reshape(-1, *self.action_shape)

    def _surroundings(self, boxes: Tensor, ego: Tensor, route: Tensor) -> Tensor:
        """What boxes [B, N, 10] come to [B, width]."""
        boxes = boxes[:, :NEAREST]
        there = boxes[..., 9] >= 0.0
        place, direction = along_route(boxes[..., :2], route)
        turn = boxes[..., 6] - torch.atan2(direction[..., 1], direction[..., 0])
        velocity = boxes[..., 7:9]
        forward = (velocity * direction).sum(-1) - ego[:, :1]
        aside = direction[..., 0] * velocity[..., 1] - direction[..., 1] * velocity[..., 0]
        facts = torch.stack([
            place[..., 0] / 20.0, place[..., 1] / 5.0, forward / 10.0, aside / 5.0, turn.cos(), turn.sin(),
            boxes[..., 3] / 2.0, boxes[..., 4] / 5.0, ego[:, :1].expand_as(forward) / 10.0,
        ], -1)  # fmt: skip
        kinds = nn.functional.one_hot(boxes[..., 9].long().clamp(min=0), CLASSES).to(facts.dtype)
        assert self.boxes is not None
        found = self.boxes(torch.cat([facts.clamp(-5.0, 5.0), kinds], -1))
        return (found * there[..., None]).amax(1)
