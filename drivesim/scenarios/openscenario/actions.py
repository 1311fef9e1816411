"""Actions of the storyboard as steps of the scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from drivesim.scenarios.openscenario.cast import Cast, Part
from drivesim.scenarios.openscenario.catalogs import Catalogs
from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.environments import read_environment
from drivesim.scenarios.openscenario.findings import POLICY
from drivesim.scenarios.openscenario.motions import (
    Step,
    lane_change,
    lane_offset,
    longitudinal_distance,
    speed_action,
)
from drivesim.scenarios.openscenario.trajectories import routing_action

_MOTIONS: dict[str, Callable[[Element, Part, Cast], list[Step]]] = {
    "SpeedAction": speed_action, "LaneChangeAction": lane_change, "LaneOffsetAction": lane_offset,
    "LongitudinalDistanceAction": longitudinal_distance,
}  # fmt: skip


def read_action(action: Element, actors: list[str], cast: Cast, catalogs: Catalogs) -> Iterator[Step]:
    """What an Action of the storyboard does, each step for one actor or the world."""
    action.name()
    kinds = list(action.children())
    if not kinds:
        return
    kind = kinds[0]
    kind.record.elements.add(kind.node)
    inner = kind.only("an action") if kind.tag in ("PrivateAction", "GlobalAction") else kind
    if kind.tag == "PrivateAction":
        for name in actors:
            if name not in cast.parts:
                raise action.error(f"the actor {name!r}", f"one of {', '.join(cast.parts)}")
            if not cast.plays(name):
                inner.leave_out(f"{name!r} takes no part")
                continue
            yield from private_steps(inner, cast.parts[name], cast, catalogs)
    elif inner.tag == "EnvironmentAction":
        yield Step(dict(read_environment(inner, catalogs)) or None)
    elif inner.tag == "EntityAction":
        yield from _entity(inner, cast)
    else:
        inner.leave_out()


def _entity(action: Element, cast: Cast) -> Iterator[Step]:
    name, kind = action.text("entityRef"), action.only("AddEntityAction or DeleteEntityAction")
    part = cast.parts.get(name)
    if part is None or part.is_ego or (part.begin is None and kind.tag != "AddEntityAction"):
        action.leave_out(f"{name!r} takes no part")
        return
    if kind.tag == "DeleteEntityAction":
        yield Step({"actor": part.entity.actor, "vanish": True})
        return
    position = kind.get("Position")
    spot = None if position is None else cast.frame.place(position, cast.ego)
    if spot is not None and part.begin is None:
        part.start(spot, 0.0)
        part.present = False
    yield Step({"actor": part.entity.actor, "appear": True})


def private_steps(action: Element, part: Part, cast: Cast, catalogs: Catalogs) -> list[Step]:
    """What a private action has its actor do; of the ego, only how long it would take."""
    record = action.record
    before = len(record.findings)
    steps = _steps(action, part, cast, catalogs)
    if part.is_ego:
        del record.findings[before:]
        action.find(POLICY, "the ego is driven by the policy")
        action.pass_over()
        return [Step(None, step.seconds, step.delay) for step in steps]
    return steps


def _steps(action: Element, part: Part, cast: Cast, catalogs: Catalogs) -> list[Step]:
    if action.tag == "RoutingAction":
        return routing_action(action, part, cast, catalogs)
    if action.tag == "VisibilityAction":
        return _visibility(action, part)
    if action.tag == "ControllerAction":
        _controller(action)
        return []
    if action.tag not in ("LongitudinalAction", "LateralAction"):
        action.leave_out()
        return []
    kind = action.only("a kind of it")
    read = _MOTIONS.get(kind.tag)
    if read is None:
        kind.leave_out()
        return []
    return read(kind, part, cast)


def _visibility(action: Element, part: Part) -> list[Step]:
    seen = [action.flag(name, True) for name in ("graphics", "sensors", "traffic")]
    if len(set(seen)) > 1:
        action.leave_out("an entity is either there for everybody or for nobody")
        return []
    return [Step({"actor": part.entity.actor, "appear" if seen[0] else "vanish": True})]


def _controller(action: Element) -> None:
    """Controllers have no effect where they override nothing; others are left out."""
    for child in action.children():
        overrides = [item for item in child.node.iter("*") if item.get("active", "false").lower() in ("true", "1")]
        if child.tag == "OverrideControllerValueAction" and not overrides:
            child.pass_over()
        elif child.tag == "ActivateControllerAction" and child.node.get("lateral") != "true" != child.node.get(
            "longitudinal"
        ):
            child.pass_over()
        else:
            child.leave_out("entities are moved by the events of the scenario alone")
