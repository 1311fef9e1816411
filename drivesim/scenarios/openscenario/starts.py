"""The Init of a storyboard: where entities start, how fast, and in which weather."""

from __future__ import annotations

from typing import Any

from drivesim.scenarios.openscenario.actions import private_steps
from drivesim.scenarios.openscenario.cast import Cast, Part
from drivesim.scenarios.openscenario.catalogs import Catalogs
from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.environments import read_environment
from drivesim.scenarios.openscenario.findings import LEFT_OUT
from drivesim.scenarios.openscenario.motions import Step, limited_speed


def read_starts(storyboard: Element, cast: Cast, catalogs: Catalogs) -> tuple[dict[str, str], list[tuple[Part, Step]]]:
    """Reads Init: sets places and speeds of the entities; returns weather and time of day, and what else they do."""
    actions = storyboard.need("Init").need("Actions")
    weather: dict[str, str] = {}
    for item in actions.all("GlobalAction"):
        kind = item.only("a global action")
        if kind.tag == "EnvironmentAction":
            weather |= read_environment(kind, catalogs)
        else:
            kind.leave_out()
    private: dict[str, list[Element]] = {}
    for item in actions.all("Private"):
        name = item.text("entityRef")
        if name not in cast.parts:
            raise item.error(f"the entity {name!r}", f"one of {', '.join(cast.parts)}", "entityRef")
        private.setdefault(name, []).extend(item.all("PrivateAction"))
    _place(private, cast)
    done = _first_speeds(private, cast)
    steps = [
        step
        for name, items in private.items()
        for step in _first_steps([item for item in items if item.node not in done], cast.parts[name], cast, catalogs)
    ]
    return weather, steps


def _place(private: dict[str, list[Element]], cast: Cast) -> None:
    positions: dict[str, Element] = {}
    for name, items in private.items():
        for item in items:
            for action in item.children():
                if action.tag == "TeleportAction":
                    action.record.elements.add(action.node)
                    positions[name] = action.need("Position")
    cast.frame.begin(cast.ego, positions.pop(cast.ego, None))
    cast.parts[cast.ego].start(cast.frame.spots[cast.ego], 0.0)
    while positions:  # those first that others refer to
        ready = [name for name, item in positions.items() if _refers_to(item) not in positions]
        for name in ready or list(positions):
            spot = cast.frame.place(positions.pop(name), cast.ego)
            if spot is not None:
                cast.frame.spots[name] = spot
                cast.parts[name].start(spot, 0.0)
    for name, part in cast.parts.items():
        if part.begin is None:
            part.entity.element.find(LEFT_OUT, f"{name!r} takes no part, as its place is not known")


def _first_speeds(private: dict[str, list[Element]], cast: Cast) -> set[Any]:
    """Sets speeds that are simply there, absolute ones first, then those relative to them; returns the private actions
    that do so."""
    found: list[tuple[Part, Element, Element]] = []
    for name, items in private.items():
        for item in items:
            for action in item.children():
                speed = action.get("SpeedAction") if action.tag == "LongitudinalAction" else None
                if speed is not None and speed.need("SpeedActionDynamics").text("dynamicsShape") == "step":
                    found.append((cast.parts[name], item, speed))
    for part, _, speed in sorted(found, key=lambda entry: _is_relative(entry[2])):
        speed.need("SpeedActionDynamics").pass_over()
        target = speed.need("SpeedActionTarget").only("a target speed")
        value = target.number("value")
        if target.tag != "AbsoluteTargetSpeed":
            other = cast.parts.get(target.text("entityRef"))
            base = 0.0 if other is None else other.first_speed
            value = base * value if target.text("speedTargetValueType", "delta") == "factor" else base + value
            target.mark("continuous")
        part.speed = part.first_speed = limited_speed(target, value)
    return {item.node for _, item, _ in found}


def _first_steps(items: list[Element], part: Part, cast: Cast, catalogs: Catalogs) -> list[tuple[Part, Step]]:
    """What else an entity does from the start on."""
    steps: list[Step] = []
    for item in items:
        for action in item.children():
            if action.tag != "TeleportAction":
                action.record.elements.add(action.node)
                steps += private_steps(action, part, cast, catalogs)
    return [(part, step) for step in steps if step.do is not None and not part.is_ego]


def _refers_to(position: Element) -> str | None:
    return next((child.node.get("entityRef") for child in position.children()), None)


def _is_relative(speed: Element) -> bool:
    return any(child.tag != "AbsoluteTargetSpeed" for child in speed.need("SpeedActionTarget").children())
