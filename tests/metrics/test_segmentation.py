"""IoU of map cells against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.metrics.segmentation import intersection_over_union, mean_intersection_over_union, overlap_counts


def test_half_covered_squares() -> None:
    """Two squares of 4 x 4 cells that share 2 x 4: 8 / 24."""
    found, wanted = np.zeros((2, 1, 10, 10), bool), np.zeros((2, 1, 10, 10), bool)
    found[0, 0, 0:4, 0:4] = wanted[0, 0, 2:6, 0:4] = True
    counts = overlap_counts(found, wanted)
    assert counts.tolist() == [[[8, 24]], [[0, 0]]]
    assert intersection_over_union(counts)[0] == pytest.approx(1 / 3)


def test_frames_are_added_up_before_they_are_divided() -> None:
    counts = np.array([[[1, 1]], [[0, 3]]])
    assert intersection_over_union(counts)[0] == pytest.approx(0.25)


def test_a_class_that_is_nowhere_does_not_count() -> None:
    assert mean_intersection_over_union(np.array([[1, 2], [0, 0]])) == pytest.approx(0.5)
    assert np.isnan(mean_intersection_over_union(np.zeros((2, 2), int)))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"found shape \(1, 2, 2\), accepted that of the wanted cells \(1, 3, 3\)"):
        overlap_counts(np.zeros((1, 2, 2), bool), np.zeros((1, 3, 3), bool))
