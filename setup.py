"""The compiled kernels; all the rest of the project is described in pyproject.toml."""

from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# Without a compiler the package installs all the same and runs the numpy versions. A fused multiply-add would round
# differently from numpy, hence no contraction.
EXTENSIONS = [
    Extension(
        f"drivesim.kernels.{path.stem}",
        [path.as_posix()],
        include_dirs=[numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=["-O3", "-g0", "-ffp-contract=off"],
        optional=True,
    )
    for path in sorted(Path("drivesim/kernels").glob("*.pyx"))
]

setup(ext_modules=cythonize(EXTENSIONS, build_dir="build/kernels", language_level=3))
