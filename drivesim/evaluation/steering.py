"""Whether the picture answers to the steering wheel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tqdm import tqdm

from drivesim.data.clips import FPS
from drivesim.evaluation.settings import EvaluationConfig
from drivesim.evaluation.stream import stream
from drivesim.generators.interface import Generator
from drivesim.metrics.pictures import psnr
from drivesim.town.raycast import Raycaster
from drivesim.town.rig import nuscenes_rig
from drivesim.vehicle import KinematicBicycle
from drivesim.world import EVALUATION_TOWNS, TownSource


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
