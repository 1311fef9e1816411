"""Episodes as files: rows as they were given, nothing half-written, clear words about what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drivesim.data.episodes import NEEDED, EpisodeWriter, episode_folder, open_episode, open_episodes


def written(data: Path, index: int = 0, rows: int = 3) -> Path:
    writer = EpisodeWriter(episode_folder(data, index))
    for row in range(rows):
        writer.add(pose=np.eye(4) * (row + 1), **{name: np.float32(row) for name in NEEDED if name != "pose"})
    writer.write({"fps": 12.0}, extrinsics=np.zeros((6, 4, 4)))
    return writer.folder


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    episode = open_episode(written(tmp_path))
    assert len(episode) == 3 and episode.dt == pytest.approx(1.0 / 12.0)
    np.testing.assert_array_equal(episode.pose[:, 0, 0], [1.0, 2.0, 3.0])
    assert episode.array("reward").tolist() == [0.0, 1.0, 2.0] and episode.array("extrinsics").shape == (6, 4, 4)
    with pytest.raises(ValueError, match="read-only"):
        episode.array("reward")[0] = 1.0


def test_only_finished_episodes_are_seen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no clip_. folder, accepted a folder of episodes"):
        open_episodes(tmp_path)
    written(tmp_path, 4)
    (tmp_path / ".clip_000005.partial").mkdir()
    assert [episode.folder.name for episode in open_episodes(tmp_path)] == ["clip_000004"]


def test_what_is_wrong_with_an_episode_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "reward.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match="reward.npy: found a corrupt array"):
        open_episode(folder).array("reward")
    (folder / "reward.npy").unlink()
    with pytest.raises(ValueError, match="clip_000000: found no reward, accepted an episode with pose"):
        open_episode(folder)
    for content, message in (("{", "no readable JSON"), ("[]", "format: found None"), ('{"format": "x"}', "found 'x'")):
        (folder / "clip.json").write_text(content)
        with pytest.raises(ValueError, match=f"clip.json: .*{message}"):
            open_episode(folder)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    folder = written(tmp_path)
    np.save(folder / "terms.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="terms.npy: found a corrupt array"):
        open_episode(folder).array("terms")
