"""Figures through published networks: the files are asked for by name, and what is made of their features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from drivesim.metrics.pretrained import fid, fvd, lpips


class MeanColor(nn.Module):
    """Takes what NVIDIA's files take; its features are mean colours."""

    def forward(
        self, x: Tensor, return_features: bool = False, rescale: bool = False, resize: bool = False,
        resize_images: bool = False, return_lpips: bool = False,
    ) -> Tensor:  # fmt: skip
        return x.float().flatten(2).mean(-1)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "network.pt"
    torch.jit.script(MeanColor()).save(str(path))
    return path


def test_constant_shifts_have_closed_forms(network: Path) -> None:
    """All features move by (3, 3, 3): squared 27, in pairs and between sets."""
    pictures = np.random.default_rng(0).integers(0, 200, (20, 6, 6, 3)).astype(np.uint8)
    videos = pictures.reshape(10, 2, 6, 6, 3)
    assert lpips(pictures, pictures + np.uint8(3), network) == pytest.approx(27.0, rel=1e-4)
    assert fid(pictures, pictures + np.uint8(3), network) == pytest.approx(27.0, rel=1e-3)
    assert fvd(videos, videos + np.uint8(3), network) == pytest.approx(27.0, rel=1e-3)


def test_absent_files_are_asked_for_by_name(tmp_path: Path) -> None:
    pictures = np.zeros((2, 6, 6, 3), np.uint8)
    with pytest.raises(FileNotFoundError, match=r"none.pt, accepted a TorchScript file \(inception-2015-12-05.pt\)"):
        fid(pictures, pictures, tmp_path / "none.pt")
    with pytest.raises(FileNotFoundError, match=r"vgg16.pt"):
        lpips(pictures, pictures, tmp_path / "none.pt")
