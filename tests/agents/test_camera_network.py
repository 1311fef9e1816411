"""The camera network's geometry against other people's, and the controller against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agents.camera_network import (
    CAMERAS,
    HEIGHTS,
    LAG,
    OFFSETS,
    CameraNetwork,
    Plan,
    follow,
    grid_around,
    look,
    on_route,
)
from drivesim.geometry import invert_pose, project, transform_points
from drivesim.town.rig import nuscenes_rig

SIZE = (72, 128)
STRAIGHT = torch.stack([2.0 * torch.arange(1, 21), torch.zeros(20)], -1)[None]
EGO = torch.tensor([[8.0, 0.0, 0.0, 0.0, 4.084, 1.73, 2.588]])


def circle(radius: float) -> torch.Tensor:
    angle = 2.0 * torch.arange(1, 21) / radius
    return torch.stack([radius * angle.sin(), radius * (1.0 - angle.cos())], -1)[None]


def plan_of(along: torch.Tensor, offset: float = 0.0) -> Plan:
    return Plan(along[None], torch.full((1, 6), offset), torch.zeros(1, 6, 3), torch.zeros(1, 2, 20, 5))


def test_the_grid_lies_beside_the_route() -> None:
    cells = grid_around(STRAIGHT)[0]
    torch.testing.assert_close(cells[:, 2], STRAIGHT[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(cells[4, :, 1], torch.tensor(OFFSETS), atol=1e-3, rtol=0)
    bent = grid_around(circle(40.0))[0]
    distance = (bent - torch.tensor([0.0, 40.0])).norm(dim=-1)[:-1]  # the last direction is extrapolated
    torch.testing.assert_close(distance, (40.0 - torch.tensor(OFFSETS)).expand(19, 5), atol=0.1, rtol=0)


def test_cells_see_the_pixels_they_project_to() -> None:
    rig = nuscenes_rig(SIZE)
    intrinsics, extrinsics = torch.from_numpy(rig.intrinsics).float(), torch.from_numpy(rig.extrinsics).float()
    # Features that are the coordinates of their pixels, so that what a cell sees tells where it looked.
    v, u = torch.meshgrid(torch.arange(0.5, 72.0), torch.arange(0.5, 128.0), indexing="ij")
    number = torch.arange(6.0)[:, None, None].expand(6, *SIZE)
    features = torch.stack([u.expand(6, *SIZE), v.expand(6, *SIZE), number], 1)[None]
    cells = grid_around(STRAIGHT)
    seen, visible = look(features, cells, intrinsics[None], extrinsics[None], SIZE)
    seen = seen.reshape(3, len(HEIGHTS), 20, 5).numpy()
    checked = 0
    for row, column in ((4, 2), (9, 2), (14, 1), (19, 3)):
        point = np.array([*cells[0, row, column].tolist(), HEIGHTS[1]])
        views = []
        for view in range(6):
            pixel, depth = project(transform_points(invert_pose(rig.extrinsics[view]), point), rig.intrinsics[view])
            if depth > 0.5 and 1.0 <= pixel[0] <= 127.0 and 1.0 <= pixel[1] <= 71.0:
                views.append((*pixel, float(view)))
        if views:
            np.testing.assert_allclose(seen[:, 1, row, column], np.mean(views, axis=0), atol=0.05)
            assert visible[0, 0, row, column] == 1.0
            checked += 1
    assert checked >= 3
    assert visible[0, 0, 0, 2] == 0.0  # 2 m ahead of the rear axle is under the bonnet


def test_positions_on_a_route() -> None:
    position, heading = on_route(STRAIGHT, torch.tensor([[0.5, 7.0, 55.0]]))
    torch.testing.assert_close(position[0], torch.tensor([[0.5, 0.0], [7.0, 0.0], [55.0, 0.0]]))
    torch.testing.assert_close(heading, torch.zeros(1, 3))
    position, heading = on_route(circle(30.0), torch.tensor([[15.0]]))
    assert heading.item() == pytest.approx(0.5, abs=0.035)
    assert (position[0, 0] - torch.tensor([0.0, 30.0])).norm().item() == pytest.approx(30.0, abs=0.02)


@pytest.mark.parametrize("acceleration", [-2.0, 0.0, 1.5])
def test_a_plan_of_constant_acceleration_gives_that_acceleration(acceleration: float) -> None:
    times = 0.5 * torch.arange(1, 7)
    action = follow(plan_of(8.0 * times + 0.5 * acceleration * times**2), EGO, STRAIGHT)
    torch.testing.assert_close(action, torch.tensor([[acceleration, 0.0]]), atol=1e-5, rtol=0)


def test_the_wheel_follows_the_bend_and_the_offset() -> None:
    times = 0.5 * torch.arange(1, 7)
    steering = follow(plan_of(8.0 * times), EGO, circle(25.0))[0, 1].item()
    assert steering == pytest.approx(math.atan(2.588 / 25.0), rel=0.05)
    left = follow(plan_of(8.0 * times, offset=1.0), EGO, STRAIGHT)[0, 1].item()
    assert left == pytest.approx(math.atan(2.0 * 2.588 / (7.2**2 + 1.0)), rel=1e-4)


def test_braking_is_bounded_by_what_the_vehicle_can_do() -> None:
    assert follow(plan_of(torch.zeros(6)), EGO, STRAIGHT)[0, 0].item() == -8.0


def test_the_network_remembers_half_a_second_and_forgets_on_reset() -> None:
    torch.manual_seed(0)
    network = CameraNetwork((8, 8), 8, (16, 24)).eval()
    rig = nuscenes_rig((16, 24))
    fixed = {"ego": EGO, "route": STRAIGHT, "intrinsics": torch.from_numpy(rig.intrinsics).float()[None],
             "extrinsics": torch.from_numpy(rig.extrinsics).float()[None]}  # fmt: skip
    pictures = torch.randint(0, 256, (LAG + 2, 6, 16, 24, 3), dtype=torch.uint8)

    def act(step: int) -> torch.Tensor:
        return network(fixed | {name: pictures[step, view][None] for view, name in enumerate(CAMERAS)})

    with torch.inference_mode():
        actions = [act(step) for step in range(LAG + 2)]
        plan = network.plan(pictures[-1][None], pictures[1][None], *fixed.values())
        torch.testing.assert_close(actions[-1], follow(plan, EGO, STRAIGHT))
        network.reset()
        assert torch.equal(act(0), actions[0])
        assert not torch.equal(act(0), actions[LAG])
