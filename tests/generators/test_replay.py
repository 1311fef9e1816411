"""Frames kept for the discriminator: which are kept, which are handed out, and that kept values never change."""

from __future__ import annotations

import torch

from drivesim.generators.stage.replay import FRAMES, STRIDE, Replay


def frame(step: int, streams: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents [B, 2, 1, 1, 1] and layouts [B, 2, 2, 2, 3] that tell the step and the stream."""
    tag = 10.0 * step + torch.arange(streams)
    latents = tag[:, None, None, None, None].expand(-1, 2, 1, 1, 1)
    return latents, latents[..., 0, :, None].expand(-1, 2, 2, 2, 3).to(torch.uint8)


def test_free_places_are_taken_first_and_streams_stay_apart() -> None:
    torch.manual_seed(0)
    replay = Replay.empty(*frame(0))
    assert not len(replay.sample()[0])
    both, second = torch.tensor([True, True]), torch.tensor([False, True])
    for step in range(FRAMES):
        replay = replay.put(*frame(step), both if step < 3 else second)
    assert replay.kept.sum(1).tolist() == [3, FRAMES]
    assert sorted(replay.latents[1, :, 0, 0, 0, 0].tolist()) == [10.0 * step + 1 for step in range(FRAMES)]
    latents, said = replay.sample()
    assert latents.shape == (2, 2, 1, 1, 1) and said.shape == (2, 2, 2, 2, 3)
    assert (latents[:, 0, 0, 0, 0] % 10).tolist() == [0.0, 1.0]
    assert torch.equal(said[:, 0, 0, 0, 0].float(), latents[:, 0, 0, 0, 0])
    assert latents[0, 0, 0, 0, 0] <= 20.0  # of the three that are kept


def test_a_full_replay_changes_slowly_and_old_values_stay() -> None:
    torch.manual_seed(0)
    replay = Replay.empty(*frame(0, 1))
    for step in range(FRAMES):
        replay = replay.put(*frame(step, 1), torch.tensor([True]))
    before = replay.latents.clone()
    changes, now = 0, replay
    for step in range(10 * STRIDE):
        later = now.put(*frame(step, 1), torch.tensor([True]))
        changes += later is not now
        now = later
    assert torch.equal(replay.latents, before)
    assert 4 <= changes <= 18  # ten on average
