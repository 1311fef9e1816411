"""How true a generator stays: its stream against the ray-cast truth of the very same drive, on towns it never saw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from drivesim.codecs.image import ImageCodec, to_float, to_uint8
from drivesim.conditions import build_conditions
from drivesim.data.clips import FPS, drive
from drivesim.generators.interface import Generator, load_generator
from drivesim.generators.stage.rollout import StageGenerator
from drivesim.metrics.pictures import psnr, sharpness
from drivesim.scene import Scene
from drivesim.town.raycast import Raycaster, RenderedFrame
from drivesim.town.rig import nuscenes_rig
from drivesim.town.semantics import GRASS, OBJECT_OFFSET, ROAD
from drivesim.vehicle import KinematicBicycle
from drivesim.world import EVALUATION_TOWNS, TownSource

REGIONS = ("whole", "ground", "boxes", "rest")
Scores = dict[str, list[float]]


@dataclass(frozen=True)
class EvaluationConfig:
    """Which drives and what is measured on them."""

    out: str
    towns: int = 20
    frames: tuple[int, ...] = (1, 12, 60, 240)
    steps: tuple[int, ...] = (1, 2, 4, 8)  # the first is the one the steering test uses
    trials: int = 100  # of the steering test
    samples_per_pixel: int = 2
    generator_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TruthfulDrive:
    """A held-out drive: every scene, and the true pictures of the measured frames (frame 0 included)."""

    scenes: Sequence[Scene]
    truth: Mapping[int, RenderedFrame]


def evaluate(config: EvaluationConfig) -> Path:
    """Measures the stage generator for each number of denoising steps beside three references.

    Writes a table, the numbers and contact sheets; returns their folder.
    """
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    drives = [_record(EVALUATION_TOWNS + k, config) for k in tqdm(range(config.towns), desc="truth", unit="drive")]
    mean = np.stack([d.truth[f].images for d in drives for f in config.frames]).mean(0).round().astype(np.uint8)
    codec = StageGenerator(**config.generator_options).codec
    rows: dict[str, Scores] = {}
    rows["codec"] = _score(drives, config, lambda d, f: _reconstruct(codec, d.truth[f].images))
    rows["first frame"] = _score(drives, config, lambda d, f: d.truth[0].images)
    rows["mean picture"] = _score(drives, config, lambda d, f: mean)
    for steps in config.steps:
        generator = load_generator("stage", steps=steps, **config.generator_options)
        name = f"{steps} step" + "s" * (steps > 1)
        pictures = [
            stream(generator, d.scenes, d.truth[0].images, config.frames, k)
            for k, d in enumerate(tqdm(drives, desc=name))
        ]
        lookup = {id(d): p for d, p in zip(drives, pictures, strict=True)}
        rows[name] = _score(drives, config, lambda d, f, lookup=lookup: lookup[id(d)][f])
        _contact_sheet(out / f"contact_{steps}.png", drives[:6], pictures[:6], config.frames)
        (out / "scores.json").write_text(json.dumps(rows, indent=1) + "\n")
        (out / "table.md").write_text(_table(rows, config.frames))
    if config.trials:
        generator = load_generator("stage", steps=config.steps[0], **config.generator_options)
        hits = steering_test(generator, config)
        (out / "steering.json").write_text(json.dumps(hits) + "\n")
        answer = (
            f"steering: in {sum(hits)} of {len(hits)} trials each picture is closest to the truth of its own action\n"
        )
        with (out / "table.md").open("a") as file:
            file.write("\n" + answer)
    print((out / "table.md").read_text())
    return out


def steering_test(generator: Generator, config: EvaluationConfig, ahead: int = 12, angle: float = 0.25) -> list[bool]:
    """Whether steering left, straight and right from one saved state gives pictures, each of which is closest (PSNR)
    to the ray-cast truth of its own action after `ahead` steps. One entry per trial."""
    rig = nuscenes_rig(generator.spec.image_size)
    source, vehicle = TownSource(rig=rig), KinematicBicycle()
    raycaster = Raycaster(rig, config.samples_per_pixel)
    hits = []
    for trial in tqdm(range(config.trials), desc="steering", unit="trial"):
        start = source.reset(trial, {"town": EVALUATION_TOWNS + trial})
        ego = replace(start.scene.ego, speed=max(start.scene.ego.speed, 6.0))
        start = replace(start, scene=replace(start.scene, ego=ego))
        branches = []
        for steering in (angle, 0.0, -angle):
            world, scenes = start, [start.scene]
            for _ in range(ahead):
                world = source.step(world, vehicle.step(world.scene.ego, 0.0, steering, 1.0 / FPS), 1.0 / FPS)
                scenes.append(world.scene)
            branches.append(scenes)
        first = raycaster.render(start.scene).images
        drawn = [stream(generator, scenes, first, (ahead,), trial)[ahead] for scenes in branches]
        truths = [raycaster.render(scenes[-1]).images for scenes in branches]
        table = np.array([[psnr(picture, truth) for truth in truths] for picture in drawn])
        hits.append(bool((table.argmax(1) == np.arange(3)).all()))
    return hits


def stream(
    generator: Generator, scenes: Sequence[Scene], first: NDArray[np.uint8], wanted: Sequence[int], seed: int
) -> dict[int, NDArray[np.uint8]]:
    """Generated pictures [V, H, W, 3] of the wanted frames of a drive that begins with one true picture."""
    spec = generator.spec
    conditions = build_conditions([[scenes[0]]], [None], [scenes[0]], spec.conditions)
    state = generator.start(torch.from_numpy(first)[None, None], conditions, [seed])
    kept = {}
    for index in range(1, max(wanted) + 1):
        conditions = build_conditions([[scenes[index]]], [scenes[index - 1]], [scenes[0]], spec.conditions)
        frames, state = generator.step(state, conditions)
        state = generator.commit(state)
        if index in wanted:
            kept[index] = frames[0, 0].numpy()
    return kept


def _record(seed: int, config: EvaluationConfig) -> TruthfulDrive:
    rig = nuscenes_rig(tuple(config.generator_options.get("image_size", (72, 128))))
    scenes = drive(TownSource(rig=rig), seed, max(config.frames) + 1)
    raycaster = Raycaster(rig, config.samples_per_pixel)
    return TruthfulDrive(scenes, {f: raycaster.render(scenes[f]) for f in (0, *config.frames)})


def _reconstruct(codec: ImageCodec, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with torch.inference_mode():
        tensor = to_float(torch.from_numpy(pictures)).to(next(codec.parameters()).dtype)
        return to_uint8(codec.decode(codec.encode(tensor))).numpy()


def regions(frame: RenderedFrame) -> dict[str, NDArray[np.bool_]]:
    """Masks [V, H, W] of what the ray-caster saw: ground, boxes and the rest."""
    ground = (frame.semantic >= ROAD) & (frame.semantic <= GRASS)
    boxes = frame.semantic >= OBJECT_OFFSET
    return {"whole": np.ones_like(ground), "ground": ground, "boxes": boxes, "rest": ~ground & ~boxes}


def _score(drives: Sequence[TruthfulDrive], config: EvaluationConfig, picture: Any) -> Scores:
    """Mean over drives, per region (PSNR [dB]) and for sharpness; one number per measured frame."""
    scores: Scores = {name: [] for name in (*REGIONS, "sharpness")}
    for frame in config.frames:
        pairs = [(picture(d, frame), d.truth[frame]) for d in drives]
        for name in REGIONS:
            values = [psnr(p, t.images, regions(t)[name]) for p, t in pairs]
            scores[name].append(float(np.nanmean([v for v in values if np.isfinite(v)] or [np.nan])))
        scores["sharpness"].append(float(np.mean([sharpness(p, t.images) for p, t in pairs])))
    return scores


def _table(rows: Mapping[str, Scores], frames: Sequence[int]) -> str:
    """One line per row and measured frame."""
    columns = (*REGIONS, "sharpness")
    lines = ["| | frame | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    for name, scores in rows.items():
        for index, frame in enumerate(frames):
            cells = " | ".join(f"{scores[column][index]:.2f}" for column in columns)
            lines.append(f"| {name if index == 0 else ''} | {frame} | {cells} |")
    return "\n".join(lines) + "\n"


def _contact_sheet(
    path: Path, drives: Sequence[TruthfulDrive], pictures: Sequence[Mapping[int, NDArray]], frames: Sequence[int]
) -> None:
    """Six views in a row, truth above generation, one column per measured frame and one pair of rows per drive."""
    rows = []
    for recorded, generated in zip(drives, pictures, strict=True):
        for images in ({f: recorded.truth[f].images for f in frames}, generated):
            rows.append(np.concatenate([_ring(images[f]) for f in frames], axis=1))
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


def _ring(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Front cameras above rear cameras, each row from left to right as seen from above."""
    front, rear = np.concatenate(images[[0, 1, 2]], axis=1), np.concatenate(images[[5, 4, 3]], axis=1)
    return np.pad(np.concatenate([front, rear]), ((0, 4), (0, 4), (0, 0)), constant_values=255)
