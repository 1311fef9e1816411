"""What a road user knows, in its own frame: itself, the way ahead, and its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from drivesim.predictor.kinematics import into_frame
from drivesim.predictor.layout import FAR, WAY_POINTS, WAY_SPACING, Layouts, Ways
from drivesim.scene import OBJECT_CLASSES

AHEAD = (4.0, 8.0, 12.0, 18.0, 26.0, 36.0, 50.0, 65.0)  # [m] along the way
OWN_FEATURES = 3 + 2 + len(OBJECT_CLASSES)
WAY_FEATURES = 1 + 1 + 2 + 3 * len(AHEAD) + 2 * 3 + 1
NEIGHBOUR_FEATURES = 20
_METRES, _SPEEDS = 0.05, 0.1  # scales that bring features near one
_REACH, _TIME = 4.0, 0.6  # [m], [s] of pursuit ahead of the middle
_FORESIGHT, _FORESIGHT_LEAST = 2.0, 6.0  # [s], [m] ahead at which a neighbour's way is looked at
_RANGE = 70.0  # [m] of neighbours


def own_features(layout: Layouts) -> Tensor:
    """Motion and body [B, N, OWN_FEATURES]."""
    motion = [_SPEEDS * layout.speed, 0.3 * layout.acceleration, 5.0 * layout.curvature.clamp(-0.3, 0.3)]
    kind = one_hot(layout.class_ids.clamp(min=0), len(OBJECT_CLASSES))
    return torch.cat([torch.stack(motion, -1), 0.2 * layout.size, kind.to(layout.speed.dtype)], -1)


def along_way(ways: Ways, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance along [B, N, M] and beside [B, N, M] the ways [m] of places [B, N, M, 2], and the directions of the ways
    there [B, N, M, 2]."""
    points = ways.points.detach()
    squared = (
        position.detach().square().sum(-1, keepdim=True)
        - 2.0 * position.detach() @ points.mT
        + points.square().sum(-1)[:, :, None]
    )
    index = squared.argmin(-1)
    here = _pick(points, index)
    direction = _pick(points, (index + 1).clamp(max=WAY_POINTS - 1)) - _pick(points, (index - 1).clamp(min=0))
    direction = direction / direction.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    beside = into_frame(position - here, direction)
    return WAY_SPACING * index + beside[..., 0], beside[..., 1], direction


def on_way(ways: Ways, along: Tensor) -> tuple[Tensor, Tensor]:
    """Places [B, N, M, 2] and allowed speeds [B, N, M] at distances [B, N, M] along the ways."""
    at = (along / WAY_SPACING).clamp(0.0, WAY_POINTS - 1.001)
    index = at.detach().long()
    share = (at - index)[..., None]
    place = _pick(ways.points, index) * (1.0 - share) + _pick(ways.points, index + 1) * share
    return place, ways.allowed.gather(-1, index)


def _pick(points: Tensor, index: Tensor) -> Tensor:
    return points.gather(2, index[..., None].expand(*index.shape, 2))


def way_features(layout: Layouts) -> tuple[Tensor, Tensor, Tensor]:
    """The way ahead [B, N, WAY_FEATURES], the curvature [B, N] that pursues it [1/m], and where along it everybody is
    [B, N] [m]. All zero for those without a way."""
    ways, direction = layout.ways, layout.direction
    along, beside, heading = (value[:, :, 0] for value in along_way(ways, layout.position[:, :, None]))
    distances = torch.as_tensor(AHEAD, device=along.device)
    places, allowed = on_way(ways, along[..., None] + distances)
    seen = into_frame(places - layout.position[:, :, None], direction[:, :, None])
    reach = _REACH + _TIME * layout.speed
    target = into_frame(on_way(ways, (along + reach)[..., None])[0][:, :, 0] - layout.position, direction)
    pursuit = (2.0 * target[..., 1] / target.square().sum(-1).clamp(min=4.0)).clamp(-0.28, 0.28)
    stops = (ways.stops - along[..., None]).clamp(-50.0, 100.0)
    error = into_frame(heading, direction)
    bend = seen - torch.stack([distances, torch.zeros_like(distances)], -1)
    features = torch.cat(
        [
            ways.known[..., None].to(along.dtype), 0.5 * beside.clamp(-4.0, 4.0)[..., None], error,
            (_METRES * bend).flatten(-2), _SPEEDS * (allowed - layout.speed[..., None]),
            _METRES * stops, 0.2 * (stops / (layout.speed[..., None] + 1.0)).clamp(-5.0, 10.0),
            5.0 * pursuit[..., None],
        ], -1,
    )  # fmt: skip
    known = ways.known
    return features * known[..., None], pursuit * known, along * known


def neighbours(layout: Layouts, count: int) -> tuple[Tensor, Tensor]:
    """Rows [B, N, M] of the nearest others in range, and whether there is one [B, N, M]. The ego comes first."""
    position = layout.position.detach()
    distance = torch.cdist(position, position)
    apart = ~torch.eye(distance.shape[-1], dtype=torch.bool, device=distance.device)
    there = layout.present[:, None] & apart & (distance < _RANGE)
    ego_first = torch.where(there, distance, torch.inf)
    ego_first[..., 0] = torch.where(there[..., 0], -1.0, torch.inf)
    count = min(count, distance.shape[-1])
    rows = ego_first.topk(count, dim=-1, largest=False).indices
    return rows, there.gather(-1, rows)


def neighbour_features(layout: Layouts, along: Tensor, rows: Tensor) -> Tensor:
    """What everybody sees of the others [B, N, M, NEIGHBOUR_FEATURES]: in its own frame and along its own way."""
    direction = layout.direction
    foresight, _ = on_way(layout.ways, (along + (_FORESIGHT * layout.speed).clamp(min=_FORESIGHT_LEAST))[..., None])
    straight = layout.position + direction * (_FORESIGHT * layout.speed)[..., None]
    later = torch.where(layout.ways.known[..., None], foresight[:, :, 0], straight)
    stop = (layout.ways.stops[..., 0] - along).clamp(-30.0, 60.0)
    on_foot = (layout.class_ids == OBJECT_CLASSES.index("pedestrian")).to(along.dtype)
    is_ego = torch.zeros_like(along)
    is_ego[:, 0] = 1.0
    table = torch.cat(
        [layout.position, direction, later, layout.size,
         torch.stack([layout.speed, layout.acceleration, stop, on_foot, is_ego], -1)], -1
    )  # fmt: skip
    batch, n, m = rows.shape
    seen = table.gather(1, rows.flatten(1)[..., None].expand(-1, -1, table.shape[-1])).view(batch, n, m, -1)
    place, facing, later, size = seen[..., 0:2], seen[..., 2:4], seen[..., 4:6], seen[..., 6:8]
    speed, rest = seen[..., 8:9], seen[..., 9:]
    here, ahead = layout.position[:, :, None], direction[:, :, None]
    offset = into_frame(place - here, ahead)
    their_way = into_frame(later - here, ahead)
    turned = into_frame(facing, ahead)
    on, beside, way = along_way(layout.ways, place)
    gap = on - along[..., None] - 0.5 * (size[..., 1] + layout.size[:, :, None, 1])
    pace = into_frame(facing * speed, way)
    known = layout.ways.known[:, :, None, None]
    closing = (layout.speed[..., None] - pace[..., 0]).clamp(-10.0, 20.0)
    urgency = closing / gap.clamp(min=1.0)
    on_mine = torch.stack(
        [_METRES * gap.clamp(-20.0, 60.0), 0.5 * beside.clamp(-4.0, 4.0), _SPEEDS * pace[..., 0],
         _SPEEDS * pace[..., 1], urgency.clamp(-1.0, 3.0)], -1
    )  # fmt: skip
    return torch.cat(
        [_METRES * offset, turned, _SPEEDS * (speed - layout.speed[..., None, None]), _METRES * their_way, 0.2 * size,
         on_mine * known, _SPEEDS * speed, 0.3 * rest[..., :1], _METRES * rest[..., 1:2], rest[..., 2:],
         (1.0 / (1.0 + offset.norm(dim=-1, keepdim=True)))], -1
    )  # fmt: skip


def far_stops(shape: tuple[int, ...]) -> Tensor:
    """Stops of ways without any [..., STOPS]."""
    return torch.full((*shape, 3), FAR)
