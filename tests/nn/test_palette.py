"""The palette recovers colours that follow its law, and knows what it has not seen."""

from __future__ import annotations

import torch

from drivesim.conditions import LAYOUT_CHANNELS
from drivesim.nn.palette import fit_palette, paint

ROAD, WALKWAY = (LAYOUT_CHANNELS.index(name) for name in ("drivable_area", "walkway"))
SIZE = (24, 32)


def looks(worlds: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Layouts of road and grass under an empty sky [B, 2, h, w, C] and rays that fall from above to below."""
    layout = torch.zeros(worlds, 2, *SIZE, len(LAYOUT_CHANNELS), dtype=torch.uint8)
    layout[:, :, SIZE[0] // 2 :, : SIZE[1] // 2, ROAD] = 255
    height = torch.linspace(0.4, -0.4, SIZE[0])[:, None].expand(SIZE)
    rays = torch.stack([(1.0 - height.square()).sqrt(), torch.zeros(SIZE), height], dim=-1)
    return layout, rays.expand(worlds, 2, *SIZE, 3)


def colored(layout: torch.Tensor, rays: torch.Tensor) -> torch.Tensor:
    """Pictures [B, V, 3, h, w] in which sky, road and grass have one colour each."""
    sky, road, grass = (torch.tensor(c) for c in ([0.4, 0.6, 0.9], [-0.5, -0.5, -0.4], [-0.6, 0.2, -0.7]))
    picture = torch.where(layout[..., ROAD, None] > 0, road, grass)
    return torch.where(rays[..., 2:] > 0, sky, picture).movedim(-1, 2)


def test_colors_of_the_first_picture_are_found_again() -> None:
    layout, rays = looks(2)
    pictures = colored(layout, rays)
    planes = paint(fit_palette(pictures, layout, rays), layout, rays)
    assert (planes[:, :3] - pictures.flatten(0, 1)).abs().max() < 0.1
    assert planes[:, 3].max() < 0.2


def test_a_class_that_was_not_seen_is_known_to_be_unknown() -> None:
    layout, rays = looks()
    palette = fit_palette(colored(layout, rays), layout, rays)
    later = layout.clone()
    later[..., WALKWAY] = later[..., ROAD]
    later[..., ROAD] = 0
    ignorance = paint(palette, later, rays)[0, 3, SIZE[0] // 2 :]
    assert ignorance[:, : SIZE[1] // 2].min() > 0.3
    assert ignorance[:, SIZE[1] // 2 :].max() < 0.2


def test_boxes_do_not_color_the_ground() -> None:
    layout, rays = looks()
    pictures = colored(layout, rays)
    expected = fit_palette(pictures, layout, rays)
    covered = layout.clone()
    covered[:, :, -4:, :, LAYOUT_CHANNELS.index("car")] = 255
    pictures[..., -4:, :] = 1.0
    found = fit_palette(pictures, covered, rays)
    assert (paint(found, layout, rays) - paint(expected, layout, rays))[:, :3].abs().max() < 0.05


def test_what_stands_on_the_ground_hardly_colors_it() -> None:
    """A quarter of the grass is hidden by something that no layout mentions."""
    layout, rays = looks()
    pictures = colored(layout, rays)
    hidden = pictures.clone()
    hidden[..., SIZE[0] // 2 :, -SIZE[1] // 10 :] = 0.8
    grass = paint(fit_palette(hidden, layout, rays), layout, rays)[:, :3, SIZE[0] // 2 :, SIZE[1] // 2 : -4]
    assert (grass - pictures.flatten(0, 1)[..., SIZE[0] // 2 :, SIZE[1] // 2 : -4]).abs().max() < 0.06


def test_worlds_of_a_batch_have_palettes_of_their_own() -> None:
    layout, rays = looks(2)
    pictures = colored(layout, rays)
    pictures[1] *= -1.0
    both = fit_palette(pictures, layout, rays)
    for world in range(2):
        alone = fit_palette(pictures[world : world + 1], layout[world : world + 1], rays[world : world + 1])
        assert torch.allclose(alone.color[0], both.color[world], atol=1e-5)
    swapped = both.where(torch.tensor([True, False]), fit_palette(-pictures, layout, rays))
    assert torch.equal(swapped.color[0], both.color[0])
    assert torch.allclose(swapped.color[1], -both.color[1], atol=1e-5)
