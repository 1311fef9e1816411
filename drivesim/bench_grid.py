"""The streaming generator alone: every size, batch, number of denoising steps and device, against what is possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

from drivesim.bench_roofline import FlopClock, MatmulPeak, StageClock
from drivesim.bench_sizes import SIZES, Parts, load_parts
from drivesim.bench_streams import STAGES, Material, PlainStream, Stream


@dataclass(frozen=True)
class GridConfig:
    """What to combine, and how to measure each. `profile` is a folder for traces."""

    sizes: Sequence[str]
    batches: Sequence[int] = (1,)
    steps: Sequence[int] = (1,)
    devices: Sequence[str] = ("cpu",)
    frames: int = 24
    warmup: int = 6
    seed: int = 0
    dtype: str = "bfloat16"
    plain: bool = False
    profile: str | None = None

    def __post_init__(self) -> None:
        for name, accepted in (("sizes", sorted(SIZES)), ("batches", None), ("steps", None), ("devices", None)):
            found = list(getattr(self, name))
            if not found or any(v not in accepted if accepted else isinstance(v, int) and v < 1 for v in found):
                raise ValueError(f"{name}: found {found}, accepted at least one of {accepted or 'numbers from 1'}")


@dataclass(frozen=True)
class GridResult:
    """Figures of one combination; per stage of a frame of all worlds where not said otherwise."""

    size: str
    batch: int
    steps: int
    device: str
    dtype: str
    milliseconds: dict[str, float]  # median
    p95: dict[str, float]  # [ms]
    frames_per_second: float  # of six cameras, of all worlds together
    gigaflops: dict[str, float]
    rate: dict[str, float]  # [GFLOP/s] achieved
    peak: float  # [GFLOP/s] of a product of large matrices, median over the same rounds
    share: dict[str, float]  # of that peak
    times_plain: float | None  # as fast as the plain implementation, median over the rounds
    difference: tuple[float, float] | None  # mean and largest, of pictures in [-1, 1] after the last round


def benchmark_grid(config: GridConfig) -> list[GridResult]:
    """Figures of all combinations. Raises ValueError for a device that is not there."""
    results = []
    for size, device in product(config.sizes, config.devices):
        parts = load_parts(size, config.dtype, device)
        plain = load_parts(size, config.dtype, device, prepared=False) if config.plain else None
        if plain is not None:  # random weights have to be the same ones
            plain.network.load_state_dict(parts.network.state_dict())
            plain.codec.load_state_dict(parts.codec.state_dict())
        flops = {steps: count_flops(parts, steps, device, config.seed) for steps in config.steps}
        for batch, steps in product(config.batches, config.steps):
            results.append(measure(config, size, parts, plain, batch, steps, device, flops[steps]))
    return results


@torch.inference_mode()
def measure(
    config: GridConfig, size: str, parts: Parts, plain: Parts | None, batch: int, steps: int, device: str,
    flops: Mapping[str, float],
) -> GridResult:  # fmt: skip
    """Figures of one combination; `flops` are those of one world. The plain implementation and the peak take turns."""
    material = Material(parts.conditions, parts.image_size, batch, device, config.seed)
    stream = Stream(parts, material, steps)
    other = None if plain is None else PlainStream(plain, material, steps)
    top, rounds, plain_seconds, peaks = MatmulPeak(device, parts.dtype), [], [], []
    for index in range(config.warmup + config.frames):
        clock, plain_clock = StageClock(device), StageClock(device)
        stream.frame(clock)
        if other is not None:
            other.frame(plain_clock)
        peak = top.measure()
        if index >= config.warmup:
            rounds.append([clock.seconds[stage] for stage in STAGES])
            plain_seconds.append(sum(plain_clock.seconds.values()))
            peaks.append(peak)
    gap = None if other is None else (stream.pictures.float() - other.pictures.float()).abs()
    if config.profile:
        _profile(stream, Path(config.profile) / f"{size}_batch{batch}_steps{steps}_{device.replace(':', '')}")
    seconds = np.array(rounds)
    middle, late = (dict(zip(STAGES, row.tolist())) for row in np.percentile(seconds, (50, 95), axis=0))
    rate = {stage: batch * flops[stage] / middle[stage] / 1e9 for stage in STAGES}
    highest = float(np.median(peaks)) / 1e9
    return GridResult(
        size, batch, steps, device, config.dtype,
        {stage: 1e3 * value for stage, value in middle.items()}, {stage: 1e3 * value for stage, value in late.items()},
        batch / float(np.median(seconds.sum(axis=1))), {stage: batch * flops[stage] / 1e9 for stage in STAGES}, rate,
        highest, {stage: value / highest for stage, value in rate.items()},
        None if other is None else float(np.median(np.array(plain_seconds) / seconds.sum(axis=1))),
        None if gap is None else (float(gap.mean()), float(gap.max())),
    )  # fmt: skip


@torch.no_grad()
def count_flops(parts: Parts, steps: int, device: str, seed: int) -> dict[str, float]:
    """FLOPs per stage of a frame of one world that reads past frames."""
    stream = Stream(parts, Material(parts.conditions, parts.image_size, 1, device, seed), steps)
    stream.frame()
    clock = FlopClock()
    stream.frame(clock)
    return clock.flops


def _profile(stream: Stream, target: Path) -> None:
    """A trace of two frames for chrome://tracing or Perfetto, and a table of its operations."""
    target.parent.mkdir(parents=True, exist_ok=True)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(2):
            stream.frame(torch.profiler.record_function)
    profile.export_chrome_trace(str(target.with_suffix(".json")))
    target.with_suffix(".txt").write_text(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=40))


def grid_table(results: Iterable[GridResult]) -> str:
    """Figures as text, a line for every combination; per stage median [ms] and, of the denoising, the roofline."""
    rows = [["size", "device", "batch", "steps", *(f"{stage} [ms]" for stage in STAGES), "frames/s", "denoise GFLOP",
             "GFLOP/s", "peak GFLOP/s", "share", "decode share", "times plain", "difference"]]  # fmt: skip
    for r in results:
        rows.append([
            r.size, r.device, str(r.batch), str(r.steps), *(f"{r.milliseconds[stage]:.2f}" for stage in STAGES),
            f"{r.frames_per_second:.1f}", f"{r.gigaflops['denoise']:.1f}", f"{r.rate['denoise']:.0f}", f"{r.peak:.0f}",
            f"{100 * r.share['denoise']:.0f} %", f"{100 * r.share['decode']:.0f} %",
            "-" if r.times_plain is None else f"{r.times_plain:.2f}",
            "-" if r.difference is None else f"{r.difference[0]:.1e} / {r.difference[1]:.1e}",
        ])  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)
