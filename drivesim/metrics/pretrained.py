"""LPIPS, FID and FVD proper, through the networks they are defined by, as TorchScript files on this machine.

Nothing is downloaded and nothing stands in for an absent file. The files are those that NVIDIA publishes with StyleGAN:
`inception-2015-12-05.pt` (FID), `i3d_torchscript.pt` (FVD) and `vgg16.pt` (LPIPS).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drivesim.metrics.frechet import frechet_distance

BATCH = 16


def fid(pictures: NDArray[np.uint8], truth: NDArray[np.uint8], network: str | Path) -> float:
    """Fréchet Inception distance of pictures [N, H, W, 3] and [M, H, W, 3]. FileNotFoundError without the network."""
    inception = load_network(network, "inception-2015-12-05.pt")
    found, wanted = (
        _in_batches(lambda x: inception(x, return_features=True), _channels_first(p)) for p in (pictures, truth)
    )
    return frechet_distance(found, wanted)


def fvd(videos: NDArray[np.uint8], truth: NDArray[np.uint8], network: str | Path) -> float:
    """Fréchet video distance of videos [N, T, H, W, 3], T >= 10. FileNotFoundError without the network."""
    i3d = load_network(network, "i3d_torchscript.pt")

    def features(batch: Tensor) -> Tensor:
        return i3d(batch.float(), rescale=True, resize=True, return_features=True)

    found, wanted = (_in_batches(features, torch.from_numpy(v).permute(0, 4, 1, 2, 3)) for v in (videos, truth))
    return frechet_distance(found, wanted)


def lpips(pictures: NDArray[np.uint8], truth: NDArray[np.uint8], network: str | Path) -> float:
    """Learned perceptual distance (VGG) of pairs of pictures [N, H, W, 3]. FileNotFoundError without the network."""
    vgg = load_network(network, "vgg16.pt")
    found, wanted = (
        _in_batches(lambda x: vgg(x.float(), resize_images=False, return_lpips=True), _channels_first(p))
        for p in (pictures, truth)
    )
    return float(((found - wanted) ** 2).sum(-1).mean())


def load_network(path: str | Path, published: str) -> torch.jit.ScriptModule:
    """A TorchScript network from a file. Raises FileNotFoundError with what is expected there."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"network: found no file {path}, accepted a TorchScript file ({published})")
    return torch.jit.load(str(path), map_location="cpu").eval()


def _channels_first(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)


def _in_batches(network: Callable[[Tensor], Tensor], values: Tensor) -> NDArray[np.float64]:
    with torch.inference_mode():
        return np.concatenate([network(part).double().numpy() for part in values.split(BATCH)])
