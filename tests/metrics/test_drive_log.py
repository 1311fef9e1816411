"""Recording drives, and drives as files."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from drivesim.env import DriveWorldEnv
from drivesim.metrics.drive_log import DriveLog, TrackLog, once_per_log
from drivesim.metrics.drive_log_file import load_drive_log, save_drive_log
from drivesim.metrics.recorder import DriveRecorder, drive_log
from drivesim.metrics.score import score
from drivesim.rollout import Trace, run
from drivesim.scene import EgoState, HdMap
from drivesim.world import TownSource
from planners.lane_follower import LaneFollower
from tests.metrics.drives import both, drive, thing
from tests.straight_road import StraightRoad, track
from tests.test_rollout import FullThrottle


def recorded(env: DriveWorldEnv, policy: object | None = None, **options: object) -> tuple[Trace, DriveLog]:
    recorder = DriveRecorder()
    trace = run(env, policy or FullThrottle(), on_step=recorder, **options)  # type: ignore[arg-type]
    return trace, recorder.log()


def crash() -> tuple[Trace, DriveLog]:
    return recorded(DriveWorldEnv(source=StraightRoad(track(15.0, 0.0)), generator=None, seconds=3.0), seed=4)


def same(first: DriveLog, second: DriveLog) -> bool:
    """Whether all arrays of two logs are equal."""
    rows = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(DriveLog)]
    rows += [(getattr(first.tracks, field.name), getattr(second.tracks, field.name)) for field in fields(TrackLog)]
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in rows if isinstance(a, np.ndarray))


def same_maps(first: HdMap, second: HdMap) -> bool:
    graphs = [(getattr(first.lane_graph, f.name), getattr(second.lane_graph, f.name)) for f in fields(first.lane_graph)]
    layers = [(first.layers[name], second.layers[name]) for name in first.layers]
    return (
        first.bounds == second.bounds
        and all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in graphs)
        and all(len(a) == len(b) and bool(np.all(shapely.equals_exact(list(a), list(b)))) for a, b in layers)
    )


def test_recorder_keeps_what_was_driven() -> None:
    trace, log = crash()
    assert len(log) == len(trace.steps) + 1 and log.time[-1] == trace.steps[-1].time
    assert np.allclose(log.position[1:, 0], [step.x for step in trace.steps])
    assert np.allclose(log.speed[1:], [step.speed for step in trace.steps])
    assert (log.ending, log.seed, log.traffic) == ("collision", 4, "unknown")
    assert [event.step for event in log.collisions] == [len(trace.steps)]
    assert log.collisions[0].collision.kind == "stopped_track" and not log.off_road.any()
    assert len(log.maps) == len(log.routes) == 1 and np.all(log.map_index == 0)
    assert np.array_equal(log.tracks.at(3).position, [[15.0, 0.0, 0.75]])


def test_recorder_begins_anew_at_a_reset() -> None:
    env, recorder = DriveWorldEnv(source=StraightRoad(), generator=None, seconds=1.0), DriveRecorder()
    for _ in range(2):
        run(env, FullThrottle(), on_step=recorder)
    assert len(recorder.log()) == 13 and recorder.log().ending == "time"
    with pytest.raises(ValueError, match=r"log: found no recorded instant, accepted after run\("):
        DriveRecorder().log()


def test_lateral_acceleration_is_that_of_the_circle() -> None:
    class Circle(FullThrottle):
        action = "physical"

        def act(self, observation: dict, info: dict) -> np.ndarray:
            """Holds the wheel."""
            return np.array([0.0, 0.05])

    env = DriveWorldEnv(source=StraightRoad(speed=8.0), generator=None, seconds=0.5, action="physical")
    log = recorded(env, Circle())[1]
    radius = log.vehicle.wheelbase / np.tan(0.05)
    assert log.acceleration[-1, 1] == pytest.approx(64.0 / radius)


@pytest.mark.parametrize("traffic", ["idm", "none"])
def test_a_town_drive_over_several_windows_survives_its_file(tmp_path: Path, traffic: str) -> None:
    """The ego is carried through the town faster than it could drive, so that the map window changes soon."""
    source = TownSource(traffic=traffic, density=4)
    world = source.reset(3, {"town": 900_001})
    scenes, routes = [world.scene], [world.route.points]
    for _ in range(40):
        x, y, heading = world.route.points[min(world.route.at + 4, len(world.route.points) - 1)].tolist()
        world = source.step(world, EgoState.at(x, y, heading, 8.0), 1.0 / 12.0)
        scenes.append(world.scene)
        routes.append(world.route.points)
    log = drive_log(scenes, routes, np.arange(41) / 12.0, [{}] * 41, "policy", traffic, 3, {"traffic": traffic})
    assert len(log.maps) > 1 and len(log.routes) > 1
    assert all(log.maps[log.map_index[step]] is scenes[step].map for step in range(41))
    save_drive_log(log, tmp_path / "drive.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["drive.npz"]
    again = load_drive_log(tmp_path / "drive.npz")
    assert same(log, again) and all(same_maps(a, b) for a, b in zip(log.maps, again.maps))
    assert all(np.array_equal(a, b) for a, b in zip(log.routes, again.routes))
    assert (again.ending, again.traffic, again.seed, again.settings) == ("policy", traffic, 3, {"traffic": traffic})
    assert score(again) == score(log)


def test_a_crash_survives_its_file(tmp_path: Path) -> None:
    log = crash()[1]
    save_drive_log(log, tmp_path / "drive.npz")
    again = load_drive_log(tmp_path / "drive.npz")
    assert again.collisions == log.collisions and again.vehicle == log.vehicle and score(again) == score(log)


def test_drives_of_the_same_seed_are_the_same_file(tmp_path: Path) -> None:
    for name in ("first.npz", "second.npz"):
        env = DriveWorldEnv(generator=None, action="physical", observation=("default", "boxes"), seconds=1.0)
        save_drive_log(recorded(env, LaneFollower(), seed=5)[1], tmp_path / name)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def test_a_town_drive_is_one_of_reactive_traffic() -> None:
    env = DriveWorldEnv(generator=None, action="physical", observation=("default", "boxes"), seconds=0.5)
    log = recorded(env, LaneFollower(), seed=5)[1]
    assert log.traffic == "idm" and score(log)["aggregates"]["nuplan_cls"]["name"] == "nuPlan CLS-R"


def test_foreign_and_corrupt_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "drive.npz"
    with pytest.raises(ValueError, match="drive.npz: found no file, accepted a drive log written by save_drive_log"):
        load_drive_log(path)
    path.write_text("not an archive")
    with pytest.raises(ValueError, match="drive.npz: .*accepted a drive log of save_drive_log"):
        load_drive_log(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match="drive.npz: found no .*head.*accepted a drive log of save_drive_log"):
        load_drive_log(path)
    np.savez(path, head=np.array('{"format": "other"}'))
    with pytest.raises(ValueError, match="drive.npz: found format 'other', accepted 'drivesim-drive/1'"):
        load_drive_log(path)
    np.savez(path, head=np.array([{"format": 1}], dtype=object))
    with pytest.raises(ValueError, match="drive.npz: .*allow_pickle=False"):
        load_drive_log(path)
    save_drive_log(drive([0.0, 1.0]), path)
    content = path.read_bytes()
    for cut in (30, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="drive.npz: .*accepted a drive log of save_drive_log"):
            load_drive_log(path)
    with pytest.raises(ValueError, match=r"drive log: found .*drive.json', accepted a path that ends in .npz"):
        save_drive_log(drive([0.0, 1.0]), tmp_path / "drive.json")
    with pytest.raises(ValueError, match="DriveLog.settings: .*accepted what fits in JSON"):
        save_drive_log(drive([0.0, 1.0], settings={"source": StraightRoad()}), tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"yaw": np.zeros(3)}, r"DriveLog.yaw: found shape \(3,\), accepted \(2,\)"),
        ({"yaw": np.array([0.0, np.nan])}, "DriveLog.yaw: found NaN"),
        ({"time": np.zeros(2)}, "DriveLog.time: accepted increasing times"),
        ({"map_index": np.array([0, 0])}, "DriveLog.map_index: found 0 to 0, accepted -1 to -1"),
        ({"routes": (np.zeros((1, 3)),)}, r"DriveLog.routes: found shape \(1, 3\), accepted \(R, 3\)"),
        ({"ending": "boredom"}, "DriveLog.ending: found 'boredom', accepted"),
        ({"traffic": "jam"}, "DriveLog.traffic: found 'jam', accepted"),
        ({"tracks": TrackLog.of([thing(0.0, 0.0)])}, "DriveLog.tracks: found 1 steps, accepted 2"),
    ],
)
def test_logs_that_do_not_fit_together_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(drive([0.0, 1.0]), **change)


def test_track_logs_that_do_not_fit_together_are_refused() -> None:
    tracks = TrackLog.of([both(thing(0.0, 0.0), thing(9.0, 0.0, number=8)), thing(1.0, 0.0)])
    assert tracks.step.tolist() == [0, 0, 1] and len(tracks.at(0)) == 2
    with pytest.raises(ValueError, match="TrackLog.offsets: accepted ascending row numbers from 0 to 3"):
        replace(tracks, offsets=np.array([0, 4, 3]))
    with pytest.raises(ValueError, match="TrackLog.class_ids: accepted 0 to 9"):
        replace(tracks, class_ids=np.array([0, 0, 10]))


def test_what_is_derived_is_derived_once_per_log() -> None:
    calls = []

    @once_per_log
    def count(log: DriveLog) -> int:
        calls.append(log)
        return len(log)

    first, second = drive([0.0, 1.0]), drive([0.0, 1.0, 2.0])
    assert [count(first), count(first), count(second)] == [2, 2, 3] and len(calls) == 2


def test_footprint_and_centre() -> None:
    log = drive([1.0, 1.0], 2.0, 0.5 * np.pi)
    shape = log.vehicle
    assert np.allclose(log.centre, [1.0, 2.0 + shape.centre_offset])
    front = 2.0 + shape.length - shape.rear_overhang
    assert np.allclose(log.footprint[0, 0], [1.0 - 0.5 * shape.width, front])
    assert np.allclose(log.footprint[0, 2], [1.0 + 0.5 * shape.width, 2.0 - shape.rear_overhang])
