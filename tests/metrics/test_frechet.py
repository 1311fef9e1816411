"""The Fréchet distance of normal distributions against its closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.metrics.frechet import frechet_distance, video_features


def with_moments(mean: np.ndarray, root: np.ndarray, seed: int) -> np.ndarray:
    """Samples whose mean and covariance (root @ root.T) hold exactly."""
    raw = np.random.default_rng(seed).normal(size=(200, len(mean)))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False).reshape(len(mean), -1))).T
    return mean + white @ root.T


def test_one_dimension_is_the_gap_of_means_and_of_deviations() -> None:
    """(m1 - m2)^2 + (s1 - s2)^2."""
    first = with_moments(np.array([1.0]), np.array([[2.0]]), 0)
    second = with_moments(np.array([4.0]), np.array([[0.5]]), 1)
    assert frechet_distance(first, second) == pytest.approx(9.0 + 2.25)


def test_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (C1 C2)^(1/2) = sqrt(tr(C1 C2) + 2 sqrt(det(C1 C2)))."""
    one, two = np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.5], [0.0, 3.0]])
    c1, c2 = one @ one.T, two @ two.T
    mixed = np.sqrt(np.trace(c1 @ c2) + 2.0 * np.sqrt(np.linalg.det(c1 @ c2)))
    expected = np.trace(c1) + np.trace(c2) - 2.0 * mixed
    zero = np.zeros(2)
    assert frechet_distance(with_moments(zero, one, 2), with_moments(zero, two, 3)) == pytest.approx(expected)


def test_equal_sets_are_at_no_distance_and_order_does_not_matter() -> None:
    a, b = np.random.default_rng(4).normal(size=(2, 30, 5))
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))
    assert frechet_distance(a[:3], b[:3]) >= 0.0  # fewer samples than dimensions


def test_video_features_are_mean_and_change() -> None:
    steps = np.arange(4.0)[None, :, None] * np.array([1.0, -2.0])
    assert video_features(steps).tolist() == [[1.5, -3.0, 1.0, 2.0]]


def test_bad_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"second: found shape \(5, 2\)"):
        frechet_distance(np.zeros((5, 3)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="T >= 2"):
        video_features(np.zeros((5, 1, 2)))
