"""What drives: the policy protocol, and policies by the name of a class or from a file of weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from drivesim.actions import ACTIONS
from drivesim.observations import OTHER_KEYS
from drivesim.scene import CAMERAS

if TYPE_CHECKING:
    from drivesim.env import DriveWorldEnv

Observation = dict[str, NDArray]
NETWORK_FILES = (".pt", ".safetensors")
AGENT_FILES = (".zip",)
ACCEPTED_PATHS = (
    "'module.sub:Class', a file that ends in .zip (stable-baselines3), .pt (TorchScript) or .safetensors, or the "
    "folder of one"
)


class Policy(Protocol):
    """What drives. `action` is the action type it speaks, `observation` the keys it reads besides ego and route:
    cameras by their names, all of them as "default".

    A policy whose pictures must have one size says so in an attribute `image_size` (height, width) [px].
    """

    action: str
    observation: tuple[str, ...]

    def reset(self, info: Mapping[str, Any]) -> None:
        """Called once at the start of a drive."""
        ...

    def act(self, observation: Observation, info: Mapping[str, Any]) -> NDArray:
        """Action for what is observed now."""
        ...


@runtime_checkable
class WorldPolicy(Protocol):
    """A policy that needs the world itself, to look ahead in it. Traces of its drives say `policy_sees_world`."""

    def attach(self, world: DriveWorldEnv) -> None:
        """Called before the reset of every drive with its world, to be looked at and copied, never stepped."""
        ...


def sees_pictures(policy: Policy) -> bool:
    """Whether a policy reads what the generator draws."""
    return any(key in ("default", *CAMERAS) for key in policy.observation)


def seen_by(policy: Policy, observation: Observation) -> Observation:
    """An observation without the cameras that the policy does not name: it must drive alike where nobody draws them."""
    if "default" in policy.observation:
        return observation
    return {key: value for key, value in observation.items() if key not in CAMERAS or key in policy.observation}


def load_policy(path: str, **options: Any) -> Policy:
    """The policy of a class "module.sub:Class" (found from the working directory too) or of a file of weights, which
    may also be named by the folder that holds it alone, or that by the one around it if its own name is `policy`.

    `options` are arguments of the class, or those of `drivesim.network_policy.load_network_policy` or
    `drivesim.agent_policy.load_agent`. Nothing is unpickled. Raises ValueError with the reason if there is no such
    policy, or if it lacks a part of the protocol.
    """
    name, path = path, _in_folder(path)
    if Path(path).suffix in NETWORK_FILES:
        from drivesim.network_policy import load_network_policy

        policy: Policy = load_network_policy(Path(path), **options)
    elif Path(path).suffix in AGENT_FILES:
        from drivesim.agent_policy import load_agent

        policy = load_agent(Path(path), **options)
    else:
        policy = import_name(path, "policy", "act")(**options)
    check_policy(policy, name)
    return policy


def _in_folder(path: str) -> str:
    """The file of weights in a folder, or in its folder `policy` as training scripts leave one; other paths as they
    are. ValueError if there is none or more than one."""
    folder = Path(path)
    if not folder.is_dir():
        return path
    folder = folder / "policy" if (folder / "policy").is_dir() else folder
    found = sorted(str(file) for file in folder.iterdir() if file.suffix in (*NETWORK_FILES, *AGENT_FILES))
    if len(found) != 1:
        raise ValueError(f"policy: found {found or 'no policy'} in the folder {folder}, accepted one of "
                         f"{(*NETWORK_FILES, *AGENT_FILES)}")  # fmt: skip
    return found[0]


def import_name(path: str, field: str, mark: str) -> Any:
    """What "module.sub:Name" names; ValueError that speaks of `field` if there is nothing. Names whose values have an
    attribute `mark` are offered instead."""
    module_name, separator, attribute = path.partition(":")
    if not (module_name and separator and attribute):
        raise ValueError(f"{field}: found {path!r}, accepted {ACCEPTED_PATHS if field == 'policy' else 'module:Class'}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{field}: found no module {error.name!r}, accepted an importable one in {path!r}") from error
    if not hasattr(module, attribute):
        accepted = sorted(name for name, value in vars(module).items() if hasattr(value, mark))
        raise ValueError(f"{field}: found no {attribute!r} in {module_name!r}, accepted {accepted}")
    return getattr(module, attribute)


def check_policy(policy: Policy, name: str) -> None:
    """Raises ValueError if a policy lacks a part of the protocol or declares what no environment has."""
    for method in ("reset", "act"):
        if not callable(getattr(policy, method, None)):
            raise ValueError(f"policy {name}: found no method {method!r}, accepted one with reset(info) and "
                             "act(observation, info)")  # fmt: skip
    check_declared(getattr(policy, "action", None), getattr(policy, "observation", None), f"policy {name}")


def check_declared(action: object, observation: object, name: str) -> None:
    """Raises ValueError if an action type or observation keys do not exist."""
    if action not in ACTIONS:
        raise ValueError(f"{name}: action: found {action!r}, accepted {list(ACTIONS)}")
    accepted = ("default", *CAMERAS, *OTHER_KEYS)
    if isinstance(observation, str) or not isinstance(observation, (tuple, list)):
        raise ValueError(f"{name}: observation: found {observation!r}, accepted a list of {accepted}")
    unknown = [key for key in observation if key not in accepted]
    if unknown:
        raise ValueError(f"{name}: observation: found {unknown}, accepted {accepted}")
