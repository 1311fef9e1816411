"""A strict subset of YAML as a tree that remembers its lines: no anchors, aliases, tags, merges or repeated keys."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

MAX_BYTES = 200_000
MAX_DEPTH = 12
MAX_NODES = 5_000
_NUMBER = re.compile(r"[-+]?\d{1,9}(\.\d{0,9})?([eE][-+]?\d)?")

Scalar = float | bool | str | None


class ScenarioError(ValueError):
    """A scenario that cannot be played: file, line, field, what was found and what is accepted."""


@dataclass(frozen=True)
class Node:
    """A value with the place where it stands. `value`: a scalar, a list of nodes, or a dict from key to node."""

    value: Scalar | list[Node] | dict[str, Node]
    line: int
    file: str
    field: str  # dotted path from the top, empty for the top itself

    def error(self, accepted: str, found: str | None = None) -> ScenarioError:
        """What is wrong with this value."""
        found = described(self) if found is None else found
        return ScenarioError(f"{self.file}:{self.line}: {self.field or 'file'}: found {found}, accepted {accepted}")


def described(node: Node) -> str:
    """A value in a few words."""
    if isinstance(node.value, dict):
        return "a mapping" if node.value else "an empty mapping"
    if isinstance(node.value, list):
        return f"a list of {len(node.value)}"
    if node.value is None:
        return "nothing"
    text = repr(node.value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_tree(path: Path, name: str | None = None) -> Node:
    """The tree of a file. Raises ScenarioError if it is missing, too large, not YAML, or uses what is not accepted."""
    name = str(path) if name is None else name
    top = Node(None, 1, name, "")
    if not path.is_file():
        raise top.error("a scenario file", "no such file")
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise top.error(f"at most {MAX_BYTES}", f"{len(data)} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Node(None, line, name, "").error("text in UTF-8", f"byte {data[error.start]:#04x}") from None
    return tree_of(text, name)


def tree_of(text: str, name: str) -> Node:
    """The tree of a text that stands for a file of that name; ScenarioError likewise."""
    return _Builder(name).build(text)


class _Builder:
    """Turns the events of the YAML parser into nodes, so that nothing is ever constructed or expanded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def build(self, text: str) -> Node:
        try:
            events = self._checked(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(mark.line + 1 if mark else 1, "", f"{error.problem}", "well-formed YAML") from None
        except yaml.YAMLError as error:
            raise self._error(1, "", str(error).splitlines()[0], "well-formed YAML") from None
        if not events:
            raise self._error(1, "", "an empty file", "a mapping of fields")
        self.events = iter(events)
        return self._node(next(self.events), "")

    def _error(self, line: int, field: str, found: str, accepted: str) -> ScenarioError:
        return Node(None, line, self.name, field).error(accepted, found)

    def _checked(self, text: str) -> list[yaml.Event]:
        """Events of the only document, its frame left out."""
        kept: list[yaml.Event] = []
        documents = depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            line = event.start_mark.line + 1
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise self._error(line, "", "a second document", "one document per file")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise self._error(line, "", f"anchor or alias {event.anchor!r}", "values written out")
            if getattr(event, "tag", None):
                raise self._error(line, "", f"tag {event.tag!r}", "values without tags")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise self._error(line, "", f"nesting deeper than {MAX_DEPTH}", f"at most {MAX_DEPTH} levels")
            if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent, yaml.CollectionEndEvent)):
                kept.append(event)
            if len(kept) > MAX_NODES:
                raise self._error(line, "", f"more than {MAX_NODES} values", f"at most {MAX_NODES}")
        return kept

    def _node(self, event: yaml.Event, field: str) -> Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(field), line, self.name, field)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self._node(event, f"{field}[{len(items)}]"))
            return Node(items, line, self.name, field)
        return Node(_scalar(event), line, self.name, field)

    def _mapping(self, field: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent) or not event.value:
                raise self._error(line, field or "file", "a key that is no word", "words as keys")
            key = event.value
            inner = f"{field}.{key}" if field else key
            if key in entries:
                raise self._error(line, inner, f"the key again (first on line {entries[key].line})", "each key once")
            entries[key] = replace(self._node(next(self.events), inner), line=line)
        return entries


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    """Quoted text stays text; plain text is a decimal number, true, false, nothing, or text."""
    text = event.value
    if event.style is not None:
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    return float(text) if _NUMBER.fullmatch(text) else text
