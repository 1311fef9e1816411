"""Environments for the planners: the straight road and unseen towns."""

from __future__ import annotations

from typing import Any

from drivesim.env import DriveWorldEnv
from drivesim.policy import Policy
from drivesim.rollout import Trace, make_env, run
from tests.straight_road import StraightRoad


def env_for(policy: Policy, seconds: float = 10.0, **road: Any) -> DriveWorldEnv:
    """A straight road as the policy wants to see it."""
    return make_env({"source": StraightRoad(**road), "generator": None}, policy, seconds)


def town_drive(policy: Policy, town: int, seconds: float) -> Trace:
    """A drive through an unseen town."""
    return run(make_env({"generator": None}, policy, seconds), policy, seed=town, options={"town": town})
