"""Figures over drives against what is put into the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivesim.evaluation import EvaluationConfig
from drivesim.evaluation.records import PICTURE_FIGURES, Record
from drivesim.evaluation.report import color_table, frame_table
from drivesim.evaluation.scores import score
from drivesim.evaluation.settings import claim_folder
from drivesim.evaluation.truth import TownTruth, pack_boxes, save_rows, unpack_boxes
from drivesim.redetector.layout import Boxes

CONFIG = EvaluationConfig("nowhere", frames=(1, 12), window=6, color_every=12)
READINGS = (1, 6, 12, 17)


def boxes(*places: tuple[float, float]) -> Boxes:
    n = len(places)
    centre = np.column_stack([np.array(places, float).reshape(n, 2), np.zeros(n)])
    return Boxes(np.zeros(n, int), centre, np.ones((n, 3)), np.zeros(n), np.ones(n), np.arange(n))


def record(found: Boxes, brightness: float, keeps: bool = True) -> Record:
    """A record in which every reading finds the same boxes and one of two cells."""
    rng = np.random.default_rng(0)
    return {
        "figures": np.tile([20.0, np.inf, np.nan, *[1.0] * (len(PICTURE_FIGURES) - 3)], (2, 1)),
        "overlap": np.tile([[1, 2], [0, 0]], (2, 2, 1, 1)),
        "features": rng.normal(size=(2, 6, 3, 4)) + brightness,
        **pack_boxes([found] * 4),
        "color_frame": np.array([0, 12]), "color_track": np.array([3, 3]),
        "color": np.array([[100.0, 0.0, 0.0], [100.0, 0.0 if keeps else 30.0, 0.0]]),
    }  # fmt: skip


@pytest.fixture
def truth(tmp_path: Path) -> TownTruth:
    wanted = boxes((5, 0), (10, 5), (31, 0))
    save_rows(tmp_path / "layout.npz", {"readings": np.array(READINGS)} | pack_boxes([wanted] * 4))
    return TownTruth(900_000, tmp_path)


def test_figures_of_a_row(truth: TownTruth) -> None:
    cast, own = record(boxes((5, 0), (10, 5), (31, 0)), 0.0), record(boxes((5, 0.5)), 2.0, keeps=False)
    scores = score([own], [cast], [truth], CONFIG)
    assert scores.figures["whole"] == [20.0, 20.0]
    assert np.isnan(scores.figures["ground"]).all() and np.isnan(scores.figures["boxes"]).all()
    assert scores.figures["miou"] == [0.5, 0.5]
    assert scores.figures["found"] == [0.5, 0.5]  # the third is farther than 30 m
    assert scores.figures["features"] == pytest.approx([16.0, 16.0])  # four features moved by two
    assert scores.figures["video"] == pytest.approx([16.0, 16.0])  # their changes did not move
    assert scores.colors.age == [12] and scores.colors.kept == [0.0] and scores.colors.cars == [1]
    itself = score([cast], [cast], [truth], CONFIG)
    assert itself.figures["found"] == [1.0, 1.0] and itself.figures["map"] == pytest.approx([1.0, 1.0])
    assert itself.figures["features"] == pytest.approx([0.0, 0.0], abs=1e-6)
    table = frame_table({"ray-cast": itself, "1 step": scores}, CONFIG.frames)
    assert "| 1 step | 1 | 20.00 | – | – |" in table
    assert "| 1 step | 0.00 (1 cars) |" in color_table({"1 step": scores})
    assert scores.plain()["ground"] == [None, None]


def test_boxes_are_packed_and_unpacked() -> None:
    rows = pack_boxes([boxes((1, 2)), boxes(), boxes((3, 4), (5, 6))])
    assert [len(unpack_boxes(rows, i)) for i in range(3)] == [1, 0, 2]
    assert unpack_boxes(rows, 2).centre[1, 0] == 5.0


def test_wanted_frames_cover_windows_and_colours() -> None:
    assert CONFIG.wanted == [0, 1, 2, 3, 4, 5, 6, 12, 13, 14, 15, 16, 17]
    assert [list(CONFIG.readings_of(f)) for f in CONFIG.frames] == [[1, 6], [12, 17]]
    assert replace(CONFIG, window=1, color_every=0).wanted == [0, 1, 12]
    with pytest.raises(ValueError, match=r"frames: found \(0,\)"):
        replace(CONFIG, frames=(0,))
    with pytest.raises(ValueError, match="window, color_every, chunk: found 0, 12 and 0"):
        replace(CONFIG, window=0)


def test_results_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    config = replace(CONFIG, out=str(tmp_path / "out"))
    claim_folder(config)
    claim_folder(replace(config, towns=3, steps=(2,), trials=0))
    with pytest.raises(ValueError, match="found results with another frames, window"):
        claim_folder(replace(config, frames=(1,), window=16))
