"""Compiled kernels give the bits of their numpy versions."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import drivesim
from drivesim import kernels
from drivesim.bench_driver import drive as steer
from drivesim.env import DriveWorldEnv
from drivesim.town.shader import Shader

needs_kernels = pytest.mark.skipif(not kernels.in_use(), reason="no kernels were compiled here")
ROOT = Path(__file__).parents[1]
STEPS = 90


def drive(seed: int, steps: int = STEPS) -> str:
    """Digest of all that a drive shows."""
    env, digest = DriveWorldEnv(generator=None, action="physical"), hashlib.sha256()
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        observation, reward, terminated, _, _ = env.step(steer(observation, env.scene))
        tracks = env.scene.tracks
        for array in (tracks.ids, tracks.position, tracks.yaw, tracks.velocity, *observation.values()):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr(reward).encode())
        if terminated:
            break
    return digest.hexdigest()


def run_python(program: str, folder: Path, **environment: str) -> list[str]:
    command, variables = [sys.executable, "-c", program], os.environ | {"PYTHONPATH": str(folder)} | environment
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@needs_kernels
def test_whole_drives_agree_to_the_bit() -> None:
    program = "from drivesim import kernels; from tests.test_kernels import drive\n"
    program += "print(kernels.in_use(), drive(3), drive(4))"
    assert run_python(program, ROOT, DRIVESIM_KERNELS="numpy") == ["False", drive(3), drive(4)]


@needs_kernels
@pytest.mark.parametrize("far", [3.0, 60.0])
def test_ground_of_any_size_of_pixel_agrees(far: float) -> None:
    rng = np.random.default_rng(1)
    texels = rng.integers(0, 10, 64 * 48).astype(np.uint8)
    shape, offset = np.array([[32, 16], [24, 12]], np.int32), np.array([0, 32 * 24], np.int32)
    colors, palette = rng.integers(0, 2**32, 960, np.uint32), rng.integers(0, 2**32, 256, np.uint32)
    points, along, across = rng.uniform(-far, far, (3, 2, 500)).astype(np.float32)
    arguments = (
        points, 0.1 * along, 0.1 * across, texels, np.array([[64], [48]], np.int32), palette, colors, offset, shape,
    )  # fmt: skip
    assert_same_bits(kernel_of("ground.mean_colors")(*arguments), kernels.PLAIN["ground.mean_colors"](*arguments))


@needs_kernels
def test_boxes_of_any_shape_are_drawn_alike() -> None:
    rng = np.random.default_rng(2)
    polygons = rng.normal(size=(3, 5, 400)).astype(np.float32)
    polygons[:2] *= 20.0
    polygons[2] += rng.choice([0.0, 3.0, 9.0], 400).astype(np.float32)
    polygons[:, :, ::7] = np.rint(polygons[:, :, ::7])  # upright edges among them
    polygons[:, 4] = polygons[:, 0]
    arguments = polygons, rng.integers(0, 3, 400), 3, 18, 32
    index = kernel_of("box_view.drawn")(*arguments)
    assert_same_bits(index, kernels.PLAIN["box_view.drawn"](*arguments))
    assert len(np.unique(index)) > 20


@needs_kernels
def test_every_compiled_function_stands_for_a_numpy_version() -> None:
    sources = Path(kernels.__file__).parent.glob("*.pyx")
    found = {f"{path.stem}.{name}" for path in sources for name in re.findall(r"^def (\w+)\(", path.read_text(), re.M)}
    assert Shader.colors  # imports what is compiled for pictures
    assert {name for name in found if not name.endswith(".configure")} == set(kernels.PLAIN)


@pytest.fixture(scope="module")
def calls() -> dict[str, list[tuple[Any, ...]]]:
    """Arguments with which a short drive called every kernel."""
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in kernels.PLAIN}

    def recorder(name: str, kernel: Callable) -> Callable:
        def recording(*arguments: Any) -> Any:
            found[name].append(arguments)
            return kernel(*arguments)

        return recording

    with pytest.MonkeyPatch.context() as patch:
        for name in kernels.PLAIN:
            kernel, function = kernel_of(name), name.partition(".")[2]
            for home in [module for key, module in sys.modules.items() if key.startswith("drivesim.")]:
                if vars(home).get(function) is kernel and not home.__name__.startswith("drivesim.kernels"):
                    patch.setattr(home, function, recorder(name, kernel))
        drive(5)
        look_around()
    return found


def look_around() -> None:
    """Pictures of a town at night, ray-cast and of its layout."""
    for generator in ("raycast", "layout"):
        env = DriveWorldEnv(generator=generator, image_size=(36, 64))
        env.reset(seed=5, options={"weather": "rain", "time_of_day": "night"})
        env.step(np.zeros(2))


def kernel_of(name: str) -> Callable:
    home, _, function = name.partition(".")
    return getattr(import_module(f"drivesim.kernels.{home}"), function)


def assert_same_bits(first: Any, second: Any) -> None:
    if isinstance(first, tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second):
            assert_same_bits(one, other)
        return
    one, other = np.asarray(first), np.asarray(second)
    assert one.dtype == other.dtype and one.shape == other.shape
    assert one.tobytes() == other.tobytes()


@needs_kernels
@pytest.mark.parametrize("name", sorted(kernels.PLAIN))
def test_every_kernel_agrees_to_the_bit(name: str, calls: dict[str, list[tuple[Any, ...]]]) -> None:
    assert name.endswith("is_free") or calls[name], "the drive must call every kernel"
    for arguments in calls[name]:
        assert_same_bits(kernel_of(name)(*arguments), kernels.PLAIN[name](*arguments))


@needs_kernels
def test_is_free_agrees_at_random_places() -> None:
    rng, answers = np.random.default_rng(0), set()
    for _ in range(300):
        place = rng.uniform(-25.0, 25.0, (8, 2)).view(np.complex128)[:, 0]
        facing = np.exp(2j * np.pi * rng.random(8))
        objects = place, facing, rng.uniform(0.0, 9.0, 8), rng.random(8) + 1.0
        target = complex(*rng.uniform(4.0, 12.0, 2))
        compiled = kernel_of("walkers.is_free")(0j, target, *objects, 4, 2.0)
        assert compiled is kernels.PLAIN["walkers.is_free"](0j, target, *objects, 4, 2.0)
        answers.add(compiled)
    assert answers == {False, True}


@needs_kernels
def test_wrong_arrays_are_refused_by_name() -> None:
    moved, half = kernel_of("driving.moved"), np.ones(2)
    points = np.zeros((2, 240), np.complex128)
    with pytest.raises(ValueError, match=r"motion.speed: found float64 \(3,\)"):
        moved(half, points, half, np.ones(3), half, half, 0.1)
    with pytest.raises(ValueError, match=r"paths.points: found complex128 .*\(not contiguous\)"):
        moved(half, np.zeros((2, 480), np.complex128)[:, ::2], half, half, half, half, 0.1)
    with pytest.raises(ValueError, match=r"bodies.half_length: found float32"):
        moved(half.astype(np.float32), points, half, half, half, half, 0.1)
    with pytest.raises(ValueError, match="motion.s: found -1.0"):
        moved(half, points, -half, 0.0 * half, 0.0 * half, half, 0.1)


def test_a_copy_of_the_source_runs_without_compiled_kernels(tmp_path: Path) -> None:
    source = Path(drivesim.__file__).parent
    shutil.copytree(source, tmp_path / "drivesim", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    program = """
import gymnasium, drivesim.kernels
env = gymnasium.make("DriveWorldState-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
print(drivesim.kernels.in_use(), drivesim.__file__)
"""
    assert run_python(program, tmp_path) == ["False", str(tmp_path / "drivesim" / "__init__.py")]


def test_an_unknown_choice_of_kernels_is_refused() -> None:
    program = "import drivesim.kernels"
    with pytest.raises(AssertionError, match="DRIVESIM_KERNELS: found 'fast', accepted 'numpy'"):
        run_python(program, ROOT, DRIVESIM_KERNELS="fast")
