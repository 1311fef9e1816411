"""Reads the fields of a mapping, each checked against what is accepted; jittered numbers are drawn on the way."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drivesim.scenarios.yaml_tree import Node
from drivesim.town.hashing import mix, unit

SPEED, ALONG, ACROSS, SECONDS = (0.0, 60.0), (-100.0, 240.0), (-20.0, 20.0), (0.0, 120.0)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Jitter:
    """Draws numbers from the range of a field by hash, so that no field depends on another. Variant 0 takes middles."""

    name: str
    variant: int

    def draw(self, field: str, low: float, high: float) -> float:
        """A number of the range for a field."""
        if self.variant == 0:
            return 0.5 * (low + high)
        return low + (high - low) * unit(zlib.crc32(f"{self.name}/{field}".encode()), self.variant, 71)

    @property
    def seed(self) -> int:
        """Seed of everything else that varies, such as the traffic."""
        return mix(zlib.crc32(self.name.encode()), self.variant, 72) & 0x7FFFFFFF


class Fields:
    """A mapping whose keys must be among `accepted`. Every reader raises ScenarioError at the field's own line."""

    def __init__(self, node: Node, accepted: Sequence[str], jitter: Jitter) -> None:
        self.node, self.jitter = node, jitter
        self.entries = mapping(node, f"a mapping with {', '.join(accepted)}")
        for key, value in self.entries.items():
            if key not in accepted:
                raise value.error(f"one of {', '.join(accepted)}", "an unknown field")

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def get(self, name: str) -> Node | None:
        """The value of a field, None where it is not given."""
        return self.entries.get(name)

    def required(self, name: str) -> Node:
        """The value of a field that must be there."""
        if name not in self.entries:
            field = f"{self.node.field}.{name}" if self.node.field else name
            raise Node(None, self.node.line, self.node.file, field).error("a value", "a missing field")
        return self.entries[name]

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number from `low` to `high`, or one drawn from {from: a, to: b}; required without `default`."""
        if default is not None and name not in self.entries:
            return default
        return number(self.required(name), low, high, self.jitter)

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number."""
        if default is not None and name not in self.entries:
            return default
        node = self.required(name)
        if isinstance(node.value, bool) or not isinstance(node.value, float) or node.value != int(node.value):
            raise node.error(f"a whole number from {low} to {high}")
        return int(number(node, low, high, self.jitter))

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        node = self.entries.get(name)
        if node is None:
            return default
        if not isinstance(node.value, bool):
            raise node.error("true or false")
        return node.value

    def choice(self, name: str, accepted: Sequence[str], default: str | None = None) -> str:
        """One of some words; required without `default`."""
        if default is not None and name not in self.entries:
            return default
        return word(self.required(name), accepted)

    def text(self, name: str) -> str:
        """A text that is not empty."""
        node = self.required(name)
        if not isinstance(node.value, str) or not node.value.strip():
            raise node.error("a text")
        return node.value

    def sections(self, name: str) -> Iterator[tuple[str, Node]]:
        """The named entries of a mapping; none where it is not given."""
        if name in self.entries:
            yield from mapping(self.entries[name], f"a mapping of {name} by name").items()


def mapping(node: Node, accepted: str) -> dict[str, Node]:
    """The entries of a mapping that is not empty."""
    if not isinstance(node.value, dict) or not node.value:
        raise node.error(accepted)
    return node.value


def number(node: Node, low: float, high: float, jitter: Jitter) -> float:
    """A number within bounds, drawn where a range is given."""
    accepted = f"a number from {low:g} to {high:g}, or a range {{from: a, to: b}} of such"
    if isinstance(node.value, dict):
        bounds = Fields(node, ("from", "to"), jitter)
        start, end = (_plain(bounds.required(name), low, high, f"a number from {low:g} to {high:g}")
                      for name in ("from", "to"))  # fmt: skip
        if start > end:
            raise node.error("a range whose `from` is not above its `to`", f"from {start:g} to {end:g}")
        return jitter.draw(node.field, start, end)
    return _plain(node, low, high, accepted)


def _plain(node: Node, low: float, high: float, accepted: str) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, float) or not low <= node.value <= high:
        raise node.error(accepted)
    return node.value


def word(node: Node, accepted: Sequence[str]) -> str:
    """One of some words."""
    if not isinstance(node.value, str) or node.value not in accepted:
        raise node.error(f"one of {', '.join(accepted)}" if accepted else "nothing, as there is none to name")
    return node.value


def words(node: Node, accepted: Sequence[str]) -> tuple[str, ...]:
    """One or more different words of some."""
    if not isinstance(node.value, list) or not node.value:
        raise node.error(f"a list of {', '.join(accepted)}")
    found = tuple(word(item, accepted) for item in node.value)
    for item, value in zip(node.value, found):
        if found.index(value) < node.value.index(item):
            raise item.error("each name once", f"{value!r} again")
    return found


def check_name(name: str, node: Node) -> None:
    """Raises ScenarioError for a name that is none."""
    if not _NAME.fullmatch(name):
        raise node.error("a name of small letters, digits and _, at most 40", f"the name {name[:60]!r}")
