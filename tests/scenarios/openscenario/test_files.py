"""Whole files: those that an independent tool wrote, others that are at hand, and driving in them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from drivesim.commands import import_scenario
from drivesim.env import DriveWorldEnv
from drivesim.scenarios import ScenarioError, load_scenario
from drivesim.scenarios.openscenario import ImportSettings, UnsupportedScenario, import_openscenario
from drivesim.scenarios.openscenario.findings import APPROXIMATED, LEFT_OUT
from drivesim.scenarios.reader import scenario_of
from drivesim.scenarios.yaml_tree import tree_of
from tests.hydra_run import run_command

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("DRIVESIM_SHARED", "../shared")) / "data" / "openscenario"
STRAIGHT = np.array([[0.0, 0.0]], np.float32)


@pytest.fixture(scope="module")
def env() -> DriveWorldEnv:
    return DriveWorldEnv(generator=None, action="physical", observation=("ego", "route", "boxes"), seconds=None)


@pytest.mark.parametrize("path", sorted(SHARED.rglob("*.xosc")) or [None], ids=lambda path: path.stem if path else "-")
def test_files_at_hand_become_scenarios(path: Path | None) -> None:
    if path is None:
        pytest.skip(f"no .xosc file in {SHARED}")
    imported = import_openscenario(path)
    scenario = scenario_of(tree_of(imported.text, path.name), path.stem)
    assert scenario.actors or scenario.events or imported.findings


def test_what_of_the_written_files_is_not_taken_over() -> None:
    listed = {
        path.stem: [(f.kind, f.path.rpartition("/")[2]) for f in import_openscenario(path).findings]
        for path in HERE.glob("*.xosc")
    }
    road = (APPROXIMATED, "RoadNetwork")
    assert listed == {
        "cut_in": [road],
        "night_walk": [(LEFT_OUT, "Fog"), (LEFT_OUT, "RoadCondition"), road],
        "convoy": [
            (LEFT_OUT, "DynamicConstraints"), (LEFT_OUT, "SynchronizeAction"), (LEFT_OUT, "Condition[end]"), road
        ],
    }  # fmt: skip


def play(env: DriveWorldEnv, path: str, seconds: float) -> tuple[list[np.ndarray], dict]:
    """Drives straight on at the ego's first speed; places (at, offset) [A, 2] of all actors at every step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsupportedScenario)
        _, info = env.reset(seed=0, options={"scenario": path})
    script = env.get_state().script
    assert script is not None
    places = []
    for _ in range(round(seconds * 12)):
        tracks = env.scene.tracks
        xy = tracks.position[np.argsort(tracks.ids)[-len(script.scenario.actors) :], :2]
        places.append(np.stack(script.part.line.project_all(xy @ np.array([1.0, 1.0j])), axis=-1))
        *_, terminated, truncated, info = env.step(STRAIGHT)
        if terminated or truncated:
            break
    return places, info["scenario"]


def test_the_overtaker_cuts_in_when_its_headway_is_reached(env: DriveWorldEnv) -> None:
    """It comes up at 14 m/s from 12 m behind an ego of 10 m/s: (12 + 10) / 4 s until it is 1 s ahead."""
    places, report = play(env, str(HERE / "cut_in.xosc"), 11.0)
    assert places[0][0] == pytest.approx([-10.6, 3.5], abs=0.4)
    # Bodies' middles are compared: 1.4 m before the overtaker's rear axle, 1.1 m before the ego's.
    assert report["events"]["cut_in"] == pytest.approx((10.0 + 12.0 - 0.3) / 4.0, abs=0.1)
    assert report["events"]["brake"] == pytest.approx(report["events"]["cut_in"] + 3.5, abs=0.1)
    after = round((report["events"]["cut_in"] + 2.6) * 12)
    assert places[after][0][1] == pytest.approx(0.0, abs=0.4)


def test_the_same_file_directly_and_through_yaml(env: DriveWorldEnv, tmp_path: Path) -> None:
    path = HERE / "cut_in.xosc"
    (tmp_path / "cut_in.yaml").write_text(import_openscenario(path).text)
    direct, one = play(env, str(path), 3.0)
    through, other = play(env, str(tmp_path / "cut_in.yaml"), 3.0)
    assert np.array_equal(direct, through)
    assert one == other
    state = env.get_state()
    first = [env.step(STRAIGHT)[4]["scenario"] for _ in range(40)]
    env.set_state(state)
    assert [env.step(STRAIGHT)[4]["scenario"] for _ in range(40)] == first


def test_loading_warns_of_what_is_left_out() -> None:
    with pytest.warns(UnsupportedScenario, match="left out: .*Fog: there is no fog"):
        load_scenario(HERE / "night_walk.xosc", 7)


def test_the_follower_comes_up_to_the_distance_that_it_keeps(env: DriveWorldEnv) -> None:
    places, _ = play(env, str(HERE / "convoy.xosc"), 9.0)
    ego_middle = 10.0 * (len(places) - 1) / 12.0 + 1.092
    gap = ego_middle - places[-1][1][0] - 0.5 * (4.084 + 4.6)
    assert gap == pytest.approx(12.0, abs=0.8)


def test_the_walker_goes_its_way_through_the_points(env: DriveWorldEnv) -> None:
    places, report = play(env, str(HERE / "night_walk.xosc"), 5.5)
    walker = np.array(places)[:, 0]
    assert walker[0] == pytest.approx([45.0, -5.0], abs=0.5)
    begun = report["events"]["walk"]
    assert begun == pytest.approx((45.0 - 1.1 - np.sqrt(30.0**2 - 5.0**2)) / 8.0, abs=0.15)
    # 0.5 s to reach 1.5 m/s, from 0.
    assert walker[-1][1] == pytest.approx(-5.0 + 1.5 * ((len(places) - 1) / 12 - begun - 0.25), abs=0.4)


def test_the_command_writes_a_scenario_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "night.yaml"
    run_command(import_scenario, "import-scenario", f"file={HERE / 'night_walk.xosc'}", f"out={out}", "pick=1")
    printed = capsys.readouterr().out
    assert "night_walk.xosc:65: left out: " in printed and "2 left out, 1 approximated" in printed
    assert load_scenario(out).place.pick == 1
    assert [path.name for path in out.parent.iterdir()] == ["night.yaml"]
    with pytest.raises(ScenarioError, match="accepted nothing such"):
        import_scenario.convert(str(HERE / "night_walk.xosc"), tmp_path / "no.yaml", ImportSettings(strict=True))
    assert not (tmp_path / "no.yaml").exists()


def test_parameters_set_the_speed_of_the_ego() -> None:
    text = import_openscenario(HERE / "cut_in.xosc", ImportSettings(parameters={"speed": 27})).text
    assert "ego: {speed: 7.5}" in text
