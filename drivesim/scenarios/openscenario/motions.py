"""Actions that change speed, lane or distance, as what an event of a scenario does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from drivesim.scenarios.fields import SPEED
from drivesim.scenarios.openscenario.cast import Cast, Part, rounded
from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT
from drivesim.scenarios.openscenario.positions import LANE_WIDTH, Spot

AT_ONCE = 1000.0  # [m/s^2]
_CAR = 4.5  # [m], where a distance is between reference points
_HOLDING = 5.0  # [s] after which an action without an end counts as complete


@dataclass(frozen=True)
class Step:
    """Something to do, some time after its event, and how long it takes [s]. `do` is None where nothing is done."""

    do: dict[str, Any] | None
    seconds: float = 0.0
    delay: float = 0.0


def speed_action(action: Element, part: Part, cast: Cast) -> list[Step]:
    """A SpeedAction."""
    dynamics, target = action.need("SpeedActionDynamics"), action.need("SpeedActionTarget").only("a target speed")
    do: dict[str, Any] = {"actor": part.entity.actor}
    before = part.speed
    if target.tag == "AbsoluteTargetSpeed":
        speed = target.number("value")
        do["speed"] = rounded(limited_speed(target, speed))
    else:
        other = target.text("entityRef")
        if not cast.plays(other):
            target.leave_out(f"{other!r} takes no part")
            return []
        value, factor = target.number("value"), target.text("speedTargetValueType", "delta") == "factor"
        if target.flag("continuous", False):
            target.find(APPROXIMATED, "the speed of the moment is taken, not followed")
        speed = cast.parts[other].speed * value if factor else cast.parts[other].speed + value
        do["speed_like"] = {"of": cast.actor(other), "times" if factor else "plus": rounded(value)}
    part.speed = max(speed, 0.0)
    return [Step(do, _speed_manner(dynamics, do, before, part.speed))]


def limited_speed(target: Element, speed: float) -> float:
    """A speed that actors can have [m/s]."""
    if speed < 0.0:
        target.find(LEFT_OUT, f"nobody drives backwards: {speed:g} m/s is taken as 0")
    elif speed > SPEED[1]:
        target.find(APPROXIMATED, f"{speed:g} m/s is limited to {SPEED[1]:g} m/s")
    return min(max(speed, 0.0), SPEED[1])


def _speed_manner(dynamics: Element, do: dict[str, Any], before: float, after: float) -> float:
    """Adds how the speed is reached to `do`; returns how long it takes [s]."""
    shape, dimension = dynamics.text("dynamicsShape"), dynamics.text("dynamicsDimension", "time")
    value = abs(dynamics.number("value", 0.0))
    dynamics.mark("followingMode")
    if shape == "step":
        do["rate"] = AT_ONCE
        if dimension == "rate" or value == 0.0:
            return 0.0
        dynamics.find(
            APPROXIMATED, f"the step is taken at once and counts as complete after {value:g} "
            f"{'m' if dimension == 'distance' else 's'}, as ScenarioRunner plays it"
        )  # fmt: skip
        return value if dimension == "time" else value / max(after, 0.5)
    if shape != "linear":
        dynamics.find(APPROXIMATED, f"{shape}: the speed changes evenly")
    if dimension == "rate":
        do["rate"] = rounded(min(max(value, 0.1), AT_ONCE))
        return abs(after - before) / float(do["rate"])
    if dimension == "distance":
        do["speed_within"] = rounded(min(max(value, 0.1), 500.0))
        return 2.0 * value / max(before + after, 0.5)
    do["speed_over"] = rounded(min(max(value, 0.05), 120.0))
    return value


def lane_change(action: Element, part: Part, cast: Cast) -> list[Step]:
    """A LaneChangeAction."""
    dynamics = action.need("LaneChangeActionDynamics")
    target = action.need("LaneChangeTarget").only("a target lane")
    inside = action.number("targetLaneOffset", 0.0) * (-1.0 if part.spot is not None and part.spot.is_against else 1.0)
    spot = _target_lane(target, part, cast)
    if spot is None or part.spot is None:
        return []
    spot = replace(spot, offset=spot.offset + inside, inside=spot.inside + inside)
    lane, offset = spot.lane()
    do: dict[str, Any] = {"actor": part.entity.actor, "lane": lane}
    if abs(offset) > 1e-3:
        do["offset"] = rounded(offset)
    part.lanes.add(lane)
    seconds = _lateral_manner(dynamics, do, abs(spot.offset - part.spot.offset), part.speed)
    part.spot = replace(spot, at=part.spot.at, heading=part.spot.heading)
    return [Step(do, seconds)]


def _target_lane(target: Element, part: Part, cast: Cast) -> Spot | None:
    frame, spot = cast.frame, part.spot
    if target.tag == "AbsoluteTargetLane":
        lane = int(target.number("value"))
        if frame.lane is None or frame.lane.lane == 0:
            target.leave_out("the ego's own lane is not given, so that this one cannot be related to it")
            return None
        return frame.in_lane(target, 0.0, lane, 0.0)
    other = target.text("entityRef")
    beside = cast.parts[other].spot if other in cast.parts else None
    if beside is None or spot is None:
        target.leave_out(f"the lane of {other!r} is not known")
        return None
    lanes = int(target.number("value")) * (-1 if beside.is_against else 1)
    if beside.lanes is None and not beside.oncoming:  # known in metres only
        beside = replace(beside, lanes=round(beside.offset / LANE_WIDTH), inside=0.0)
    found = frame.beside(target, replace(beside, inside=0.0), 0.0, lanes)
    return replace(found, heading=spot.heading)


def _lateral_manner(dynamics: Element, do: dict[str, Any], across: float, speed: float) -> float:
    shape, dimension = dynamics.text("dynamicsShape"), dynamics.text("dynamicsDimension", "time")
    value = abs(dynamics.number("value", 0.0))
    dynamics.mark("followingMode")
    if shape == "step":
        do["over"] = 0.1
        return 0.1
    if shape == "linear":
        dynamics.find(APPROXIMATED, "linear: the move begins and ends smoothly")
    if dimension == "distance":
        do["over_metres"] = rounded(min(max(value, 0.1), 500.0))
        return value / max(speed, 0.5)
    seconds = across / max(value, 0.05) if dimension == "rate" else value
    do["over"] = rounded(min(max(seconds, 0.1), 60.0))
    return seconds


def lane_offset(action: Element, part: Part, cast: Cast) -> list[Step]:
    """A LaneOffsetAction."""
    dynamics, target = action.need("LaneOffsetActionDynamics"), action.need("LaneOffsetTarget").only("a target offset")
    action.mark("continuous")
    shape, most = dynamics.text("dynamicsShape"), dynamics.number("maxLateralAcc", 0.0)
    spot = part.spot
    if spot is None:
        target.leave_out("its place is not known")
        return []
    value = target.number("value")
    if target.tag == "RelativeTargetLaneOffset":
        other = target.text("entityRef")
        beside = cast.parts[other].spot if other in cast.parts else None
        if beside is None:
            target.leave_out(f"the place of {other!r} is not known")
            return []
        spot = replace(beside, at=spot.at, heading=spot.heading)
        value = value * (-1.0 if beside.is_against else 1.0) + spot.lane()[1]
    else:
        value *= 1.0 if cast.frame.lane is None else cast.frame.lane.sign
    lane, before = spot.lane()
    across = abs(value - before)
    # A move of 3u^2 - 2u^3 over T accelerates by 6 d / T^2 at most.
    seconds = 0.1 if shape == "step" else math.sqrt(6.0 * across / most) if most > 0.0 else 2.0
    part.lanes.add(lane)
    part.spot = replace(spot, offset=spot.offset + value - before, inside=spot.inside + value - before)
    do = {"actor": part.entity.actor, "lane": lane, "offset": rounded(value), "over": rounded(max(seconds, 0.1))}
    return [Step(do, seconds)]


def longitudinal_distance(action: Element, part: Part, cast: Cast) -> list[Step]:
    """A LongitudinalDistanceAction."""
    other = action.text("entityRef")
    if not cast.plays(other):
        action.leave_out(f"{other!r} takes no part")
        return []
    keep: dict[str, Any] = {"to": cast.actor(other)}
    free = action.flag("freespace", True)
    action.mark("alongRoute", "coordinateSystem")
    if action.node.get("timeGap") is not None:
        keep["seconds"] = rounded(min(action.number("timeGap"), 20.0))
    else:
        gap = action.number("distance") - (0.0 if free else _CAR)
        keep["gap"] = rounded(min(max(gap, 0.0), 200.0))
    if not free:
        action.find(APPROXIMATED, f"the distance is kept between the bodies, {_CAR} m less than between their middles")
    displacement = action.text("displacement", "any")
    if displacement == "leadingReferencedEntity":
        keep["ahead"] = True
    elif displacement == "any":
        mine, its = part.spot, cast.parts[other].spot
        if mine is not None and its is not None and mine.at > its.at:
            keep["ahead"] = True
    do: dict[str, Any] = {"actor": part.entity.actor, "keep": keep}
    limits = action.get("DynamicConstraints")
    if limits is not None:
        most = max(limits.number("maxAcceleration", 0.0), limits.number("maxDeceleration", 0.0))
        if most > 0.0:
            do["rate"] = rounded(min(max(most, 0.1), AT_ONCE))
        if limits.node.get("maxSpeed") is not None:
            limits.number("maxSpeed")
            limits.find(LEFT_OUT, "maxSpeed: the distance is kept at any speed")
    if not action.flag("continuous", True):
        action.find(APPROXIMATED, f"the distance is kept on; the action counts as complete after {_HOLDING:g} s")
    return [Step(do, _HOLDING)]
