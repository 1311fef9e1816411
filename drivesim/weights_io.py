"""Weights in and out of safetensors files, with errors that name the tensor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class WeightsError(ValueError):
    """Weights are absent, unreadable or of another shape than the network."""


Module = TypeVar("Module", bound=nn.Module)


def load_module(folder: Path, name: str, build: Callable[[dict[str, Any]], Module]) -> Module:
    """What `build` makes of `folder/name.json`, with the weights of `folder/name.safetensors`.

    Raises WeightsError with the reason.
    """
    try:
        raw = json.loads((folder / f"{name}.json").read_text())
        tensors = load_file(folder / f"{name}.safetensors")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{name} weights in {folder}: {error}; accepted a folder with {name}.json and {name}.safetensors"
        ) from error
    module = build({key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
    checked_load(module, tensors, folder / f"{name}.safetensors")
    return module


def checked_load(module: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Copies tensors into a module. WeightsError names the first tensor that is missing, unknown or misshapen."""
    expected = module.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise WeightsError(f"{source}: tensor {name!r} is missing, accepted shape {tuple(expected[name].shape)}")
        if name not in expected:
            raise WeightsError(
                f"{source}: found unknown tensor {name!r}, accepted {len(expected)} tensors of {type(module).__name__}"
            )
        if tensors[name].shape != expected[name].shape:
            found, accepted = tuple(tensors[name].shape), tuple(expected[name].shape)
            raise WeightsError(f"{source}: tensor {name!r}: found shape {found}, accepted {accepted}")
    module.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()})


def save_weights(module: nn.Module, path: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Writes a module's floating tensors as `dtype`; to a temporary name first, then renamed."""
    tensors = {
        k: (v.to(dtype) if v.is_floating_point() else v).contiguous().clone() for k, v in module.state_dict().items()
    }
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.touch()
    mode = temporary.stat().st_mode
    save_file(tensors, temporary)
    temporary.chmod(mode)  # safetensors writes files that nobody else may read
    temporary.replace(path)
