"""Trains the camera network on recorded drives.

    drivesim record policy=planners.lane_follower:LaneFollower env.generator=raycast pictures_every=6 disturbance=1 \
        episodes=160 out=data/drives
    python -m agents.camera_driver data=data/drives/episodes out=runs/camera_driver
    drivesim evaluate policies=[runs/camera_driver] suite=town env.generator=raycast

Stop it at any time: the same command goes on from its checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import MISSING
from torch import Tensor, nn
from torch.nn import functional as F

from agents.camera_data import CameraBatches, load_drives
from agents.camera_network import CameraNetwork, Plan
from agents.command_line import settings_of
from drivesim.network_policy import save_network_policy
from drivesim.train import TrainConfig, Trainer

VALIDATION_SHARE = 0.05  # of the drives, the last ones


@dataclass
class Settings:
    """What can be given as key=value."""

    data: str = MISSING  # folder of episodes
    out: str = "runs/camera_driver"
    steps: int = 4000
    batch: int = 32
    learning_rate: float = 1e-3
    channels: list[int] = field(default_factory=lambda: [24, 48, 96])
    width: int = 32
    seed: int = 0
    precision: str = "bf16"  # or no


class Imitation(nn.Module):
    """The training objective: the driver's path and progress, and which cells are taken."""

    def __init__(self, network: CameraNetwork) -> None:
        super().__init__()
        self.network = network

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean absolute error of the waypoints that are known [m, 5 rad], plus cross-entropy of the taken cells."""
        plan: Plan = self.network.plan(
            batch["pictures"], batch["past"], batch["ego"], batch["route"], batch["intrinsics"], batch["extrinsics"]
        )
        error = (plan.trajectory - batch["trajectory"]).abs() * plan.trajectory.new_tensor([1.0, 1.0, 5.0])
        known = batch["known"].float()
        path = (error.sum(-1) * known).sum() / known.sum().clamp(min=1.0)
        taken = F.binary_cross_entropy_with_logits(plan.taken, batch["taken"], pos_weight=plan.taken.new_tensor(3.0))
        return path + taken, {"path": path.detach(), "taken": taken.detach()}


def train(settings: Settings) -> Path:
    """Trains, measures on drives that were left out, and returns the folder of the policy."""
    drives = load_drives(settings.data)
    held = max(1, round(VALIDATION_SHARE * len(drives))) if len(drives) > 1 else 0
    batches = CameraBatches(drives[: len(drives) - held], settings.batch, settings.seed, jitter=True)
    config: dict[str, Any] = {
        "channels": list(settings.channels), "width": settings.width, "image_size": list(drives[0].frames.shape[2:4])
    }  # fmt: skip
    torch.manual_seed(settings.seed)
    objective = Imitation(CameraNetwork(**config))
    print(f"{len(batches)} examples of {len(drives) - held} drives, {held} drives left out, "
          f"{sum(p.numel() for p in objective.parameters()):,} parameters")  # fmt: skip
    trainer = Trainer(objective, batches, TrainConfig(
        settings.out, settings.steps, settings.seed, settings.learning_rate, warm_up=100, decay=0.5, weight_decay=0.02,
        precision=settings.precision,
    ))  # fmt: skip
    trainer.run()
    objective.load_state_dict(trainer.averaged())
    objective.eval()
    if held:
        print(measured(objective, CameraBatches(drives[-held:], settings.batch, settings.seed)))
    folder = trainer.folder / "policy"
    folder.mkdir(exist_ok=True)
    save_network_policy(
        objective.network, folder / "policy.safetensors", "agents.camera_network:CameraNetwork", config, "physical",
        ("default", "calibration"),
    )  # fmt: skip
    return folder


@torch.inference_mode()
def measured(objective: Imitation, batches: CameraBatches) -> str:
    """Errors on drives that were not trained on, as one line."""
    logs = [objective.loss(batches(step))[1] for step in range(min(20, max(1, len(batches) // 16)))]
    means = {name: torch.stack([log[name] for log in logs]).mean().item() for name in logs[0]}
    return "left-out drives: " + ", ".join(f"{name} {value:.3f}" for name, value in means.items())


if __name__ == "__main__":
    print(f"policy  {train(settings_of(Settings)).resolve()}")
