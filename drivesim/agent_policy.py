"""Policies that stable-baselines3 has saved (.zip), read without unpickling anything.

Such an archive holds a JSON file of which many fields are pickled Python objects, and tensors. Used are the tensors
(through torch's reader of mere weights) and the fields that are plain; the spaces are those of this environment, made
anew from the observation keys. What cannot be told from plain fields is refused, not guessed.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from drivesim.actions import make_action
from drivesim.observations import make_sensors
from drivesim.policy import Observation, check_declared
from drivesim.scene import CAMERAS
from drivesim.vehicle import KinematicBicycle

# Entry of the archive's policy class -> what the module calls its policy over dictionaries.
POLICY_MODULES = {
    "stable_baselines3.common.policies": "MultiInputActorCriticPolicy",  # PPO, A2C
    "stable_baselines3.sac.policies": "MultiInputPolicy",
    "stable_baselines3.td3.policies": "MultiInputPolicy",
    "stable_baselines3.dqn.policies": "MultiInputPolicy",
}
ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.ELU, nn.LeakyReLU, nn.GELU, nn.SiLU)
TOLD_BY_BOUNDS = ("normalized",)  # what a space of these bounds is taken for where nothing else is said
_SPACE = re.compile(r"'(\w+)'[,:] Box\([^()]*\(([\d, ]+)\), \w+\)")
_PICKLED = ":serialized:"
_TRAINING_ONLY = ("optimizer_class", "optimizer_kwargs")


class AgentPolicy:
    """Lets an agent of stable-baselines3 drive, deterministically.

    With `smoothing` above 0 each action is that share of the one before, and for the rest what the agent wants now: who
    learned to decide a few times a second drives calmly at every step.
    """

    def __init__(
        self, network: Any, action: str, observation: tuple[str, ...], image_size: tuple[int, int] | None,
        smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        self.network, self.action, self.observation, self.smoothing = network, action, observation, smoothing
        self._before: NDArray | None = None
        if image_size is not None:
            self.image_size = image_size

    def reset(self, info: Mapping[str, Any]) -> None:
        """Forgets the last action."""
        self._before = None

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray:
        """The agent's mode, smoothed."""
        seen = {key: observation[key] for key in self.network.observation_space.spaces}
        action, _ = self.network.predict(seen, deterministic=True)
        if self.smoothing and self._before is not None:
            action = self.smoothing * self._before + (1.0 - self.smoothing) * action
        self._before = action
        return action


def load_agent(path: Path, action: str | None = None, smoothing: float | None = None) -> AgentPolicy:
    """The agent of an archive; `action` names the action type it was trained with, `smoothing` (0 up to 1) how calmly
    it drives. Without them these are the attributes `action_type` and `action_smoothing` that the saved model had, else
    what its action space tells, and none.

    Raises ValueError with the field and the reason for anything that is not plain or does not fit this environment.
    """
    if find_spec("stable_baselines3") is None:
        raise ValueError(f"policy {path}: found no module 'stable_baselines3', accepted after pip install of it")
    data, weights = _read(path)
    entries = _observed(data, path)
    keys = tuple(dict.fromkeys("calibration" if name in ("intrinsics", "extrinsics") else name for name in entries))
    action = action or _action_type(data, path)
    check_declared(action, keys, str(path))
    sizes = {_picture_size(entries[name]) for name in keys if name in CAMERAS}
    image_size = sizes.pop() if sizes else None
    spaces_now = _spaces(entries, keys, action, image_size)
    network = _network(data, path, *spaces_now)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{path}: policy.pth does not fit observation {keys} and action {action!r}: {error}"
        ) from error
    network.set_training_mode(False)
    return AgentPolicy(network, action, keys, image_size, _smoothing(data, smoothing, action, path))


def _smoothing(data: Mapping[str, Any], asked: float | None, action: str, path: Path) -> float:
    found = data.get("action_smoothing", 0.0) if asked is None else asked
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0.0 <= found < 1.0:
        raise ValueError(f"{path}: smoothing: found {found!r}, accepted a number from 0 up to 1")
    if found and action == "discrete":
        raise ValueError(f"{path}: smoothing: found {found} with action 'discrete', accepted with actions of numbers")
    return float(found)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Fields and tensors of an archive."""
    if not path.is_file():
        raise ValueError(f"policy: found no file {path}, accepted an archive that stable-baselines3 has saved")
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
            weights = torch.load(io.BytesIO(archive.read("policy.pth")), map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: found no archive of stable-baselines3 ({error})") from error
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise ValueError(f"{path}: policy.pth: found more than tensors or a corrupt file, accepted tensors") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path}: data: found {type(data).__name__}, accepted an object")
    return data, weights


def _described(data: Mapping[str, Any], field: str, path: Path) -> dict[str, Any]:
    value = data.get(field)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: {field}: found {value!r}, accepted the description that stable-baselines3 writes")
    return value


def _observed(data: Mapping[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    """Entries of the observation the agent was trained on, in their order, with their shapes."""
    described = _described(data, "observation_space", path).get("spaces")
    found = _SPACE.findall(described) if isinstance(described, str) else []
    if not found:
        raise ValueError(f"{path}: observation_space: found {described!r}, accepted a dictionary of boxes")
    return {name: tuple(int(side) for side in shape.split(",") if side.strip()) for name, shape in found}


def _picture_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of a picture [3, H, W] or [H, W, 3]."""
    return (shape[1], shape[2]) if shape[0] == 3 else (shape[0], shape[1])


def _action_type(data: Mapping[str, Any], path: Path) -> str:
    if "action_type" in data:
        return str(data["action_type"])
    space = _described(data, "action_space", path)
    if "n" in space:
        return "discrete"
    bounds = (space.get("low_repr"), space.get("high_repr"), space.get("_shape"))
    for name in TOLD_BY_BOUNDS:
        own = make_action(name, KinematicBicycle(), 1).space()
        if isinstance(own, spaces.Box) and bounds == (own.low_repr, own.high_repr, list(own.shape)):
            return name
    raise ValueError(
        f"{path}: action_space: found low {bounds[0]}, high {bounds[1]}, shape {bounds[2]}; accepted those of "
        f"{TOLD_BY_BOUNDS} and 'discrete', or the option action=... (or an attribute action_type of the model) that "
        "names the type"
    )


def _spaces(
    entries: Mapping[str, Any], keys: tuple[str, ...], action: str, image_size: tuple[int, int] | None
) -> tuple[spaces.Dict, spaces.Space]:
    """Observation and action space of the environment in which the agent drives, entries in the agent's order."""
    from stable_baselines3.common.vec_env import VecTransposeImage

    cameras = [name for name in CAMERAS if name in keys]
    sensors = make_sensors(keys, CAMERAS if cameras else None, image_size or (8, 8))
    found = {name: space for sensor in sensors for name, space in sensor.spaces().items()}
    observed = spaces.Dict([(name, found[name]) for name in entries])
    pictures = [name for name in entries if name in CAMERAS and entries[name][0] == 3]
    for name in pictures:
        observed.spaces[name] = VecTransposeImage.transpose_space(observed.spaces[name], name)  # type: ignore[arg-type]
    return observed, make_action(action, KinematicBicycle(), 1).space()


def _network(data: Mapping[str, Any], path: Path, observed: spaces.Dict, action: spaces.Space) -> Any:
    """The policy module with fresh weights."""
    module = _described(data, "policy_class", path).get("__module__")
    if module not in POLICY_MODULES:
        raise ValueError(f"{path}: policy_class: found module {module!r}, accepted {list(POLICY_MODULES)}")
    kind = getattr(import_module(module), POLICY_MODULES[module])
    options = _plain_options(_described(data, "policy_kwargs", path), path)
    if data.get("use_sde"):
        options["use_sde"] = True
    return kind(observed, action, lambda _: 0.0, **options)


def _plain_options(options: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Arguments of the policy. Where one was pickled, all are described; an activation is known by its name."""
    known = {str(kind): kind for kind in ACTIVATIONS}
    plain: dict[str, Any] = {}
    for name, value in options.items():
        if name in (":type:", _PICKLED, *_TRAINING_ONLY):
            continue
        if isinstance(value, str) and value in known:
            value = known[value]
        elif isinstance(value, str) and value.startswith("<") or isinstance(value, dict) and _PICKLED in value:
            raise ValueError(f"{path}: policy_kwargs[{name!r}]: found a pickled {value!r}, accepted plain JSON values "
                             f"and activations {sorted(kind.__name__ for kind in ACTIVATIONS)}")  # fmt: skip
        plain[name] = value
    return plain
