"""Reads the events of a scenario file: when something happens, and what."""

from __future__ import annotations

import math

from drivesim.scenarios.condition_reader import EGO, Names, read_when
from drivesim.scenarios.fields import ACROSS, SECONDS, SPEED, Fields, Jitter, check_name, words
from drivesim.scenarios.schema import FAULTS, LANES, SIDES, Action, CameraFault, Event, KeepDistance
from drivesim.scenarios.yaml_tree import Node
from drivesim.scene import CAMERAS, TIMES_OF_DAY, WEATHERS

MAX_EVENTS = 60


def read_events(top: Fields, actors: list[str], crossing: list[str]) -> tuple[Event, ...]:
    """Events in the order of the file; each may follow earlier or later ones, but not itself in the end. One that
    does nothing is a mark that others follow."""
    nodes = dict(top.sections("events"))
    events: list[Event] = []
    for name, node in nodes.items():
        check_name(name, node)
        if len(events) == MAX_EVENTS:
            raise node.error(f"at most {MAX_EVENTS} events", "one more")
        fields = Fields(node, ("when", "do"), top.jitter)
        when = read_when(fields.required("when"), Names(actors, crossing, list(nodes), top.jitter))
        action = _action(fields.required("do"), actors, top.jitter) if "do" in fields else Action()
        events.append(Event(name, when, action, node.line))
    _refuse_cycles(events, nodes)
    return tuple(events)


def _refuse_cycles(events: list[Event], nodes: dict[str, Node]) -> None:
    follows = {
        event.name: [c.event for group in event.when.alternatives for c in group if c.event is not None]
        for event in events
    }
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        if name in way:
            loop = " -> ".join([*way[way.index(name) :], name])
            raise nodes[way[0]].error("events that do not wait for themselves", f"the cycle {loop}")
        if name not in done:
            for other in follows[name]:
                visit(other, [*way, name])
            done.add(name)

    for event in events:
        visit(event.name, [])


_OF_ACTOR = (
    "speed", "speed_like", "rate", "speed_over", "speed_within", "keep", "lane", "offset", "over", "over_metres",
    "reacts", "door", "door_side", "appear", "vanish",
)  # fmt: skip
_OF_WORLD = ("weather", "time_of_day", "camera_fault", "finish")
_MANNERS = ("actor", "rate", "speed_over", "speed_within", "over", "over_metres", "door_side")


def _action(node: Node, actors: list[str], jitter: Jitter) -> Action:
    fields = Fields(node, ("actor", *_OF_ACTOR, *_OF_WORLD), jitter)
    if not [name for name in fields.entries if name not in _MANNERS]:
        accepted = [name for name in (*_OF_ACTOR, *_OF_WORLD) if name not in _MANNERS]
        raise node.error(f"at least one of {', '.join(accepted)}", "nothing to do")
    needs = [name for name in _OF_ACTOR if name in fields]
    if needs and "actor" not in fields:
        raise fields.required(needs[0]).error("it together with `actor`", f"{needs[0]} of nobody")
    _refuse_both(
        fields, ("speed", "speed_like", "keep"), ("rate", "speed_over", "speed_within"), ("over", "over_metres")
    )
    actor = fields.choice("actor", actors) if "actor" in fields else None
    others = [EGO, *(name for name in actors if name != actor)]
    speed, like, times = _speed(fields, others)
    lateral = "lane" in fields or "offset" in fields
    fault = fields.get("camera_fault")
    return Action(
        actor=actor,
        speed=speed,
        speed_like=like,
        times=times,
        rate=fields.number("rate", 0.1, 1000.0, 3.0),
        speed_over=fields.number("speed_over", 0.05, SECONDS[1]) if "speed_over" in fields else None,
        speed_within=fields.number("speed_within", 0.1, 500.0) if "speed_within" in fields else None,
        keep=_keep(fields, others),
        lane=fields.choice("lane", LANES, "ego") if lateral else None,
        offset=fields.number("offset", *ACROSS, 0.0) if lateral else None,
        over=fields.number("over", 0.1, 60.0, 2.0),
        over_metres=fields.number("over_metres", 0.1, 500.0) if "over_metres" in fields else None,
        reacts=fields.flag("reacts", False) if "reacts" in fields else None,
        door=fields.number("door", 0.1, 1.5) if "door" in fields else None,
        door_side=fields.choice("door_side", SIDES[:2], "left"),
        appear=fields.flag("appear", False),
        vanish=fields.flag("vanish", False),
        weather=fields.choice("weather", WEATHERS) if "weather" in fields else None,
        time_of_day=fields.choice("time_of_day", TIMES_OF_DAY) if "time_of_day" in fields else None,
        fault=None if fault is None else _fault(fault, jitter),
        finish=fields.flag("finish", False),
    )


def _refuse_both(fields: Fields, *alternatives: tuple[str, ...]) -> None:
    for names in alternatives:
        given = [name for name in names if name in fields]
        if len(given) > 1:
            raise fields.required(given[1]).error(f"one of {', '.join(names)}", " and ".join(given))


def _speed(fields: Fields, others: list[str]) -> tuple[float | None, str | None, bool]:
    """The wanted speed, or whose speed it is measured by, and whether as a multiple of it."""
    node = fields.get("speed_like")
    if node is None:
        return (fields.number("speed", *SPEED) if "speed" in fields else None), None, False
    like = Fields(node, ("of", "times", "plus"), fields.jitter)
    if ("times" in like) == ("plus" in like):
        raise node.error("either `times` or `plus`", "both" if "times" in like else "neither of them")
    of = like.choice("of", others)
    if "times" in like:
        return like.number("times", 0.0, 10.0), of, True
    return like.number("plus", -SPEED[1], SPEED[1]), of, False


def _keep(fields: Fields, others: list[str]) -> KeepDistance | None:
    node = fields.get("keep")
    if node is None:
        return None
    keep = Fields(node, ("to", "gap", "seconds", "ahead"), fields.jitter)
    to = keep.choice("to", others)
    return KeepDistance(
        None if to == EGO else to, keep.number("gap", 0.0, 200.0, 0.0), keep.number("seconds", 0.0, 20.0, 0.0),
        keep.flag("ahead", False),
    )  # fmt: skip


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
