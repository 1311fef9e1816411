"""Routes and trajectories as ways beside the ego's lane."""

from __future__ import annotations

import math
from typing import Any

from drivesim.scenarios.openscenario.cast import Cast, Part, rounded
from drivesim.scenarios.openscenario.catalogs import Catalogs
from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.findings import APPROXIMATED
from drivesim.scenarios.openscenario.motions import AT_ONCE, Step, limited_speed

_BACK = 3.0  # [m] that a trajectory may begin behind where its actor is taken to be
_EVEN = 0.05  # share by which speeds may differ to count as one


def routing_action(action: Element, part: Part, cast: Cast, catalogs: Catalogs) -> list[Step]:
    """A RoutingAction."""
    kind = action.only("a routing action")
    if kind.tag == "FollowTrajectoryAction":
        return _follow(kind, part, cast, catalogs)
    if kind.tag == "AcquirePositionAction" and part.is_on_foot and not part.way:
        spot = cast.frame.place(kind.need("Position"), cast.ego)
        if spot is None or part.begin is None:
            return []
        part.way = [(spot.at, spot.offset)]
        away = math.hypot(spot.at - part.begin.at, spot.offset - part.begin.offset)
        return [Step(None, away / max(part.speed, 0.5))]
    if kind.tag in ("AssignRouteAction", "AcquirePositionAction"):
        kind.find(APPROXIMATED, "it keeps to the road that the ego starts on")
        kind.pass_over()
    else:
        kind.leave_out()
    return []


def _follow(action: Element, part: Part, cast: Cast, catalogs: Catalogs) -> list[Step]:
    action.mark("initialDistanceOffset")
    trajectory = action.get("Trajectory")
    if trajectory is None:
        reference = action.get("TrajectoryRef")
        inner = (reference or action).only("a Trajectory")
        trajectory = catalogs.entry(inner) if inner.tag == "CatalogReference" else inner
        if trajectory is None:
            inner.leave_out("the catalog is not at hand")
            return []
    mode = action.get("TrajectoryFollowingMode") or action.get("FollowingMode")
    if mode is not None:
        mode.mark("followingMode")
    trajectory.mark("name")
    if trajectory.flag("closed", False):
        trajectory.find(APPROXIMATED, "closed: it is gone through once")
    declarations = trajectory.get("ParameterDeclarations")
    if declarations is not None:
        declarations.pass_over()
    shape = trajectory.need("Shape").only("a Polyline")
    if shape.tag != "Polyline":
        shape.leave_out("only polylines are followed")
        return []
    vertices = shape.all("Vertex")
    if len(vertices) < 2:
        raise shape.error(f"{len(vertices)} Vertex", "at least two")
    timing = _timing(action)
    times = [vertex.number("time", math.nan) for vertex in vertices]
    own = [_relative_to_self(vertex, part) for vertex in vertices]
    if all(step is not None for step in own):
        return _sidestep(shape, [step for step in own if step is not None], times if timing else [], part)
    return _go_through(shape, vertices, times if timing else [], part, cast)


def _timing(action: Element) -> bool:
    """Whether the times of the vertices count."""
    reference = action.get("TimeReference")
    if reference is None:
        return False
    kind = reference.only("None or Timing")
    if kind.tag != "Timing":
        return False
    if kind.number("scale", 1.0) != 1.0 or kind.number("offset", 0.0) != 0.0:
        kind.find(APPROXIMATED, "times are taken as they stand, from the start of the action on")
    kind.mark("domainAbsoluteRelative")
    return True


def _relative_to_self(vertex: Element, part: Part) -> tuple[float, float] | None:
    """(ahead, left) of itself [m], where a vertex is given so."""
    where = vertex.need("Position").only("a position")
    if where.tag not in ("RelativeObjectPosition", "RelativeWorldPosition"):
        return None
    if where.text("entityRef") != part.entity.name:
        return None
    where.mark("dz")
    orientation = where.get("Orientation")
    if orientation is not None:
        orientation.pass_over()
    return where.number("dx"), where.number("dy")


def _sidestep(
    shape: Element, steps: list[tuple[float, float]], times: list[float], part: Part
) -> list[Step]:  # fmt: skip
    """A trajectory from wherever its actor is: a move across, at the speed that it asks for."""
    shape.find(APPROXIMATED, "from where it is then: one smooth move across at an even speed")
    along, across = steps[-1][0] - steps[0][0], steps[-1][1] - steps[0][1]
    seconds = times[-1] - times[0] if times and math.isfinite(times[-1] - times[0]) else along / max(part.speed, 1.0)
    do: dict[str, Any] = {"actor": part.entity.actor}
    if times and seconds > 0.0:
        part.speed = limited_speed(shape, along / seconds)
        do |= {"speed": rounded(part.speed), "rate": AT_ONCE}
    if part.spot is not None:
        lane, offset = part.spot.lane()
        part.lanes.add(lane)
        side = -1.0 if part.spot.is_against else 1.0
        do |= {"lane": lane, "offset": rounded(offset + side * across), "over": rounded(min(max(seconds, 0.1), 60.0))}
    return [Step(do, max(seconds, 0.0))]


def _go_through(
    shape: Element, vertices: list[Element], times: list[float], part: Part, cast: Cast
) -> list[Step]:  # fmt: skip
    """A trajectory at fixed places: the actor's way from its start on, and the speeds on it."""
    spots = [cast.frame.place(vertex.need("Position"), cast.ego) for vertex in vertices]
    points = [(spot.at, spot.offset) for spot in spots if spot is not None]
    if len(points) < len(spots) or part.begin is None:
        shape.leave_out("some of its places cannot be laid down")
        return []
    if part.way:
        shape.leave_out("an actor has one trajectory")
        return []
    start = (part.begin.at, part.begin.offset)
    if part.first_speed > 0.0 and math.dist(start, points[0]) > _BACK:
        shape.find(APPROXIMATED, "it heads for the trajectory from its start on")
    part.way = [point for point in points if math.dist(start, point) > 0.1]
    if not part.way:
        shape.leave_out("it ends where it begins")
        return []
    lengths = [math.dist(a, b) for a, b in zip(points, points[1:])]
    if not times or not all(map(math.isfinite, times)):
        return [Step(None, sum(lengths) / max(part.speed, 0.5))]
    return _timed(shape, lengths, [b - a for a, b in zip(times, times[1:])], times[0], part)


def _timed(shape: Element, lengths: list[float], spans: list[float], first: float, part: Part) -> list[Step]:
    """Speeds that take an actor over pieces of given lengths [m] in given times [s]."""
    if min(spans) <= 0.0:
        raise shape.error("vertices whose times do not grow", "each later than the one before")
    steps: list[Step] = []
    passed = first
    for length, span in zip(lengths, spans):
        speed = limited_speed(shape, length / span)
        if not steps or abs(speed - part.speed) > _EVEN * max(speed, 1.0):
            do = {"actor": part.entity.actor, "speed": rounded(speed), "rate": AT_ONCE}
            steps.append(Step(do, 0.0, passed))
            part.speed = speed
        passed += span
    return [*steps, Step(None, passed)]
