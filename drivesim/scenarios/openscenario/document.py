"""An XML file as elements that know their place and remember what of them has been read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from drivesim.scenarios.openscenario.expressions import ExpressionError, resolve
from drivesim.scenarios.openscenario.findings import LEFT_OUT, Finding
from drivesim.scenarios.yaml_tree import ScenarioError

MAX_BYTES = 5_000_000


def lxml_etree() -> ModuleType:
    """The XML library; ModuleNotFoundError that says how to get it."""
    try:
        from lxml import etree
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("reading .xosc files needs lxml: pip install drivesim[openscenario]") from error
    return etree


@dataclass
class Record:
    """What has been read, over all files of an import, and what came of it."""

    findings: list[Finding] = field(default_factory=list)
    elements: set[Any] = field(default_factory=set)
    attributes: set[tuple[Any, str]] = field(default_factory=set)


@dataclass(frozen=True)
class Element:
    """An element of a file with the parameters that hold in it. Reading marks it and its attributes as read."""

    node: Any
    file: str
    folder: Path
    record: Record
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Name of the element."""
        return str(self.node.tag)

    @property
    def line(self) -> int:
        """Line of the file where it begins."""
        return int(self.node.sourceline or 1)

    @property
    def path(self) -> str:
        """Where it stands, with names."""
        nodes = [*reversed(list(self.node.iterancestors())), self.node]
        return "/".join(_shown(node) for node in nodes)

    def error(self, found: str, accepted: str, attribute: str | None = None) -> ScenarioError:
        """What is wrong with it."""
        where = self.path if attribute is None else f"{self.path}@{attribute}"
        return ScenarioError(f"{self.file}:{self.line}: {where}: found {found}, accepted {accepted}")

    def find(self, kind: str, text: str) -> None:
        """Notes that it is not simply taken over."""
        self.record.findings.append(Finding(kind, self.file, self.line, self.path, text))

    def leave_out(self, text: str = "not supported") -> None:
        """Notes that it is no part of the scenario, with all that is in it."""
        self.find(LEFT_OUT, text)
        self.pass_over()

    def pass_over(self) -> None:
        """Marks it and all that is in it as read."""
        for node in self.node.iter("*"):
            self.record.elements.add(node)
            self.record.attributes.update((node, name) for name in node.attrib)

    def with_parameters(self, more: Mapping[str, str]) -> Element:
        """The same element where further parameters hold."""
        return Element(self.node, self.file, self.folder, self.record, {**self.parameters, **more})

    def children(self) -> Iterator[Element]:
        """Elements in it; it counts as read, they do not yet."""
        self.record.elements.add(self.node)
        for node in self.node.iterchildren("*"):
            yield Element(node, self.file, self.folder, self.record, self.parameters)

    def all(self, tag: str) -> list[Element]:
        """Elements in it of a name, which count as read."""
        found = [child for child in self.children() if child.tag == tag]
        self.record.elements.update(child.node for child in found)
        return found

    def get(self, tag: str) -> Element | None:
        """The first element in it of a name, None if there is none."""
        found = [child for child in self.children() if child.tag == tag]
        if found:
            self.record.elements.add(found[0].node)
        return found[0] if found else None

    def need(self, tag: str) -> Element:
        """The first element in it of a name, which must be there."""
        found = self.get(tag)
        if found is None:
            raise self.error(f"no {tag}", f"an element {tag} in it")
        return found

    def only(self, accepted: str = "an element") -> Element:
        """The element in it of which there is one choice."""
        found = list(self.children())
        if not found:
            raise self.error("nothing in it", accepted)
        self.record.elements.add(found[0].node)
        return found[0]

    def text(self, name: str, default: str | None = None) -> str:
        """An attribute with parameters and expressions resolved; required without `default`."""
        self.record.attributes.add((self.node, name))
        raw = self.node.get(name)
        if raw is None:
            if default is None:
                raise self.error("no such attribute", "a value", name)
            return default
        try:
            return resolve(raw, self.parameters)
        except ExpressionError as error:
            raise ScenarioError(f"{self.file}:{self.line}: {self.path}@{name}: {error}") from None

    def raw(self, name: str, default: str = "") -> str:
        """An attribute as it stands."""
        self.record.attributes.add((self.node, name))
        return str(self.node.get(name, default))

    def name(self, default: str = "") -> str:
        """The attribute `name` as it stands: names may look like expressions and be none."""
        return self.raw("name", default)

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute that is a number."""
        if default is not None and self.node.get(name) is None:
            return default
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            raise self.error(repr(text[:60]), "a number", name) from None
        if not math.isfinite(value):
            raise self.error(repr(text[:60]), "a finite number", name)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """An attribute that is true or false."""
        text = self.text(name, "true" if default else "false").lower()
        if text not in ("true", "false", "1", "0"):
            raise self.error(repr(text[:60]), "true or false", name)
        return text in ("true", "1")

    def mark(self, *names: str) -> None:
        """Counts attributes as read that make no difference."""
        self.record.attributes.update((self.node, name) for name in names)

    def note_unread(self) -> None:
        """Notes all that has not been read in it."""
        if self.node not in self.record.elements:
            return self.leave_out()
        for name in self.node.attrib:
            if (self.node, name) not in self.record.attributes and not name.startswith("{"):
                self.find(LEFT_OUT, f"attribute {name} = {self.node.get(name)[:60]!r}")
        for child in self.children():
            child.note_unread()


def _shown(node: Any) -> str:
    name = node.get("name") or node.get("entityRef")
    return f"{node.tag}[{name}]" if name else str(node.tag)


def read_document(path: Path, shown: str | None = None, record: Record | None = None) -> Element:
    """The root element of an XML file. Nothing outside the file is ever read, no entity expanded.

    Raises ScenarioError if it is missing, too large, not XML, or has a document type declaration.
    """
    etree = lxml_etree()
    shown = str(path) if shown is None else shown
    if not path.is_file():
        raise ScenarioError(f"{shown}:1: file: found no such file, accepted an OpenSCENARIO file")
    if path.stat().st_size > MAX_BYTES:
        raise ScenarioError(f"{shown}:1: file: found {path.stat().st_size} bytes, accepted at most {MAX_BYTES}")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        tree = etree.fromstring(path.read_bytes(), parser).getroottree()
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        raise ScenarioError(f"{shown}:{line}: file: found {error.msg}, accepted well-formed XML") from None
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise ScenarioError(f"{shown}:1: file: found a document type declaration, accepted XML without one")
    return Element(tree.getroot(), shown, path.parent, record or Record())


def declared(element: Element, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Values of the parameters that an element declares, replaced by `given` ones."""
    declarations = element.get("ParameterDeclarations")
    values: dict[str, str] = {}
    for item in [] if declarations is None else declarations.all("ParameterDeclaration"):
        name = item.name().lstrip("$")
        item.mark("parameterType", "value")
        inside = item.with_parameters(values)
        values[name] = str((given or {}).get(name, "")) or inside.text("value")
        for group in item.all("ConstraintGroup"):
            group.leave_out("constraints of parameters are not checked")
    return values
