"""Compiled versions of the functions that a step of the world and ray-cast pictures spend their time in.

Each of them is written twice: in numpy, where it is documented and tested, and under the same name in the Cython module
of this folder that is called like the module it belongs to. Both do the same exactly rounded operations (+ - * / sqrt,
comparisons) in the same order, in the same precision, with the sine, cosine and arc tangent of the C library where the
numpy version takes those of `math`, and its hypot, and thus give the same bits. Where nothing was compiled, or with
`DRIVESIM_KERNELS=numpy` in the environment, the numpy versions run.

The kernels of networks (`drivesim/nn/*.pyx`) are another matter: they calculate in bfloat16 and agree with torch to its
rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

PLAIN: dict[str, Callable[..., Any]] = {}  # numpy versions of what runs compiled, by "module.function"


def _wanted() -> bool:
    found = os.environ.get("DRIVESIM_KERNELS", "")
    if found not in ("", "numpy"):
        raise ValueError(f"DRIVESIM_KERNELS: found {found!r}, accepted 'numpy', or nothing for compiled kernels")
    return not found


_WANTED = _wanted()


def optional(full: str) -> ModuleType | None:
    """A compiled module by its full name; None where it was not compiled, or compiled ones are not wanted."""
    if not _WANTED:
        return None
    try:
        return import_module(full)
    except ModuleNotFoundError as error:
        if error.name != full:
            raise
        return None


def compiled(plain: Function) -> Function:
    """Decorator of a numpy function: the compiled one where there is one, itself elsewhere.

    Raises ImportError where its module was compiled without it.
    """
    home = plain.__module__.rpartition(".")[2]
    module = optional(f"{__name__}.{home}")
    if module is None:
        return plain
    module.configure(plain.__globals__)
    kernel: Function | None = getattr(module, plain.__name__, None)
    if kernel is None:
        raise ImportError(f"{module.__name__}: found no {plain.__name__}, accepted with it; build the kernels again")
    PLAIN[f"{home}.{plain.__name__}"] = plain
    return kernel


def require(names: Mapping[str, Any], **sizes: int) -> None:
    """Raises ImportError unless constants are what a module was compiled for."""
    for name, size in sizes.items():
        if names[name] != size:
            raise ImportError(f"{name}: found {names[name]}, accepted by the compiled kernels {size}; build them again")


def in_use() -> bool:
    """Whether steps run compiled kernels."""
    return bool(PLAIN)
