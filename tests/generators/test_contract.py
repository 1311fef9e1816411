"""What every generator promises, whatever draws its pictures."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from drivesim.conditions import LAYOUT_CHANNELS, Conditions, build_conditions
from drivesim.generators.interface import Generator, load_generator
from drivesim.generators.layout.rollout import GRASS, MAP_COLORS, OBJECT_COLORS, SKY, paint
from drivesim.scene import CAMERAS, OBJECT_CLASSES, EgoState, Scene, Tags, Tracks
from tests.town.scenes import mixed_traffic, synthetic_scene

SIZE = (36, 64)
NAMES = ("layout", "raycast")


@pytest.fixture(params=NAMES)
def generator(request: pytest.FixtureRequest) -> Generator:
    return load_generator(request.param, image_size=SIZE)


def scene(x: float = 0.0, **changes: object) -> Scene:
    return replace(synthetic_scene(mixed_traffic()), **{"ego": EgoState.at(x, -1.75, 0.0, 8.0), **changes})


def conditions(generator: Generator, *drives: list[Scene]) -> Conditions:
    """Conditions of the last scene of every drive."""
    last = [drive[-1:] for drive in drives]
    before = [drive[-2] if len(drive) > 1 else None for drive in drives]
    return build_conditions(last, before, [drive[0] for drive in drives], generator.spec.conditions)


def drive_on(generator: Generator, drives: list[list[Scene]]) -> Tensor:
    """Frames [B, T, V, H, W, 3] of whole drives, one step at a time."""
    state = generator.start(None, conditions(generator, *(drive[:1] for drive in drives)), list(range(len(drives))))
    frames = []
    for time in range(1, len(drives[0]) + 1):
        drawn, state = generator.step(state, conditions(generator, *(drive[:time] for drive in drives)))
        state = generator.commit(state)
        frames.append(drawn)
    return torch.cat(frames, dim=1)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"generator: found 'magic', accepted \['layout', 'raycast', 'stage'\]"):
        load_generator("magic")


def test_spec_says_what_is_drawn(generator: Generator) -> None:
    spec = generator.spec
    assert spec.image_size == SIZE
    assert spec.cameras == CAMERAS
    assert spec.fps == 12.0
    assert spec.chunk >= 1
    assert spec.history >= 0


def test_frames_are_pictures_of_all_cameras(generator: Generator) -> None:
    frames = drive_on(generator, [[scene()], [scene(3.0)]])
    assert frames.shape == (2, generator.spec.chunk, 6, *SIZE, 3)
    assert frames.dtype == torch.uint8
    assert (frames.float().std(dim=(3, 4, 5)) > 1.0).all()


def test_the_same_drive_gives_the_same_frames(generator: Generator) -> None:
    drive = [scene(0.7 * time) for time in range(3)]
    first = drive_on(generator, [drive])
    again = drive_on(load_generator_like(generator), [drive])
    assert torch.equal(first, again)
    assert not torch.equal(first[:, 0], first[:, -1])


def load_generator_like(generator: Generator) -> Generator:
    name = type(generator).__name__.removesuffix("Generator").lower()
    return load_generator(name, image_size=generator.spec.image_size)


def test_step_leaves_state_and_conditions_as_they_were(generator: Generator) -> None:
    given = conditions(generator, [scene()])
    state = generator.start(None, given, [0])
    kept_state, kept = deepcopy(state), given.layout.clone()
    first, after = generator.step(state, given)
    kept_frames = first.clone()
    assert torch.equal(given.layout, kept)
    again, _ = generator.step(kept_state, given)
    assert torch.equal(first, again)
    generator.step(generator.commit(after), conditions(generator, [scene(), scene(5.0)]))
    assert torch.equal(first, kept_frames)  # later steps do not draw into frames that were handed out


def test_a_batch_equals_its_worlds(generator: Generator) -> None:
    drives = [[scene(), scene(0.8)], [scene(-9.0, tags=Tags("rain", "night")), scene(-8.5, tags=Tags("rain", "night"))]]
    together = drive_on(generator, drives)
    for world, drive in enumerate(drives):
        assert torch.equal(drive_on(generator, [drive])[0], together[world])


def test_a_world_can_be_taken_from_a_batch_and_put_into_another(generator: Generator) -> None:
    drives = [[scene(), scene(0.8), scene(1.6)], [scene(-9.0), scene(-8.5), scene(-8.0)]]
    expected = drive_on(generator, drives)
    state = generator.start(None, conditions(generator, *(drive[:1] for drive in drives)), [0, 1])
    other = generator.start(None, conditions(generator, drives[0][:1], drives[0][:1]), [5, 6])
    other = generator.put(other, [1, 0], generator.take(state, [0, 1]))
    frames, _ = generator.step(other, conditions(generator, drives[1], drives[0]))
    assert torch.equal(frames[:, 0], expected.flip(0)[:, -1])


@pytest.mark.parametrize("name", NAMES)
def test_generators_without_weights_cannot_be_trained(name: str) -> None:
    with pytest.raises(TypeError, match=f"generator '{name}' has no weights"):
        load_generator(name).loss({})


def test_raycast_needs_statics() -> None:
    generator = load_generator("raycast", image_size=SIZE)
    bare = conditions(generator, [scene(statics=None)])
    with pytest.raises(ValueError, match="statics"):
        generator.step(None, bare)


def test_layout_draws_scenes_without_map_and_statics() -> None:
    generator = load_generator("layout", image_size=SIZE)
    frames, _ = generator.step(None, conditions(generator, [scene(map=None, statics=None, tracks=Tracks.empty())]))
    colors = {tuple(color) for color in frames.reshape(-1, 3).unique(dim=0).tolist()}
    assert colors == {SKY, GRASS}


def layout_of(**channels: int) -> np.ndarray:
    """One pixel [1, 1, C] of ground with the given channels."""
    pixel = np.zeros((1, 1, len(LAYOUT_CHANNELS)), np.uint8)
    for name, value in ({"inverse_depth": 100} | channels).items():
        pixel[..., LAYOUT_CHANNELS.index(name)] = value
    return pixel


@pytest.mark.parametrize("name", MAP_COLORS)
def test_full_and_partial_coverage_are_painted_over_grass(name: str) -> None:
    color, grass = np.array(MAP_COLORS[name], float), np.array(GRASS, float)
    assert paint(layout_of(**{name: 255}))[0, 0].tolist() == list(MAP_COLORS[name])
    for coverage in (0, 30, 85, 128, 170, 255):
        exact = grass + (color - grass) * coverage / 255
        found = paint(layout_of(**{name: coverage}))[0, 0]
        assert np.abs(found - exact).max() <= np.abs(color - grass).max() / 6 + 1  # coverage is rounded to thirds


def test_classes_are_painted_one_over_the_other() -> None:
    order = list(MAP_COLORS)
    for lower, upper in zip(order[:-1], order[1:]):
        assert tuple(paint(layout_of(**{lower: 255, upper: 255}))[0, 0]) == MAP_COLORS[upper]


@pytest.mark.parametrize("name", OBJECT_CLASSES)
def test_boxes_have_the_colour_of_their_class_and_the_shade_of_their_face(name: str) -> None:
    for face in (40, 90, 150, 255):
        found = paint(layout_of(**{name: 255, "face": face, "drivable_area": 255}))[0, 0]
        shaded = OBJECT_COLORS[OBJECT_CLASSES.index(name)] * (0.45 + 0.55 * face / 255)
        assert np.abs(found - shaded).max() <= 1


def test_paint_keeps_leading_axes() -> None:
    layout = np.concatenate([layout_of(inverse_depth=0), layout_of(walkway=255)], axis=1)  # [1, 2, C]
    picture = paint(np.broadcast_to(layout, (2, 3, 6, 4, 2, layout.shape[-1])))
    assert picture.shape == (2, 3, 6, 4, 2, 3)
    assert (picture[..., 0, :] == SKY).all()
    assert (picture[..., 1, :] == MAP_COLORS["walkway"]).all()
