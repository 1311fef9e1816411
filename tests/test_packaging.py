"""What a newcomer's `pip install` gives."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import tomllib

import drivesim

ROOT = Path(__file__).parents[1]


def run_python(program: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ids_are_there_without_importing_drivesim(tmp_path: Path) -> None:
    program = """
import sys, gymnasium
print(gymnasium.make("DriveWorldState-v0").reset(seed=0)[0]["ego"].shape)
"""
    assert "(7,)" in run_python(program, tmp_path)


def test_importing_gymnasium_stays_cheap(tmp_path: Path) -> None:
    program = "import sys, gymnasium; print('drivesim' in sys.modules, 'torch' in sys.modules)"
    assert run_python(program, tmp_path).split() == ["True", "False"]


def test_every_id_is_registered_once() -> None:
    import gymnasium

    drivesim.register_ids()
    assert set(drivesim.ENV_IDS) <= set(gymnasium.registry)
    assert {point.value for point in entry_points(group="gymnasium.envs")} >= {"drivesim.registration:register_ids"}


def test_public_names_resolve() -> None:
    for name in drivesim.__all__:
        assert getattr(drivesim, name) is not None


def test_package_holds_its_configurations() -> None:
    configs = files("drivesim.configs")
    assert all((configs / f"{name}.yaml").is_file() for name in ("drive", "data", "train", "bench", "app"))
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["drivesim"]
    assert {"py.typed", "**/*.yaml", "**/*.safetensors"} <= set(patterns)


def test_constraints_pin_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {entry.split(">")[0].strip().lower().replace("-", "_") for entry in wanted}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    assert names <= {name.lower().replace("-", "_") for name in pinned}
    assert not any("+" in version for version in pinned.values())


def test_every_kernel_source_is_built_and_packed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {entry.split(">")[0] for entry in project["build-system"]["requires"]} == {"setuptools", "Cython", "numpy"}
    assert {"**/*.pyx", "**/*.pxd"} <= set(project["tool"]["setuptools"]["package-data"]["drivesim"])
    assert "drivesim/kernels" in (ROOT / "setup.py").read_text()
