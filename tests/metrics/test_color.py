"""Whether objects keep their colour, on painted pictures."""

from __future__ import annotations

import numpy as np

from drivesim.metrics.color import SeenColors, kept_colors, seen_colors


def painted(color: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    pictures = np.full((2, 8, 8, 3), 7, np.uint8)
    instance = np.full((2, 8, 8), -1)
    instance[0, :4], instance[1, 0, 0] = 5, 5
    instance[1, 4:6] = 9
    pictures[instance == 5] = color
    return pictures, instance


def test_colours_are_means_over_all_views_of_what_is_large_enough() -> None:
    pictures, instance = painted((100, 50, 0))
    pictures[0, 0] = (133, 50, 0)
    seen = seen_colors(3, pictures, instance, np.array([5, 9]), 20)
    assert seen.track.tolist() == [5] and seen.frame.tolist() == [3]
    np.testing.assert_allclose(seen.color, [[100 + 8, 50, 0]])
    assert seen_colors(3, pictures, instance, np.array([9]), 1).color.tolist() == [[7, 7, 7]]


def test_kept_is_decided_at_the_tolerance() -> None:
    for change, kept in ((14, True), (16, False)):
        seen = SeenColors.joined(
            [seen_colors(f, *painted((c, 0, 0)), np.array([5]), 1) for f, c in ((0, 100), (12, 100 + change))]
        )
        assert kept_colors(seen, 12).tolist() == [kept]


def test_only_objects_that_are_seen_again_count() -> None:
    seen = seen_colors(0, *painted((100, 0, 0)), np.array([5]), 1)
    assert kept_colors(seen, 12).shape == (0,)
    assert kept_colors(SeenColors.joined([]), 12).shape == (0,)
