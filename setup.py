"""The compiled kernels; all the rest of the project is described in pyproject.toml."""

from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup


def extensions(folder: str, compiler: tuple[str, ...] = (), linker: tuple[str, ...] = ()) -> list[Extension]:
    """One for every Cython file of a folder."""
    return [
        Extension(
            ".".join(path.with_suffix("").parts),
            [path.as_posix()],
            include_dirs=[".", numpy.get_include()],
            depends=[path.as_posix() for path in Path(folder).glob("*.h")],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            extra_compile_args=["-O3", "-g0", *compiler],
            extra_link_args=list(linker),
        )
        for path in sorted(Path(folder).glob("*.pyx"))
    ]


EXTENSIONS = cythonize(
    # A fused multiply-add would round differently from numpy, hence no contraction.
    extensions("drivesim/kernels", compiler=("-ffp-contract=off",))
    + extensions("drivesim/nn", compiler=("-fno-trapping-math", "-fopenmp"), linker=("-fopenmp",)),
    build_dir="build/kernels",
    language_level=3,
)
for extension in EXTENSIONS:
    extension.optional = True  # without a compiler the numpy versions run; cythonize forgets it

setup(ext_modules=EXTENSIONS)
