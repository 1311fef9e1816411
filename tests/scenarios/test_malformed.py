"""Sixty-odd files that are wrong in one way each: one clear error, and nothing is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gymnasium.error import ResetNeeded

from drivesim.env import DriveWorldEnv
from drivesim.scenarios import ScenarioError, load_scenario
from tests.scenarios.files import VALID, changed, write

LEADER = "{class: car, at: 24, speed: 8}"
WALKER = "{class: pedestrian, path: across, at: 50, before: 6}"
BRAKE, WALK = "{actor: leader, speed: 0, rate: 4}", "{actor: walker, speed: 1.5}"
AFTER = "{after: {event: brake, delay: 1}}"
BOMB = "title: &a [x, x, x, x]\n" + "".join(
    f"k{i}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
)

# What is wrong, the text, and the line and the field that the error names.
CASES: dict[str, tuple[str | bytes, int, str]] = {
    # No scenario at all, and YAML tricks.
    "empty": ("", 1, "file"),
    "comment only": ("# nothing\n", 1, "file"),
    "a list": ("- 1\n- 2\n", 1, "file"),
    "a word": ("scenario\n", 1, "file"),
    "not UTF-8": (VALID.encode().replace(b"brakes", b"br\xffkes"), 1, "file"),
    "control character": (changed(("brakes", "br\x07kes")), 1, "file"),
    "unclosed bracket": (changed(("{speed: 8}\n", "{speed: 8\n")), 7, "file"),
    "tab as indentation": (changed(("  leader:", "\tleader:")), 10, "file"),
    "two documents": (VALID + "---\n" + VALID, 21, "file"),
    "alias bomb": (BOMB, 1, "file"),
    "alias cycle": ("title: x\nplace: &p {kind: *p}\n", 2, "file"),
    "merge key": (changed(("{speed: 8}\n", "{<<: {speed: 8}}\n")), 6, "ego.<<"),
    "python tag": (changed(("A car brakes", "!!python/object/apply:os.system [ls]")), 1, "file"),
    "own tag": (changed(("traffic: 0", "traffic: !secret 0")), 7, "file"),
    "repeated key": (changed(("duration: 20", "duration: 20\nduration: 30")), 9, "duration"),
    "repeated actor": (changed(("  walker:", "  leader: {class: bus, at: 40}\n  walker:")), 11, "actors.leader"),
    "key that is a list": (changed(("traffic: 0", "[traffic]: 0")), 7, "file"),
    "deep nesting": (changed(("A car brakes", "[" * 40 + "]" * 40)), 1, "file"),
    "too many values": ("title: [" + "1," * 6000 + "]\n", 1, "file"),
    "too large": (VALID + "#" * 300_000, 1, "file"),
    # Numbers.
    "nan": (changed(("{speed: 8}\n", "{speed: .nan}\n")), 6, "ego.speed"),
    "infinity": (changed(("duration: 20", "duration: .inf")), 8, "duration"),
    "huge number": (changed(("at: 24", "at: 1e9")), 10, "actors.leader.at"),
    "very many digits": (changed(("at: 24", "at: " + "9" * 400)), 10, "actors.leader.at"),
    "hexadecimal": (changed(("{speed: 8}\n", "{speed: 0x8}\n")), 6, "ego.speed"),
    "sexagesimal": (changed(("duration: 20", "duration: 1:20")), 8, "duration"),
    "negative speed": (changed(("at: 24, speed: 8", "at: 24, speed: -8")), 10, "actors.leader.speed"),
    "quoted number": (changed(("duration: 20", "duration: '20'")), 8, "duration"),
    "true as number": (changed(("difficulty: 1", "difficulty: true")), 3, "difficulty"),
    "half a difficulty": (changed(("difficulty: 1", "difficulty: 1.5")), 3, "difficulty"),
    "difficulty too high": (changed(("difficulty: 1", "difficulty: 4")), 3, "difficulty"),
    "negative town": (changed(("town: 900104", "town: -1")), 4, "town"),
    "endless duration": (changed(("duration: 20", "duration: 1e5")), 8, "duration"),
    "range upside down": (changed(("at: 24", "at: {from: 30, to: 20}")), 10, "actors.leader.at"),
    "range without end": (changed(("at: 24", "at: {from: 30}")), 10, "actors.leader.at.to"),
    "range beyond what is accepted": (changed(("rate: 4", "rate: {from: 4, to: 4000}")), 15, "events.brake.do.rate.to"),
    # Missing, unknown and mistyped fields.
    "no title": (changed(("title: A car brakes\n", "")), 1, "title"),
    "empty title": (changed(("A car brakes", "''")), 1, "title"),
    "no success": (VALID.split("success:")[0], 1, "success"),
    "no ego": (changed(("ego: {speed: 8}\n", "")), 1, "ego"),
    "unknown field": (changed(("traffic: 0", "trafic: 0")), 7, "trafic"),
    "unknown skill": (changed(("emergency_brake", "parking")), 2, "skill"),
    "unknown place": (changed(("kind: straight", "kind: motorway")), 5, "place.kind"),
    "place without kind": (changed(("kind: straight, ", "")), 5, "place.kind"),
    "ego as a number": (changed(("{speed: 8}\n", "8\n")), 6, "ego"),
    "flag as a word": (changed(("length: 60", "junctions: maybe")), 5, "place.junctions"),
    "actors as a list": (changed((f"  leader: {LEADER}\n  walker: {WALKER}\n", "  - leader\n")), 9, "actors"),
    "no actors in the list": (changed((f"  leader: {LEADER}\n  walker: {WALKER}\n", "  {}\n")), 9, "actors"),
    "unknown class": (changed(("class: car", "class: tank")), 10, "actors.leader.class"),
    "actor without place": (changed(("at: 24, ", "")), 10, "actors.leader.at"),
    "actor inside the ego": (changed(("at: 24", "at: 1")), 10, "actors.leader.at"),
    "unknown path": (changed(("path: across", "path: around")), 11, "actors.walker.path"),
    "field of another path": (changed(("at: 24", "at: 24, before: 3")), 10, "actors.leader.before"),
    "unknown lane": (changed(("at: 24", "at: 24, lane: middle")), 10, "actors.leader.lane"),
    "size of two": (changed(("at: 24", "at: 24, size: [2, 4]")), 10, "actors.leader.size"),
    "capital name": (changed(("  leader:", "  Leader:")), 10, "actors.Leader"),
    "across without before": (changed((", before: 6", "")), 11, "actors.walker.before"),
    # Events.
    "unknown trigger": (changed(("{time: 2}", "{moon: full}")), 14, "events.brake.when.moon"),
    "trigger without condition": (changed(("{time: 2}", "{}")), 14, "events.brake.when"),
    "event without condition": (changed(("\n    when: {time: 2}", "")), 13, "events.brake.when"),
    "no alternatives": (changed(("{time: 2}", "[]")), 14, "events.brake.when"),
    "empty alternative": (changed(("{time: 2}", "[{time: 2}, {}]")), 14, "events.brake.when[1]"),
    "bound on both sides": (
        changed((AFTER, "{speed: {below: 5, above: 3}}")), 17, "events.walk.when.speed"),
    "bound on no side": (changed((AFTER, "{headway: {actor: leader}}")), 17, "events.walk.when.headway"),
    "distance to itself": (
        changed((AFTER, "{distance: {of: leader, actor: leader, below: 5}}")), 17, "events.walk.when.distance.actor"),
    "unknown measure": (
        changed((AFTER, "{distance: {actor: leader, below: 5, measured: up}}")), 17,
        "events.walk.when.distance.measured"),
    "near nowhere": (changed((AFTER, "{near: {within: 5}}")), 17, "events.walk.when.near.at"),
    "speed like nobody's": (
        changed((WALK, "{actor: walker, speed_like: {of: ghost, times: 1}}")), 18, "events.walk.do.speed_like.of"),
    "speed like its own": (
        changed((WALK, "{actor: walker, speed_like: {of: walker, times: 1}}")), 18, "events.walk.do.speed_like.of"),
    "two manners": (
        changed((WALK, "{actor: walker, speed: 1, rate: 3, speed_over: 2}")), 18, "events.walk.do.speed_over"),
    "distance kept to nobody": (
        changed((WALK, "{actor: walker, keep: {gap: 2}}")), 18, "events.walk.do.keep.to"),
    "way of one point": (
        changed((WALKER, "{class: pedestrian, path: points, points: [[5, 4]]}")), 11, "actors.walker.points"),
    "way that stays": (
        changed((WALKER, "{class: pedestrian, path: points, points: [[5, 4], [5, 4]]}")), 11, "actors.walker.points"),
    "points of another path": (changed(("at: 24", "at: 24, points: [[1, 2], [3, 4]]")), 10, "actors.leader.points"),
    "action that does nothing": (changed((BRAKE, "{actor: leader}")), 15, "events.brake.do"),
    "action of nobody": (changed((BRAKE, "{speed: 0}")), 15, "events.brake.do.speed"),
    "action of a stranger": (changed((BRAKE, "{actor: nobody, speed: 0}")), 15, "events.brake.do.actor"),
    "unknown action": (changed((BRAKE, "{actor: leader, fly: true}")), 15, "events.brake.do.fly"),
    "after a stranger": (changed(("event: brake", "event: break")), 17, "events.walk.when.after.event"),
    "after itself": (changed(("event: brake", "event: walk")), 16, "events.walk"),
    "cycle of events": (changed(("{time: 2}", "{after: {event: walk}}")), 13, "events.brake"),
    "distance to a stranger": (
        changed((AFTER, "{distance: {actor: me, below: 5}}")), 17, "events.walk.when.distance.actor"),
    "arrival where nobody crosses": (
        changed((AFTER, "{ego_arrives: {actor: leader, within: 2}}")), 17, "events.walk.when.ego_arrives.actor"),
    "arrival nowhere": (changed((AFTER, "{ego_arrives: {within: 2}}")), 17, "events.walk.when.ego_arrives"),
    "unknown weather": (changed((WALK, "{weather: hail}")), 18, "events.walk.do.weather"),
    "unknown fault": (changed((WALK, "{camera_fault: {kind: melt}}")), 18, "events.walk.do.camera_fault.kind"),
    "fault of no camera": (
        changed((WALK, "{camera_fault: {kind: drop, cameras: [CAM_TOP]}}")), 18,
        "events.walk.do.camera_fault.cameras[0]"),
    "noise without strength": (
        changed((WALK, "{camera_fault: {kind: noise}}")), 18, "events.walk.do.camera_fault.strength"),
    # Success.
    "no goal": (changed(("reach: {at: 60, within: 20}", "max_speed: 10")), 19, "success.reach"),
    "goal and last": (changed(("within: 20}", "within: 20}\n  last: true")), 21, "success.last"),
    "goal behind the ego": (changed(("at: 60, within: 20", "at: -10, within: 20")), 20, "success.reach.at"),
    "goal after the end": (changed(("at: 60, within: 20", "at: 60, within: 40")), 20, "success.reach.within"),
    "clearance of a stranger": (
        changed(("within: 20}", "within: 20}\n  clearance: {ghost: 1}")), 21, "success.clearance.ghost"),
    "passed by nobody": (changed(("within: 20}", "within: 20}\n  passed_by: []")), 21, "success.passed_by"),
}  # fmt: skip


@pytest.fixture(scope="module")
def env() -> DriveWorldEnv:
    return DriveWorldEnv(generator=None, observation=("ego", "route"))


def test_there_are_at_least_sixty() -> None:
    assert len(CASES) >= 60


def test_the_valid_file_is_valid(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, VALID))
    assert [actor.name for actor in scenario.actors] == ["leader", "walker"]


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error_and_nothing_is_run(case: str, env: DriveWorldEnv, tmp_path: Path) -> None:
    text, line, field = CASES[case]
    path = write(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        env.reset(seed=0, options={"scenario": str(path)})
    message = str(caught.value)
    match = re.fullmatch(r"(.+):(\d+): (\S+): found (.+), accepted (.+)", message)
    assert match, message
    assert (match[1], match[3]) == (str(path), field), message
    assert int(match[2]) == line, message
    assert len(message) < 600
    with pytest.raises(ResetNeeded):
        _ = env.scene


def test_missing_file_and_unknown_name() -> None:
    with pytest.raises(ScenarioError, match="no such file"):
        load_scenario("nowhere/at_all.yaml")
    with pytest.raises(ScenarioError, match="accepted a path ending in .yaml or one of .*cut_in_01"):
        load_scenario("cut_in_99")
    with pytest.raises(ScenarioError, match="variant: found -1"):
        load_scenario("cut_in_01", -1)
