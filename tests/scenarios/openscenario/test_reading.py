"""Reading files safely: parameters, catalogs, what is refused, and that nothing is ignored."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivesim.scenarios import ScenarioError
from drivesim.scenarios.openscenario import ImportSettings, import_openscenario
from drivesim.scenarios.openscenario.expressions import ExpressionError, resolve
from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT
from tests.scenarios.openscenario.texts import OTHER_AT, imported, osc, vehicle

OSC = osc()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", "7"), ("$a", "2"), ("${$a * ($b - 1) / 4}", "4.5"), ("${-$a % 3}", "1.0"),
        ("${round(2.6) + abs(-1)}", "4.0"),
        ("${max($a, $b, 3)}", "10.0"), ("${sqrt(pow(3, 2) + 16)}", "5.0"), ("${$a < $b and not $c}", "true"),
        ("${sign(-4)}", "-1.0"),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: str) -> None:
    assert resolve(text, {"a": "2", "b": "10", "c": "false"}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "$nobody", "${1 +}", "${1 / 0}", "${__import__('os').system('true')}", "${().__class__}", "${$a}",
        "${9 ** 9 ** 9}", "${pow(10, 400)}", "${1 if 1 else 2}", "${" + "(" * 300 + "1" + ")" * 300 + "}", "${[1][0]}",
        "${round(1, x=2)}", "${'a' * 9}", "${" + "1 +" * 300 + "1}",
    ],
)  # fmt: skip
def test_expressions_that_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"found .+, accepted "):
        resolve(text, {"a": "word"})


def test_parameters_can_be_set_and_follow_each_other(tmp_path: Path) -> None:
    declared = (
        '<ParameterDeclaration name="base" parameterType="double" value="100"/>'
        '<ParameterDeclaration name="s" parameterType="double" value="${$base + 25}"/>'
    )
    text = osc(declarations=declared, other='<LanePosition roadId="1" laneId="-2" s="$s"/>')
    assert imported(tmp_path, text)[0]["actors"]["other"]["at"] == pytest.approx(26.4)
    settings = ImportSettings(parameters={"base": 140})
    content, findings = imported(tmp_path, text, settings)
    assert content["actors"]["other"]["at"] == pytest.approx(66.4)
    assert not findings
    with pytest.raises(ScenarioError, match="no parameter 'bass' to set, accepted one of base, s"):
        imported(tmp_path, text, ImportSettings(parameters={"bass": 1}))


def test_nothing_is_ignored(tmp_path: Path) -> None:
    """Elements and attributes that nobody knows are listed with their lines, wherever they stand."""
    places = {
        "<RoadNetwork/>": "<RoadNetwork/><Magic power='3'><Deeper/></Magic>",
        '<Event name="e"': '<Event name="e" mood="bad"',
        "<StopTrigger>": "<Monitor/><StopTrigger>",
        '<Private entityRef="Other">': '<Private entityRef="Other"><PrivateAction><FlyAction/></PrivateAction>',
    }
    text = OSC
    for old, new in places.items():
        assert old in text
        text = text.replace(old, new, 1)
    _, findings = imported(tmp_path, text)
    assert {(finding.path.rpartition("/")[2], finding.kind) for finding in findings} == {
        ("Magic", LEFT_OUT), ("Event[e]", LEFT_OUT), ("Monitor", LEFT_OUT), ("FlyAction", LEFT_OUT)
    }  # fmt: skip
    lines = text.splitlines()
    for finding in findings:
        assert finding.path.rpartition("/")[2].partition("[")[0] in lines[finding.line - 1]
    with pytest.raises(ScenarioError, match="found what is left out, accepted nothing such"):
        imported(tmp_path, text, ImportSettings(strict=True))


def test_catalogs_at_hand_are_used_and_others_listed(tmp_path: Path) -> None:
    folder = tmp_path / "catalogs"
    folder.mkdir()
    entry = vehicle("x", "bus").partition("<Vehicle")[2].partition("</ScenarioObject>")[0]
    entry = "<Vehicle" + entry.replace('name="v"', 'name="coach"').replace(
        'length="4.5"', 'length="$long"'
    ).replace("<BoundingBox>", '<ParameterDeclarations><ParameterDeclaration name="long" parameterType="double" '
              'value="11"/></ParameterDeclarations><BoundingBox>')  # fmt: skip
    (folder / "buses.xosc").write_text(
        '<OpenSCENARIO><FileHeader revMajor="1" revMinor="0" date="x" description="x" author="x"/>'
        f'<Catalog name="Buses">{entry}</Catalog></OpenSCENARIO>'
    )
    (folder / "broken.xosc").write_text("<OpenSCENARIO>")
    reference = '<CatalogReference catalogName="Buses" entryName="{}">{}</CatalogReference>'
    reference = f'<ScenarioObject name="Other">{reference}</ScenarioObject>'
    assigned = '<ParameterAssignments><ParameterAssignment parameterRef="long" value="14"/></ParameterAssignments>'
    base = OSC.replace(
        "<CatalogLocations/>",
        '<CatalogLocations><VehicleCatalog><Directory path="catalogs"/></VehicleCatalog></CatalogLocations>',
    )  # noqa: E501
    for name, inside, kind, length, notes in (
        ("coach", "", "bus", 11.0, [LEFT_OUT]),
        ("coach", assigned, "bus", 14.0, [LEFT_OUT]),
        ("tram", "", "car", None, [LEFT_OUT, APPROXIMATED]),
    ):
        content, findings = imported(tmp_path, base.replace(vehicle("Other"), reference.format(name, inside)))
        other = content["actors"]["other"]
        assert (other["class"], other["size"][1] if "size" in other else None) == (kind, length)
        assert [finding.kind for finding in findings] == notes


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "accepted well-formed XML"),
        (OSC.replace("</Storyboard>", ""), "accepted well-formed XML"),
        (OSC.replace('<?xml version="1.0"?>', BOMB), "found a document type declaration"),
        (OSC.replace('<?xml version="1.0"?>', '<!DOCTYPE x SYSTEM "file:///etc/passwd">'), "found a document type"),
        (OSC.replace("OpenSCENARIO", "OpenDRIVE"), "accepted OpenSCENARIO as the root"),
        (OSC.replace('revMajor="1"', 'revMajor="0"'), "FileHeader@revMajor: found '0', accepted 1"),
        (OSC.replace(vehicle("Ego") + vehicle("Other"), ""), "no ScenarioObject"),
        (OSC.replace('entityRef="Other">', 'entityRef="Ghost">'), "the entity 'Ghost', accepted one of Ego, Other"),
        (osc(actor="Ghost"), "the actor 'Ghost', accepted one of Ego, Other"),
        (osc(entities=vehicle("Other")), "the name 'Other' again"),
        (osc(other=OTHER_AT.replace("130", "far")), "LanePosition@s: found 'far', accepted a number"),
        (osc(other=OTHER_AT.replace("130", "inf")), "LanePosition@s: found 'inf', accepted a finite number"),
        (osc(other=OTHER_AT.replace("130", "$far")), "found the parameter '$far', accepted none"),
        (osc(other=OTHER_AT.replace('s="130"', "")), "LanePosition@s: found no such attribute, accepted a value"),
        (OSC.replace("<Init>", "<Start>").replace("</Init>", "</Start>"), "found no Init, accepted an element Init"),
    ],
)
def test_files_that_are_refused_name_line_and_element(text: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.xosc"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        import_openscenario(path)
    assert re.match(r".+wrong\.xosc:\d+: \S.*: found .+, accepted .+", str(caught.value)), str(caught.value)
    assert found in str(caught.value)


def test_missing_and_huge_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such file"):
        import_openscenario(tmp_path / "none.xosc")
    path = tmp_path / "huge.xosc"
    path.write_text("<x>" + " " * 5_000_001 + "</x>")
    with pytest.raises(ScenarioError, match="accepted at most 5000000"):
        import_openscenario(path)
