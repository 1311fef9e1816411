"""ScenarioNet record files: pickles of which only numbers, text, containers and numpy arrays are accepted."""

from __future__ import annotations

import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 1_000_000_000
_ARRAY = np.zeros(1)


class _Refused(Exception):
    """A name that a record must not hold."""


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes as the protocols before 3 write them: `_codecs.encode`, but of one encoding alone."""
    if encoding != "latin1":
        raise _Refused(f"_codecs.encode({str(encoding)[:20]!r})")
    return text.encode("latin1")


_KINDS = (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)
# All that a record may name, under the module names of numpy 1 and 2. Nothing is ever imported by a name in a file.
_ACCEPTED: dict[str, Any] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "collections.defaultdict": defaultdict,
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _encoded,
    "__builtin__.long": int,
    **{f"{module}.{kind.__name__}": kind for module in ("builtins", "__builtin__") for kind in _KINDS},
    **{f"numpy.{core}.multiarray._reconstruct": _ARRAY.__reduce__()[0] for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": np.float64(0).__reduce__()[0] for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _ARRAY.__reduce_ex__(5)[0] for core in ("core", "_core")},
}  # fmt: skip
_DAMAGED = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, MemoryError,
    RecursionError, OverflowError, ArithmeticError, ImportError,
)  # fmt: skip


class _Unpickler(pickle.Unpickler):
    """Resolves accepted names only."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for; _Refused for all that is not accepted."""
        known = _ACCEPTED.get(f"{module}.{name}")
        if known is None:
            raise _Refused(f"{module}.{name}")
        return known

    def persistent_load(self, pid: Any) -> Any:
        """Always _Refused: records hold no references to the outside."""
        raise _Refused(f"the persistent object {str(pid)[:60]!r}")


def load_record(path: Path) -> Record:
    """The record in a file. ValueError that names the file where it is missing, damaged or holds anything but numbers,
    text, containers and arrays; no code of a file is ever run."""
    if not path.is_file():
        raise ValueError(f"{path}: found no such file, accepted a ScenarioNet record (.pkl)")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: found {path.stat().st_size} bytes, accepted at most {MAX_BYTES}")
    try:
        with path.open("rb") as file:
            content = _Unpickler(file).load()
    except _Refused as refused:
        raise ValueError(
            f"{path}: found {refused} in the pickle, accepted numbers, text, containers and numpy arrays alone"
        ) from None
    except _DAMAGED as fault:
        raise ValueError(f"{path}: found a damaged pickle ({fault}), accepted a ScenarioNet record") from None
    return Record(content, path, "")


class Record:
    """A value of a record with its place, for errors that name file and field."""

    def __init__(self, value: Any, path: Path, field: str) -> None:
        self.value, self.path, self.field = value, path, field

    def error(self, found: str, accepted: str) -> ValueError:
        """What is wrong with it."""
        return ValueError(f"{self.path}: {self.field or 'record'}: found {found}, accepted {accepted}")

    def has(self, key: str) -> bool:
        """Whether it is a mapping with this key."""
        return isinstance(self.value, dict) and key in self.value

    def __getitem__(self, key: str) -> Record:
        self.items()
        inner = f"{self.field}.{key}" if self.field else key
        if key not in self.value:
            raise Record(None, self.path, inner).error("a missing field", "a value")
        return Record(self.value[key], self.path, inner)

    def items(self) -> list[tuple[str, Record]]:
        """Its entries, if it is a mapping."""
        if not isinstance(self.value, dict):
            raise self.error(type(self.value).__name__, "a mapping")
        prefix = f"{self.field}." if self.field else ""
        return [(str(key), Record(value, self.path, f"{prefix}{key}")) for key, value in self.value.items()]

    def text(self) -> str:
        """Its text."""
        if not isinstance(self.value, str):
            raise self.error(type(self.value).__name__, "a text")
        return self.value

    def number(self) -> float:
        """Its number."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float, np.number)):
            raise self.error(type(self.value).__name__, "a number")
        if not np.isfinite(self.value):
            raise self.error(str(self.value), "a finite number")
        return float(self.value)

    def names(self) -> list[str]:
        """Its texts, if it is a list of such."""
        if not isinstance(self.value, (list, tuple, set)) or not all(isinstance(v, (str, int)) for v in self.value):
            raise self.error(type(self.value).__name__, "a list of names")
        return [str(value) for value in self.value]

    def array(self, *shape: int | None, finite: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Its numbers as an array of a shape (None: any length); those of the rows `finite` (default: all) must be."""
        try:
            found = np.asarray(self.value, np.float64)
        except (TypeError, ValueError):
            raise self.error(type(self.value).__name__, "an array of numbers") from None
        accepted = f"shape ({', '.join('any' if side is None else str(side) for side in shape)})"
        fits = found.ndim == len(shape) and all(want in (None, side) for want, side in zip(shape, found.shape))
        if not fits:
            raise self.error(f"shape {found.shape}", accepted)
        if not np.isfinite(found if finite is None else found[finite]).all():
            raise self.error("NaN or infinity", "finite numbers")
        return found
