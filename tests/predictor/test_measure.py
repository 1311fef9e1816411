"""What predictions are compared with, where it is exact."""

from __future__ import annotations

import torch

from drivesim.predictor.measure import constant_turn_rate, constant_velocity, displacements, measured, predicted
from drivesim.predictor.network import HISTORY, ConditionPredictor, PredictorConfig
from tests.predictor.windows import FUTURE, window


def truth(batch: dict) -> torch.Tensor:
    return batch["motion"][:, HISTORY + 1 :, :, :2]


def test_constant_velocity_is_right_on_a_straight_line_only() -> None:
    straight, bent = window([(0, 0), (20, 3)], [8.0, 5.0]), window([(0, 0), (20, 3)], [8.0, 5.0], turn=0.05)
    assert torch.allclose(constant_velocity(straight, FUTURE), truth(straight), atol=1e-4)
    assert (constant_velocity(bent, FUTURE) - truth(bent)).norm(dim=-1).max() > 1.0


def test_constant_turn_rate_is_right_on_a_circle() -> None:
    bent = window([(0, 0), (20, 3)], [8.0, 5.0], turn=0.05)
    assert torch.allclose(constant_turn_rate(bent, FUTURE), truth(bent), atol=2e-2)


def test_the_ego_and_those_who_stand_or_leave_do_not_count() -> None:
    batch = window([(0, 0), (20, 3), (40, 3), (60, 3)], [8.0, 5.0, 0.2, 6.0])
    batch["motion"][:, HISTORY + 8 :, 3, 4] = 0.0
    assert measured(batch, 4).tolist() == [[False, True, False, True]]
    assert measured(batch, 12).tolist() == [[False, True, False, False]]


def test_errors_are_means_over_those_who_count() -> None:
    torch.manual_seed(0)
    predictor = ConditionPredictor(PredictorConfig(16, 8, 4, 3))
    rows = displacements(predictor, [window([(0, 0), (20, 3)], [8.0, 5.0])])
    assert {row.method: row.final for row in rows if row.horizon == 3.0}["constant velocity"] < 1e-3
    assert all(row.count == 1 for row in rows)


def test_egos_are_measured_alone_with_the_predictor_in_their_place() -> None:
    batch = window([(0, 0), (20, 3)], [8.0, 5.0])
    assert measured(batch, 12, egos=True).tolist() == [[True, False]]
    torch.manual_seed(0)
    predictor = ConditionPredictor(PredictorConfig(16, 8, 4, 3))
    driven, watched = (predicted(predictor, batch, 12, drives=drives) for drives in (True, False))
    assert torch.allclose(watched[:, :, 0], truth(batch)[:, :, 0], atol=1e-3)  # it did what it did
    assert not torch.allclose(driven[:, :, 0], watched[:, :, 0], atol=1e-3)
    rows = displacements(predictor, [batch], egos=True)
    assert all(row.count == 1 for row in rows)
