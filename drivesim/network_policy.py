"""Policies that are networks: TorchScript (.pt) or weights (.safetensors), each with a JSON card next to it.

The card `name.json` of `name.pt` or `name.safetensors`:

    {"format": "drivesim-policy/1", "action": "trajectory", "observation": ["boxes"],
     "class": "my_package.my_module:MyNetwork", "config": {"width": 64}}

`class` and `config` are for safetensors only: the module is made as MyNetwork(**config). Either network maps a
dictionary of observations with a leading axis of 1 to actions with a leading axis of 1. A module whose pictures must
have one size has an attribute `image_size` (height, width) [px].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from drivesim.policy import Observation, check_declared, import_name
from drivesim.weights_io import checked_load, save_weights

CARD_FORMAT = "drivesim-policy/1"
CARD_FIELDS = {"format", "action", "observation", "class", "config"}


class NetworkPolicy:
    """Lets a network drive that maps observations {key: [1, ...]} to actions [1, ...]."""

    def __init__(self, network: nn.Module, action: str, observation: tuple[str, ...]) -> None:
        self.network, self.action, self.observation = network.eval(), action, observation
        if hasattr(network, "image_size"):
            self.image_size: tuple[int, int] = tuple(network.image_size)  # type: ignore[assignment, arg-type]
        self._keys = tuple(dict.fromkeys(("ego", "route", *observation)))

    def reset(self, info: Mapping[str, Any]) -> None:
        """Resets the memory of a network that has some: its method `reset`, if there is one."""
        reset = getattr(self.network, "reset", None)
        if callable(reset):
            reset()

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray:
        """What the network answers."""
        batch = {key: torch.from_numpy(value)[None] for key, value in observation.items() if self._reads(key)}
        with torch.inference_mode():
            return self.network(batch)[0].numpy()

    def _reads(self, key: str) -> bool:
        if key in self._keys:
            return True
        if "default" in self._keys and key.startswith("CAM_"):
            return True
        return "calibration" in self._keys and key in ("intrinsics", "extrinsics")


def load_network_policy(path: Path) -> NetworkPolicy:
    """The policy of a network file with its card. Raises ValueError for a card or weights that do not fit.

    The class that a card names is imported, so trust a card as you trust a program; it must be a torch.nn.Module.
    """
    card = _card(path)
    network = _script(path, card) if path.suffix == ".pt" else _with_weights(path, card)
    return NetworkPolicy(network, card["action"], tuple(card["observation"]))


def save_network_policy(
    network: nn.Module, path: Path, name: str, config: Mapping[str, Any], action: str, observation: tuple[str, ...]
) -> None:
    """Writes weights `path` (.safetensors) and their card; `name` is the "module:Class" that MyNetwork(**config) is."""
    card = {"format": CARD_FORMAT, "action": action, "observation": observation, "class": name, "config": dict(config)}
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(card, indent=1) + "\n")
    save_weights(network, path, torch.float32)
    partial.replace(path.with_suffix(".json"))


def _card(path: Path) -> dict[str, Any]:
    card_path = path.with_suffix(".json")
    for needed in (path, card_path):
        if not needed.is_file():
            raise ValueError(
                f"policy: found no file {needed}, accepted a network with its card {card_path.name} beside it"
            )
    try:
        card = json.loads(card_path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{card_path}: found corrupt JSON ({error}), accepted a card of a network policy") from error
    found = card.get("format") if isinstance(card, dict) else None
    if found != CARD_FORMAT:
        raise ValueError(f"{card_path}: format: found {found!r}, accepted {CARD_FORMAT!r}")
    accepted = CARD_FIELDS - ({"class", "config"} if path.suffix == ".pt" else set())
    if set(card) != accepted:
        raise ValueError(f"{card_path}: found fields {sorted(card)}, accepted {sorted(accepted)} for {path.suffix}")
    check_declared(card["action"], card["observation"], str(card_path))
    return card


def _script(path: Path, card: Mapping[str, Any]) -> nn.Module:
    try:
        script: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ValueError(
            f"{path}: found no TorchScript archive ({_first_line(error)}), accepted torch.jit.save's"
        ) from error
    return script


def _with_weights(path: Path, card: Mapping[str, Any]) -> nn.Module:
    kind, config = import_name(str(card["class"]), f"{path.with_suffix('.json')}: class", "forward"), card["config"]
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"{path.with_suffix('.json')}: class: found {card['class']!r}, accepted a torch.nn.Module")
    if not isinstance(config, dict):
        raise ValueError(f"{path.with_suffix('.json')}: config: found {config!r}, accepted an object of arguments")
    try:
        network = kind(**config)
    except TypeError as error:
        raise ValueError(
            f"{path.with_suffix('.json')}: config: {error}; accepted the arguments of {card['class']}"
        ) from error
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: found no safetensors file ({error})") from error
    checked_load(network, tensors, path)
    return network


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
