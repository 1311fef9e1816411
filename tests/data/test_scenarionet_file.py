"""Records are data, never code; broken ones name file and field."""

from __future__ import annotations

import copy
import os
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivesim.data.scenarionet import ScenarioNetReader
from drivesim.data.scenarionet_file import load_record
from tests.data.scenarionet_toy import STEPS, record, write


class Calls:
    """Pickles to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_plain_content_comes_back_as_it_is(protocol: int, tmp_path: Path) -> None:
    content = {
        "a": np.arange(6.0).reshape(2, 3), "b": np.float32(2.5), "c": [1, "x", None, True, b"y", 2 + 1j],
        "d": defaultdict(int, k=3), "e": OrderedDict(z=1), "f": (1, {2, 3}), "g": np.array(["s", None], dtype=object),
        "h": np.asfortranarray(np.eye(2)), "i": np.array([1, 2], ">i4"),
    }  # fmt: skip
    found = load_record(write(tmp_path, content, protocol=protocol)).value
    assert found.keys() == content.keys()
    for name in "aghi":
        np.testing.assert_array_equal(found[name], content[name])
    assert all(found[name] == content[name] for name in "bcdef")


def attacks(marker: Path) -> list[tuple[str, Any]]:
    """Objects whose unpickling would leave a mark, with what must be named in the refusal."""
    touch = f"touch {marker}"
    return [
        ("posix.system", Calls(os.system, touch)),
        ("builtin.*eval", Calls(eval, f"open({str(marker)!r}, 'w')")),
        ("builtin.*exec", Calls(exec, f"open({str(marker)!r}, 'w')")),
        ("open", Calls(open, str(marker), "w")),
        ("builtin.*getattr", Calls(getattr, "x", "upper")),
        ("fromfile", Calls(np.fromfile, "/etc/hostname", np.uint8)),
        ("(pathlib|getattr)", Calls(Path.touch, marker)),
        ("posix.system", {"tracks": [np.zeros(2), {"deep": Calls(os.system, touch)}]}),
        ("posix.system", np.array([Calls(os.system, touch)], dtype=object)),
    ]


def test_code_is_refused_by_name_and_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for number, (named, attack) in enumerate(attacks(marker)):
        for protocol in (0, 2, 4, 5):
            path = write(tmp_path, attack, f"{number}.pkl", protocol)
            with pytest.raises(ValueError, match=rf"{number}\.pkl: found \S*{named}.*, accepted numbers"):
                load_record(path)
    assert not marker.exists()


HAND_MADE = {
    "import by name": b"cos\nsystem\n(S'true'\ntR.",
    "import from a stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "dotted name": b"\x80\x04\x8c\x08builtins\x8c\x0edict.__class__\x93.",
    "private of numpy": b"cnumpy\n__builtins__\n.",
    "instance": b"(ios\nsystem\n.",
    "persistent object": b"Pevil\n.",
    "another codec": b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
}


@pytest.mark.parametrize("case", HAND_MADE)
def test_hand_made_pickles_are_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "made.pkl"
    path.write_bytes(HAND_MADE[case])
    with pytest.raises(ValueError, match=r"made\.pkl: found .*, accepted numbers, text, containers and numpy arrays"):
        load_record(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = pickle.dumps(record())
    for data in (b"", b"not a pickle", whole[: len(whole) // 2], b"\x80\x04}."[:-1], b"\x80\xff."):
        path = tmp_path / "cut.pkl"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"cut\.pkl: found a damaged pickle"):
            load_record(path)
    with pytest.raises(ValueError, match="found no such file"):
        load_record(tmp_path / "none.pkl")


def without(*keys: str) -> Any:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(value: Any, *keys: str) -> Any:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


STATE = ("tracks", "follower", "state")
NAN = np.full((STEPS, 3), np.nan)
BROKEN = {
    "no tracks": (without("tracks"), "tracks: found a missing field"),
    "tracks as a list": (put([1], "tracks"), "tracks: found list, accepted a mapping"),
    "no length": (without("length"), "length: found a missing field"),
    "length as text": (put("41", "length"), "length: found str, accepted a number"),
    "one step": (put(1, "length"), "length: found 1, accepted at least 2"),
    "other length": (put(40, "length"), r"metadata.ts: found shape \(41,\), accepted shape \(40\)"),
    "unknown ego": (put("me", "metadata", "sdc_id"), "metadata.sdc_id: found 'me', accepted the name of a track"),
    "rate instead of period": (put(0.0, "metadata", "sample_rate"), "metadata.sample_rate: found 0, accepted a period"),
    "microseconds": (put(1e5 * np.arange(STEPS), "metadata", "ts"), "metadata.ts: found steps of 100000 to 100000"),
    "times that stand": (put(np.zeros(STEPS), "metadata", "ts"), "metadata.ts: found steps of 0 to 0"),
    "no positions": (without(*STATE, "position"), "tracks.follower.state.position: found a missing field"),
    "flat positions": (
        put(np.zeros(STEPS), *STATE, "position"),
        r"state.position: found shape \(41,\), accepted shape",
    ),
    "positions that are no numbers": (put(NAN, *STATE, "position"), "state.position: found NaN or infinity"),
    "words as heading": (put(["a"] * STEPS, *STATE, "heading"), "state.heading: found list, accepted an array"),
    "never there": (put(np.zeros(STEPS), *STATE, "valid"), "state.valid: found no valid step"),
    "no width": (put(np.zeros((STEPS, 1)), *STATE, "width"), "state.width: found 0, accepted more than 0 m"),
    "type as a number": (put(3, "tracks", "follower", "type"), "tracks.follower.type: found int, accepted a text"),
    "no map": (without("map_features"), "map_features: found a missing field"),
    "lane of one point": (put(np.zeros((1, 3)), "map_features", "left", "polyline"), "left.polyline: found 1 points"),
    "lane in four dimensions": (
        put(np.zeros((5, 4)), "map_features", "left", "polyline"),
        "left.polyline: found shape",
    ),
    "exits as a number": (put(3, "map_features", "left", "exit_lanes"), "left.exit_lanes: found int, accepted a list"),
    "crosswalk of two": (put(np.zeros((2, 2)), "map_features", "cross", "polygon"), "cross.polygon: found 2 points"),
    "loose ring": (
        put({"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.eye(4, 2)}, "map_features", "boundary_0"),
        "boundary_0.polyline: found a line with loose ends",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("ignore:.*which are left out")
def test_broken_records_name_file_and_field(case: str, tmp_path: Path) -> None:
    change, message = BROKEN[case]
    content = copy.deepcopy(record())
    change(content)
    write(tmp_path, content)
    with pytest.raises(ValueError, match=rf"sd_toy_v1_toy\.pkl: .*{message}"):
        ScenarioNetReader(tmp_path).scene("toy", 0.0)


def test_names_of_scenes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"found no sd_\*.pkl in"):
        ScenarioNetReader(tmp_path)
    with pytest.raises(ValueError, match="accepted a folder with ScenarioNet records, or one of them"):
        ScenarioNetReader(tmp_path / "nowhere")
    (tmp_path / "a").mkdir()
    write(tmp_path, record(), "sd_waymo_v1.2_b.pkl")
    path = write(tmp_path / "a", record(), "sd_nuplan_v1.1_c_d.pkl")
    write(tmp_path, {}, "dataset_summary.pkl")
    assert ScenarioNetReader(tmp_path).scene_names == ("b", "c_d")
    assert ScenarioNetReader(path).scene_names == ("c_d",)
    with pytest.raises(ValueError, match="scene: found 'x', accepted one of b, c_d"):
        ScenarioNetReader(tmp_path).log("x")
    write(tmp_path, record(), "sd_nuplan_v1_b.pkl")
    assert ScenarioNetReader(tmp_path).scene_names == ("sd_nuplan_v1.1_c_d", "sd_nuplan_v1_b", "sd_waymo_v1.2_b")
