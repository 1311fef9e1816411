"""The stories of a storyboard as events of the scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from drivesim.scenarios.openscenario.actions import read_action
from drivesim.scenarios.openscenario.cast import Cast, Part
from drivesim.scenarios.openscenario.catalogs import Catalogs
from drivesim.scenarios.openscenario.conditions import Conditions, Ending, Group, written
from drivesim.scenarios.openscenario.document import Element, declared
from drivesim.scenarios.openscenario.entities import identifier
from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT
from drivesim.scenarios.openscenario.motions import Step


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

    def begin(self, part: Part, step: Step) -> None:
        """Adds something that an actor does from the start on."""
        name = identifier(f"init_{part.entity.name}", self.names)
        self.planned.append(Planned(name, None, None, [step]))

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
            steps = list(read_action(action, actors, self.cast, self.catalogs))
            planned.steps += steps
            seconds = max((step.seconds + step.delay for step in steps), default=0.0)
            planned.seconds = max(planned.seconds, seconds)
            self.endings[("action", action.name())] = Ending(planned.name, ((planned.name, seconds),))
        self.planned.append(planned)
        self.endings[("event", event.name())] = Ending(planned.name, ((planned.name, planned.seconds),))

    def _end(self, kind: str, name: str, start: str | None, first: int) -> None:
        ends = tuple((planned.name, planned.seconds) for planned in self.planned[first:])
        self.endings[(kind, name)] = Ending(start, ends)

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
        return _used(_possible(found, storyboard))

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


def _one(groups: list[dict[str, Any]]) -> Any:
    return groups[0] if len(groups) == 1 else groups


def _possible(events: dict[str, dict[str, Any]], storyboard: Element) -> dict[str, dict[str, Any]]:
    """Events but those that wait for what never happens, which are noted."""
    while True:
        kept: dict[str, dict[str, Any]] = {}
        for name, event in events.items():
            groups = event["when"] if isinstance(event["when"], list) else [event["when"]]
            possible = [group for group in groups if _followed([group]) <= set(events)]
            if possible:
                kept[name] = event | {"when": _one(possible)}
            elif "do" in event:
                storyboard.find(LEFT_OUT, f"{name} never happens, as it waits for what never happens")
        if len(kept) == len(events):
            return kept
        events = kept


def _followed(groups: list[dict[str, Any]]) -> set[str]:
    """Events that some groups of conditions follow."""
    names = set()
    for group in groups:
        after = group.get("after", [])
        names |= {item["event"] for item in (after if isinstance(after, list) else [after])}
    return names


def _used(events: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Events that do something or that others follow."""
    while True:
        followed = set()
        for event in events.values():
            followed |= _followed(event["when"] if isinstance(event["when"], list) else [event["when"]])
        kept = {name: event for name, event in events.items() if "do" in event or name in followed}
        if len(kept) == len(events):
            return kept
        events = kept
