"""How much a computation asks for and how much the machine could give: counted FLOPs and a measured matmul peak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from time import perf_counter
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_flop_count

from drivesim.nn.inference import PACKED

_SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices whose product is the peak


def synchronise(device: str) -> None:
    """Waits for what was queued on a GPU."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


class StageClock:
    """Collects seconds per stage; on a GPU every stage waits for its own work."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measures a stage; one that comes several times adds up."""
        synchronise(self._device)
        begin = perf_counter()
        yield
        synchronise(self._device)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - begin


class FlopClock:
    """Collects floating point operations per stage: of products of matrices, convolutions and attention (2 per MAC)."""

    def __init__(self) -> None:
        self.flops: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Counts a stage. Not under `torch.inference_mode`, which hides operations from the counter."""
        with FlopCounterMode(display=False, custom_mapping=_UNKNOWN) as counter:
            yield
        self.flops[stage] = self.flops.get(stage, 0.0) + float(counter.get_total_flops())


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _convolution_flops(x: Any, second: Any, third: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    """Of a packed convolution, whose weights come second, or third where something is added."""
    weight = third if third is not None and len(third) == 4 else second
    return int(conv_flop_count(x, weight, out_shape))


def _added_convolution_flops(_: Any, x: Any, weight: Any, *__: Any, out_shape: Any, **___: Any) -> int:
    """Of a packed convolution that is written over what it is added to."""
    return int(conv_flop_count(x, weight, out_shape))


def _linear_flops(x: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    """Of a packed linear layer, whose output has as many rows as its input and as many columns as its weights."""
    return 2 * prod(out_shape) * x[-1]


# Operations on processors that torch does not count by itself.
_UNKNOWN: dict[Any, Any] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
if PACKED:
    _UNKNOWN[torch.ops.mkldnn._convolution_pointwise] = _convolution_flops
    _UNKNOWN[torch.ops.mkldnn._convolution_pointwise_] = _added_convolution_flops
    _UNKNOWN[torch.ops.mkldnn._linear_pointwise] = _linear_flops


class MatmulPeak:
    """The rate at which the machine multiplies large matrices, which no network exceeds."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self._device, side = device, _SIDE[torch.device(device).type]
        self._factors = [torch.randn(side, side, device=device).to(dtype) for _ in range(2)]
        self._flops = 2.0 * side**3

    def measure(self) -> float:
        """FLOP/s of one product."""
        synchronise(self._device)
        begin = perf_counter()
        torch.mm(*self._factors)
        synchronise(self._device)
        return self._flops / (perf_counter() - begin)
