"""Scenario files that tests write."""

from __future__ import annotations

from pathlib import Path

TOWN = 900104

VALID = f"""\
title: A car brakes
skill: emergency_brake
difficulty: 1
town: {TOWN}
place: {{kind: straight, length: 60}}
ego: {{speed: 8}}
traffic: 0
duration: 20
actors:
  leader: {{class: car, at: 24, speed: 8}}
  walker: {{class: pedestrian, path: across, at: 50, before: 6}}
events:
  brake:
    when: {{time: 2}}
    do: {{actor: leader, speed: 0, rate: 4}}
  walk:
    when: {{after: {{event: brake, delay: 1}}}}
    do: {{actor: walker, speed: 1.5}}
success:
  reach: {{at: 60, within: 20}}
"""


def changed(*pairs: tuple[str, str]) -> str:
    """The valid text with parts replaced, each of which must be there."""
    text = VALID
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def write(folder: Path, text: str | bytes, name: str = "made.yaml") -> Path:
    """A scenario file."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
