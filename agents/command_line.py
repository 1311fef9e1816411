"""Settings of a training script from key=value arguments, with errors that name what was wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

Settings = TypeVar("Settings")


def settings_of(kind: type[Settings], arguments: Sequence[str] | None = None) -> Settings:
    """An instance of the dataclass `kind` from arguments such as `batch=32` (default: the command line's).

    Raises ValueError for an unknown name, a missing value or one of the wrong type.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    loose = [word for word in given if "=" not in word]
    if loose:
        raise ValueError(f"arguments: found {loose}, accepted key=value")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.from_cli(given))
        settings: Any = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        accepted = ", ".join(kind.__dataclass_fields__)  # type: ignore[attr-defined]
        raise ValueError(f"arguments: {str(error).splitlines()[0]}; accepted {accepted}") from None
    return settings  # type: ignore[no-any-return]
