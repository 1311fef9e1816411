"""Camera-in, end to end: six pictures, ego and route to a trajectory, small enough for a laptop.

The network looks along its route: what a convolutional network makes of the pictures is read where the points of a
grid around the route appear in them (known calibration; the idea of deformable attention in BEVFormer, Li et al. 2022,
with one fixed point per view), once at the road and once above it. A second, smaller network looks at that grid and
plans. As an auxiliary task it says which cells of the grid are taken, now and in a second, as TransFuser (Chitta et al.
2022) learns from boxes; nobody tells it when it drives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT")
LAG = 6  # steps of 1/12 s between the two pictures that every camera gives: what moves can be seen
HEIGHTS = (0.2, 1.2)  # [m] at which the grid is looked at
OFFSETS = (-7.0, -3.5, 0.0, 3.5, 7.0)  # [m] left of the route
ROUTE_POINTS, SPACING = 20, 2.0
WAYPOINTS, WAYPOINT_STEP = 6, 0.5  # [s] between them
_FAST, _FAR = 10.0, 40.0  # [m/s], [m] that inputs are divided by
_SHORTEST_LOOK_AHEAD, _LOOK_AHEAD = 4.0, 0.9  # [m], [s]
_MOST_BRAKING, _MOST_ACCELERATION = 8.0, 3.0  # [m/s^2]


@dataclass(frozen=True)
class Plan:
    """What the network means to do in the next 3 s, and what it believes to be in the way."""

    along: Tensor  # [B, 6] distance along the route [m]
    offset: Tensor  # [B, 6] to the left of the route [m]
    trajectory: Tensor  # [B, 6, 3] x, y [m], yaw [rad] in the ego frame
    taken: Tensor  # [B, 2, 20, 5] logits: cells taken now and in 1 s


class CameraNetwork(nn.Module):
    """Maps observations (six cameras, ego, route, intrinsics, extrinsics) to actions [B, 2] of type "physical".

    It keeps the pictures of the last half second; `reset` forgets them.
    """

    def __init__(
        self, channels: tuple[int, ...] = (24, 48, 96), width: int = 32, image_size: tuple[int, int] = (72, 128)
    ) -> None:
        super().__init__()
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.eyes = Eyes(tuple(channels), width)
        self.planner = GridPlanner(width)
        self._past: deque[Tensor] = deque(maxlen=LAG + 1)

    def reset(self) -> None:
        """A new drive begins."""
        self._past.clear()

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Acceleration [m/s^2] and front wheel angle [rad] that follow the plan; to be called at every step."""
        pictures = torch.stack([observation[name] for name in CAMERAS], 1)
        self._past.append(pictures)
        plan = self.plan(
            pictures, self._past[0], observation["ego"], observation["route"], observation["intrinsics"],
            observation["extrinsics"],
        )  # fmt: skip
        return follow(plan, observation["ego"], observation["route"])

    def plan(
        self, pictures: Tensor, past: Tensor, ego: Tensor, route: Tensor, intrinsics: Tensor, extrinsics: Tensor
    ) -> Plan:
        """The plan for pictures uint8 [B, 6, H, W, 3] and those of half a second ago, ego [B, 7], route [B, 20, 2],
        intrinsics [B, 6, 3, 3] and extrinsics [B, 6, 4, 4] (camera to ego frame)."""
        features = self.eyes(pictures, past)
        cells = grid_around(route)
        seen, visible = look(features, cells, intrinsics, extrinsics, pictures.shape[2:4])
        return self.planner(seen, visible, cells, ego, route)


class Eyes(nn.Module):
    """A small feature pyramid: pictures of now and of before to features [B, V, width, H / 4, W / 4]."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.now, self.before = (nn.Conv2d(3, channels[0], 4, stride=4) for _ in range(2))
        levels, sides = [], []
        for level, size in enumerate(channels):
            before = channels[max(level - 1, 0)]
            down = nn.Conv2d(before, size, 3, stride=2, padding=1) if level else nn.Identity()
            levels.append(nn.Sequential(down, Residual(size), Residual(size)))
            sides.append(nn.Conv2d(size, width, 1))
        self.levels, self.sides = nn.ModuleList(levels), nn.ModuleList(sides)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, pictures: Tensor, past: Tensor) -> Tensor:
        """Features of pictures uint8 [B, V, H, W, 3]."""
        batch, views = pictures.shape[:2]
        x = self.now(_signed(pictures)) + self.before(_signed(past))
        found = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        top = self.sides[-1](found[-1])
        for side, x in zip(reversed(self.sides[:-1]), reversed(found[:-1])):
            top = side(x) + F.interpolate(top, x.shape[-2:], mode="nearest")
        return self.smooth(top).reshape(batch, views, -1, *top.shape[-2:])


def _signed(pictures: Tensor) -> Tensor:
    """Pictures uint8 [B, V, H, W, 3] as numbers [B * V, 3, H, W] of about -2 to 2."""
    kind = pictures.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return pictures.flatten(0, 1).to(dtype).sub_(127.5).mul_(1.0 / 64.0).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), which begins as the identity and so needs no normalisation (Zhang et al. 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape [N, C, H, W]."""
        return x + self.second(F.relu(self.first(F.relu(x))))


class GridPlanner(nn.Module):
    """Looks at the grid around the route and plans along it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.Conv2d(width * len(HEIGHTS) + 5, width, 1)
        self.mix = nn.Sequential(Residual(width), Residual(width))
        self.taken = nn.Conv2d(width, 2, 1)
        self.squeeze = nn.Conv2d(width + 2, 16, 1)
        cells = ROUTE_POINTS * len(OFFSETS)
        self.decide = nn.Sequential(
            nn.Linear(16 * cells + 2 + 2 * ROUTE_POINTS, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
            nn.Linear(128, 3 * WAYPOINTS),
        )  # fmt: skip

    def forward(self, seen: Tensor, visible: Tensor, cells: Tensor, ego: Tensor, route: Tensor) -> Plan:
        """The plan for features [B, C, 20, 5] and visibility [B, 1, 20, 5] of cells [B, 20, 5, 2] [m]."""
        batch, rows, columns, _ = cells.shape
        places = cells.permute(0, 3, 1, 2) / _FAR
        row = torch.linspace(0.0, 1.0, rows, device=cells.device).view(1, 1, rows, 1).expand(batch, 1, rows, columns)
        column = torch.linspace(-1.0, 1.0, columns, device=cells.device).view(1, 1, 1, columns).expand_as(row)
        x = self.mix(self.cell(torch.cat([seen, visible, places, row, column], 1)))
        taken = self.taken(x)
        squeezed = F.relu(self.squeeze(torch.cat([x, taken], 1))).flatten(1)
        # Acceleration is left out: a clone that sees it goes on doing what it did (copycat problem, Wen et al. 2020).
        state = torch.stack([ego[:, 0] / _FAST, ego[:, 3] / 0.3], 1)
        raw = self.decide(torch.cat([squeezed, state, route.flatten(1) / _FAR], 1)).float()
        steps, offset, turn = raw.view(batch, 3, WAYPOINTS).unbind(1)
        along = torch.cumsum(WAYPOINT_STEP * _FAST * F.softplus(steps), 1)
        position, heading = on_route(route, along)
        normal = torch.stack([-heading.sin(), heading.cos()], -1)
        trajectory = torch.cat([position + offset[..., None] * normal, (heading + turn)[..., None]], -1)
        return Plan(along, offset, trajectory, taken.float())


def grid_around(route: Tensor) -> Tensor:
    """Cells [B, 20, 5, 2] beside the points of a route [B, 20, 2], ego frame [m]."""
    path = torch.cat([torch.zeros_like(route[:, :1]), route], 1)
    step = path[:, 1:] - path[:, :-1]
    ahead = torch.cat([step[:, 1:], step[:, -1:]], 1) + step
    ahead = F.normalize(ahead + ahead.new_tensor([1e-4, 0.0]), dim=-1)
    normal = torch.stack([-ahead[..., 1], ahead[..., 0]], -1)
    return route[:, :, None] + route.new_tensor(OFFSETS)[:, None] * normal[:, :, None]


def look(
    features: Tensor, cells: Tensor, intrinsics: Tensor, extrinsics: Tensor, image_size: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Features [B, C * heights, 20, 5] of the cells, mean over the views that see them, and whether any does."""
    batch, views, channels = features.shape[:3]
    rows, columns = cells.shape[1:3]
    with torch.autocast(features.device.type, enabled=False):  # eight bits are too few for places
        place, valid = _places(cells.float(), intrinsics.float(), extrinsics.float(), image_size)
        sampled = F.grid_sample(
            features.float().flatten(0, 1), place.clamp(-2.0, 2.0).flatten(0, 1)[:, None], align_corners=False
        ).reshape(batch, views, channels, -1)
    weight = valid[:, :, None].float()
    seen = (sampled * weight).sum(1) / weight.sum(1).clamp(min=1.0)  # [B, C, heights * cells]
    seen = seen.reshape(batch, channels * len(HEIGHTS), rows, columns)
    visible = valid.any(1).reshape(batch, len(HEIGHTS), rows, columns).any(1, keepdim=True)
    return seen, visible.float()


def _places(
    cells: Tensor, intrinsics: Tensor, extrinsics: Tensor, image_size: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Where cells at all heights appear in pictures [B, V, P, 2], from -1 to 1, and whether they do [B, V, P]."""
    flat = cells.reshape(len(cells), 1, -1, 2).expand(-1, len(HEIGHTS), -1, -1)
    heights = cells.new_tensor(HEIGHTS).view(1, -1, 1, 1).expand(*flat.shape[:3], 1)
    points = torch.cat([flat, heights, torch.ones_like(heights)], -1).reshape(len(cells), 1, -1, 4)
    camera = (points @ torch.linalg.inv(extrinsics).transpose(-1, -2))[..., :3]
    depth = camera[..., 2]
    pixels = (camera @ intrinsics.transpose(-1, -2))[..., :2] / depth.clamp(min=0.1)[..., None]
    place = 2.0 * pixels / pixels.new_tensor([image_size[1], image_size[0]]) - 1.0
    return place, (depth > 0.5) & (place.abs() <= 1.0).all(-1)


def on_route(route: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Positions [B, K, 2] [m] and headings [B, K] [rad] at distances `along` [B, K] [m] on the polyline from the ego
    through a route [B, 20, 2]; beyond its end straight on."""
    path = torch.cat([torch.zeros_like(route[:, :1]), route], 1)
    step = path[:, 1:] - path[:, :-1]
    length = step.norm(dim=-1).clamp(min=1e-3)
    end = torch.cumsum(length, 1)
    index = torch.searchsorted(end.contiguous(), along.detach().contiguous()).clamp(max=length.shape[1] - 1)
    pick = index[..., None].expand(-1, -1, 2)
    direction = (step / length[..., None]).gather(1, pick)
    into = along - (end - length).gather(1, index)
    return path[:, :-1].gather(1, pick) + into[..., None] * direction, torch.atan2(direction[..., 1], direction[..., 0])


def follow(plan: Plan, ego: Tensor, route: Tensor) -> Tensor:
    """Actions [B, 2]: the acceleration that comes closest to the next second of the plan (least squares), and pure
    pursuit (Coulter 1992) of the planned path."""
    speed, wheelbase = ego[:, 0], ego[:, 6]
    times = WAYPOINT_STEP * torch.arange(1, 3, device=ego.device)
    gain = 0.5 * times**2
    acceleration = (gain * (plan.along[:, :2] - speed[:, None] * times)).sum(1) / (gain**2).sum()
    reach = (_LOOK_AHEAD * speed).clamp(min=_SHORTEST_LOOK_AHEAD)[:, None]
    point, heading = on_route(route, reach)
    offset = _at(plan.along, plan.offset, reach)
    x = point[:, 0, 0] - offset * heading[:, 0].sin()
    y = point[:, 0, 1] + offset * heading[:, 0].cos()
    steering = torch.atan(2.0 * wheelbase * y / (x**2 + y**2).clamp(min=1.0))
    return torch.stack([acceleration.clamp(-_MOST_BRAKING, _MOST_ACCELERATION), steering], 1)


def _at(along: Tensor, values: Tensor, reach: Tensor) -> Tensor:
    """Values [B] at distances `reach` [B, 1] along a plan [B, K], linear in between, held before and beyond."""
    index = torch.searchsorted(along.contiguous(), reach.contiguous()).clamp(1, along.shape[1] - 1)
    low, high = along.gather(1, index - 1), along.gather(1, index)
    share = ((reach - low) / (high - low).clamp(min=1e-3)).clamp(0.0, 1.0)
    return torch.lerp(values.gather(1, index - 1), values.gather(1, index), share)[:, 0]
