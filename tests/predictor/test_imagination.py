"""Imagined layouts are values that follow from the state and the ego's action alone."""

from __future__ import annotations

import pytest
import torch

from drivesim.data.clips import drive
from drivesim.predictor.imagination import begin, begin_from_scenes, imagine, step
from drivesim.predictor.network import ConditionPredictor, PredictorConfig
from drivesim.town.rig import nuscenes_rig
from drivesim.world import TownSource
from tests.predictor.windows import joined, window

torch.manual_seed(0)
PREDICTOR = ConditionPredictor(PredictorConfig(16, 8, 4, 3)).eval()
QUEUE = window([(0, 0), (-15, 0), (20, 3)], [8.0, 8.0, 5.0])


def test_the_same_state_leads_to_the_same_future() -> None:
    state = begin(PREDICTOR, QUEUE, seed=3)
    first, second = imagine(PREDICTOR, state, None, 4)[-1], imagine(PREDICTOR, state, None, 4)[-1]
    assert torch.equal(first.layout.position, second.layout.position)
    assert torch.equal(first.generator, second.generator)
    other = imagine(PREDICTOR, begin(PREDICTOR, QUEUE, seed=4), None, 4)[-1]
    assert not torch.equal(first.layout.position, other.layout.position)


def test_scenes_of_a_batch_do_not_see_each_other() -> None:
    other = window([(0, 0), (-9, 0), (11, 3)], [2.0, 7.0, 5.0])
    alone = begin(PREDICTOR, QUEUE)
    both = begin(PREDICTOR, joined(QUEUE, other))
    assert torch.allclose(alone.minds.h[0], both.minds.h[0], atol=1e-5)
    later = step(PREDICTOR, alone, spread=0.0), step(PREDICTOR, both, spread=0.0)
    assert torch.allclose(later[0].layout.position[0], later[1].layout.position[0], atol=1e-4)


def test_the_ego_does_what_its_action_says() -> None:
    state = begin(PREDICTOR, QUEUE)
    braking = step(PREDICTOR, state, torch.tensor([[-4.0, 0.1]]))
    assert float(braking.layout.speed[0, 0]) == 8.0 - 4.0 * 0.25
    assert torch.isclose(braking.layout.yaw[0, 0], torch.tensor(0.1 * 0.25 * 7.5))


def test_boxes_keep_who_they_are() -> None:
    state = begin(PREDICTOR, QUEUE)
    later = imagine(PREDICTOR, state, None, 6)[-1]
    assert torch.equal(later.layout.size, state.layout.size)
    assert torch.equal(later.layout.class_ids, state.layout.class_ids)
    assert (later.layout.speed >= 0.0).all()


def test_imagination_begins_from_live_worlds_too() -> None:
    source = TownSource(density=8, rig=nuscenes_rig((36, 64)))
    scenes = drive(source, 3, 16)[::3]
    state = begin_from_scenes(PREDICTOR, [scenes[-5:], scenes[-2:]], rows=6)
    assert state.layout.speed.shape == (2, 6)
    assert float(state.layout.speed[0, 0]) == pytest.approx(abs(scenes[-1].ego.speed), abs=1e-5)
    assert torch.equal(state.layout.position[0], state.layout.position[1])
    assert not torch.equal(state.minds.h[0], state.minds.h[1])  # more is known of the first one's past
    later = PREDICTOR.imagine(state, lambda now: torch.zeros(2, 2), 3)[-1]
    assert torch.allclose(later.layout.speed[:, 0], state.layout.speed[:, 0])
