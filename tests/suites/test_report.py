"""The report: its statistics against closed forms, the page against what a reader needs from it."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest

from drivesim.commands.evaluate import entrants, run_suite
from drivesim.suites.report import outcome, write_report
from drivesim.suites.summary import (
    difference_table,
    differences,
    failures,
    interval,
    left_out,
    markdown,
    shares,
    skill_table,
    summary,
    text_table,
    values_of,
    write_into,
)


def row(policy: str, drive: str, passed: bool, skill: str = "driving", **more: object) -> dict[str, object]:
    ending = "time" if passed else "collision"
    events = [] if passed else [{"step": 6, "time": 0.5, "what": ["hit car <b>"]}]
    return {
        "policy": policy, "drive": drive, "skill": skill, "difficulty": 1, "seed": 0, "passed": passed,
        "ending": ending, "seconds": 1.0, "steps": 12, "distance": 8.0, "reward": 1.0, "events": events,
        "speed": [8.0] * 13, "scores": {"metrics": {"comfort": {"value": 1.0}}, "aggregates": {}},
    } | more  # fmt: skip


def test_interval_of_equal_values_is_a_point_and_of_others_the_normal_one() -> None:
    point = interval(np.full(9, 0.4))
    assert (point.mean, point.low, point.high) == pytest.approx((0.4, 0.4, 0.4))
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    found = interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)


def test_what_broke_counts_as_not_passed_and_comes_first() -> None:
    broken = row("A", "c", True, error="ValueError: no", traceback="...")
    del broken["passed"], broken["scores"]
    rows = [row("A", "a", True), row("A", "b", False), broken]
    assert summary(rows)["A"]["passed"].mean == pytest.approx(1 / 3)
    assert summary(rows)["A"]["comfort"].mean == 1.0
    assert [failed["drive"] for failed in failures(rows)] == ["c", "b"]


def test_the_text_table_has_a_line_per_policy() -> None:
    lines = text_table([row("A", "a", True), row("B", "a", False)]).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| A | 1.00 (1.00 to 1.00) |")
    assert lines[3].startswith("| B | 0.00 (0.00 to 0.00) |")


def test_differences_are_of_the_same_drives() -> None:
    """Policy B passes what A passes and one more: however uneven the drives, the interval is that of the difference."""
    rows = [row("A", str(k), k % 2 == 0) for k in range(40)] + [
        row("B", str(k), k % 2 == 0 or k == 1) for k in range(40)
    ]
    rows += [row("B", "only B", False)]
    found = differences(rows, "A")["B"]["passed"]
    assert found.mean == pytest.approx(1 / 40) and found.low == 0.0 and found.high < 0.11
    assert summary(rows)["B"]["passed"].high - summary(rows)["B"]["passed"].low > 0.2
    assert difference_table(rows, "A").splitlines()[2].startswith("| B | +0.0")
    assert difference_table(rows, "A") in markdown(rows, "A")
    with pytest.raises(ValueError, match=r"against: found 'C', accepted one of \['A', 'B'\]"):
        differences(rows, "C")


def test_neuroncap_counts_only_where_somebody_who_does_not_react_hits_something() -> None:
    score = {"metrics": {}, "aggregates": {"neuroncap": {"value": 5.0}}}
    easy, hard = row("A", "easy", True, scores=score), row("A", "hard", True, scores=score)
    easy["reference"], hard["reference"] = {"impact_speed": None}, {"impact_speed": 8.0}
    assert "neuroncap" not in values_of(easy)
    assert values_of(hard)["neuroncap"] == 5.0
    assert left_out([easy, hard]) == ["NeuroNCAP over the 1 drives in which a car that does not react hits something"]


def test_what_a_score_lacks_is_named_with_the_number_of_drives() -> None:
    lacking = {"metrics": {}, "aggregates": {"navsim_pdms": {"value": 0.5, "omitted": ["ego_progress"]}}}
    rows = [row("A", "a", True, scores=lacking), row("A", "b", True)]
    assert "NAVSIM PDMS without ego progress in 1 of 2 drives" in left_out(rows)
    assert "NAVSIM PDMS without ego progress in 1 of 2 drives" in markdown(rows)


def test_what_went_wrong_is_said_with_its_time() -> None:
    hit = row("A", "a", False, seconds=0.5, failed=["no_collision"])
    assert outcome(hit) == "hit car <b> at 0.5 s"
    slow = row("A", "a", False, seconds=25.0, events=[], failed=["reach", "passed_by"])
    assert outcome(slow) == "did not get there, let nobody pass, 25.0 s"
    assert outcome(row("A", "a", True, seconds=3.04)) == "passed, 3.0 s"


def test_skills_are_counted_per_policy() -> None:
    rows = [row("A", "a", True, "side"), row("A", "b", False, "side"), row("A", "c", True, "frontal")]
    assert shares(rows) == {"A": {"frontal": (1, 1), "side": (1, 2)}}
    assert skill_table(rows).splitlines()[2] == "| A | 1 of 1 | 1 of 2 |"


def test_tables_are_put_into_their_place_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "board.md"
    page.write_text("head\n<!-- table: town -->\nold\n<!-- end of table -->\ntail <!-- table: library -->")
    write_into(page, "town", "new\n")
    assert page.read_text() == "head\n<!-- table: town -->\nnew\n<!-- end of table -->\ntail <!-- table: library -->"
    with pytest.raises(ValueError, match="page: found no place for 'library'"):
        write_into(page, "library", "new")


def test_the_page_stands_alone_and_is_the_same_every_time(tmp_path: Path) -> None:
    rows = [row(p, f"{s}-{k}", k > 0, s) for p in ("A", "B") for s in ("merging", "frontal", "side") for k in range(2)]
    for name in ("one.html", "two.html"):
        write_report(tmp_path / name, "Suite <x>", rows, {}, base="A")
    page = (tmp_path / "one.html").read_text()
    assert page == (tmp_path / "two.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "Suite &lt;x&gt;" in page
    assert "<h2>Against A, in the same drives</h2>" in page
    assert "hit car &lt;b&gt; at 0.5 s" in page
    assert page.count("<section ") == 3, "a card per drive that somebody failed, its policies side by side"
    assert page.index('id="merging-0"') < page.index("<h2>All drives"), "failures first"


def test_the_command_films_the_failures(tmp_path: Path) -> None:
    settings = {
        "policies": ["tests.suites.policies:Swerve", {"policy": "tests.suites.policies:Brake", "name": "brake"}],
        "suite": "town", "towns": 1, "seconds": 5.0, "workers": 1, "films": 1, "out": str(tmp_path),
        "variants": 1,
        "env": {"generator": "layout", "image_size": (18, 32), "traffic": "none"},
    }  # fmt: skip
    settings |= {"executor": "processes", "ray_address": "local"}
    page = run_suite(settings).read_text()
    film = tmp_path / "films" / "Swerve" / "town-900000.mp4"
    with av.open(str(film)) as video:
        frames = sum(1 for _ in video.decode(video=0))
    assert 12 < frames < 90
    assert page.count("data:video/mp4;base64,") == page.count("data:image/jpeg;base64,") == 1
    assert "left the road at" in page


def test_policies_are_given_by_path_or_with_options() -> None:
    found = entrants(["a.b:C", {"policy": "a.b:C", "name": "fast", "options": {"speed": 9}}, "runs/ppo.zip"])
    assert [entrant.name for entrant in found] == ["C", "fast", "ppo.zip"]
    assert found[1].options == {"speed": 9}
    with pytest.raises(ValueError, match="policies: found {'path': 'x'}"):
        entrants([{"path": "x"}])
