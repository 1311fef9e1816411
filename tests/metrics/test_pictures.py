"""Figures of pictures against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.metrics.pictures import psnr, sharpness, ssim


def test_psnr_of_a_constant_difference() -> None:
    truth = np.full((2, 8, 8, 3), 100, np.uint8)
    assert psnr(truth + np.uint8(5), truth) == pytest.approx(20 * np.log10(51))
    mask = np.zeros((2, 8, 8), bool)
    assert np.isnan(psnr(truth, truth + np.uint8(5), mask))
    assert psnr(truth, truth) == np.inf


def test_ssim_of_constant_pictures_is_their_luminance_term() -> None:
    """(2 a b + c) / (a^2 + b^2 + c) with c = (0.01 * 255)^2 where neither picture has any structure."""
    a, b, c = 100.0, 150.0, 2.55**2
    pictures, truth = (np.full((1, 24, 24, 3), v, np.uint8) for v in (100, 150))
    assert ssim(pictures, truth) == pytest.approx((2 * a * b + c) / (a * a + b * b + c), abs=1e-3)
    noise = np.random.default_rng(0).integers(0, 255, (1, 24, 24, 3)).astype(np.uint8)
    assert ssim(noise, noise) == pytest.approx(1.0, abs=1e-5)


def test_sharpness_is_the_ratio_of_gradients() -> None:
    ramp = np.tile(np.arange(16, dtype=np.uint8)[:, None], (1, 8, 1, 3))
    assert sharpness(2 * ramp, ramp) == pytest.approx(2.0)
