"""The streaming generator at a tiny size: same classes, same code path as the shipped one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from drivesim.codecs.image import CodecConfig, ImageCodec, to_float
from drivesim.conditions import LAYOUT_CHANNELS, Conditions
from drivesim.diffusion.flow import noise_levels
from drivesim.generators.stage.errors import contrast_error, edge_error, error_weights, unsaid_share
from drivesim.generators.stage.inputs import estimated_distance, network_inputs
from drivesim.generators.stage.memory import LENGTH, OFFSETS, StreamingBuffer
from drivesim.generators.stage.network import MOTION, PLANES, SAID, NetworkConfig, NetworkInputs, StageNetwork
from drivesim.generators.stage.objective import ObjectiveConfig, StageObjective
from drivesim.generators.stage.rollout import StageGenerator, denoise, store
from drivesim.nn.palette import fit_palette
from drivesim.nn.warp import points_along, project_to_ring, sample_ring, viewing_rays
from drivesim.scene import MAP_CLASSES
from drivesim.town.rig import nuscenes_rig
from drivesim.weights_io import WeightsError, save_weights

TINY = NetworkConfig(
    latent_channels=4, channels=(16, 16), attention_heads=2, groups=4, embedding=32, layout_features=8, token_width=16
)
SIZE = (16, 32)  # pictures; latents are 4 x 8


def tiny_network(seed: int = 0, **changes: object) -> StageNetwork:
    torch.manual_seed(seed)
    network = StageNetwork(replace(TINY, **changes))
    for layer in (*network.transfer, *network.cross_view):  # the identity start would hide every mistake
        torch.nn.init.normal_(layer.to_out.weight, std=0.5)
    torch.nn.init.normal_(network.trunk.conv_out.weight, std=0.1)
    return network.eval()


def tiny_generator(steps: int = 2, **options: object) -> StageGenerator:
    return StageGenerator(
        None, steps=steps, dtype="float32", image_size=SIZE, network=tiny_network(), codec=tiny_codec(), **options
    )


def some_conditions(worlds: int, seed: int) -> Conditions:
    g = torch.Generator().manual_seed(seed)
    eye = torch.eye(4)
    extrinsics = eye.expand(worlds, 6, 4, 4).clone()
    motion = eye.expand(worlds, 1, 4, 4).clone()
    motion[:, 0, 0, 3] = 0.5
    points = 10.0 * torch.randn(worlds, 1, 6, 8, 16, 3, generator=g)
    points[..., 2] *= torch.rand(points.shape[:-1], generator=g) < 0.5  # half of what is known lies on the ground
    points[torch.rand(points.shape[:-1], generator=g) < 0.5] = torch.nan
    return Conditions(
        layout=torch.randint(0, 255, (worlds, 1, 6, 8, 16, len(LAYOUT_CHANNELS)), generator=g, dtype=torch.uint8),
        motion=motion, anchor_motion=motion, ego=torch.randn(worlds, 1, 4, generator=g),
        tags=torch.ones(worlds, 1, 6), intrinsics=torch.eye(3).expand(worlds, 6, 3, 3).clone(), extrinsics=extrinsics,
        previous_points=points,
        box_points=torch.randint(0, 255, (worlds, 1, 6, 8, 16, 3), generator=g, dtype=torch.uint8),
        object_pixels=torch.randint(0, 3, (worlds, 1, 6, 8, 16), generator=g, dtype=torch.int32),
    )  # fmt: skip


def tiny_codec() -> ImageCodec:
    torch.manual_seed(1)
    config = CodecConfig(channels=8, encoder_blocks=(1, 1), decoder_blocks=(1, 1), latent_channels=4)
    return ImageCodec.small(config).eval()


def inputs_of(network: StageNetwork, latents: torch.Tensor, conditions: Conditions) -> NetworkInputs:
    rays = viewing_rays(conditions.intrinsics, conditions.extrinsics, conditions.layout.shape[3:5])
    drawn = torch.rand(1, 6, 3, *SIZE, generator=torch.Generator().manual_seed(5))
    palette = fit_palette(drawn, conditions.layout[:, 0], rays)
    return network_inputs(network, tiny_codec(), drawn, latents, latents, palette, rays, conditions)[0]


def first_world(conditions: Conditions) -> Conditions:
    return Conditions(**{k: (v[:1] if isinstance(v, torch.Tensor) else v) for k, v in vars(conditions).items()})


def pictures(worlds: int, seed: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 255, (worlds, 1, 6, *SIZE, 3), generator=g, dtype=torch.uint8)


def roll(generator: StageGenerator, frames: int, worlds: int = 1, seeds: tuple[int, ...] = (3,)):
    state = generator.start(pictures(worlds, 0), some_conditions(worlds, 0), seeds)
    out = []
    for index in range(frames):
        picture, state = generator.step(state, some_conditions(worlds, index + 1))
        state = generator.commit(state)
        out.append(picture)
    return torch.cat(out, dim=1), state


def test_streamed_equals_uncached() -> None:
    """Keys and values cached when stored give what projecting all past features anew gives."""
    network = tiny_network()
    sigmas = noise_levels(2)
    latents = torch.randn(1, 6, 4, 4, 8)
    buffer, history = StreamingBuffer(), []
    with torch.no_grad():
        for index in range(LENGTH + 3):
            inputs = inputs_of(network, latents, some_conditions(1, index))
            noise = torch.randn(6, 4, 4, 8)
            streamed, features = denoise(network, noise, inputs, sigmas, buffer)
            uncached = StreamingBuffer()
            for past in history[-LENGTH:]:
                uncached = uncached.push(store(network, past))
            again, _ = denoise(network, noise, inputs, sigmas, uncached)
            alone, _ = denoise(network, noise, inputs, sigmas, StreamingBuffer())
            assert torch.allclose(streamed, again, atol=1e-4)
            if index:
                assert not torch.allclose(streamed, alone, atol=1e-3)
            buffer = buffer.push(store(network, features))
            history.append(features)
            latents = streamed.unflatten(0, (1, 6))
    assert len(buffer.frames) == LENGTH


def test_empty_buffer_equals_no_memory() -> None:
    network = tiny_network()
    inputs = inputs_of(network, torch.zeros(1, 6, 4, 4, 8), some_conditions(1, 0))
    noise, sigma = torch.randn(6, 4, 4, 8), torch.ones(6)
    with torch.no_grad():
        plain, stored = network(noise, sigma, inputs)
        features = [f.unflatten(0, (1, 6))[:, None] for f in stored]
        forgotten = StreamingBuffer().push(store(network, features)).without(torch.tensor([True]))
        empty, _ = network(noise, sigma, inputs, *forgotten.read(0))
        removed = tiny_network()
        removed.transfer = torch.nn.ModuleList(
            type("None_", (torch.nn.Module,), {"forward": lambda s, x, *_: x})() for _ in removed.transfer
        )
        without, _ = removed(noise, sigma, inputs)
    assert torch.equal(plain, empty)
    assert torch.equal(plain, without)


def test_untrained_network_continues_with_the_warped_previous_frame() -> None:
    """Before any training the stream is almost the warp of the previous frame."""
    network = StageNetwork(TINY)
    latents = torch.randn(1, 6, 4, 4, 8)
    inputs = inputs_of(network, latents, some_conditions(1, 0))
    with torch.no_grad():
        clean, _ = network(torch.randn(6, 4, 4, 8), torch.ones(6), inputs)
    share = torch.softmax(torch.tensor([0.0, 3.0, 0.0, 0.0, 0.0]), 0)[:-1, None, None, None]
    assert torch.allclose(clean, (share * inputs.references).sum(1), atol=1e-5)


def test_buffer_reads_frames_1_5_10() -> None:
    network = tiny_network()
    buffer = StreamingBuffer()
    for index in range(12):
        features = [torch.full((1, 1, 6, 16, 1, 2), float(index))]
        buffer = buffer.push(replace(store(network, [torch.randn(1, 1, 6, 16, 1, 2)]), tensors=tuple(features)))
    memory, present = buffer.read(0)
    assert present.all()
    assert memory[0][0].flatten(1)[:, 0].tolist() == [12.0 - offset for offset in OFFSETS]


def test_same_seed_same_frames_and_old_states_stay_usable() -> None:
    generator = tiny_generator()
    first, state = roll(generator, 4)
    again, _ = roll(generator, 4)
    assert torch.equal(first, again)
    left, _ = generator.step(state, some_conditions(1, 50))
    right, _ = generator.step(state, some_conditions(1, 51))
    assert torch.equal(left, generator.step(state, some_conditions(1, 50))[0])
    assert not torch.equal(left, right)
    other, _ = roll(generator, 4, seeds=(4,))
    assert not torch.equal(first, other)


def test_commit_is_only_a_matter_of_when() -> None:
    generator = tiny_generator()
    _, state = roll(generator, 2)
    frames, pending = generator.step(state, some_conditions(1, 9))
    assert torch.equal(
        generator.step(pending, some_conditions(1, 10))[0],
        generator.step(generator.commit(pending), some_conditions(1, 10))[0],
    )


def test_worlds_in_a_batch_do_not_see_each_other() -> None:
    generator = tiny_generator()
    both, _ = roll(generator, 3, worlds=2, seeds=(3, 8))
    one_state = generator.start(pictures(2, 0)[:1], first_world(some_conditions(2, 0)), (3,))
    for index in range(3):
        frame, one_state = generator.step(one_state, first_world(some_conditions(2, index + 1)))
        assert (frame[0, 0].int() - both[0, index].int()).abs().max() <= 1


def test_streams_that_begin_anew_in_a_batch_are_what_they_are_alone() -> None:
    """Over 30 frames, in float32 to 1e-4; one stream begins anew after five of them, the other after thirteen."""
    generator = tiny_generator()
    fresh = some_conditions(2, 0)
    state = generator.start(pictures(2, 0), fresh, (3, 8))
    alone = [generator.take(state, [world]) for world in range(2)]
    for index in range(30):
        if index in (5, 13):
            world = int(index == 13)
            alone[world] = generator.start(pictures(2, index)[:1], first_world(fresh), (index,))
            state = generator.put(state, [world], alone[world])
        conditions = some_conditions(2, index + 1)
        _, state = generator.step(state, conditions)
        state = generator.commit(state)
        for world in range(2):
            given = {k: v[world : world + 1] if isinstance(v, torch.Tensor) else v for k, v in vars(conditions).items()}
            _, alone[world] = generator.step(alone[world], Conditions(**given))
            assert torch.allclose(state.pictures[world], alone[world].pictures[0], atol=1e-4)
    assert state.frames == (25, 17) and alone[0].frames == (25,)


def test_state_does_not_grow() -> None:
    def size(state: object) -> int:
        frames = state.buffer.frames
        return sum(t.numel() for f in frames for t in f.tensors) + state.latents.numel()

    generator = tiny_generator()
    _, early = roll(generator, LENGTH)
    _, late = roll(generator, LENGTH + 7)
    assert size(early) == size(late)


def test_every_camera_reads_its_neighbours() -> None:
    network = tiny_network()
    inputs = inputs_of(network, torch.zeros(1, 6, 4, 4, 8), some_conditions(1, 0))
    noise = torch.randn(6, 4, 4, 8)
    changed = noise.clone()
    changed[0] += 1.0
    with torch.no_grad():
        before, _ = network(noise, torch.ones(6), inputs)
        after, _ = network(changed, torch.ones(6), inputs)
    moved = (before - after).abs().amax((1, 2, 3)) > 1e-6
    assert moved.tolist() == [True, True, False, False, False, True]


def test_error_weights_match_their_formula() -> None:
    pixels = torch.zeros(1, 1, 4, 8, dtype=torch.int32)
    pixels[..., 0, 0], pixels[..., 2:, 4:] = 1, 8
    unsaid = torch.ones(1, 1, 4, 8)
    unsaid[..., 1, :2] = 0.0
    weight = error_weights(pixels, unsaid, power=0.2, scale=2.0, ground=3.0)[0, 0]
    assert weight.mean() == pytest.approx(1.0)
    assert weight[0, 0] / weight[1, 7] == pytest.approx(2.0 * 32**0.2, rel=1e-5)
    assert weight[3, 5] / weight[1, 7] == pytest.approx(2.0 * 8**-0.2 * 32**0.2, rel=1e-5)
    assert weight[1, 0] / weight[1, 7] == pytest.approx(3.0)


def batch_of(step: int, carry: object, reset: bool = False) -> dict[str, object]:
    conditions = some_conditions(2, step)
    return {
        "frames": pictures(2, step)[:, 0],
        "conditions": conditions,
        "reset": torch.tensor([reset, False]),
        "carry": carry,
        "progress": 1.0,
    }


def test_loss_falls_and_reaches_every_weight() -> None:
    network = tiny_network()
    codec = tiny_codec()
    objective = StageObjective(network, codec, ObjectiveConfig(teacher_forcing=0.5, adversarial=0.0))
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    carry, losses = None, []
    for step in range(30):
        loss, logs = objective.loss(batch_of(step % 2, carry))
        carry = logs["carry"]
        loss.backward()
        if step == 5:
            silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()]
            # Cross-attention to a single token has nothing to choose from, so its queries and keys get no gradient.
            assert all("attn2.to_q" in name or "attn2.to_k" in name or "norm2" in name for name in silent), silent
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert all(p.grad is None for p in codec.parameters())


def test_contrast_does_not_care_where_edges_are_but_how_strong() -> None:
    """A grating against itself shifted by half its period, faded, and gone; the deviation of +-1 in two to one of three
    columns is sqrt(8) / 3, in three to two of five sqrt(24) / 5."""
    grating = torch.tensor([1.0, -1.0]).repeat(16).expand(1, 2, 12, 32)
    deviation = (8**0.5 / 3 + 24**0.5 / 5) / 2
    everywhere = torch.ones(1, 1, 12, 32)
    assert contrast_error(-grating, grating, everywhere) < 1e-6
    assert contrast_error(0.25 * grating + 3.0, grating, everywhere) == pytest.approx(0.75 * deviation, abs=1e-3)
    assert contrast_error(0.0 * grating, grating, 0.0 * everywhere) == 0.0
    # The root has a floor of 0.01.
    assert contrast_error(0.0 * grating, grating, everywhere) == pytest.approx(deviation - 0.01, abs=1e-3)


def test_edges_are_as_strong_as_their_gradients() -> None:
    """A square wave of +-1 that jumps by 2 at every fourth pixel has a mean squared gradient of 4 / 4, a triangular
    one of the same height and period of (2 / 4)^2. Local contrast and where the edges are do not matter."""
    square = torch.tensor([1.0] * 4 + [-1.0] * 4).repeat(5).expand(1, 3, 33, 40)
    triangle = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0, 0.5, 0.0, -0.5]).repeat(5).expand(1, 3, 33, 40)
    everywhere = torch.ones(1, 1, 11, 10)
    assert edge_error(square.roll(3, dims=3), square, everywhere) < 1e-5
    assert edge_error(0.5 * square + 0.1, square, everywhere) == pytest.approx(0.5, abs=1e-3)
    assert edge_error(triangle, square, everywhere) == pytest.approx(0.5, abs=1e-3)
    assert edge_error(square.mT, triangle.mT, everywhere.mT) == pytest.approx(0.5, abs=1e-3)
    assert edge_error(triangle, square, 0.0 * everywhere) == 0.0


def test_pictures_count_in_all_frames_that_go_on() -> None:
    """After a true frame local contrast does not count; the error of the pictures is that of the decoded latents."""
    evenly = {"ground": 1.0, "weight_power": 0.0, "weight_scale": 1.0}
    config = ObjectiveConfig(teacher_forcing=0.0, refined=0.0, contrast=1.0, picture=1.0, edges=1.0, **evenly)
    torch.manual_seed(0)
    objective = StageObjective(tiny_network(), tiny_codec(), config)
    first = objective.loss(batch_of(1, None, reset=True))[1]
    both = objective.loss(batch_of(2, replace(first["carry"], fresh=torch.tensor([False, False]))))[1]
    neither = objective.loss(batch_of(2, replace(first["carry"], fresh=torch.tensor([True, True]))))[1]
    assert {"contrast", "edges", "picture"} <= both.keys()
    assert neither.keys() & {"contrast", "edges", "picture"} == {"edges", "picture"}
    reset = batch_of(2, first["carry"]) | {"reset": torch.tensor([True, True])}
    assert float(objective.loss(reset)[1]["edges"]) == float(objective.loss(reset)[1]["picture"]) == 0.0
    drawn = objective.codec.decode(both["carry"].latents.flatten(0, 1))
    true = to_float(batch_of(2, None)["frames"].flatten(0, 1))
    assert float(both["picture"]) == pytest.approx(float((drawn - true).square().mean()), rel=1e-4)


def test_unsaid_is_where_no_map_is_and_what_stands_on_it() -> None:
    layout = torch.zeros(1, 1, 2, 4, len(LAYOUT_CHANNELS), dtype=torch.uint8)
    layout[..., 2:, 0] = 255  # road on the right, a box on the upper half of it
    layout[:, :, 0, 2:, len(MAP_CLASSES)] = 255
    assert unsaid_share(layout, (1, 2)).tolist() == [[[[1.0, 0.5]]]]


def test_frames_after_a_true_one_count_as_asked_and_are_not_judged() -> None:
    """The squared error is linear in the weight of the stream that has just begun."""
    errors = []
    for after_truth in (0.0, 1.0, 3.0):
        config = ObjectiveConfig(teacher_forcing=0.0, after_truth=after_truth, refined=0.0)
        torch.manual_seed(0)
        objective = StageObjective(tiny_network(), tiny_codec(), config)
        carry = objective.loss(batch_of(1, None, reset=True))[1]["carry"]
        assert carry.fresh.tolist() == [True, False]
        torch.manual_seed(1)
        logs = objective.loss(batch_of(2, carry))[1]
        errors.append(float(logs["coarse"]))
        assert logs["carry"].fresh.tolist() == [False, False]
        assert logs["carry"].replay.kept.any(1).tolist() == [False, True]
    assert errors[1] > 1.2 * errors[0]
    assert errors[2] - errors[1] == pytest.approx(2.0 * (errors[1] - errors[0]), rel=1e-4)


def test_ground_heeds_the_discriminator_as_far_as_asked() -> None:
    torch.manual_seed(0)
    clean = 0.3 * torch.randn(6, 4, 4, 8).requires_grad_()
    target, layout, unsaid = torch.randn(6, 4, 4, 8), torch.rand(6, SAID, 8, 16), torch.zeros(6, 1, 4, 8)
    unsaid[..., :4] = 1.0
    gradients = []
    for share in (0.0, 1.0):
        objective = StageObjective(tiny_network(), tiny_codec(), ObjectiveConfig(adversarial_ground=share))
        assert objective.discriminator is not None
        optimizer = torch.optim.AdamW(objective.discriminator.parameters(), 3e-3)
        for _ in range(30):  # nobody heeds one that cannot tell
            coarse = (clean - target).square().mean()
            judged = torch.ones(6, dtype=torch.bool)
            verdict, fooling, told = objective._judge(clean, target, layout, unsaid, judged, coarse, None)
            optimizer.zero_grad()
            verdict.backward(retain_graph=True)
            optimizer.step()
        assert float(told) < 2.0
        gradients.append(torch.autograd.grad(fooling, clean)[0].abs().mean((0, 1, 2)))
    assert (gradients[0][:4] > 0.0).all() and not gradients[0][4:].any()
    assert (gradients[1] > 0.0).all()


WALL = 12.0  # [m]


def wall_seen_twice() -> tuple[torch.Tensor, torch.Tensor, Conditions]:
    """Pictures [1, 6, 72, 128, 3] before and after one metre ahead, when every ray ends after WALL metres."""
    rig = nuscenes_rig((72, 128)).resized((1, 1))
    conditions = first_world(some_conditions(1, 0))
    conditions.intrinsics = torch.tensor(rig.intrinsics, dtype=torch.float32)[None]
    conditions.extrinsics = torch.tensor(rig.extrinsics, dtype=torch.float32)[None]
    conditions.layout = torch.zeros(1, 1, 6, 36, 64, len(LAYOUT_CHANNELS), dtype=torch.uint8)
    conditions.previous_points = torch.full((1, 1, 6, 36, 64, 3), torch.nan)
    conditions.box_points = torch.zeros(1, 1, 6, 36, 64, 3, dtype=torch.uint8)
    conditions.motion = torch.eye(4)[None, None].clone()
    conditions.motion[..., 0, 3] = 1.0
    coarse = torch.rand(6, 3, 9, 16, generator=torch.Generator().manual_seed(2))
    before = torch.nn.functional.interpolate(coarse, (72, 128), mode="bicubic")[None].clamp(0, 1)
    rays = viewing_rays(conditions.intrinsics, conditions.extrinsics, (72, 128))
    distance = torch.full((1, 1, 6, 72, 128), WALL)
    points = points_along(rays, conditions.extrinsics, conditions.motion[:, 0], distance)
    camera, uv, _ = project_to_ring(points, conditions.intrinsics, conditions.extrinsics)
    after = sample_ring(before, camera, uv)[:, 0].clamp(0, 1)
    bytes_of = [(255.0 * p).round().to(torch.uint8).movedim(2, -1) for p in (before, after)]
    return bytes_of[0], bytes_of[1], conditions


def test_parallax_is_smallest_at_the_true_distance() -> None:
    objective = StageObjective(tiny_network(), tiny_codec(), ObjectiveConfig(adversarial=0.0))
    before, after, conditions = wall_seen_twice()
    distances = objective.network.config.distances
    errors = []
    for index in range(len(distances)):
        logits = torch.zeros(6, 1 + len(distances), 18, 32)
        logits[:, 1 + index] = 20.0
        errors.append(float(objective._parallax_error(logits, before, after, conditions, torch.ones(6, 1, 1, 1))))
    assert distances[int(np.argmin(errors))] == WALL
    assert min(errors) < 0.3 * max(errors)


def test_the_distance_estimator_learns_from_parallax() -> None:
    objective = StageObjective(tiny_network(), tiny_codec(), ObjectiveConfig(adversarial=0.0))
    before, after, conditions = wall_seen_twice()
    network = objective.network
    latents, features = torch.zeros(6, 4, 18, 32), torch.zeros(6, 8, 9, 16)
    optimizer = torch.optim.Adam(network.distance.parameters(), 3e-2)
    for _ in range(60):
        error = objective._parallax_error(
            network.distance(latents, features), before, after, conditions, torch.ones(6, 1, 1, 1)
        )
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    inverse, _ = estimated_distance(network.distance(latents, features), network.config.distances)
    assert 1.0 / float(inverse.detach().median()) == pytest.approx(WALL, rel=0.25)


def test_estimated_distance_is_the_mean_inverse_one() -> None:
    logits = torch.tensor([0.0, 0.0, 0.0])[None, :, None, None]
    inverse, on_ground = estimated_distance(logits, (10.0, 5.0))
    assert float(inverse) == pytest.approx(0.15)
    assert not bool(on_ground)
    logits[:, 0] = 0.7  # more than log 2: likelier than both together
    assert bool(estimated_distance(logits, (10.0, 5.0))[1])


def test_reset_streams_forget() -> None:
    objective = StageObjective(tiny_network(), tiny_codec())
    carry = None
    for step in range(3):
        carry = objective.loss(batch_of(step, carry))[1]["carry"]
    carry = objective.loss(batch_of(3, carry, reset=True))[1]["carry"]
    assert torch.equal(carry.latents[0], carry.truth[0])
    assert not torch.equal(carry.latents[1], carry.truth[1])
    assert carry.buffer.frames[0].present.tolist() == [False, True]
    assert carry.buffer.frames[1].present.tolist() == [False, True]


def test_paper_size_starts_as_stable_diffusion(tmp_path: Path) -> None:
    """A tiny random Stable Diffusion: after loading, the network computes what the plain U-Net computes."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=24, attention_head_dim=2,
        norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    unet.save_pretrained(tmp_path / "unet")
    AutoencoderKL(block_out_channels=(8,) * 4, norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 4,
                  up_block_types=("UpDecoderBlock2D",) * 4).save_pretrained(tmp_path / "vae")  # fmt: skip
    network = StageNetwork.from_stable_diffusion(str(tmp_path)).eval()
    inputs = network.prepare(
        torch.randn(6, 12, 8, 8), torch.randn(6, 6, 8, 8),
        torch.rand(6, PLANES, 32, 32), torch.randn(6, network.config.layout_features, 8, 8),
        torch.randn(1, MOTION), torch.zeros(1, 6),
    )  # fmt: skip
    torch.nn.init.zeros_(network.motion_embedding[-1].weight)
    inputs.embedding = torch.zeros_like(inputs.embedding)
    noisy = torch.randn(6, 4, 8, 8)
    with torch.no_grad():
        ours, _ = network(noisy, torch.full((6,), 0.5), inputs)
        theirs = unet(noisy, 500.0, inputs.tokens).sample
    assert torch.allclose(ours, theirs, atol=1e-4)
    codec = ImageCodec.from_pretrained(str(tmp_path), subfolder="vae")
    generator = StageGenerator(None, steps=1, dtype="float32", image_size=(32, 64), network=network, codec=codec)
    conditions = some_conditions(1, 0)
    shape = (1, 1, 6, *generator.spec.conditions.layout_size)
    conditions.previous_points = torch.full((*shape, 3), torch.nan)
    conditions.box_points = torch.zeros(*shape, 3, dtype=torch.uint8)
    conditions.layout = torch.zeros(*shape, len(LAYOUT_CHANNELS), dtype=torch.uint8)
    history = torch.zeros(1, 1, 6, 32, 64, 3, dtype=torch.uint8)
    frames, _ = generator.step(generator.start(history, conditions, (0,)), conditions)
    assert frames.shape == (1, 1, 6, 32, 64, 3)


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    generator = tiny_generator()
    with pytest.raises(ValueError, match="history: found None"):
        generator.start(None, some_conditions(1, 0), (0,))
    with pytest.raises(ValueError, match="dtype: found 'float8'"):
        StageGenerator(None, dtype="float8")
    with pytest.raises(ValueError, match="steps: found 0"):
        tiny_generator(steps=0)
    with pytest.raises(WeightsError, match="codec weights in"):
        StageGenerator(tmp_path)
    conditions = some_conditions(1, 0)
    conditions.previous_points = None
    state = generator.start(pictures(1, 0), conditions, (0,))
    with pytest.raises(ValueError, match="previous_points"):
        generator.step(state, conditions)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from drivesim.weights_io import checked_load

    save_weights(tiny_network(), tmp_path / "stage.safetensors", torch.float32)
    (tmp_path / "plain").touch()
    assert (tmp_path / "stage.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode, "others may read it"
    tensors = load_file(tmp_path / "stage.safetensors")
    network = tiny_network(seed=5)
    checked_load(network, tensors, "file")
    assert all(torch.equal(v, tensors[k]) for k, v in network.state_dict().items())
    with pytest.raises(WeightsError, match="found shape .* accepted"):
        checked_load(tiny_network(embedding=64), tensors, "file")
    tensors.pop("trunk.conv_in.bias")
    with pytest.raises(WeightsError, match="'trunk.conv_in.bias' is missing"):
        checked_load(network, tensors, "file")
