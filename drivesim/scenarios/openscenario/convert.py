"""From an OpenSCENARIO 1.x file to a scenario file, with a list of all that is not simply taken over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from drivesim.scenarios.openscenario.cast import Cast, Part, actor_fields, check_reach, rounded
from drivesim.scenarios.openscenario.catalogs import catalogs_of
from drivesim.scenarios.openscenario.document import Element, declared, read_document
from drivesim.scenarios.openscenario.entities import choose_ego, read_entities
from drivesim.scenarios.openscenario.findings import APPROXIMATED, KINDS, LEFT_OUT, Finding
from drivesim.scenarios.openscenario.positions import Frame
from drivesim.scenarios.openscenario.starts import read_starts
from drivesim.scenarios.openscenario.storyboard import Story
from drivesim.scenarios.yaml_tree import ScenarioError

TOWN = 900_104  # has straight roads with one, two and three lanes, and oncoming ones beside one and two
WIDE_TOWN = 900_100  # has oncoming lanes beside three as well
DURATION = 30.0  # [s], where the file sets no end
EGO_SPEED = 40.0  # [m/s] at most


@dataclass(frozen=True)
class ImportSettings:
    """How a file is laid down. `parameters` replace the values that it declares."""

    ego: str | None = None  # name of the entity that the policy drives
    town: int | None = None  # seed; None: one that has the lanes that are needed
    pick: int = 0  # how-manieth fitting place
    traffic: int = 0  # road users of the background
    skill: str = "other"
    difficulty: int = 1
    strict: bool = False  # refuses a file of which anything is left out
    parameters: Mapping[str, str | float] | None = None


@dataclass(frozen=True)
class Imported:
    """A scenario file as text, and what of the original is not simply taken over."""

    text: str
    findings: tuple[Finding, ...]

    def listed(self) -> str:
        """The findings, one to a line."""
        return "\n".join(map(str, self.findings))


def import_openscenario(path: str | Path, settings: ImportSettings | None = None, shown: str | None = None) -> Imported:
    """Reads an OpenSCENARIO 1.x file (.xosc).

    Everything in it is either taken over, has no effect in a town (looks, axles, authors), or is listed. Raises
    ScenarioError that names file, line and element where the file is wrong, or, if `strict`, where something is left
    out; ModuleNotFoundError without the extra `openscenario`.
    """
    settings = settings or ImportSettings()
    root = read_document(Path(path), shown)
    _check_version(root)
    parameters = {name: str(value) for name, value in (settings.parameters or {}).items()}
    declares = root.get("ParameterDeclarations")
    names = [] if declares is None else [item.name().lstrip("$") for item in declares.all("ParameterDeclaration")]
    for name in parameters:
        if name not in names:
            raise root.error(f"no parameter {name!r} to set", f"one of {', '.join(names) or 'none'}")
    root = root.with_parameters(declared(root, parameters))
    content = _content(root, settings)
    root.note_unread()
    findings = tuple(sorted(root.record.findings, key=lambda f: (KINDS.index(f.kind), f.file, f.line)))
    missing = [finding for finding in findings if finding.kind == LEFT_OUT]
    if settings.strict and missing:
        listed = "\n".join(map(str, missing))
        raise ScenarioError(f"{root.file}:{missing[0].line}: found what is left out, accepted nothing such:\n{listed}")
    return Imported(_text(root, content, findings), findings)


def _check_version(root: Element) -> None:
    if root.tag != "OpenSCENARIO":
        raise root.error(f"an element {root.tag}", "OpenSCENARIO as the root")
    header = root.need("FileHeader")
    header.pass_over()
    major = header.text("revMajor")
    if major != "1":
        raise header.error(f"{major!r}", "1, as ASAM OpenSCENARIO XML 1.x is read", "revMajor")
    for tag, what in (("Catalog", "a catalog"), ("ParameterValueDistribution", "a distribution of parameters")):
        if root.get(tag) is not None:
            raise root.error(what, "a scenario")


def _content(root: Element, settings: ImportSettings) -> dict[str, Any]:
    """The scenario file as a mapping."""
    catalogs = catalogs_of(root)
    entities = read_entities(root, catalogs)
    ego = choose_ego(root, entities, settings.ego)
    for name, entity in entities.items():
        for controller in entity.element.all("ObjectController"):
            if name == ego.name:
                controller.pass_over()
            else:
                controller.leave_out("entities are moved by the events of the scenario alone")
    description = root.need("FileHeader").node.get("description", "")
    frame = Frame(mirrored=description.startswith("CARLA:"))
    cast = Cast({name: Part(entity, name == ego.name) for name, entity in entities.items()}, frame, ego.name)
    story = Story(cast, catalogs, {part.entity.actor for part in cast.parts.values()})
    storyboard = root.need("Storyboard")
    network = root.get("RoadNetwork")
    if network is not None:
        network.find(APPROXIMATED, "laid along a road of a town; the road network itself is not read")
        network.pass_over()
    weather, first = read_starts(storyboard, cast, catalogs)
    for part, step in first:
        story.begin(part, step)
    story.read(storyboard)
    events = story.events(storyboard)
    for part in cast.parts.values():
        check_reach(part)
    actors = {p.entity.actor: actor_fields(p) for p in cast.parts.values() if p.begin is not None and not p.is_ego}
    place = _place(cast, settings)
    wide = place.get("lanes") == 3 and "oncoming" in place
    content: dict[str, Any] = {
        "title": _title(description) or "An imported scenario",
        "skill": settings.skill,
        "difficulty": settings.difficulty,
        "town": settings.town if settings.town is not None else WIDE_TOWN if wide else TOWN,
        "place": place,
        "ego": _ego(cast),
        "traffic": settings.traffic,
        **weather,
        "duration": _duration(events),
    }
    content |= {"actors": actors} if actors else {}
    content |= {"events": events} if events else {}
    content["success"] = _success(story.criteria, root)
    return content


def _title(description: str) -> str:
    return re.sub(r"\s+", " ", "".join(c for c in description if c.isprintable())).strip()[:100]


def _ego(cast: Cast) -> dict[str, float]:
    part, offset = cast.parts[cast.ego], cast.frame.ego_offset
    if part.first_speed > EGO_SPEED:
        part.entity.element.find(APPROXIMATED, f"the ego starts at {EGO_SPEED:g} instead of {part.first_speed:g} m/s")
    found = {"speed": rounded(min(part.first_speed, EGO_SPEED))}
    if abs(offset) > 3.0:
        part.entity.element.find(APPROXIMATED, f"the ego starts 3 m beside the middle of its lane, not {offset:g} m")
    return found | ({"offset": rounded(min(max(offset, -3.0), 3.0))} if offset else {})


def _place(cast: Cast, settings: ImportSettings) -> dict[str, Any]:
    """A straight stretch that has the lanes which somebody takes."""
    lanes = set().union(*(part.lanes for part in cast.parts.values() if not part.is_ego))
    far = max((part.begin.at for part in cast.parts.values() if part.begin is not None), default=0.0)
    place: dict[str, Any] = {"kind": "straight", "length": rounded(min(max(far + 20.0, 60.0), 150.0))}
    if {"left", "right"} <= lanes:
        place["lanes"] = 3
    elif {"left", "right"} & lanes:
        place |= {"lanes": 2, "lane": "right" if "left" in lanes else "left"}
    if "oncoming" in lanes:
        place["oncoming"] = True
    return place | ({"pick": settings.pick} if settings.pick else {})


def _duration(events: dict[str, dict[str, Any]]) -> float:
    """Long enough for what happens at a given time."""
    whens = [event["when"] for event in events.values()]
    groups = [group for when in whens for group in (when if isinstance(when, list) else [when])]
    latest = max((float(group.get("time", 0.0)) for group in groups), default=0.0)
    return min(max(DURATION, latest + 5.0), 120.0)


def _success(criteria: dict[str, float], root: Element) -> dict[str, Any]:
    if "reach" not in criteria:
        return {"last": True}
    if not 5.0 <= criteria["reach"] <= 240.0:
        root.find(APPROXIMATED, f"a distance of {criteria['reach']:g} m to drive is limited to 5 to 240 m")
    return {"reach": {"at": rounded(min(max(criteria["reach"], 5.0), 240.0))}}


class _Plain(yaml.SafeDumper):
    """Writes everything out: scenario files have no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Of everything."""
        return True


def _text(root: Element, content: dict[str, Any], findings: tuple[Finding, ...]) -> str:
    head = [f"# Imported from {Path(root.file).name} (ASAM OpenSCENARIO XML)."]
    head += [f"# {_title_line(finding)}" for finding in findings]
    body = yaml.dump(content, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=118, allow_unicode=True)
    return "\n".join(head) + "\n" + body


def _title_line(finding: Finding) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", f"line {finding.line}: {finding.kind}: {finding.path}: {finding.text}")
