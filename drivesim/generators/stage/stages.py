"""The three training stages of STAGE (Wang et al. 2024, section 3.3), and all of them in one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivesim.generators.stage.network import StageNetwork


@dataclass(frozen=True)
class TrainingStage:
    """What is special about one stage."""

    objective: Mapping[str, Any] = field(default_factory=dict)  # fields of ObjectiveConfig
    trained: tuple[str, ...] | None = None  # parts of the network that learn; None for all
    after: str | None = None  # the stage whose weights it starts from


STAGES = {
    # From true previous frames to own ones in one run.
    "whole": TrainingStage(),
    # Streaming learning: the previous frame is true (noised and low-passed at times), HTFT is off.
    "1": TrainingStage({"memory": False, "teacher_forcing_first": 1.0, "teacher_forcing": 1.0, "adversarial": 0.0}),
    # HTFT alone learns, everything else is frozen.
    "2": TrainingStage(
        {"teacher_forcing_first": 1.0, "teacher_forcing": 1.0, "adversarial": 0.0}, trained=("transfer",), after="1"
    ),
    # Simulated inference: streams go on from the network's own pictures, and a discriminator judges those.
    "3": TrainingStage(
        {"teacher_forcing_first": 0.08, "teacher_forcing": 0.02, "adversarial_from": 0.0}, after="2"
    ),
}  # fmt: skip


def training_stage(name: str) -> TrainingStage:
    """The stage of that name. Raises ValueError for an unknown one."""
    if name not in STAGES:
        raise ValueError(f"stage: found {name!r}, accepted any of {list(STAGES)}")
    return STAGES[name]


def freeze_others(network: StageNetwork, trained: tuple[str, ...] | None) -> None:
    """Freezes the parts of a network that a stage does not train."""
    for name, part in network.named_children():
        part.requires_grad_(trained is None or name in trained)
