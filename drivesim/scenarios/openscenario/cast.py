"""What becomes of the entities: actors of the scenario with start, speed and way, and what they are told later."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from drivesim.scenarios.fields import ACROSS, ALONG, SPEED
from drivesim.scenarios.openscenario.entities import Entity
from drivesim.scenarios.openscenario.findings import APPROXIMATED
from drivesim.scenarios.openscenario.positions import Frame, Spot

_CROOKED = math.radians(30.0)  # from the road's direction, beyond which somebody goes straight on instead of along it


@dataclass
class Part:
    """An entity while its storyboard is read. `spot` and `speed` are where it is taken to be by then."""

    entity: Entity
    is_ego: bool
    spot: Spot | None = None
    speed: float = 0.0  # [m/s]
    present: bool = True
    begin: Spot | None = None
    first_speed: float = 0.0
    way: list[tuple[float, float]] = field(default_factory=list)  # (at, offset) of a trajectory
    lanes: set[str] = field(default_factory=set)  # named

    @property
    def is_on_foot(self) -> bool:
        """Whether it keeps to no lane."""
        return self.entity.class_name == "pedestrian"

    def start(self, spot: Spot | None, speed: float) -> None:
        """Sets its start."""
        self.spot = self.begin = spot
        self.speed = self.first_speed = speed


@dataclass
class Cast:
    """All entities, and the frame that their places are in."""

    parts: dict[str, Part]
    frame: Frame
    ego: str

    def actor(self, name: str) -> str:
        """Name in the scenario of an entity, the ego included."""
        return "ego" if name == self.ego else self.parts[name].entity.actor

    def plays(self, name: str) -> bool:
        """Whether an entity takes part."""
        return name in self.parts and (name == self.ego or self.parts[name].begin is not None)


def rounded(value: float) -> float:
    """A number as it is written down."""
    return round(value, 3) + 0.0


def actor_fields(part: Part) -> dict[str, Any]:
    """The fields of an actor in a scenario file."""
    spot, entity = part.begin, part.entity
    assert spot is not None
    centre = _middle(spot, entity.centre)
    found: dict[str, Any] = {"class": entity.class_name} | _way(part, centre)
    if part.first_speed > 0.0:
        found["speed"] = rounded(min(part.first_speed, SPEED[1]))
    if entity.size is not None:
        found["size"] = [rounded(side) for side in entity.size]
    if not part.present:
        found["present"] = False
    return found


def _middle(spot: Spot, centre: float) -> Spot:
    """The spot of the body's middle, which is `centre` [m] before the reference point."""
    across = math.sin(spot.heading) * centre
    if abs(math.sin(spot.heading)) < math.sin(_CROOKED):
        across = 0.0
    return replace(spot, at=spot.at + math.cos(spot.heading) * centre, offset=spot.offset + across)


def _way(part: Part, spot: Spot) -> dict[str, Any]:
    crooked = abs(math.remainder(spot.heading, math.pi))
    if part.way:
        points = [(spot.at, spot.offset), *part.way]
        return {"path": "points", "points": _limited([p for i, p in enumerate(points) if i == 0 or p != points[i - 1]])}
    if crooked > (_CROOKED if not part.is_on_foot else 0.05):
        length = min(80.0, (ACROSS[1] - min(abs(spot.offset), ACROSS[1] - 1.0)) / max(abs(math.sin(spot.heading)), 0.1))
        end = (spot.at + math.cos(spot.heading) * length, spot.offset + math.sin(spot.heading) * length)
        return {"path": "points", "points": _limited([(spot.at, spot.offset), end])}
    at = rounded(min(max(spot.at, ALONG[0]), ALONG[1]))
    lane, offset = ("ego", spot.offset) if part.is_on_foot else spot.lane()
    part.lanes.add(lane)
    found: dict[str, Any] = {"path": "against"} if spot.is_against else {}
    found |= {"at": at, "lane": lane}
    if abs(offset) > 1e-3:
        found["offset"] = rounded(min(max(offset, ACROSS[0]), ACROSS[1]))
    if crooked > 0.05 and part.first_speed == 0.0:
        found["turned"] = rounded(math.degrees(math.remainder(spot.heading, math.pi)))
    return found


def _limited(points: list[tuple[float, float]]) -> list[list[float]]:
    return [
        [rounded(min(max(at, ALONG[0]), ALONG[1])), rounded(min(max(offset, ACROSS[0]), ACROSS[1]))]
        for at, offset in points
    ]


def check_reach(part: Part) -> None:
    """Notes what lies beyond what can be laid along a road of the town."""
    if part.begin is None:
        return
    points = [(part.begin.at, part.begin.offset), *part.way]
    far = [p for p in points if not (ALONG[0] <= p[0] <= ALONG[1] and ACROSS[0] <= p[1] <= ACROSS[1])]
    if far:
        at, offset = far[0]
        part.entity.element.find(
            APPROXIMATED,
            f"a place {at:.0f} m ahead and {offset:.0f} m left of the ego is moved to within {ALONG[0]:g} to "
            f"{ALONG[1]:g} m and {ACROSS[0]:g} to {ACROSS[1]:g} m",
        )
