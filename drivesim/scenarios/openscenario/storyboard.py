"""The storyboard: its init actions as starts, its events as events of the scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from drivesim.scenarios.openscenario.cast import Cast, Part
from drivesim.scenarios.openscenario.catalogs import Catalogs
from drivesim.scenarios.openscenario.conditions import Conditions, Ending, Group, written
from drivesim.scenarios.openscenario.document import Element, declared
from drivesim.scenarios.openscenario.entities import identifier
from drivesim.scenarios.openscenario.environments import read_environment
from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT, POLICY
from drivesim.scenarios.openscenario.motions import (
    Step,
    lane_change,
    lane_offset,
    limited_speed,
    longitudinal_distance,
    speed_action,
)
from drivesim.scenarios.openscenario.trajectories import routing_action


@dataclass
class Planned:
    """Events of the scenario that come of one event of the file (or stand for the start of an act)."""

    name: str
    trigger: Element | None
    act: str | None  # event that stands for the start of its act
    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0  # that it takes
    is_act: bool = False


@dataclass
class Story:
    """What has been read of a storyboard."""

    cast: Cast
    catalogs: Catalogs
    names: set[str] = field(default_factory=set)
    planned: list[Planned] = field(default_factory=list)
    marks: dict[str, list[Group]] = field(default_factory=dict)
    endings: dict[tuple[str, str], Ending] = field(default_factory=dict)
    acts: list[tuple[str | None, Element]] = field(default_factory=list)
    criteria: dict[str, float] = field(default_factory=dict)

    # Starts.

    def begin(self, storyboard: Element) -> dict[str, str]:
        """Reads Init: places and speeds of the entities; returns weather and time of day."""
        actions = storyboard.need("Init").need("Actions")
        weather: dict[str, str] = {}
        for item in actions.all("GlobalAction"):
            kind = item.only("a global action")
            if kind.tag == "EnvironmentAction":
                weather |= read_environment(kind, self.catalogs)
            else:
                kind.leave_out()
        private: dict[str, list[Element]] = {}
        for item in actions.all("Private"):
            name = item.text("entityRef")
            if name not in self.cast.parts:
                raise item.error(f"the entity {name!r}", f"one of {', '.join(self.cast.parts)}", "entityRef")
            private.setdefault(name, []).extend(item.all("PrivateAction"))
        self._place(private)
        self._first_speeds(private)
        for name, items in private.items():
            self._first_actions(self.cast.parts[name], items)
        return weather

    def _place(self, private: dict[str, list[Element]]) -> None:
        positions: dict[str, Element] = {}
        for name, items in private.items():
            for item in items:
                for action in item.children():
                    if action.tag == "TeleportAction":
                        action.record.elements.add(action.node)
                        positions[name] = action.need("Position")
        self.cast.frame.begin(self.cast.ego, positions.pop(self.cast.ego, None))
        self.cast.parts[self.cast.ego].start(self.cast.frame.spots[self.cast.ego], 0.0)
        while positions:  # those first that others refer to
            ready = [name for name, item in positions.items() if _refers_to(item) not in positions]
            for name in ready or list(positions):
                spot = self.cast.frame.place(positions.pop(name), self.cast.ego)
                if spot is not None:
                    self.cast.frame.spots[name] = spot
                    self.cast.parts[name].start(spot, 0.0)
        for name, part in self.cast.parts.items():
            if part.begin is None:
                part.entity.element.find(LEFT_OUT, f"{name!r} takes no part, as its place is not known")

    def _first_speeds(self, private: dict[str, list[Element]]) -> None:
        """Init speeds that are simply there: absolute ones first, then those relative to them."""
        later = []
        for name, items in private.items():
            for item in items:
                for action in (a for a in item.children() if a.tag == "LongitudinalAction"):
                    for speed in (a for a in action.children() if a.tag == "SpeedAction"):
                        if speed.need("SpeedActionDynamics").text("dynamicsShape") == "step":
                            later.append((self.cast.parts[name], action, speed))
        for part, action, speed in sorted(later, key=lambda entry: _is_relative(entry[2])):
            action.record.elements.update((action.node, speed.node))
            speed.need("SpeedActionDynamics").pass_over()
            target = speed.need("SpeedActionTarget").only("a target speed")
            value = target.number("value")
            if target.tag != "AbsoluteTargetSpeed":
                other = self.cast.parts.get(target.text("entityRef"))
                base = 0.0 if other is None else other.first_speed
                value = base * value if target.text("speedTargetValueType", "delta") == "factor" else base + value
                target.mark("continuous")
            part.speed = part.first_speed = limited_speed(target, value)

    def _first_actions(self, part: Part, items: list[Element]) -> None:
        """What else entities do from the start on."""
        for item in items:
            for action in item.children():
                if action.tag == "TeleportAction" or action.node in item.record.elements:
                    continue
                action.record.elements.add(action.node)
                for step in self._private(action, part):
                    if step.do is not None and not part.is_ego:
                        name = identifier(f"init_{part.entity.name}", self.names)
                        self.planned.append(Planned(name, None, None, [step]))

    # Stories.

    def read(self, storyboard: Element) -> None:
        """Reads all stories: events with what they do, still without their conditions."""
        for story in storyboard.all("Story"):
            inside = story.with_parameters({**story.parameters, **declared(story)})
            first = len(self.planned)
            for act in inside.all("Act"):
                self._act(act)
            self._end("story", story.name(), None, first)

    def _act(self, act: Element) -> None:
        trigger = act.get("StartTrigger")
        first = len(self.planned)
        name = identifier(act.name(), self.names) if trigger is not None else None
        for group in act.all("ManeuverGroup"):
            self._group(group, name)
        stop = act.get("StopTrigger")
        if stop is not None:
            self.acts.append((name, stop))
        self._end("act", act.name(), name, first)
        if name is not None:
            self.planned.append(Planned(name, trigger, None, is_act=True))

    def _group(self, group: Element, act: str | None) -> None:
        first = len(self.planned)
        if group.number("maximumExecutionCount", 1.0) > 1.0:
            group.find(APPROXIMATED, "it is played once")
        actors = group.need("Actors")
        if actors.flag("selectTriggeringEntities", False):
            actors.find(LEFT_OUT, "actors are not chosen by who triggers")
        names = [item.text("entityRef") for item in actors.all("EntityRef")]
        for item in group.children():
            if item.tag == "Maneuver":
                self._maneuver(item, names, act)
            elif item.tag == "CatalogReference":
                item.record.elements.add(item.node)
                entry = self.catalogs.entry(item)
                if entry is None:
                    item.leave_out("the catalog is not at hand")
                else:
                    self._maneuver(entry, names, act)
        self._end("maneuverGroup", group.name(), act, first)

    def _maneuver(self, maneuver: Element, actors: list[str], act: str | None) -> None:
        maneuver.record.elements.add(maneuver.node)
        inside = maneuver.with_parameters({**maneuver.parameters, **declared(maneuver, maneuver.parameters)})
        first = len(self.planned)
        for event in inside.all("Event"):
            self._event(event, actors, act)
        self._end("maneuver", maneuver.name(), act, first)

    def _event(self, event: Element, actors: list[str], act: str | None) -> None:
        if event.number("maximumExecutionCount", 1.0) > 1.0:
            event.find(APPROXIMATED, "it happens once")
        if event.text("priority", "override") == "skip":
            event.find(APPROXIMATED, "it happens even while another one goes on")
        planned = Planned(identifier(event.name("event"), self.names), event.get("StartTrigger"), act)
        for action in event.all("Action"):
            steps = list(self._action(action, actors))
            planned.steps += steps
            seconds = max((step.seconds + step.delay for step in steps), default=0.0)
            planned.seconds = max(planned.seconds, seconds)
            self.endings[("action", action.name())] = Ending(planned.name, ((planned.name, seconds),))
        self.planned.append(planned)
        self.endings[("event", event.name())] = Ending(planned.name, ((planned.name, planned.seconds),))

    def _end(self, kind: str, name: str, start: str | None, first: int) -> None:
        ends = tuple((planned.name, planned.seconds) for planned in self.planned[first:])
        self.endings[(kind, name)] = Ending(start, ends)

    def _action(self, action: Element, actors: list[str]) -> Iterator[Step]:
        action.name()
        kinds = list(action.children())
        if not kinds:
            return
        kind = kinds[0]
        kind.record.elements.add(kind.node)
        inner = kind.only("an action") if kind.tag in ("PrivateAction", "GlobalAction") else kind
        if kind.tag == "PrivateAction":
            for name in actors:
                if name not in self.cast.parts:
                    raise action.error(f"the actor {name!r}", f"one of {', '.join(self.cast.parts)}")
                if not self.cast.plays(name):
                    inner.leave_out(f"{name!r} takes no part")
                    continue
                yield from self._private(inner, self.cast.parts[name])
        elif inner.tag == "EnvironmentAction":
            yield Step(dict(read_environment(inner, self.catalogs)) or None)
        elif inner.tag == "EntityAction":
            yield from self._entity(inner)
        else:
            inner.leave_out()

    def _entity(self, action: Element) -> Iterator[Step]:
        name, kind = action.text("entityRef"), action.only("AddEntityAction or DeleteEntityAction")
        part = self.cast.parts.get(name)
        if part is None or part.is_ego or (part.begin is None and kind.tag != "AddEntityAction"):
            action.leave_out(f"{name!r} takes no part")
            return
        if kind.tag == "DeleteEntityAction":
            yield Step({"actor": part.entity.actor, "vanish": True})
            return
        position = kind.get("Position")
        spot = None if position is None else self.cast.frame.place(position, self.cast.ego)
        if spot is not None and part.begin is None:
            part.start(spot, 0.0)
            part.present = False
        yield Step({"actor": part.entity.actor, "appear": True})

    def _private(self, action: Element, part: Part) -> list[Step]:
        """What a private action has its actor do; of the ego, only how long it would take."""
        record = action.record
        before = len(record.findings)
        steps = self._steps(action, part)
        if part.is_ego:
            del record.findings[before:]
            action.find(POLICY, "the ego is driven by the policy")
            action.pass_over()
            return [Step(None, step.seconds, step.delay) for step in steps]
        return steps

    def _steps(self, action: Element, part: Part) -> list[Step]:
        if action.tag == "RoutingAction":
            return routing_action(action, part, self.cast, self.catalogs)
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
        return read(kind, part, self.cast)

    # Conditions.

    def mark(self, name: str, groups: list[Group]) -> str:
        """An event that does nothing, for others to follow."""
        name = identifier(name, self.names)
        self.marks[name] = groups
        return name

    def events(self, storyboard: Element) -> dict[str, dict[str, Any]]:
        """All events as they are written down."""
        conditions = Conditions(self.cast, self.endings, self.mark, self.criteria)
        found: dict[str, dict[str, Any]] = {}
        begun: dict[str, list[Group]] = {}  # acts, with when they start
        for planned in (planned for planned in self.planned if planned.is_act):
            begun[planned.name] = self._groups(planned, conditions)
            if [] in begun[planned.name]:
                conditions.running.add(planned.name)
        for planned in self.planned:
            groups = begun[planned.name] if planned.is_act else self._groups(planned, conditions)
            for name, when, do in self._written(planned, groups):
                found[name] = {"when": when} | ({} if do is None else {"do": do})
        found |= self._finish(storyboard, conditions)
        for name, groups in self.marks.items():
            found[name] = {"when": _one(written(groups))}
        return _used(found)

    def _groups(self, planned: Planned, conditions: Conditions) -> list[Group]:
        """When something planned happens."""
        if planned.trigger is None or not list(planned.trigger.children()):
            groups: list[Group] = [[]]
        else:
            groups = conditions.alternatives(planned.trigger)
        if not groups and planned.trigger is not None:
            planned.trigger.find(LEFT_OUT, "what it starts never happens")
        if planned.act is not None and planned.act not in conditions.running:
            groups = [[("after", {"event": planned.act}), *group] for group in groups]
        return groups

    def _written(self, planned: Planned, groups: list[Group]) -> Iterator[tuple[str, Any, dict[str, Any] | None]]:
        if not groups:
            return
        when = _one(written(groups))
        at_once = [step.do for step in planned.steps if step.do is not None and step.delay == 0.0]
        yield planned.name, when, at_once[0] if at_once else None
        for do in at_once[1:]:
            yield identifier(planned.name, self.names), when, do
        for step in planned.steps:
            if step.do is not None and step.delay > 0.0:
                follows = {"after": {"event": planned.name, "delay": round(step.delay, 3)}}
                yield identifier(planned.name, self.names), follows, step.do

    def _finish(self, storyboard: Element, conditions: Conditions) -> dict[str, dict[str, Any]]:
        """The stop triggers."""
        stop = storyboard.get("StopTrigger")
        groups = [] if stop is None else conditions.alternatives(stop)
        for name, trigger in self.acts:
            ends = conditions.alternatives(trigger)
            if ends and len(self.acts) == 1:
                follows: Group = [] if name is None or name in conditions.running else [("after", {"event": name})]
                groups += [[*follows, *group] for group in ends]
            elif ends:
                trigger.find(LEFT_OUT, "acts are not stopped one by one")
        if not groups or any(not group for group in groups):
            return {}
        return {identifier("stop", self.names): {"when": _one(written(groups)), "do": {"finish": True}}}


_MOTIONS: dict[str, Callable[[Element, Part, Cast], list[Step]]] = {
    "SpeedAction": speed_action, "LaneChangeAction": lane_change, "LaneOffsetAction": lane_offset,
    "LongitudinalDistanceAction": longitudinal_distance,
}  # fmt: skip


def _one(groups: list[dict[str, Any]]) -> Any:
    return groups[0] if len(groups) == 1 else groups


def _refers_to(position: Element) -> str | None:
    return next((child.node.get("entityRef") for child in position.children()), None)


def _is_relative(speed: Element) -> bool:
    return any(child.tag != "AbsoluteTargetSpeed" for child in speed.need("SpeedActionTarget").children())


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


def _used(events: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Events that do something or that others follow."""
    while True:
        followed = set()
        for event in events.values():
            for group in event["when"] if isinstance(event["when"], list) else [event["when"]]:
                after = group.get("after", [])
                followed |= {item["event"] for item in (after if isinstance(after, list) else [after])}
        kept = {name: event for name, event in events.items() if "do" in event or name in followed}
        if len(kept) == len(events):
            return kept
        events = kept
