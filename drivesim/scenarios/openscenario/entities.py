"""Who takes part: entities with class and size, and which of them is the ego."""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivesim.scenarios.openscenario.catalogs import Catalogs
from drivesim.scenarios.openscenario.document import Element
from drivesim.scenarios.openscenario.findings import APPROXIMATED, POLICY

_VEHICLES = {
    "car": "car", "van": "car", "truck": "truck", "semitrailer": "trailer", "trailer": "trailer", "bus": "bus",
    "motorbike": "motorcycle", "bicycle": "bicycle",
}  # fmt: skip
_ALMOST = {
    "train": "bus", "tram": "bus", "standupScooter": "bicycle", "wheelchair": "pedestrian",
    "workMachine": "construction_vehicle",
}  # fmt: skip
_OBJECTS = {"barrier": "barrier", "obstacle": "barrier", "pylon": "traffic_cone", "none": "barrier"}
_OF_CATALOG = {"Vehicle": "car", "Pedestrian": "pedestrian", "MiscObject": "barrier"}
_EGO_NAMES = ("ego", "hero", "egovehicle", "ego_vehicle", "host", "hostvehicle")
_WIDEST = 2.0  # [m] of a pedestrian
_NO_EFFECT = ("Performance", "Axles", "Properties", "ParameterDeclarations")


@dataclass(frozen=True)
class Entity:
    """A participant. `size` (width, length, height) [m] and `centre` of the body before the reference point [m]."""

    name: str  # in the file
    actor: str  # in the scenario
    class_name: str
    size: tuple[float, float, float] | None
    centre: float
    marked_as_ego: bool
    element: Element


def read_entities(root: Element, catalogs: Catalogs) -> dict[str, Entity]:
    """All entities by name, in the order of the file."""
    found: dict[str, Entity] = {}
    names: set[str] = set()
    for item in root.need("Entities").children():
        if item.tag != "ScenarioObject":
            continue
        item.record.elements.add(item.node)
        name = item.text("name")
        if name in found:
            raise item.error(f"the name {name!r} again", "names that differ", "name")
        actor = identifier(name, names)
        found[name] = _entity(item, name, actor, catalogs)
    if not found:
        raise root.need("Entities").error("no ScenarioObject", "at least one")
    return found


def identifier(name: str, taken: set[str]) -> str:
    """A name as scenario files accept it, unlike those that are taken, and takes it."""
    word = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")[:34]
    word = word if word[:1].isalpha() else f"n{word}"
    number, result = 1, word
    while result in taken or result == "ego":
        number += 1
        result = f"{word}_{number}"
    taken.add(result)
    return result


def _entity(item: Element, name: str, actor: str, catalogs: Catalogs) -> Entity:
    kinds = [child for child in item.children() if child.tag != "ObjectController"]
    if not kinds:
        raise item.error("nothing in it", "a Vehicle, Pedestrian, MiscObject or CatalogReference")
    kind = kinds[0]
    item.record.elements.add(kind.node)
    if kind.tag == "CatalogReference":
        entry = catalogs.entry(kind)
        if entry is None:
            catalog = kind.text("catalogName")
            guess = next((known for word, known in _OF_CATALOG.items() if word in catalog), "car")
            kind.find(APPROXIMATED, f"catalog {catalog} is not at hand: a {guess} of usual size")
            return Entity(name, actor, guess, None, 1.4 if guess == "car" else 0.0, False, item)
        kind = entry
    if kind.tag not in _OF_CATALOG:
        kind.leave_out("an entity of this kind is not supported: a barrier of usual size")
        return Entity(name, actor, "barrier", None, 0.0, False, item)
    class_name = _class_of(kind)
    size, centre = _box(kind)
    if class_name == "pedestrian" and size is not None and max(size[:2]) > _WIDEST:
        kind.find(APPROXIMATED, f"a pedestrian {size[0]:g} m wide and {size[1]:g} m long gets the usual size")
        size, centre = None, 0.0
    return Entity(name, actor, class_name, size, centre, _says_ego(kind), item)


def _class_of(kind: Element) -> str:
    kind.mark("name", "model", "model3d", "mass", "role")
    if kind.tag == "Pedestrian":
        category = kind.text("pedestrianCategory", "pedestrian")
        if category != "pedestrian":
            kind.find(APPROXIMATED, f"a {category} is played as a pedestrian")
        return "pedestrian"
    attribute, known = ("vehicleCategory", _VEHICLES) if kind.tag == "Vehicle" else ("miscObjectCategory", _OBJECTS)
    category = kind.text(attribute, "car" if kind.tag == "Vehicle" else "none")
    if category in known:
        return known[category]
    guess = _ALMOST.get(category, "car" if kind.tag == "Vehicle" else "barrier")
    kind.find(APPROXIMATED, f"{attribute} {category!r} is played as a {guess}")
    return guess


def _box(kind: Element) -> tuple[tuple[float, float, float] | None, float]:
    """Size of the bounding box and how far its centre is before the reference point [m]."""
    for child in kind.children():
        if child.tag in _NO_EFFECT:
            child.pass_over() if child.tag != "Properties" else child.record.elements.add(child.node)
    box = kind.get("BoundingBox")
    if box is None:
        return None, 0.0
    centre, dimensions = box.need("Center"), box.need("Dimensions")
    centre.mark("y", "z")
    sides = tuple(dimensions.number(name) for name in ("width", "length", "height"))
    limits = [min(max(side, 0.1), 20.0) for side in sides]
    if limits != list(sides):
        dimensions.find(APPROXIMATED, f"a size of {sides} m is limited to 0.1 to 20 m")
    return (limits[0], limits[1], limits[2]), centre.number("x")


def _says_ego(kind: Element) -> bool:
    properties = kind.get("Properties")
    says = False
    for item in [] if properties is None else list(properties.children()):
        item.pass_over()
        says |= item.node.get("value") in ("ego_vehicle", "hero")
    return says


def choose_ego(root: Element, entities: dict[str, Entity], wanted: str | None) -> Entity:
    """The entity that the policy drives: the one asked for, else one marked or named so, else the first vehicle."""
    if wanted is not None:
        if wanted not in entities:
            raise root.error(f"ego {wanted!r}", f"one of {', '.join(entities)}")
        return entities[wanted]
    drivers = [entity for entity in entities.values() if entity.class_name not in ("pedestrian", "barrier")]
    for entity in drivers:
        if entity.marked_as_ego or entity.name.lower() in _EGO_NAMES:
            return entity
    if not drivers:
        raise root.need("Entities").error("no vehicle", "a vehicle that can be the ego")
    drivers[0].element.find(POLICY, "no entity is named or marked as ego: the first vehicle is taken as the ego")
    return drivers[0]
