"""The generator alone: counted operations against closed forms, and the plain implementation against the cached one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from drivesim.bench_grid import GridConfig, count_flops, grid_table, measure
from drivesim.bench_roofline import FlopClock, MatmulPeak, StageClock
from drivesim.bench_sizes import Parts, as_it_runs, load_parts
from drivesim.bench_streams import STAGES, Material, PlainStream, Stream
from drivesim.commands import bench as bench_command
from drivesim.generators.stage import inputs
from drivesim.generators.stage.memory import LENGTH
from drivesim.nn.inference import PACKED
from tests.generators.test_stage import SIZE, tiny_codec, tiny_network
from tests.hydra_run import run_command


def parts(prepared: bool, dtype: torch.dtype = torch.float32) -> Parts:
    return as_it_runs(Parts(tiny_network(), tiny_codec(), SIZE), dtype, "cpu", prepared)


@torch.no_grad()
def test_operations_are_counted_as_their_closed_forms_say() -> None:
    clock = FlopClock()
    query = torch.randn(2, 5, 7, 8)
    with clock("convolution"):
        nn.Conv2d(3, 4, 3, padding=1)(torch.randn(2, 3, 6, 5))
    with clock("attention"):
        scaled_dot_product_attention(query, torch.randn(2, 5, 11, 8), torch.randn(2, 5, 11, 8))
    for _ in range(2):
        with clock("matrix"):
            torch.randn(3, 4) @ torch.randn(4, 5)
    assert clock.flops == {
        "convolution": 2.0 * 2 * 6 * 5 * 4 * 3 * 9,
        "attention": 2 * 2.0 * 2 * 5 * 7 * 11 * 8,
        "matrix": 2 * 2.0 * 3 * 4 * 5,
    }


@pytest.mark.skipif(not PACKED, reason="this processor or build of torch has no packed convolutions in bfloat16")
def test_packed_layers_count_like_those_that_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for kernels in ("PAINTED", "WARPED"):  # their few products are not counted, so torch's versions are compared
        monkeypatch.setattr(inputs, kernels, None)
    network = tiny_network()
    steps, wide, embedded = 2, network.trunk.config.block_out_channels[0], network.config.embedding
    packed = count_flops(parts(prepared=True, dtype=torch.bfloat16), steps, "cpu", 0)
    packed["denoise"] += steps * 2 * (wide * embedded + embedded**2)  # noise levels, embedded before the counted frame
    assert packed == count_flops(parts(prepared=True), steps, "cpu", 0)


def test_stages_that_come_again_add_up() -> None:
    clock = StageClock("cpu")
    for _ in range(3):
        with clock("nap"):
            time.sleep(0.002)
    assert 0.006 <= clock.seconds["nap"] < 1.0
    assert MatmulPeak("cpu", torch.float32).measure() > 0.0


@pytest.mark.parametrize("steps", [1, 2])
def test_the_plain_implementation_draws_the_same(steps: int) -> None:
    """In float32 to 1e-4, beyond the length of the memory."""
    cached, plain = parts(prepared=True), parts(prepared=False)
    material = Material(cached.conditions, SIZE, 2, "cpu", 0)
    with torch.inference_mode():
        one, other, forgetful = (kind(p, material, steps) for kind, p in
                                 ((Stream, cached), (PlainStream, plain), (PlainStream, plain)))  # fmt: skip
        for _ in range(LENGTH + 3):
            first, second = one.frame(), other.frame()
            forgetful.buffer = type(forgetful.buffer)()
            forgetful.frame()
            assert torch.allclose(one.pictures, other.pictures, atol=1e-4)
            assert (first.int() - second.int()).abs().max() <= 1
        assert not torch.allclose(one.pictures, forgetful.pictures, atol=1e-3), "what is remembered matters"


def test_figures_of_a_combination_fit_together(tmp_path: Path) -> None:
    config = GridConfig(["tiny"], frames=3, warmup=1, plain=True, dtype="float32", profile=str(tmp_path))
    cached, plain = parts(prepared=True), parts(prepared=False)
    flops = {steps: count_flops(cached, steps, "cpu", 0) for steps in (1, 2)}
    assert flops[2]["denoise"] == pytest.approx(2.0 * flops[1]["denoise"])
    assert flops[2]["decode"] == flops[1]["decode"] > 0.0
    result = measure(config, "tiny", cached, plain, 2, 2, "cpu", flops[2])
    assert set(result.milliseconds) == set(STAGES)
    for stage in STAGES:
        assert result.gigaflops[stage] == pytest.approx(2.0 * flops[2][stage] / 1e9)
        assert result.rate[stage] == pytest.approx(1e3 * result.gigaflops[stage] / result.milliseconds[stage])
        assert result.share[stage] == pytest.approx(result.rate[stage] / result.peak)
    assert result.times_plain is not None and result.times_plain > 0.0
    assert result.difference is not None and result.difference[1] < 1e-4
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".txt"}
    lines = grid_table([result]).splitlines()
    assert lines[1].split()[:4] == ["tiny", "cpu", "2", "2"] and len(lines[0]) == len(lines[1])


def test_the_command_writes_the_figures_of_all_combinations(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    run_command(bench_command, "bench", "generators=[]", "sizes=[tiny]", "denoising_steps=[1,2]", "steps=1", "warmup=1",
                f"out={out}")  # fmt: skip
    one, two = json.loads(out.read_text())["grid"]
    assert (one["size"], one["dtype"], one["steps"], two["steps"]) == ("tiny", "bfloat16", 1, 2)
    assert two["gigaflops"]["denoise"] == pytest.approx(2.0 * one["gigaflops"]["denoise"])
    assert one["times_plain"] is None


def test_bad_settings_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"sizes: found \['huge'\], accepted at least one of \['paper', 'small', 'tiny'\]"
    ):
        GridConfig(["huge"])
    with pytest.raises(ValueError, match=r"batches: found \[0\]"):
        GridConfig(["tiny"], batches=[0])
    with pytest.raises(ValueError, match="dtype: found 'int8'"):
        load_parts("tiny", "int8")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="devices: found 'cuda' on a machine without such a GPU"):
            load_parts("tiny", device="cuda")
