"""The discriminator and its losses against closed forms."""

from __future__ import annotations

import pytest
import torch

from drivesim.nn.discriminator import LatentDiscriminator, balanced, hinge_loss


def test_hinge_loss_closed_form() -> None:
    assert float(hinge_loss(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0]))) == pytest.approx(0.25 + 0.5)


def test_balanced_gradient_has_the_wanted_length() -> None:
    output = torch.randn(4, 3, requires_grad=True)
    error, term = output.square().mean(), 100.0 * output.sin().sum()
    scaled = balanced(term, error, output, 0.5)
    wanted = 0.5 * torch.autograd.grad(error, output, retain_graph=True)[0].norm()
    assert float(torch.autograd.grad(scaled, output)[0].norm()) == pytest.approx(float(wanted), rel=1e-4)


def test_balanced_keeps_the_value_and_the_direction() -> None:
    """What lies between the output and the term is passed once: the gradient is that of the term times its scale."""
    torch.manual_seed(0)
    weights = torch.randn(4, 3, requires_grad=True)
    output = weights.tanh()
    error, term = output.square().mean(), (output @ torch.randn(3, 5)).square().sum()
    along = torch.autograd.grad(term, weights, retain_graph=True)[0]
    scaled = balanced(term, error, output, 0.5)
    found = torch.autograd.grad(scaled, weights)[0]
    assert torch.allclose(found, float(scaled.detach() / term.detach()) * along, rtol=1e-4)


def test_nothing_is_balanced_where_nothing_learns() -> None:
    output = torch.randn(4, 3)
    assert float(balanced(output.square().sum(), output.mean(), output, 0.5)) == float(output.square().sum())


def test_frozen_judgement_is_the_same_but_teaches_only_the_latents() -> None:
    torch.manual_seed(0)
    judge = LatentDiscriminator(4, 6, stride=2, width=8).eval()
    latents, layout = torch.randn(2, 4, 8, 8, requires_grad=True), torch.rand(2, 6, 16, 16)
    frozen = judge.frozen(latents, layout)
    assert torch.allclose(frozen, judge(latents, layout), atol=1e-6)
    assert frozen.shape == (2, 4 * 4 + 2 * 2)
    frozen.sum().backward()
    assert latents.grad is not None and latents.grad.abs().sum() > 0
    assert all(p.grad is None for p in judge.parameters())


def test_it_learns_to_tell_two_distributions_apart() -> None:
    torch.manual_seed(0)
    judge = LatentDiscriminator(4, 6, stride=2, width=16)
    optimizer = torch.optim.AdamW(judge.parameters(), 3e-3)
    layout = torch.rand(8, 6, 16, 16)
    for _ in range(60):
        loss = hinge_loss(judge(torch.randn(8, 4, 8, 8), layout), judge(0.3 * torch.randn(8, 4, 8, 8), layout))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1.0
