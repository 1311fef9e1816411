"""Positions of a scenario file, laid down beside the ego's lane where the ego starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.findings import APPROXIMATED

LANE_WIDTH = 3.5  # [m], where a file counts lanes and nothing tells their width


@dataclass(frozen=True)
class Spot:
    """A place as seen from the ego's start: reference point and heading of whoever is there."""

    at: float  # [m] along the road from the ego's reference point
    offset: float  # [m] to the left of the middle of the ego's lane
    heading: float = 0.0  # [rad] left of the road's direction
    lanes: int | None = None  # to the left of the ego's lane, where the file counts lanes
    oncoming: int = 0  # how-manieth lane of the other direction from the middle of the road on, 0 for none
    inside: float = 0.0  # [m] to the left of the middle of that lane, in the ego's direction

    @property
    def is_against(self) -> bool:
        """Whether the heading is rather against the road than along it."""
        return math.cos(self.heading) < 0.0

    def lane(self) -> tuple[str, float]:
        """The lane's name in scenario files and the offset from its middle [m] to the ego's left."""
        if self.oncoming:
            return "oncoming", self.inside + LANE_WIDTH * (self.oncoming - 1)
        lanes = round(self.offset / LANE_WIDTH) if self.lanes is None else self.lanes
        rest = self.offset - LANE_WIDTH * lanes if self.lanes is None else self.inside
        if lanes == 0 or (self.lanes is None and self.is_against):
            return "ego", self.offset if self.lanes is None else rest
        side = 1 if lanes > 0 else -1
        return ("left" if side > 0 else "right"), rest + LANE_WIDTH * (lanes - side)


@dataclass(frozen=True)
class LanePlace:
    """Where the ego starts on a road. `lane` is 0 where only its distance from the reference line is known."""

    road: str
    lane: int
    s: float
    t: float  # [m] of the middle of its lane

    @property
    def sign(self) -> int:
        """1 where the ego drives along the road's reference line, -1 against it."""
        return -1 if self.lane > 0 else 1


@dataclass(frozen=True)
class WorldPlace:
    """Pose of the ego in the world of the file [m], [rad]."""

    x: float
    y: float
    h: float


@dataclass
class Frame:
    """The ego's start and those of the others as far as they are known."""

    mirrored: bool = False  # whether y of the world points right
    lane: LanePlace | None = None
    world: WorldPlace | None = None
    ego_offset: float = 0.0  # [m] of the ego in its lane
    spots: dict[str, Spot] = field(default_factory=dict)  # by entity

    def begin(self, ego: str, position: Element | None) -> None:
        """Takes the ego's position as the origin."""
        self.spots[ego] = Spot(0.0, 0.0, lanes=0)
        if position is None:
            return
        where = position.only("a position")
        if where.tag == "LanePosition":
            lane = int(where.number("laneId"))
            self.ego_offset = where.number("offset", 0.0)
            t = math.copysign(LANE_WIDTH * (abs(lane) - 0.5), lane) if lane else 0.0
            self.lane = LanePlace(where.text("roadId"), lane, where.number("s"), t)
            self.ego_offset *= self.lane.sign
            self._ignore_orientation(where)
        elif where.tag == "RoadPosition":
            self.lane = LanePlace(where.text("roadId"), 0, where.number("s"), where.number("t", 0.0))
            self._ignore_orientation(where)
        elif where.tag == "WorldPosition":
            self.world = self._world(where)
        else:
            where.leave_out("the ego starts on a road of the town; what is placed on roads cannot be related to it")

    def place(self, position: Element, ego: str) -> Spot | None:
        """Where a position is; None, with a note of it, where that cannot be told."""
        where = position.only("a position")
        if where.tag == "WorldPosition":
            return self._in_world(where)
        if where.tag in ("LanePosition", "RoadPosition"):
            return self._on_road(where)
        if where.tag in ("RelativeLanePosition", "RelativeRoadPosition", "RelativeObjectPosition",
                         "RelativeWorldPosition"):  # fmt: skip
            other = self.spots.get(where.text("entityRef"))
            if other is None:
                where.leave_out(f"the place of {where.node.get('entityRef')!r} is not known")
                return None
            return self._relative(where, other)
        where.leave_out(f"a {where.tag} cannot be laid down in a town")
        return None

    def _world(self, where: Element) -> WorldPlace:
        where.mark("z", "p", "r")
        side = -1.0 if self.mirrored else 1.0
        return WorldPlace(where.number("x"), side * where.number("y"), side * where.number("h", 0.0))

    def _in_world(self, where: Element) -> Spot | None:
        if self.world is None:
            where.leave_out("the ego's own place in the world is not given")
            return None
        place, ego = self._world(where), self.world
        dx, dy = place.x - ego.x, place.y - ego.y
        cosine, sine = math.cos(ego.h), math.sin(ego.h)
        return Spot(cosine * dx + sine * dy, cosine * dy - sine * dx, _wrapped(place.h - ego.h))

    def _on_road(self, where: Element) -> Spot | None:
        road = where.text("roadId")
        if self.lane is None or road != self.lane.road:
            known = "no road" if self.lane is None else f"road {self.lane.road!r}"
            where.leave_out(f"road {road!r} is not the ego's, which starts on {known}")
            return None
        ego, sign = self.lane, self.lane.sign
        at = sign * (where.number("s") - ego.s)
        if where.tag == "RoadPosition":
            offset = sign * (where.number("t", 0.0) - ego.t)
            return Spot(at, offset, self._heading(where, 0.0 if sign > 0 else math.pi))
        lane, inside = int(where.number("laneId")), sign * where.number("offset", 0.0)
        if ego.lane == 0:
            t = math.copysign(LANE_WIDTH * (abs(lane) - 0.5), lane) + sign * inside
            where.find(APPROXIMATED, f"lanes are taken to be {LANE_WIDTH} m wide")
            return Spot(at, t - ego.t, self._heading(where, math.pi if lane > 0 else 0.0))
        return self.in_lane(where, at, lane, inside)

    def in_lane(self, where: Element, at: float, lane: int, inside: float) -> Spot:
        """A spot in a lane of the ego's road, `inside` [m] to the left of its middle in the ego's direction."""
        assert self.lane is not None
        own = self.lane.lane
        if lane * own > 0:
            lanes = abs(own) - abs(lane)
            return Spot(at, LANE_WIDTH * lanes + inside, self._heading(where, 0.0), lanes, inside=inside)
        offset = LANE_WIDTH * (abs(own) + abs(lane) - 1) + inside
        return Spot(at, offset, self._heading(where, math.pi), None, abs(lane), inside)

    def _relative(self, where: Element, other: Spot) -> Spot:
        sign = 1 if self.lane is None else self.lane.sign
        if where.tag == "RelativeLanePosition":
            along = where.number("ds", math.nan) if where.node.get("ds") is not None else where.number("dsLane", 0.0)
            return self.beside(where, other, sign * along, sign * int(where.number("dLane")))
        if where.tag == "RelativeRoadPosition":
            offset = other.offset + sign * where.number("dt")
            heading = other.heading if where.get("Orientation") is None else self._heading(where, 0.0)
            return Spot(other.at + sign * where.number("ds"), offset, heading)
        where.mark("dz")
        dx, dy = where.number("dx"), where.number("dy")
        turn = other.heading
        if where.tag == "RelativeWorldPosition":
            turn = 0.0 if self.world is None else -self.world.h
            if self.world is None:
                where.find(APPROXIMATED, "x of the world is taken along the ego's heading")
        dy = -dy if self.mirrored else dy
        cosine, sine = math.cos(turn), math.sin(turn)
        heading = other.heading if where.get("Orientation") is None else self._heading(where, other.heading)
        return Spot(other.at + cosine * dx - sine * dy, other.offset + sine * dx + cosine * dy, heading)

    def beside(self, where: Element, other: Spot, along: float, lanes: int) -> Spot:
        """A spot some lanes to the left of another's lane (in the ego's direction)."""
        inside = (1 if self.lane is None else self.lane.sign) * where.number("offset", 0.0)
        at, heading = other.at + along, self._heading(where, other.heading)
        if self.lane is not None and self.lane.lane and (other.lanes is not None or other.oncoming):
            steps = abs(self.lane.lane) + other.oncoming - 1 if other.oncoming else other.lanes or 0
            target = -abs(self.lane.lane) + steps + lanes
            target += target >= 0  # there is no lane 0
            lane = target if self.lane.lane < 0 else -target
            return self.in_lane(where, at, lane, inside)
        if other.lanes is not None:
            return Spot(at, LANE_WIDTH * (other.lanes + lanes) + inside, heading, other.lanes + lanes, inside=inside)
        return Spot(at, other.offset + LANE_WIDTH * lanes + inside, heading)

    def _heading(self, where: Element, lane: float) -> float:
        """Heading of an Orientation, given relative to the lane's [rad]."""
        orientation = where.get("Orientation")
        if orientation is None:
            return lane
        orientation.mark("p", "r")
        turn = orientation.number("h", 0.0)
        if orientation.text("type", "absolute") == "absolute":
            if abs(math.sin(turn - lane)) > 1e-3 or abs(turn) > 1e-3:
                orientation.find(APPROXIMATED, "an absolute heading is taken relative to the road")
            return _wrapped(turn) if abs(turn) > 1e-3 else lane
        return _wrapped(lane + turn)

    def _ignore_orientation(self, where: Element) -> None:
        orientation = where.get("Orientation")
        if orientation is not None:
            if orientation.number("h", 0.0) != 0.0:
                orientation.find(APPROXIMATED, "the ego starts along its lane")
            orientation.pass_over()


def _wrapped(angle: float) -> float:
    return math.remainder(angle, 2.0 * math.pi)
