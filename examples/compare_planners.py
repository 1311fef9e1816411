"""Drives every bundled planner through the same unseen towns and prints what came of it as a table.

python examples/compare_planners.py --towns 10 --seconds 30
python examples/compare_planners.py --policies planners.idm:IdmPlanner my_module:MyPolicy
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))  # where `planners` is, in a checkout

from drivesim import Policy, Trace, load_policy, run
from drivesim.rollout import make_env
from drivesim.world import EVALUATION_TOWNS

PLANNERS = (
    "planners.constant_speed:ConstantSpeed",
    "planners.lane_follower:LaneFollower",
    "planners.idm:IdmPlanner",
    "planners.pdm_closed:PdmClosed",
    "planners.mpc:MpcPlanner",
    "planners.search:SearchPlanner",
)
HEADER = (
    "policy",
    "distance [m]",
    "at fault",
    "not at fault",
    "off road",
    "safe progress [m]",
    "discomfort [%]",
    "act [ms]",
)


@dataclass(frozen=True)
class Drive:
    """What came of one drive. Discomfort is the mean share of nuPlan's bounds that are broken."""

    distance: float  # [m]
    at_fault: bool
    not_at_fault: bool
    off_road: bool
    discomfort: float
    act: float  # [s], mean of processor time

    @property
    def safe_progress(self) -> float:
        """Distance [m], 0 if the drive ended by the policy's own fault."""
        return 0.0 if self.at_fault or self.off_road else self.distance


class Timed:
    """A policy and how long its decisions take."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.action, self.observation = policy, policy.action, policy.observation
        self.reset, self.times = policy.reset, list[float]()
        if hasattr(policy, "attach"):
            self.attach = policy.attach

    def act(self, observation, info):
        """As the policy."""
        start = process_time()
        action = self.policy.act(observation, info)
        self.times.append(process_time() - start)
        return action


def drive(name: str, town: int, seconds: float) -> Drive:
    """One drive of a policy through a town, without pictures."""
    policy = Timed(load_policy(name))
    env = make_env({"generator": None}, policy, seconds)
    trace = run(env, policy, seed=town, options={"town": town})
    return _outcome(trace, float(np.mean(policy.times)))


def _outcome(trace: Trace, act: float) -> Drive:
    events = trace.steps[-1].events
    faults = [hit["at_fault"] for hit in events["collisions"]]
    discomfort = float(np.mean([-step.rewards["comfort"] for step in trace.steps]))
    return Drive(trace.summary()["distance"], any(faults), bool(faults) and not any(faults), events["off_road"],
                 discomfort, act)  # fmt: skip


def row(name: str, drives: Sequence[Drive]) -> tuple[str, ...]:
    """One row of the table."""
    sums = [sum(getattr(one, field) for one in drives) for field in ("at_fault", "not_at_fault", "off_road")]
    means = {field: float(np.mean([getattr(one, field) for one in drives])) for field in
             ("distance", "safe_progress", "discomfort", "act")}  # fmt: skip
    return (
        name.rpartition(":")[2], f"{means['distance']:.0f}", *map(str, sums), f"{means['safe_progress']:.0f}",
        f"{100.0 * means['discomfort']:.1f}", f"{1e3 * means['act']:.1f}",
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", nargs="+", default=PLANNERS, help="module:Class or a file of weights")
    parser.add_argument("--towns", type=int, default=10, help="number of towns")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a drive")
    options = parser.parse_args(arguments)
    drives: dict[str, list[Drive]] = {name: [] for name in options.policies}
    for index in range(options.towns):  # one town after the other, since making one takes time
        for name in tqdm(options.policies, desc=f"town {index + 1} of {options.towns}", leave=False):
            drives[name].append(drive(name, EVALUATION_TOWNS + index, options.seconds))
    for cells in (
        HEADER,
        ("---", *["---:"] * (len(HEADER) - 1)),
        *(row(name, all_of) for name, all_of in drives.items()),
    ):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
