"""The compiled kernels; all the rest of the project is described in pyproject.toml."""

from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# A fused multiply-add would round differently from numpy, hence no contraction.
EXTENSIONS = cythonize(
    [
        Extension(
            f"drivesim.kernels.{path.stem}",
            [path.as_posix()],
            include_dirs=[numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            extra_compile_args=["-O3", "-g0", "-ffp-contract=off"],
        )
        for path in sorted(Path("drivesim/kernels").glob("*.pyx"))
    ],
    build_dir="build/kernels",
    language_level=3,
)
for extension in EXTENSIONS:
    extension.optional = True  # without a compiler the numpy versions run; cythonize forgets it

setup(ext_modules=EXTENSIONS)
