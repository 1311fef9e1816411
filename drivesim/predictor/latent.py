"""Gaussian recurrent state-space model, after MILE (Hu et al. 2022, section 3) and PlaNet (Hafner et al. 2019).

h_{t+1} = GRU([s_t, x_t], h_t);  prior p(s_t | h_t);  posterior q(s_t | h_t, seen_t).  Two defects of MILE's published
code are not repeated: every layer has a real non-linearity (there `LeakyReLU(True)` has slope 1, which leaves them
linear), and the divergence of every step takes mean and deviation of that step (there the first mixes two).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAST_DEVIATION = 0.1


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions."""

    mean: Tensor
    deviation: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """A sample from standard normal noise of the same shape."""
        return self.mean + self.deviation * noise

    def detached(self) -> Gaussian:
        """The same without gradient."""
        return Gaussian(self.mean.detach(), self.deviation.detach())


def kl_divergence(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p || q) [...] summed over the last axis, in closed form."""
    ratio = (p.deviation / q.deviation).square()
    distance = ((p.mean - q.mean) / q.deviation).square()
    return 0.5 * (ratio + distance - 1.0 - ratio.log()).sum(-1)


def balanced_kl(posterior: Gaussian, prior: Gaussian, balance: float = 0.75) -> Tensor:
    """KL with balancing (Hafner et al. 2021, algorithm 2): `balance` of the gradient trains the prior [...]."""
    towards_posterior = kl_divergence(posterior.detached(), prior)
    towards_prior = kl_divergence(posterior, prior.detached())
    return balance * towards_posterior + (1.0 - balance) * towards_prior


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with SiLU between them."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class LatentDynamics(nn.Module):
    """The recurrent state of every road user: deterministic h [..., H] and stochastic s [..., S]."""

    def __init__(self, inputs: int, seen: int, deterministic: int, stochastic: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(inputs + stochastic, deterministic)
        self.prior_of = mlp(deterministic, 64, 2 * stochastic)
        self.posterior_of = mlp(deterministic + seen, 64, 2 * stochastic)

    def recur(self, h: Tensor, s: Tensor, x: Tensor) -> Tensor:
        """The next h from the last stochastic state and what there is now [..., inputs]."""
        flat = self.cell(torch.cat([x, s], -1).flatten(0, -2), h.flatten(0, -2))
        return flat.view(*h.shape)

    def prior(self, h: Tensor) -> Gaussian:
        """What is to be expected."""
        return _gaussian(self.prior_of(h))

    def posterior(self, h: Tensor, seen: Tensor) -> Gaussian:
        """The same, knowing what was seen to happen [..., seen]."""
        return _gaussian(self.posterior_of(torch.cat([h, seen], -1)))


def _gaussian(raw: Tensor) -> Gaussian:
    """sigma = 2 sigmoid(x / 2) + 0.1 as in MILE."""
    mean, deviation = raw.float().chunk(2, -1)
    return Gaussian(mean, 2.0 * torch.sigmoid(0.5 * deviation) + LEAST_DEVIATION)
