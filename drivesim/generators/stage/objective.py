"""What STAGE is trained on: streams of frames that continue from the network's own pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from drivesim.codecs.image import ImageCodec, to_float
from drivesim.conditions import LAYOUT_CHANNELS, Conditions
from drivesim.diffusion.degrade import dct_filter
from drivesim.diffusion.flow import add_noise, euler_step, noise_levels
from drivesim.generators.stage.errors import (
    contrast_error,
    edge_error,
    error_weights,
    unsaid_share,
    weighted_error,
)
from drivesim.generators.stage.inputs import layout_planes, network_inputs, said_of
from drivesim.generators.stage.memory import StoredFrame, StreamingBuffer
from drivesim.generators.stage.network import SAID, NetworkInputs, StageNetwork
from drivesim.generators.stage.replay import Replay
from drivesim.nn.discriminator import LatentDiscriminator, balanced, hinge_loss
from drivesim.nn.palette import Palette, fit_palette
from drivesim.nn.warp import (
    camera_centres,
    is_ground,
    points_along,
    project_to_ring,
    refine,
    sample_ring,
    viewing_rays,
)

JUDGE_MOMENTUM = 0.5  # with the usual 0.9 it learns what the network drew ten steps ago, and loses to it
TEXTURE_PACE = 10.0  # times the learning rate: a cell of the table learns from the few pixels that show it


@dataclass(frozen=True)
class ObjectiveConfig:
    """How the streams are trained."""

    teacher_forcing: float = 0.02  # share of frames that continue from the true previous frame, at the end: each lets
    # its stream begin anew, so this decides how long streams drift on their own
    teacher_forcing_first: float = 0.9  # that share at the beginning, when own pictures are still noise
    settled: float = 0.2  # share of the run after which it has come down
    degrade: float = 0.3  # share of these whose previous frame is noised and low-passed
    noise: float = 0.25  # largest standard deviation of that noise
    drop_color: float = 0.1  # share of frames whose boxes lose their colours
    steps: int = 1  # denoising steps of the streams themselves, as at run time
    refined: float = 0.25  # share of the worlds on which lower noise levels are learnt too
    adversarial: float = 3.0  # gradient of the adversarial term relative to that of the squared error; 0 leaves it out
    adversarial_ground: float = 1.0  # share of that gradient which ground heeds; less is truer and looks less true
    adversarial_from: float = 0.55  # share of the run after which it begins
    sketch: float = 0.5  # weight of the squared error of the sketch alone
    contrast: float = 1.0  # gradient of the error of local contrasts relative to that of the squared error
    picture: float = 0.5  # gradient of the squared error of the decoded pictures relative to that of the latents'
    edges: float = 1.0  # gradient of the error of the strength of edges in the decoded pictures, likewise
    discriminator_pace: float = 3.0  # its learning rate relative to the network's
    memory: bool = True  # HTFT on
    after_truth: float = 2.0  # weight of the squared error of frames that continue from a true one, which are rare
    ground: float = 4.0  # weight of roads and walkways beside what no map mentions, whose errors are hopeless and large
    weight_power: float = 0.2  # c of the object-size weights
    weight_scale: float = 2.0  # k of the object-size weights


@dataclass
class StreamCarry:
    """What a training step hands to the next one: B streams between two frames."""

    latents: Tensor  # [B, V, C, h, w], own previous frame
    truth: Tensor  # [B, V, C, h, w], true previous frame
    pictures: Tensor  # uint8 [B, V, H, W, 3], the same as pictures
    anchor: Tensor  # [B, V, C, h, w]
    palette: Palette  # of the anchor
    fresh: Tensor  # bool [B], whether the previous frame is the stream's first one and so a true one
    buffer: StreamingBuffer
    replay: Replay | None  # for the discriminator, if there is one

    def plain(self) -> dict[str, Any]:
        """The carry as nothing but tensors, lists and dicts."""
        frames = [{"tensors": list(f.tensors), "present": f.present} for f in self.buffer.frames]
        return {"latents": self.latents, "truth": self.truth, "pictures": self.pictures, "anchor": self.anchor,
                "color": self.palette.color, "doubt": self.palette.doubt, "fresh": self.fresh, "frames": frames,
                "replay": None if self.replay is None else vars(self.replay)}  # fmt: skip


class StageObjective(nn.Module):
    """Loss of one frame of B parallel streams; the codec is frozen."""

    def __init__(self, network: StageNetwork, codec: ImageCodec, config: ObjectiveConfig | None = None) -> None:
        super().__init__()
        self.network = network
        self.codec = codec.requires_grad_(False)
        self.config = config or ObjectiveConfig()
        self.discriminator: LatentDiscriminator | None = None
        self.paces = {"discriminator": self.config.discriminator_pace, "network.texture": TEXTURE_PACE}
        self.momenta = {"discriminator": JUDGE_MOMENTUM}
        if self.config.adversarial > 0:
            shape = network.config
            stride = shape.layout_stride // shape.patch
            self.discriminator = LatentDiscriminator(shape.latent_channels, SAID, stride)

    def loss(self, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Weighted squared error of the clean latents at pure noise and, on some worlds, at a random lower noise level;
        squared error of the sketch alone and of the decoded pictures; errors of local contrast and of the strength of
        edges. From `adversarial_from` on a discriminator of latents pulls the first prediction away from the blurred
        mean.

        `batch`: `frames` uint8 [B, V, H, W, 3], `conditions` (T = 1), `reset` bool [B] where a new stream begins, and
        `carry`, the `StreamCarry` of the step before (None at the very start), and `progress` (0..1) of the run. The
        logs hold the next `carry`.

        A stream goes on from what its own sampler draws without gradient, so it meets in training what it will meet
        at run time (STAGE, stage 3); a share of frames goes on from the truth, degraded at times.
        """
        frames, conditions, reset = batch["frames"], batch["conditions"], batch["reset"]
        truth = self._encode(frames)
        layout_size = (conditions.layout.shape[3], conditions.layout.shape[4])
        rays = viewing_rays(conditions.intrinsics, conditions.extrinsics, layout_size)
        carry = self._begin(batch["carry"], truth, frames, conditions.layout[:, 0], rays, reset)
        self._drop_colors(conditions)
        previous, pictures, forced = self._previous(carry, batch["progress"])
        inputs, distances = network_inputs(
            self.network, self.codec, pictures, previous, carry.anchor, carry.palette, rays, conditions
        )
        going_on = (~reset).repeat_interleave(self.network.config.views)[:, None, None, None]
        unsaid = unsaid_share(conditions.layout[:, 0], (truth.shape[-2], truth.shape[-1]))
        after_truth = forced | carry.fresh
        weight = going_on * self._weight(conditions, unsaid, after_truth)
        target = truth.flatten(0, 1)
        memory = carry.buffer if self.config.memory else StreamingBuffer()

        noise = torch.randn_like(target)
        clean, features = self.network(noise, torch.ones(len(target)), inputs, *self._recall(memory, 0))
        clean = clean.float()
        coarse = weighted_error(clean, target, weight)
        parallax = self._parallax_error(distances, carry.pictures, frames, conditions, going_on)
        loss, logs = coarse + parallax, {"coarse": coarse.detach(), "parallax": parallax.detach()}
        drawn = ~reset & ~after_truth
        judged = drawn.repeat_interleave(self.network.config.views)
        if self.network.config.blend and self.config.sketch > 0:
            sketch = weighted_error(inputs.references[:, -1], target, weight)
            loss = loss + self.config.sketch * sketch
            logs["sketch"] = sketch.detach()
        for name, (term, ratio) in self._looks(clean, target, frames, weight, unsaid, judged).items():
            loss = loss + balanced(term, coarse, clean, ratio)
            logs[name] = term.detach()
        if self._adversarial(batch["progress"]):
            planes = layout_planes(said_of(conditions), target.dtype)
            verdict, fooling, told = self._judge(clean, target, planes, unsaid, judged, coarse, carry.replay)
            loss = loss + verdict + fooling
            logs["discriminator"] = told
            carry = replace(carry, replay=self._remember(carry, clean.detach(), conditions, drawn))
        fine = self._refine(target, weight, inputs, memory)
        if fine is not None:
            loss, logs["fine"] = loss + fine, fine.detach()

        with torch.no_grad():
            carry = self._advance(
                carry, truth, frames, reset, noise, clean.detach(), [f.detach() for f in features], inputs, memory
            )
        return loss, logs | {"carry": carry}

    def _weight(self, conditions: Conditions, unsaid: Tensor, after_truth: Tensor) -> Tensor:
        """Weights [B * V, 1, h, w] of the squared error; bool [B] tells which streams go on from a true frame."""
        assert conditions.object_pixels is not None
        c = self.config
        weight = error_weights(conditions.object_pixels[:, 0], unsaid, c.weight_power, c.weight_scale, c.ground)
        after_truth = after_truth.repeat_interleave(self.network.config.views)[:, None, None, None]
        return torch.where(after_truth, c.after_truth * weight, weight)

    def _looks(
        self, clean: Tensor, target: Tensor, frames: Tensor, weight: Tensor, unsaid: Tensor, judged: Tensor
    ) -> dict[str, tuple[Tensor, float]]:
        """Errors of what the latents show, each with the length of its gradient relative to that of the squared error.
        Local contrast counts only in frames that are `judged` (bool [N]), the pictures in all that go on."""
        config = self.config
        terms: dict[str, tuple[Tensor, float]] = {}
        if config.contrast > 0 and judged.any():
            terms["contrast"] = contrast_error(clean[judged], target[judged], unsaid[judged]), config.contrast
        if config.picture > 0 or config.edges > 0:
            drawn, true = self.codec.decode(clean).float(), to_float(frames.flatten(0, 1))
            if config.picture > 0:
                wide = interpolate(weight, drawn.shape[-2:])
                terms["picture"] = weighted_error(drawn, true, wide), config.picture
            if config.edges > 0:
                terms["edges"] = edge_error(drawn, true, (weight > 0) * unsaid), config.edges
        return terms

    def _adversarial(self, progress: float) -> bool:
        return self.discriminator is not None and progress >= self.config.adversarial_from

    def _judge(
        self, clean: Tensor, target: Tensor, layout: Tensor, unsaid: Tensor, judged: Tensor, coarse: Tensor,
        replay: Replay | None,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Loss of the discriminator, of the network that is to fool it, and the hinge loss of the newest frames alone.

        Half of what the discriminator learns to tell from true frames was drawn a while ago. Only frames that continue
        from own pictures are `judged` (bool [N]): after a true one there is detail to copy.
        The network heeds the discriminator only as far as that tells true from drawn (its hinge loss is below 2):
        otherwise whoever gets ahead first pushes the other along meaningless directions and neither recovers. What
        the map leaves `unsaid` (shares [N, 1, h, w]) heeds it in full, ground as far as `adversarial_ground` says.
        """
        assert self.discriminator is not None
        if not judged.any():
            return clean.new_zeros(()), clean.new_zeros(()), clean.new_zeros(())
        real, drawn, layout = target[judged], clean[judged], layout[judged]
        true, now = self.discriminator(real, layout), self.discriminator(drawn.detach(), layout)
        told = hinge_loss(true, now)
        verdict = told
        latents, said = replay.sample() if replay is not None else (real[:0], None)
        if said is not None and len(latents):
            before = self.discriminator(latents.flatten(0, 1), layout_planes(said, latents.dtype))
            verdict = 0.5 * (told + hinge_loss(true, before))
        on_ground = self.config.adversarial_ground
        share = on_ground + (1.0 - on_ground) * unsaid[judged]
        fooling = -self.discriminator.frozen(drawn.detach() + share * (drawn - drawn.detach()), layout).mean()
        heed = (2.0 - told.detach()).clamp(0.0, 1.0)
        return verdict, heed * balanced(fooling, coarse, clean, self.config.adversarial), told.detach()

    def _remember(self, carry: StreamCarry, clean: Tensor, conditions: Conditions, drawn: Tensor) -> Replay:
        """The replay with frames [B * V, C, h, w] of the streams `drawn` bool [B]."""
        latents, said = clean.unflatten(0, (-1, self.network.config.views)), said_of(conditions)
        return (carry.replay or Replay.empty(latents, said)).put(latents, said, drawn)

    def _refine(self, target: Tensor, weight: Tensor, inputs: NetworkInputs, memory: StreamingBuffer) -> Tensor | None:
        """Error at one random lower noise level on the first worlds; None if there are none."""
        views = self.network.config.views
        rows = round(self.config.refined * len(target) / views) * views
        if rows == 0:
            return None
        sigma = self._random_levels(rows // views).repeat_interleave(views)
        noisy = add_noise(target[:rows], torch.randn_like(target[:rows]), sigma)
        part = NetworkInputs(*(getattr(inputs, field.name)[:rows] for field in fields(inputs)))
        recalled, present = self._recall(memory, min(1, self.config.steps - 1))
        if recalled is not None and present is not None:
            recalled, present = [layer[:rows] for layer in recalled], present[:rows]
        refined, _ = self.network(noisy, sigma, part, recalled, present)
        return weighted_error(refined, target[:rows], weight[:rows])

    @staticmethod
    def restore_carry(plain: Mapping[str, Any]) -> StreamCarry:
        """The carry that `StreamCarry.plain` wrote down."""
        frames = tuple(StoredFrame(tuple(f["tensors"]), f["present"]) for f in plain["frames"])
        latents, truth, pictures, anchor = (plain[name] for name in ("latents", "truth", "pictures", "anchor"))
        palette = Palette(plain["color"], plain["doubt"])
        replay = plain.get("replay") and Replay(**plain["replay"])
        return StreamCarry(latents, truth, pictures, anchor, palette, plain["fresh"], StreamingBuffer(frames), replay)

    @torch.no_grad()
    def _encode(self, frames: Tensor) -> Tensor:
        pictures = to_float(frames.flatten(0, 1))
        return self.codec.encode(pictures).float().unflatten(0, frames.shape[:2])

    def _begin(
        self, carry: StreamCarry | None, truth: Tensor, frames: Tensor, layout: Tensor, rays: Tensor, reset: Tensor
    ) -> StreamCarry:
        if carry is not None and not reset.any():
            return carry
        palette = fit_palette(to_float(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]), layout, rays)
        if carry is None:
            return StreamCarry(truth, truth, frames, truth, palette, reset, StreamingBuffer(), None)
        fresh = reset[:, None, None, None, None]
        own, true, first = (torch.where(fresh, truth, old) for old in (carry.latents, carry.truth, carry.anchor))
        pictures = torch.where(fresh, frames, carry.pictures)
        palette = palette.where(reset, carry.palette)
        return StreamCarry(own, true, pictures, first, palette, carry.fresh, carry.buffer.without(reset), carry.replay)

    def teacher_forcing(self, progress: float) -> float:
        """Share of teacher-forced frames after `progress` (0..1) of the run."""
        c = self.config
        done = min(1.0, progress / max(c.settled, 1e-6))
        return c.teacher_forcing_first + done * (c.teacher_forcing - c.teacher_forcing_first)

    @torch.no_grad()
    def _previous(self, carry: StreamCarry, progress: float) -> tuple[Tensor, Tensor, Tensor]:
        """Previous frames to continue from as latents [B, V, C, h, w] and pictures [B, V, 3, H, W]: own ones, or true
        ones with occasional degradation. The last tensor, bool [B], tells which are true."""
        worlds = len(carry.latents)
        config = self.config
        true = carry.truth
        degraded = torch.rand(worlds) < config.degrade
        keep = torch.where(degraded, 0.3 + 0.7 * torch.rand(worlds), 2.0)
        level = torch.where(degraded, config.noise * torch.rand(worlds), 0.0)[:, None, None, None, None]
        true = dct_filter(true, keep) + level * torch.randn_like(true)
        forced = torch.rand(worlds) < self.teacher_forcing(progress)
        latents = torch.where(forced[:, None, None, None, None], true, carry.latents)
        drawn = self.codec.decode(latents.flatten(0, 1)).float().clamp(-1.0, 1.0).unflatten(0, latents.shape[:2])
        exact = (forced & ~degraded)[:, None, None, None, None]
        return latents, torch.where(exact, to_float(carry.pictures), drawn), forced

    def _parallax_error(
        self, logits: Tensor, before: Tensor, now: Tensor, conditions: Conditions, going_on: Tensor
    ) -> Tensor:
        """Expected error of the true previous frames, warped to the distances of logits [N, 1 + D, h, w], against the
        true frames uint8 [B, V, H, W, 3] at half their size; boxes and streams that have just begun do not count."""
        assert conditions.previous_points is not None
        size = (logits.shape[-2], logits.shape[-1])
        stride = conditions.layout.shape[3] // size[0]
        known = conditions.previous_points[:, 0, :, stride // 2 :: stride, stride // 2 :: stride]
        motion, ground = conditions.motion[:, 0], is_ground(known)
        rays = viewing_rays(conditions.intrinsics, conditions.extrinsics, size)
        with torch.no_grad():
            limit = (known - camera_centres(conditions.extrinsics, motion)[:, :, None, None]).norm(dim=-1)
            limit = torch.where(ground, limit, torch.inf)[:, None]
            distance = limit.new_tensor(self.network.config.distances)[:, None, None, None].minimum(limit)
            points = points_along(rays, conditions.extrinsics, motion, distance)
            surface = torch.where(ground[..., None], known, points[:, 0])[:, None]
            points = torch.cat([surface, points], dim=1)
            camera, uv, seen = project_to_ring(points, conditions.intrinsics, conditions.extrinsics)
            halves = [avg_pool2d(to_float(p).flatten(0, 1), 2).unflatten(0, p.shape[:2]) for p in (before, now)]
            factor = halves[0].shape[-1] // size[1]
            warped = sample_ring(halves[0], *refine(camera, uv, factor), mode="bilinear")
            error = (warped - halves[1][:, None]).abs().mean(3)  # [B, K, V, H / 2, W / 2]
            error = avg_pool2d(error.flatten(0, 1), factor)
            error = avg_pool2d(error, 3, stride=1, padding=1, count_include_pad=False)
            error = error.unflatten(0, camera.shape[:2]).transpose(1, 2).flatten(0, 1)  # [N, K, h, w]
            counts = (seen.all(1) & (known.isnan().any(-1) | ground)).flatten(0, 1) * going_on[:, 0]
            is_distance = torch.arange(logits.shape[1], device=logits.device)[:, None, None] > 0
        logits = torch.where(is_distance | ground.flatten(0, 1)[:, None], logits, -1e4)
        return (counts * (logits.softmax(dim=1) * error).sum(1)).mean()

    def _drop_colors(self, conditions: Conditions) -> None:
        first = LAYOUT_CHANNELS.index("red")
        dropped = torch.rand(len(conditions.layout)) < self.config.drop_color
        conditions.layout[dropped, ..., first : first + 4] = 0

    def _recall(self, memory: StreamingBuffer, step: int) -> tuple[list[Tensor] | None, Tensor | None]:
        """Keys and values of past frames for one denoising step, projected here and now so that they learn."""
        features, present = memory.read(step)
        if features is None:
            return None, None
        shape = features[0].shape[:2]
        projected = self.network.project_memory([f.flatten(0, 1) for f in features])
        return [p.unflatten(0, shape) for p in projected], present

    def _random_levels(self, worlds: int) -> Tensor:
        """Noise levels [B] of the second prediction: half of them those of the run-time schedule, the rest anywhere."""
        schedule = torch.tensor(noise_levels(max(self.config.steps, 2))[1:])
        fixed = schedule[torch.randint(len(schedule), (worlds,))]
        return torch.where(torch.rand(worlds) < 0.5, fixed, 0.02 + 0.96 * torch.rand(worlds))

    def _advance(
        self,
        carry: StreamCarry,
        truth: Tensor,
        frames: Tensor,
        reset: Tensor,
        noise: Tensor,
        clean: Tensor,
        features: list[Tensor],
        inputs: NetworkInputs,
        memory: StreamingBuffer,
    ) -> StreamCarry:
        """Finishes the sampler that pure noise began and moves every stream on; new streams keep the truth."""
        sigmas = noise_levels(self.config.steps)
        kept, noisy = [features], noise
        for step in range(1, self.config.steps):
            noisy = euler_step(noisy, clean, sigmas[step - 1], sigmas[step])
            clean, stored = self.network(
                noisy, torch.full((len(noisy),), sigmas[step]), inputs, *self._recall(memory, step)
            )
            kept.append(stored)
        views = self.network.config.views
        latents = torch.where(reset[:, None, None, None, None], truth, clean.float().unflatten(0, (-1, views)))
        buffer = carry.buffer
        if self.config.memory:
            layers = [
                torch.stack([f.unflatten(0, (-1, views)) for f in layer], dim=1) for layer in zip(*kept, strict=True)
            ]
            buffer = buffer.push(StoredFrame(tuple(layers), ~reset))
        return StreamCarry(latents, truth, frames, carry.anchor, carry.palette, reset, buffer, carry.replay)
