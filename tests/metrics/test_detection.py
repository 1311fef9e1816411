"""Average precision of boxes and who is found, against cases that can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from drivesim.metrics.detection import are_found, average_precision, mean_average_precision
from drivesim.redetector.layout import Boxes


def boxes(*rows: tuple[float, float, int, float]) -> Boxes:
    """Boxes of a car's size from (x, y, group, score)."""
    x, y, group, score = np.array(rows, float).reshape(-1, 4).T
    centre = np.stack([x, y, np.zeros_like(x)], axis=-1)
    size = np.tile([2.0, 4.0, 1.5], (len(x), 1))
    return Boxes(group.astype(int), centre, size, np.zeros(len(x)), score, np.full(len(x), -1))


def test_perfect_detections_score_one() -> None:
    truth = [boxes((5, 0, 0, 1), (9, 3, 0, 1)), boxes((0, 7, 2, 1))]
    values = average_precision(truth, truth)
    assert values == pytest.approx({"vehicle": 1.0, "pedestrian": 1.0})
    assert mean_average_precision(values) == pytest.approx(1.0)


def test_distance_decides_at_which_thresholds_a_detection_counts() -> None:
    """1.5 m off: found within 2 m and 4 m, not within 0.5 m and 1 m."""
    assert average_precision([boxes((6.5, 0, 0, 0.9))], [boxes((5, 0, 0, 1))])["vehicle"] == pytest.approx(0.5)


def test_half_of_the_objects_gives_the_recall_that_is_reached() -> None:
    """Precision 1 up to recall 0.5 and 0 beyond, without the first tenth: (0.5 - 0.1) / 0.9 of the curve."""
    truth = [boxes((5, 0, 0, 1), (20, 0, 0, 1))]
    assert average_precision([boxes((5, 0, 0, 0.9))], truth)["vehicle"] == pytest.approx(0.4 / 0.9, abs=0.01)


def test_nothing_wanted_is_no_score() -> None:
    assert average_precision([boxes((5, 0, 0, 0.9))], [boxes()]) == {}
    assert np.isnan(mean_average_precision({}))
    with pytest.raises(ValueError, match="found 1 frames, accepted as many as are wanted \\(0\\)"):
        average_precision([boxes()], [])


def test_a_detection_finds_one_object_of_its_own_group() -> None:
    wanted = boxes((5, 0, 0, 1), (6, 0, 0, 1), (5, 0.2, 2, 1))
    assert are_found(wanted, boxes((5.4, 0, 0, 0.9)), 2.0, 0.3).tolist() == [True, False, False]
    both = boxes((5.4, 0, 0, 0.9), (5.3, 0, 0, 0.8))
    assert are_found(wanted, both, 2.0, 0.3).tolist() == [True, True, False]
    assert are_found(wanted, both, 2.0, 0.85).tolist() == [True, False, False]
    assert are_found(wanted, boxes((8.1, 0, 0, 0.9)), 2.0, 0.3).tolist() == [False, False, False]
    assert are_found(boxes(), both, 2.0, 0.3).shape == (0,)
