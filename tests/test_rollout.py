"""Letting policies drive: traces, films, and the follower that drives the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest

from drivesim.env import DriveWorldEnv
from drivesim.policy import load_policy
from drivesim.rollout import Trace, run
from drivesim.video import SIZE, VideoWriter, write_video
from planners.lane_follower import LaneFollower
from tests.straight_road import StraightRoad, track


class FullThrottle:
    """Knows one thing."""

    action = "normalized"
    observation = ()

    def reset(self, info: dict[str, Any]) -> None:
        """Nothing."""

    def act(self, observation: dict[str, np.ndarray], info: dict[str, Any]) -> np.ndarray:
        """Full throttle."""
        return np.array([1.0, 0.0], np.float32)


def straight(**settings: Any) -> DriveWorldEnv:
    road = {name: settings.pop(name) for name in ("tracks", "speed") if name in settings}
    return DriveWorldEnv(**({"source": StraightRoad(**road), "generator": None, "seconds": 3.0} | settings))


def test_run_records_every_step() -> None:
    env, seen = straight(), []
    trace = run(env, FullThrottle(), seed=4, on_step=lambda world, trace: seen.append((world.time, len(trace.steps))))
    assert [count for _, count in seen] == list(range(37)) and seen[-1][0] == pytest.approx(3.0)
    assert trace.ending == "time" and trace.steps[-1].speed == pytest.approx(9.0)
    assert trace.total_reward == pytest.approx(sum(step.reward for step in trace.steps))
    assert trace.summary()["distance"] == pytest.approx(13.5) and "ended by time" in trace.summary_line()


@pytest.mark.parametrize("reads, seen", [((), 0), (("CAM_BACK", "boxes"), 1), (("default",), 6)])
def test_a_policy_sees_the_cameras_that_it_names(reads: tuple[str, ...], seen: int) -> None:
    class Watching(FullThrottle):
        observation = reads

        def act(self, observation: dict[str, np.ndarray], info: dict[str, Any]) -> np.ndarray:
            """Counts cameras."""
            assert sum(key.startswith("CAM_") for key in observation) == seen
            assert {"ego", "route"} < observation.keys() or not reads
            return super().act(observation, info)

    env = DriveWorldEnv(source=StraightRoad(), generator="layout", image_size=(16, 32), seconds=0.25)
    assert len(run(env, Watching()).steps) == 3


def test_run_names_the_ending() -> None:
    assert run(straight(tracks=track(15.0, 0.0)), FullThrottle()).ending == "collision"


def test_run_keeps_frames_when_asked() -> None:
    env = DriveWorldEnv(source=StraightRoad(), generator="layout", image_size=(16, 32), seconds=0.5)
    assert run(env, FullThrottle()).frames == []
    frames = run(env, FullThrottle(), keep_frames=True).frames
    assert len(frames) == 7 and frames[0].shape == (6, 16, 32, 3)


def test_run_takes_wrapped_environments_only_of_this_world() -> None:
    assert len(run(gym.wrappers.TimeLimit(straight(), 5), FullThrottle()).steps) == 5
    with pytest.raises(ValueError, match="run: found environment .* accepted a DriveWorldEnv"):
        run(gym.make("CartPole-v1"), FullThrottle())


def test_trace_round_trip(tmp_path: Path) -> None:
    trace = run(straight(tracks=track(15.0, 0.0)), FullThrottle(), seed=4)
    trace.save(tmp_path / "trace.json")
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]
    assert Trace.load(tmp_path / "trace.json") == trace


def test_corrupt_and_foreign_traces_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text('{"format": ')
    with pytest.raises(ValueError, match="trace.json: found corrupt JSON"):
        Trace.load(path)
    path.write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="trace.json: found format 'other', accepted 'drivesim-trace/1'"):
        Trace.load(path)


def test_film_decodes_to_what_was_written(tmp_path: Path) -> None:
    env = straight(seconds=1.0)
    env.reset(seed=0)
    pictures = []
    for _ in range(12):
        env.step(np.array([1.0, 0.0]))
        pictures.append(env.picture())
    write_video(tmp_path / "film.mp4", pictures)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    with av.open(str(tmp_path / "film.mp4")) as film:
        stream = film.streams.video[0]
        decoded = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 12)
    assert len(decoded) == 12 and decoded[0].shape == (*SIZE, 3)
    error = np.abs(np.stack(decoded).astype(int) - np.stack(pictures).astype(int)).mean()
    assert error < 4.0


def test_failed_film_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), VideoWriter(tmp_path / "film.mp4") as film:
        film.write(np.zeros((16, 16, 3), np.uint8))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_film_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"video: found .*film.gif', accepted a path that ends in .mp4"):
        VideoWriter(tmp_path / "film.gif")
    with pytest.raises(ValueError, match="video: found no folder"):
        VideoWriter(tmp_path / "nowhere" / "film.mp4")
    with pytest.raises(ValueError, match="accepted even height and width"), VideoWriter(tmp_path / "film.mp4") as film:
        film.write(np.zeros((15, 16, 3), np.uint8))


def test_policies_load_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_policy.py").write_text(
        "class Mine:\n    action, observation = 'physical', ()\n    def __init__(self, k=1): self.k = k\n"
        "    def reset(self, info): ...\n    def act(self, observation, info): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nonexistent", *__import__("sys").path])
    assert load_policy("my_own_policy:Mine", k=3).k == 3  # type: ignore[attr-defined]
    for path, message in (
        ("Mine", "policy: found 'Mine', accepted 'module.sub:Class', a file"),
        ("my_own_policy:Other", r"policy: found no 'Other' in 'my_own_policy', accepted \['Mine'\]"),
        ("nowhere.sub:Mine", "policy: found no module 'nowhere'"),
    ):
        with pytest.raises(ValueError, match=message):
            load_policy(path)


def test_follower_reaches_and_holds_its_speed() -> None:
    env = straight(seconds=30.0, action="physical", observation=("default", "boxes"))
    last = run(env, LaneFollower()).steps[-1]
    assert last.speed == pytest.approx(11.0, abs=0.2) and abs(last.metrics["route_offset"]) < 0.05


@pytest.mark.parametrize("lead_speed", [0.0, 4.0])
def test_follower_keeps_its_distance(lead_speed: float) -> None:
    road = {"tracks": track(60.0, 0.4, speed=lead_speed), "speed": 11.0}
    env = straight(seconds=25.0, action="physical", observation=("default", "boxes"), **road)
    trace = run(env, LaneFollower())
    assert trace.ending == "time" and trace.steps[-1].speed == pytest.approx(lead_speed, abs=0.3)
    assert min(step.acceleration for step in trace.steps) > -5.0


@pytest.mark.parametrize("town", [900_000, 900_001])
def test_follower_stays_on_the_road_of_the_town(town: int) -> None:
    env = DriveWorldEnv(generator=None, action="physical", observation=("default", "boxes"), seconds=60.0)
    trace = run(env, LaneFollower(), seed=town, options={"town": town})
    assert trace.ending != "off_road"
    assert not any(hit["at_fault"] for hit in trace.steps[-1].events["collisions"])
    assert trace.summary()["distance"] > 100.0
