"""From a YAML file to a scenario: every field checked, every reference resolved, nothing run."""

from __future__ import annotations

import math
from pathlib import Path

from drivesim.scenarios.event_reader import read_events
from drivesim.scenarios.fields import (
    ACROSS,
    ALONG,
    SECONDS,
    SPEED,
    Fields,
    Jitter,
    check_name,
    mapping,
    number,
    word,
    words,
)
from drivesim.scenarios.schema import (
    LANES,
    PATHS,
    PLACES,
    PRIORITIES,
    SIDES,
    SKILLS,
    TURNS,
    Actor,
    EgoStart,
    Place,
    Scenario,
    Success,
)
from drivesim.scenarios.yaml_tree import Node, read_tree
from drivesim.scene import OBJECT_CLASSES, TIMES_OF_DAY, WEATHERS

MAX_ACTORS, MAX_POINTS = 40, 60
_TOP = (
    "title", "skill", "difficulty", "town", "place", "ego", "traffic", "weather", "time_of_day", "duration", "actors",
    "events", "success",
)  # fmt: skip


def read_scenario(path: Path, variant: int = 0, shown: str | None = None) -> Scenario:
    """The scenario of a file with the jitter of a variant drawn (0: the middles of all ranges).

    Raises ScenarioError that names file, line, field, what was found and what is accepted; `shown` is the file's name
    in it.
    """
    return scenario_of(read_tree(path, shown), path.stem, variant)


def scenario_of(tree: Node, name: str, variant: int = 0) -> Scenario:
    """The scenario of that name in a tree, likewise."""
    top = Fields(tree, _TOP, Jitter(name, variant))
    actors = _actors(top)
    names = [actor.name for actor in actors]
    duration = top.number("duration", 2.0, SECONDS[1], 30.0)
    return Scenario(
        name=name,
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
        events=read_events(top, names, [actor.name for actor in actors if actor.path in ("across", "crossing")]),
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
        check_name(name, node)
        if len(actors) == MAX_ACTORS:
            raise node.error(f"at most {MAX_ACTORS} actors", "one more")
        actors.append(_actor(name, node, top.jitter))
    return tuple(actors)


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
        "points",
        "present",
    )
    fields = Fields(node, names, jitter)
    path = fields.choice("path", PATHS, "along")
    ignored = {
        "crossing": ("at", "lane", "offset", "points"), "across": ("lane", "offset", "turn", "points"),
        "points": ("at", "lane", "offset", "side", "turn", "before"),
    }  # fmt: skip
    for unused in ignored.get(path, ("side", "turn", "before", "points")):
        if unused in fields:
            raise fields.required(unused).error("a field that this path has", f"a field that path {path!r} ignores")
    if path == "across" and "side" in fields:
        word(fields.required("side"), SIDES[:2])
    if path == "across":
        fields.required("before")
    if path not in ("crossing", "points"):
        fields.required("at")
    actor = Actor(
        name=name,
        class_name=fields.choice("class", OBJECT_CLASSES),
        path=path,
        at=fields.number("at", *ALONG, 0.0),
        lane=fields.choice("lane", LANES, "ego"),
        offset=fields.number("offset", *ACROSS, 0.0),
        points=_points(fields) if path == "points" else (),
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


def _points(fields: Fields) -> tuple[tuple[float, float], ...]:
    node = fields.required("points")
    items = node.value if isinstance(node.value, list) else []
    if not 2 <= len(items) <= MAX_POINTS:
        raise node.error(f"a list of 2 to {MAX_POINTS} points, [at, offset] each")
    points = []
    for item in items:
        if not isinstance(item.value, list) or len(item.value) != 2:
            raise item.error("a point [at, offset]")
        at, offset = item.value
        points.append((number(at, *ALONG, fields.jitter), number(offset, *ACROSS, fields.jitter)))
    if all(point == points[0] for point in points):
        raise node.error("points that are not all the same", "one place")
    return tuple(points)


def _size(fields: Fields) -> tuple[float, float, float] | None:
    node = fields.get("size")
    if node is None:
        return None
    if not isinstance(node.value, list) or len(node.value) != 3:
        raise node.error("a list of width, length and height [m]")
    width, length, height = (number(item, 0.1, 20.0, fields.jitter) for item in node.value)
    return width, length, height


def _success(top: Fields, actors: list[str], duration: float) -> Success:
    names = ("reach", "last", "max_impact_speed", "max_offset", "max_speed", "clearance", "passed_by")
    fields = Fields(top.required("success"), names, top.jitter)
    at, within = _goal(fields, duration)
    clearance = fields.get("clearance")
    near = {} if clearance is None else mapping(clearance, "a mapping from actors to metres")
    for name, node in near.items():
        if name not in actors:
            raise node.error(f"one of {', '.join(actors)}", f"the unknown actor {name[:60]!r}")
    passed = fields.get("passed_by")
    return Success(
        reach=at,
        within=within,
        max_impact_speed=fields.number("max_impact_speed", 0.0, 30.0, 0.0),
        max_offset=fields.number("max_offset", 0.1, 20.0) if "max_offset" in fields else float("inf"),
        max_speed=fields.number("max_speed", 1.0, 30.0) if "max_speed" in fields else float("inf"),
        clearance=tuple((name, number(node, 0.0, 10.0, top.jitter)) for name, node in near.items()),
        passed_by=() if passed is None else words(passed, actors),
    )


def _goal(fields: Fields, duration: float) -> tuple[float | None, float]:
    """The place to reach [m], None for none, and the time that there is for it [s]."""
    if "last" in fields:
        if "reach" in fields:
            raise fields.required("last").error("either `reach` or `last`", "both")
        if not fields.flag("last", True):
            raise fields.required("last").error("true, or no such field")
        return None, duration
    goal = Fields(fields.required("reach"), ("at", "within"), fields.jitter)
    within = goal.number("within", 1.0, SECONDS[1], duration)
    if within > duration:
        raise goal.required("within").error(f"at most the duration of {duration:g} s", f"{within:g}")
    return goal.number("at", 5.0, ALONG[1]), within
