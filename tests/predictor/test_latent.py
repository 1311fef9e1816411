"""The latent dynamics against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal
from torch.distributions.kl import kl_divergence as reference

from drivesim.predictor.latent import Gaussian, LatentDynamics, balanced_kl, kl_divergence, mlp


def gaussian(seed: int, *shape: int) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    return Gaussian(torch.randn(shape, generator=generator), torch.rand(shape, generator=generator) + 0.1)


def test_divergence_is_that_of_normal_distributions() -> None:
    p, q = gaussian(0, 5, 3), gaussian(1, 5, 3)
    expected = reference(Normal(p.mean, p.deviation), Normal(q.mean, q.deviation)).sum(-1)
    assert torch.allclose(kl_divergence(p, q), expected, atol=1e-5)
    assert torch.allclose(kl_divergence(p, p), torch.zeros(5), atol=1e-6)


def test_balancing_keeps_the_value_and_shares_the_gradient() -> None:
    first, second = torch.tensor([0.3, -1.0], requires_grad=True), torch.tensor([0.9, 0.4], requires_grad=True)
    posterior, prior = Gaussian(first, torch.full((2,), 0.5)), Gaussian(second, torch.full((2,), 0.8))
    value = balanced_kl(posterior, prior, 0.75)
    assert value.item() == pytest.approx(kl_divergence(posterior, prior).item())
    value.backward()
    whole = (first - second).detach() / 0.8**2  # d KL / d posterior mean, and minus that for the prior's
    assert torch.allclose(first.grad, 0.25 * whole)
    assert torch.allclose(second.grad, -0.75 * whole)


def test_layers_are_not_linear() -> None:
    torch.manual_seed(0)
    layers = mlp(3, 8, 1)
    a, b = torch.randn(3), torch.randn(3)
    straight = layers(a) + layers(b) - layers(torch.zeros(3))
    assert abs(float((layers(a + b) - straight).detach())) > 1e-3


def test_prior_and_posterior_of_a_step_belong_to_that_step() -> None:
    torch.manual_seed(0)
    dynamics = LatentDynamics(4, 2, 6, 3)
    h = dynamics.recur(torch.zeros(2, 5, 6), torch.zeros(2, 5, 3), torch.randn(2, 5, 4))
    seen = torch.randn(2, 5, 2)
    other = seen.clone()
    other[0, 0] += 1.0
    assert h.shape == (2, 5, 6)
    changed = (dynamics.posterior(h, seen).mean != dynamics.posterior(h, other).mean).any(-1)
    assert changed[0, 0] and changed.sum() == 1
    assert float(dynamics.prior(h).deviation.detach().min()) > 0.1
