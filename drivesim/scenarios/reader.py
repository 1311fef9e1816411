"""From a YAML file to a scenario: every field checked, every reference resolved, nothing run."""

from __future__ import annotations

import math
import re
from pathlib import Path

from drivesim.scenarios.fields import Fields, Jitter, mapping, number, word, words
from drivesim.scenarios.schema import (
    FAULTS,
    LANES,
    PATHS,
    PLACES,
    PRIORITIES,
    SIDES,
    SKILLS,
    TURNS,
    Action,
    Actor,
    CameraFault,
    EgoStart,
    Event,
    Place,
    Scenario,
    Success,
    When,
)
from drivesim.scenarios.yaml_tree import Node, read_tree
from drivesim.scene import CAMERAS, OBJECT_CLASSES, TIMES_OF_DAY, WEATHERS

MAX_ACTORS, MAX_EVENTS = 40, 60
SPEED, ALONG, ACROSS, SECONDS = (0.0, 30.0), (-50.0, 200.0), (-15.0, 15.0), (0.0, 120.0)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CONDITIONS = ("time", "ego_at", "ego_arrives", "distance", "time_to_collision", "after")
_TOP = (
    "title", "skill", "difficulty", "town", "place", "ego", "traffic", "weather", "time_of_day", "duration", "actors",
    "events", "success",
)  # fmt: skip


def read_scenario(path: Path, variant: int = 0, shown: str | None = None) -> Scenario:
    """The scenario of a file with the jitter of a variant drawn (0: the middles of all ranges).

    Raises ScenarioError that names file, line, field, what was found and what is accepted; `shown` is the file's name
    in it.
    """
    tree = read_tree(path, shown)
    top = Fields(tree, _TOP, Jitter(path.stem, variant))
    actors = _actors(top)
    names = [actor.name for actor in actors]
    duration = top.number("duration", 2.0, SECONDS[1], 30.0)
    return Scenario(
        name=path.stem,
        file=tree.file,
        variant=variant,
        title=top.text("title"),
        skill=top.choice("skill", SKILLS),
        difficulty=top.integer("difficulty", 1, 3),
        town=top.integer("town", 0, 99_999_999),
        place=_place(top),
        ego=_ego(top),
        success=_success(top, names, duration),
        duration=duration,
        traffic=top.integer("traffic", 0, 60, 0),
        weather=top.choice("weather", WEATHERS) if "weather" in top else None,
        time_of_day=top.choice("time_of_day", TIMES_OF_DAY) if "time_of_day" in top else None,
        actors=actors,
        events=_events(top, names, [actor.name for actor in actors if actor.path in ("across", "crossing")]),
    )


def _place(top: Fields) -> Place:
    node = top.required("place")
    names = ("kind", "length", "junctions", "at", "turn", "priority", "lanes", "lane", "oncoming", "parked", "pick")
    fields = Fields(node, names, top.jitter)
    return Place(
        kind=fields.choice("kind", PLACES),
        length=fields.number("length", 10.0, 180.0, 60.0),
        junctions=fields.flag("junctions", True),
        at=fields.number("at", 8.0, 65.0, 40.0),
        turn=fields.choice("turn", TURNS) if "turn" in fields else None,
        priority=fields.choice("priority", PRIORITIES) if "priority" in fields else None,
        lanes=fields.integer("lanes", 1, 3) if "lanes" in fields else None,
        lane=fields.choice("lane", ("left", "right")) if "lane" in fields else None,
        oncoming=fields.flag("oncoming", True) if "oncoming" in fields else None,
        parked=fields.flag("parked", True) if "parked" in fields else None,
        pick=fields.integer("pick", 0, 50, 0),
        line=node.line,
    )


def _ego(top: Fields) -> EgoStart:
    fields = Fields(top.required("ego"), ("speed", "offset"), top.jitter)
    return EgoStart(fields.number("speed", *SPEED), fields.number("offset", -3.0, 3.0, 0.0))


def _actors(top: Fields) -> tuple[Actor, ...]:
    actors: list[Actor] = []
    for name, node in top.sections("actors"):
        _check_name(name, node)
        if len(actors) == MAX_ACTORS:
            raise node.error(f"at most {MAX_ACTORS} actors", "one more")
        actors.append(_actor(name, node, top.jitter))
    return tuple(actors)


def _check_name(name: str, node: Node) -> None:
    if not _NAME.fullmatch(name):
        raise node.error("a name of small letters, digits and _, at most 40", f"the name {name[:60]!r}")


def _actor(name: str, node: Node, jitter: Jitter) -> Actor:
    names = (
        "class",
        "path",
        "at",
        "lane",
        "offset",
        "side",
        "turn",
        "before",
        "turned",
        "speed",
        "reacts",
        "size",
        "present",
    )
    fields = Fields(node, names, jitter)
    path = fields.choice("path", PATHS, "along")
    ignored = {"crossing": ("at", "lane", "offset"), "across": ("lane", "offset", "turn")}
    for unused in ignored.get(path, ("side", "turn", "before")):
        if unused in fields:
            raise fields.required(unused).error("a field that this path has", f"a field that path {path!r} ignores")
    if path == "across" and "side" in fields:
        word(fields.required("side"), SIDES[:2])
    if path == "across":
        fields.required("before")
    if path != "crossing":
        fields.required("at")
    actor = Actor(
        name=name,
        class_name=fields.choice("class", OBJECT_CLASSES),
        path=path,
        at=fields.number("at", *ALONG, 0.0),
        lane=fields.choice("lane", LANES, "ego"),
        offset=fields.number("offset", *ACROSS, 0.0),
        side=fields.choice("side", SIDES, "left" if path == "crossing" else "right"),
        turn=fields.choice("turn", TURNS, "straight"),
        before=fields.number("before", 0.0, 80.0, 30.0),
        turned=math.radians(fields.number("turned", -180.0, 180.0, 0.0)),
        speed=fields.number("speed", *SPEED, 0.0),
        reacts=fields.flag("reacts", False),
        size=_size(fields),
        present=fields.flag("present", True),
        line=node.line,
    )
    starts_on_ego = path in ("along", "against") and actor.lane == "ego" and actor.present
    if starts_on_ego and abs(actor.offset) < 1.8 and -4.0 < actor.at < 6.0:
        raise fields.required("at").error("a place that the ego does not stand on", f"{actor.at:g}, inside the ego")
    return actor


def _size(fields: Fields) -> tuple[float, float, float] | None:
    node = fields.get("size")
    if node is None:
        return None
    if not isinstance(node.value, list) or len(node.value) != 3:
        raise node.error("a list of width, length and height [m]")
    width, length, height = (number(item, 0.1, 20.0, fields.jitter) for item in node.value)
    return width, length, height


def _events(top: Fields, actors: list[str], crossing: list[str]) -> tuple[Event, ...]:
    """Events in the order of the file; each may follow earlier or later ones, but not itself in the end."""
    nodes = dict(top.sections("events"))
    events: list[Event] = []
    for name, node in nodes.items():
        _check_name(name, node)
        if len(events) == MAX_EVENTS:
            raise node.error(f"at most {MAX_EVENTS} events", "one more")
        fields = Fields(node, ("when", "do"), top.jitter)
        when = _when(fields.required("when"), actors, crossing, list(nodes), top.jitter)
        events.append(Event(name, when, _action(fields.required("do"), actors, top.jitter), node.line))
    _refuse_cycles(events, nodes)
    return tuple(events)


def _refuse_cycles(events: list[Event], nodes: dict[str, Node]) -> None:
    follows = {event.name: event.when.after for event in events}
    for event in events:
        seen, name = [event.name], follows[event.name]
        while name is not None and name not in seen:
            seen.append(name)
            name = follows[name]
        if name is not None:
            loop = " -> ".join([*seen[seen.index(name) :], name])
            raise nodes[event.name].error("events that do not wait for themselves", f"the cycle {loop}")


def _when(node: Node, actors: list[str], crossing: list[str], events: list[str], jitter: Jitter) -> When:
    fields = Fields(node, _CONDITIONS, jitter)
    infinity = float("inf")
    result = {
        "time": fields.number("time", *SECONDS, 0.0),
        "ego_at": fields.number("ego_at", *ALONG) if "ego_at" in fields else -infinity,
    }
    near = {name: _near(fields.required(name), actors, jitter, high)
            for name, high in (("distance", 100.0), ("time_to_collision", 20.0)) if name in fields}  # fmt: skip
    if len({actor for actor, _ in near.values()}) > 1:
        raise node.error("distance and time_to_collision of the same actor", "two actors")
    at, arriving, within = _arrival(fields.get("ego_arrives"), crossing, jitter)
    after, delay = _after(fields.get("after"), events, jitter)
    return When(
        **result,
        ego_arrives_at=at,
        ego_arrives_actor=arriving,
        ego_arrives_within=within,
        actor=next((actor for actor, _ in near.values()), None),
        distance=near["distance"][1] if "distance" in near else infinity,
        time_to_collision=near["time_to_collision"][1] if "time_to_collision" in near else infinity,
        after=after,
        delay=delay,
    )


def _near(node: Node, actors: list[str], jitter: Jitter, high: float) -> tuple[str, float]:
    fields = Fields(node, ("actor", "below"), jitter)
    return fields.choice("actor", actors), fields.number("below", 0.0, high)


def _arrival(node: Node | None, crossing: list[str], jitter: Jitter) -> tuple[float | None, str | None, float]:
    if node is None:
        return None, None, float("inf")
    fields = Fields(node, ("at", "actor", "within"), jitter)
    if ("at" in fields) == ("actor" in fields):
        raise node.error("either `at` or `actor`", "both" if "at" in fields else "neither of them")
    within = fields.number("within", 0.0, 30.0)
    if "at" in fields:
        return fields.number("at", *ALONG), None, within
    return None, fields.choice("actor", crossing), within


def _after(node: Node | None, events: list[str], jitter: Jitter) -> tuple[str | None, float]:
    if node is None:
        return None, 0.0
    fields = Fields(node, ("event", "delay"), jitter)
    return fields.choice("event", events), fields.number("delay", *SECONDS, 0.0)


def _action(node: Node, actors: list[str], jitter: Jitter) -> Action:
    of_actor = ("speed", "rate", "lane", "offset", "over", "reacts", "door", "door_side", "appear", "vanish")
    of_world = ("weather", "time_of_day", "camera_fault")
    fields = Fields(node, ("actor", *of_actor, *of_world), jitter)
    does = [name for name in fields.entries if name not in ("actor", "rate", "over", "door_side")]
    if not does:
        raise node.error(f"at least one of {', '.join(n for n in (*of_actor, *of_world))}", "nothing to do")
    needs = [name for name in of_actor if name in fields]
    if needs and "actor" not in fields:
        raise fields.required(needs[0]).error("it together with `actor`", f"{needs[0]} of nobody")
    lateral = "lane" in fields or "offset" in fields
    fault = fields.get("camera_fault")
    return Action(
        actor=fields.choice("actor", actors) if "actor" in fields else None,
        speed=fields.number("speed", *SPEED) if "speed" in fields else None,
        rate=fields.number("rate", 0.1, 12.0, 3.0),
        lane=fields.choice("lane", LANES, "ego") if lateral else None,
        offset=fields.number("offset", *ACROSS, 0.0) if lateral else None,
        over=fields.number("over", 0.1, 20.0, 2.0),
        reacts=fields.flag("reacts", False) if "reacts" in fields else None,
        door=fields.number("door", 0.1, 1.5) if "door" in fields else None,
        door_side=fields.choice("door_side", SIDES[:2], "left"),
        appear=fields.flag("appear", False),
        vanish=fields.flag("vanish", False),
        weather=fields.choice("weather", WEATHERS) if "weather" in fields else None,
        time_of_day=fields.choice("time_of_day", TIMES_OF_DAY) if "time_of_day" in fields else None,
        fault=None if fault is None else _fault(fault, jitter),
    )


def _fault(node: Node, jitter: Jitter) -> CameraFault:
    fields = Fields(node, ("kind", "cameras", "seconds", "strength", "delay", "yaw_error"), jitter)
    kind = fields.choice("kind", FAULTS)
    own = {"noise": ("strength", 1.0, 128.0), "delay": ("delay", 0.05, 3.0), "calibration": ("yaw_error", -30.0, 30.0)}
    for name, _, _ in own.values():
        if name in fields and own.get(kind, ("",))[0] != name:
            raise fields.required(name).error(f"a field that fault {kind!r} has", f"a field that {kind!r} ignores")
    strength = fields.number(*own[kind]) if kind in own else 0.0
    cameras = fields.get("cameras")
    return CameraFault(
        kind,
        () if cameras is None else words(cameras, CAMERAS),
        fields.number("seconds", 0.05, SECONDS[1]) if "seconds" in fields else float("inf"),
        math.radians(strength) if kind == "calibration" else strength,
    )


def _success(top: Fields, actors: list[str], duration: float) -> Success:
    names = ("reach", "max_impact_speed", "max_offset", "max_speed", "clearance", "passed_by")
    fields = Fields(top.required("success"), names, top.jitter)
    goal = Fields(fields.required("reach"), ("at", "within"), top.jitter)
    within = goal.number("within", 1.0, SECONDS[1], duration)
    if within > duration:
        raise goal.required("within").error(f"at most the duration of {duration:g} s", f"{within:g}")
    clearance = fields.get("clearance")
    near = {} if clearance is None else mapping(clearance, "a mapping from actors to metres")
    for name, node in near.items():
        if name not in actors:
            raise node.error(f"one of {', '.join(actors)}", f"the unknown actor {name[:60]!r}")
    passed = fields.get("passed_by")
    return Success(
        reach=goal.number("at", 5.0, ALONG[1]),
        within=within,
        max_impact_speed=fields.number("max_impact_speed", 0.0, 30.0, 0.0),
        max_offset=fields.number("max_offset", 0.1, 20.0) if "max_offset" in fields else float("inf"),
        max_speed=fields.number("max_speed", 1.0, 30.0) if "max_speed" in fields else float("inf"),
        clearance=tuple((name, number(node, 0.0, 10.0, top.jitter)) for name, node in near.items()),
        passed_by=() if passed is None else words(passed, actors),
    )
