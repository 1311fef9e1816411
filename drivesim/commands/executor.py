"""Who does the jobs of a command: `executor=processes` of this machine, or `executor=ray`."""

from __future__ import annotations

from functools import partial

from drivesim.processes import FanOut, in_processes

EXECUTORS = ("processes", "ray")


def fan_out_of(executor: str, ray_address: str) -> FanOut:
    """The executor of that name; ValueError for an unknown one."""
    if executor not in EXECUTORS:
        raise ValueError(f"executor: found {executor!r}, accepted {EXECUTORS}")
    if executor == "processes":
        return in_processes
    from drivesim.ray_actors import in_ray_actors

    return partial(in_ray_actors, address=ray_address)
