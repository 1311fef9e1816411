"""Reads the conditions of an event: a mapping of which all must hold, or a list of such, of which one must."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drivesim.scenarios.fields import ACROSS, ALONG, SECONDS, SPEED, Fields, Jitter, number
from drivesim.scenarios.schema import MEASURES, Condition, When
from drivesim.scenarios.yaml_tree import Node

# Conditions over what is measured of one entity or between two: (unit range, default way to measure).
_OF_TWO = {
    "distance": ((0.0, 300.0), "bodies"),
    "time_to_collision": ((0.0, 20.0), "bodies"),
    "headway": ((-20.0, 20.0), "bodies"),
    "relative_speed": ((-SPEED[1], SPEED[1]), "bodies"),
}
_OF_ONE = {"speed": SPEED, "acceleration": (-20.0, 20.0)}
_NAMES = (
    "time", "ego_at", "ego_arrives", "distance", "time_to_collision", "headway", "speed", "relative_speed",
    "acceleration", "standstill", "travelled", "near", "after",
)  # fmt: skip
EGO = "ego"
EQUAL = 0.1  # [m/s], [m/s^2] within which values count as equal


@dataclass(frozen=True)
class Names:
    """What conditions may name."""

    actors: list[str]
    crossing: list[str]  # actors whose paths cross the ego's way
    events: list[str]
    jitter: Jitter

    @property
    def entities(self) -> list[str]:
        """The actors and the ego."""
        return [*self.actors, EGO]


def read_when(node: Node, names: Names) -> When:
    """The conditions of an event; ScenarioError where something is wrong with them."""
    if isinstance(node.value, list):
        if not node.value:
            raise node.error("a mapping of conditions, or a list of such mappings")
        return When(tuple(_all_of(item, names) for item in node.value))
    return When((_all_of(node, names),))


def _all_of(node: Node, names: Names) -> tuple[Condition, ...]:
    fields = Fields(node, _NAMES, names.jitter)
    return tuple(condition for name, value in fields.entries.items() for condition in _read(name, value, names))


def _read(name: str, node: Node, names: Names) -> Iterator[Condition]:
    if isinstance(node.value, list):
        for item in node.value:
            yield _one(name, item, names)
        if not node.value:
            raise node.error("a condition, or a list of such")
    else:
        yield _one(name, node, names)


def _one(name: str, node: Node, names: Names) -> Condition:
    if name == "time":
        return Condition("time", number(node, *SECONDS, names.jitter))
    if name == "ego_at":
        return Condition("at", number(node, *ALONG, names.jitter))
    if name in _OF_TWO:
        return _of_two(name, node, names)
    if name in _OF_ONE:
        fields = Fields(node, ("of", "below", "above", "equals", "edge"), names.jitter)
        of = _entity(fields, "of", names)
        return Condition(name, **_bound(fields, _OF_ONE[name]), of=of, edge=fields.flag("edge", False))
    return {"ego_arrives": _arrival, "standstill": _standstill, "travelled": _travelled, "near": _near,
            "after": _after}[name](node, names)  # fmt: skip


def _entity(fields: Fields, name: str, names: Names) -> str | None:
    found = fields.choice(name, names.entities, EGO)
    return None if found == EGO else found


def _bound(fields: Fields, limits: tuple[float, float]) -> dict[str, Any]:
    """The bound, whether it is the least, and the value that must be equalled."""
    given = [name for name in ("below", "above", "equals") if name in fields]
    if len(given) != 1:
        raise fields.node.error("one of `below`, `above` and `equals`", " and ".join(given) or "none of them")
    value = fields.number(given[0], *limits)
    if given[0] == "equals":
        return {"bound": EQUAL, "above": False, "equals": value}
    return {"bound": value, "above": given[0] == "above"}


def _of_two(name: str, node: Node, names: Names) -> Condition:
    limits, measured = _OF_TWO[name]
    ways = ("measured",) if name in ("distance", "headway") else ()
    fields = Fields(node, ("actor", "of", "below", "above", "equals", "edge", *ways), names.jitter)
    if "of" in fields:
        to, of = fields.choice("actor", names.entities), _entity(fields, "of", names)
    else:
        to, of = fields.choice("actor", names.actors), None
    if to == (of or EGO):
        raise fields.required("actor").error("somebody else than `of`", f"{to!r} twice")
    accepted = MEASURES if name == "distance" else ("bodies", "centres")
    return Condition(
        name,
        **_bound(fields, limits),
        of=of,
        to=None if to == EGO else to,
        measured=fields.choice("measured", accepted, measured) if ways else measured,
        edge=fields.flag("edge", False),
    )


def _arrival(node: Node, names: Names) -> Condition:
    fields = Fields(node, ("at", "actor", "within"), names.jitter)
    if ("at" in fields) == ("actor" in fields):
        raise node.error("either `at` or `actor`", "both" if "at" in fields else "neither of them")
    within = fields.number("within", 0.0, 30.0)
    if "at" in fields:
        return Condition("arrives", within, above=False, at=fields.number("at", *ALONG))
    return Condition("arrives", within, above=False, meets=fields.choice("actor", names.crossing))


def _standstill(node: Node, names: Names) -> Condition:
    fields = Fields(node, ("of", "seconds", "edge"), names.jitter)
    seconds = fields.number("seconds", *SECONDS, 0.0)
    return Condition("standstill", seconds, of=_entity(fields, "of", names), edge=fields.flag("edge", False))


def _travelled(node: Node, names: Names) -> Condition:
    fields = Fields(node, ("of", "metres"), names.jitter)
    return Condition("travelled", fields.number("metres", 0.0, 1000.0), of=_entity(fields, "of", names))


def _near(node: Node, names: Names) -> Condition:
    fields = Fields(node, ("of", "at", "offset", "within", "edge"), names.jitter)
    return Condition(
        "near", fields.number("within", 0.1, 100.0), above=False, of=_entity(fields, "of", names),
        at=fields.number("at", *ALONG), offset=fields.number("offset", *ACROSS, 0.0), edge=fields.flag("edge", False),
    )  # fmt: skip


def _after(node: Node, names: Names) -> Condition:
    fields = Fields(node, ("event", "delay"), names.jitter)
    event = fields.choice("event", names.events)
    return Condition("after", fields.number("delay", *SECONDS, 0.0), event=event)
