"""Flow and degradations against closed forms."""

from __future__ import annotations

import pytest
import torch

from drivesim.diffusion.degrade import dct_filter
from drivesim.diffusion.flow import add_noise, euler_step, noise_levels


def test_ends_of_the_path() -> None:
    clean, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    assert torch.equal(add_noise(clean, noise, torch.zeros(2)), clean)
    assert torch.equal(add_noise(clean, noise, torch.ones(2)), noise)


def test_euler_with_the_true_sample_stays_on_the_path() -> None:
    clean, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    here = add_noise(clean, noise, torch.full((2,), 0.8))
    assert torch.allclose(euler_step(here, clean, 0.8, 0.3), add_noise(clean, noise, torch.full((2,), 0.3)), atol=1e-6)


def test_noise_levels() -> None:
    assert noise_levels(4, shift=1.0) == pytest.approx((1.0, 0.75, 0.5, 0.25))
    assert noise_levels(2, shift=1.5)[1] == pytest.approx(1.5 * 0.5 / 1.25)
    with pytest.raises(ValueError, match="steps: found 0"):
        noise_levels(0)


def test_dct_filter_keeps_what_it_should() -> None:
    pictures = torch.randn(3, 2, 18, 32)
    assert torch.allclose(dct_filter(pictures, torch.full((3,), 2.0)), pictures, atol=1e-4)
    mean = dct_filter(pictures, torch.full((3,), 1e-6))
    assert torch.allclose(mean, pictures.mean((-1, -2), keepdim=True).expand_as(pictures), atol=1e-4)
    once = dct_filter(pictures, torch.full((3,), 0.5))
    assert torch.allclose(dct_filter(once, torch.full((3,), 0.5)), once, atol=1e-4)
    assert once.square().sum() < pictures.square().sum()
