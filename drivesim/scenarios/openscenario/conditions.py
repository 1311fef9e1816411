"""Triggers as the conditions of an event of a scenario."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivesim.scenarios.openscenario.cast import Cast, rounded
from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT

Test = tuple[str, Any]  # name of a condition and its value in a scenario file
Group = list[Test]  # all must hold; an empty one always does
_MOST = 16  # alternatives of a trigger
_EQUAL = ("speed", "relative_speed", "acceleration")
_BELOW, _ABOVE = ("lessThan", "lessOrEqual"), ("greaterThan", "greaterOrEqual")


class Unsupported(Exception):
    """A condition that cannot be taken over, and why."""


@dataclass(frozen=True)
class Ending:
    """An element of the storyboard: the event that stands for its start, and those that end it, each with the time
    [s] that what it does takes. Without a start it runs from the beginning."""

    start: str | None
    ends: tuple[tuple[str, float], ...]


@dataclass
class Conditions:
    """Reads triggers. `endings` by (type, name); `mark` makes an event that only others follow, returns its name."""

    cast: Cast
    endings: Mapping[tuple[str, str], Ending]
    mark: Callable[[str, list[Group]], str]
    criteria: dict[str, float]
    running: set[str] = field(default_factory=set)  # acts that start at once, by event

    def alternatives(self, trigger: Element | None) -> list[Group]:
        """The groups of a trigger: an empty list for one that never holds, an empty group for one that always does."""
        if trigger is None:
            return []
        found: list[Group] = []
        for group in trigger.all("ConditionGroup"):
            found += self._group(group)
        return found[:_MOST]

    def _group(self, group: Element) -> list[Group]:
        readings: list[list[Group]] = []
        for condition in group.all("Condition"):
            try:
                readings.append(self._condition(condition))
            except Unsupported as reason:
                condition.leave_out(f"{reason}; what waits for it together with others never happens")
                readings.append([])
        return [list(itertools.chain(*choice)) for choice in itertools.product(*readings)][:_MOST]

    def _condition(self, condition: Element) -> list[Group]:
        name, delay, edge = (
            condition.name("condition"),
            condition.number("delay", 0.0),
            condition.text("conditionEdge", "none"),
        )
        kind = condition.only("a condition")
        groups = self._by_value(kind, name) if kind.tag == "ByValueCondition" else self._by_entity(kind)
        groups = [self._with_edge(condition, group, edge) for group in groups]
        if delay > 0.0:
            groups = [[("after", {"event": self.mark(name, groups), "delay": rounded(delay)})]]
        return groups

    def _with_edge(self, condition: Element, group: Group, edge: str) -> Group:
        if edge == "none":
            return group
        turned: Group = []
        for name, value in group:
            if not isinstance(value, dict) or name in ("after", "travelled"):
                if edge == "falling":
                    raise Unsupported("what only becomes true never falls")
                turned.append((name, value))
                continue
            value = dict(value)
            if edge == "falling":
                if not {"below", "above"} & set(value) or len(group) > 1:
                    raise Unsupported("its falling edge is not supported")
                value = {{"below": "above", "above": "below"}.get(k, k): v for k, v in value.items()}
            turned.append((name, value | {"edge": True}))
        if edge == "risingOrFalling" and any("edge" in value for _, value in turned if isinstance(value, dict)):
            condition.find(APPROXIMATED, "only the rising edge counts")
        return turned

    # Conditions by value.

    def _by_value(self, kind: Element, name: str) -> list[Group]:
        what = kind.only("a condition by value")
        if what.tag == "SimulationTimeCondition":
            return self._time(what)
        if what.tag == "StoryboardElementStateCondition":
            return self._state(what)
        if what.tag == "ParameterCondition":
            return self._parameter(what, name)
        raise Unsupported(f"{what.tag} is not supported")

    def _time(self, what: Element) -> list[Group]:
        value, rule = what.number("value"), what.text("rule")
        if rule in _BELOW or rule == "notEqualTo":
            if value > 0.0 or rule == "notEqualTo":
                return [[]]
            return []
        if value > 120.0:
            what.find(LEFT_OUT, f"drives end before {value:g} s")
            return []
        return [[("time", rounded(value))]] if value > 0.0 else [[]]

    def _state(self, what: Element) -> list[Group]:
        kind, name, state = what.text("storyboardElementType"), what.text("storyboardElementRef"), what.text("state")
        ending = self.endings.get((kind, name)) or self.endings.get((kind, name.rpartition("::")[2]))
        if ending is None:
            raise what.error(
                f"{kind} {name!r}", "the name of such an element of the storyboard", "storyboardElementRef"
            )
        if state in ("startTransition", "runningState"):
            starts = ending.start is None or ending.start in self.running
            return [[]] if starts else [[("after", {"event": ending.start})]]
        if state == "standbyState":
            return [[]]
        if state not in ("endTransition", "completeState", "stopTransition", "endState"):
            raise Unsupported(f"the state {state!r} is not supported")
        if not ending.ends:
            raise Unsupported("nothing in it is played")
        return [[("after", {"event": event, **({"delay": rounded(s)} if s else {})}) for event, s in ending.ends]]

    def _parameter(self, what: Element, name: str) -> list[Group]:
        parameter, value, rule = what.raw("parameterRef").lstrip("$"), what.text("value"), what.text("rule")
        if name.startswith("criteria_"):  # how ScenarioRunner asks for its criteria
            if name == "criteria_DrivenDistanceTest" and value:
                self.criteria["reach"] = what.number("value")
            elif name not in ("criteria_CollisionTest", "criteria_OnSidewalkTest", "criteria_OffRoadTest"):
                what.find(LEFT_OUT, f"ScenarioRunner's {name} is not judged")
            return []
        if parameter not in what.parameters:
            known = ", ".join(sorted(what.parameters)) or "none, as none are declared"
            raise what.error(f"the parameter {parameter!r}", known, "parameterRef")
        return [[]] if _compare(what.parameters[parameter], rule, value) else []

    # Conditions by entity.

    def _by_entity(self, kind: Element) -> list[Group]:
        triggering = kind.need("TriggeringEntities")
        all_of = triggering.text("triggeringEntitiesRule", "any") == "all"
        what = kind.need("EntityCondition").only("a condition by entity")
        entities = [item.text("entityRef") for item in triggering.all("EntityRef")]
        absent = [name for name in entities if not self.cast.plays(name)]
        if absent or not entities:
            raise Unsupported(f"{absent[0]!r} takes no part" if absent else "no entity is named")
        read = getattr(self, f"_{what.tag}", None)
        if read is None:
            raise Unsupported(f"{what.tag} is not supported")
        each = [read(what, name) for name in entities]
        if not all_of:
            return [group for groups in each for group in groups]
        return [list(itertools.chain(*choice)) for choice in itertools.product(*each)]

    def _of(self, name: str) -> dict[str, Any]:
        return {} if name == self.cast.ego else {"of": self.cast.actor(name)}

    def _pair(self, what: Element, name: str, other: str) -> dict[str, Any]:
        if not self.cast.plays(other):
            raise Unsupported(f"{other!r} takes no part")
        if other == name:
            raise what.error(f"{other!r} twice", "two entities")
        if other == self.cast.ego:
            return {"of": "ego", "actor": self.cast.actor(name)} if what.tag not in _ONE_WAY else {
                "of": self.cast.actor(name), "actor": "ego"}  # fmt: skip
        return {**self._of(name), "actor": self.cast.actor(other)}

    def _compared(self, kind: str, base: dict[str, Any], what: Element, value: float) -> list[Group]:
        rule = what.text("rule")
        if rule in _BELOW or rule in _ABOVE:
            return [[(kind, {**base, "below" if rule in _BELOW else "above": rounded(value)})]]
        if rule == "equalTo" and kind in _EQUAL:
            return [[(kind, {**base, "equals": rounded(value)})]]
        raise Unsupported(f"the rule {rule!r} is not supported here")

    def _TraveledDistanceCondition(self, what: Element, name: str) -> list[Group]:
        return [[("travelled", {**self._of(name), "metres": rounded(min(what.number("value"), 1000.0))})]]

    def _StandStillCondition(self, what: Element, name: str) -> list[Group]:
        return [[("standstill", {**self._of(name), "seconds": rounded(what.number("duration"))})]]

    def _SpeedCondition(self, what: Element, name: str) -> list[Group]:
        if what.node.get("direction") is not None:
            raise Unsupported("the speed in one direction is not supported")
        return self._compared("speed", self._of(name), what, what.number("value"))

    def _RelativeSpeedCondition(self, what: Element, name: str) -> list[Group]:
        if what.node.get("direction") is not None:
            raise Unsupported("the speed in one direction is not supported")
        base = self._pair(what, name, what.text("entityRef"))
        return self._compared("relative_speed", base, what, what.number("value"))

    def _AccelerationCondition(self, what: Element, name: str) -> list[Group]:
        if what.text("direction", "longitudinal") != "longitudinal":
            raise Unsupported("only the acceleration along the way is known")
        return self._compared("acceleration", self._of(name), what, what.number("value"))

    def _RelativeDistanceCondition(self, what: Element, name: str) -> list[Group]:
        base = self._pair(what, name, what.text("entityRef"))
        return self._distance(what, base, what.text("relativeDistanceType"))

    def _distance(self, what: Element, base: dict[str, Any], kind: str) -> list[Group]:
        free = what.flag("freespace", False)
        what.mark("coordinateSystem", "routingAlgorithm", "alongRoute")
        measured = {"longitudinal": "along", "lateral": "across"}.get(kind, "bodies" if free else "centres")
        if free and measured in ("along", "across"):
            what.find(APPROXIMATED, "between the bodies: the distance of the bodies, in whichever direction")
            measured = "bodies"
        value = min(what.number("value"), 300.0)
        return self._compared("distance", base | ({} if measured == "bodies" else {"measured": measured}), what, value)

    def _TimeHeadwayCondition(self, what: Element, name: str) -> list[Group]:
        base = self._pair(what, name, what.text("entityRef"))
        what.mark("coordinateSystem", "routingAlgorithm", "alongRoute")
        if what.text("relativeDistanceType", "longitudinal") != "longitudinal":
            what.find(APPROXIMATED, "the headway is measured along the road")
        if not what.flag("freespace", True):
            base["measured"] = "centres"
        groups = self._compared("headway", base, what, min(max(what.number("value"), -20.0), 20.0))
        ahead: Group = [("headway", {**base, "above": 0.0})]  # it is the headway to somebody in front
        return [group + ahead * ("below" in group[0][1]) for group in groups]

    def _TimeToCollisionCondition(self, what: Element, name: str) -> list[Group]:
        what.mark("coordinateSystem", "coordinatSystem", "relativeDistanceType", "routingAlgorithm", "alongRoute")
        target = what.need("TimeToCollisionConditionTarget").only("an EntityRef or Position")
        if target.tag != "EntityRef":
            raise Unsupported("only times to collision with entities are known")
        base = self._pair(what, name, target.text("entityRef"))
        what.mark("freespace")
        return self._compared("time_to_collision", base, what, min(what.number("value"), 20.0))

    def _ReachPositionCondition(self, what: Element, name: str) -> list[Group]:
        return self._near(what, name, what.number("tolerance"))

    def _near(self, what: Element, name: str, within: float) -> list[Group]:
        spot = self.cast.frame.place(what.need("Position"), self.cast.ego)
        if spot is None:
            raise Unsupported("its place is not known")
        base = {**self._of(name), "at": rounded(spot.at), "within": rounded(min(max(within, 0.1), 100.0))}
        if not -100.0 <= spot.at <= 240.0 or abs(spot.offset) > 20.0:
            raise Unsupported(f"its place is {spot.at:.0f} m ahead and {spot.offset:.0f} m to the left")
        return [[("near", base | ({"offset": rounded(spot.offset)} if abs(spot.offset) > 1e-3 else {}))]]

    def _DistanceCondition(self, what: Element, name: str) -> list[Group]:
        position = what.need("Position")
        where = position.only("a position")
        if where.tag == "RelativeObjectPosition" and where.number("dx") == 0.0 == where.number("dy"):
            where.mark("dz")
            return self._distance(what, self._pair(what, name, where.text("entityRef")), "cartesianDistance")
        if what.text("rule") not in _BELOW:
            raise Unsupported("only being close to a place is known")
        what.mark("freespace", "coordinateSystem", "relativeDistanceType", "routingAlgorithm", "alongRoute")
        return self._near(what, name, what.number("value"))

    def _CollisionCondition(self, what: Element, name: str) -> list[Group]:
        other = what.get("EntityRef")
        if other is None:
            raise Unsupported("only collisions with one entity are known")
        return [[("distance", {**self._pair(what, name, other.text("entityRef")), "below": 0.0})]]


_ONE_WAY = ("TimeHeadwayCondition", "RelativeSpeedCondition")


def _compare(found: str, rule: str, value: str) -> bool:
    try:
        a, b = float(found), float(value)
    except ValueError:
        return (found == value) if rule == "equalTo" else (found != value) if rule == "notEqualTo" else False
    return {"lessThan": a < b, "greaterThan": a > b, "equalTo": a == b, "lessOrEqual": a <= b,
            "greaterOrEqual": a >= b, "notEqualTo": a != b}.get(rule, False)  # fmt: skip


def written(groups: list[Group]) -> list[dict[str, Any]]:
    """Groups as mappings of a scenario file; conditions of the same name become a list."""
    found = []
    for group in groups:
        entries: dict[str, Any] = {}
        for name, value in group:
            if name == "time":
                entries["time"] = max(value, entries.get("time", 0.0))
            elif name not in entries:
                entries[name] = value
            elif value != entries[name] and value not in (entries[name] if isinstance(entries[name], list) else ()):
                entries[name] = [*(entries[name] if isinstance(entries[name], list) else [entries[name]]), value]
        found.append(entries or {"time": 0.0})
    return found
