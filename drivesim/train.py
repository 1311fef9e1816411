"""One trainer for everything trainable: anything with `loss(batch) -> (loss, logs)`.

Batches are a pure function of the step number, so a resumed run continues exactly where the other one stopped. What a
step must hand to the next (streams) travels as `batch["carry"]` in and `logs["carry"]` out. Under `torchrun`
every process takes its rows of the batch and the first one writes; any number of processes may resume a checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from drivesim import data_parallel

MOMENTUM, SPREAD = 0.9, 0.99  # Adam's betas
BatchOf = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast."""

    out: str
    steps: int
    seed: int = 0
    learning_rate: float = 5e-4
    warm_up: int = 200  # steps of linear warm-up
    decay: float = 0.3  # last share of the run in which the learning rate falls to zero
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema: float = 0.998
    precision: str = "bf16"  # "bf16" or "no"
    checkpoint_minutes: float = 5.0
    log_every: int = 20


class Trainer:
    """Optimises `module.loss` over `batches`; keeps an exponential moving average of the trained weights."""

    def __init__(self, module: nn.Module, batches: BatchOf, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.batches = batches
        self.module: Any = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.accelerator = Accelerator(cpu=True, mixed_precision=config.precision)  # where modules and batches are
        data_parallel.begin_alike(module)
        optimizer = torch.optim.AdamW(_groups(module), lr=config.learning_rate, weight_decay=config.weight_decay)
        self.optimizer = self.accelerator.prepare(optimizer)
        self.average = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}
        self.step = 0
        self.carry: Any = None
        self.history: list[tuple[int, float]] = []
        self.folder = Path(config.out)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        """Where the run can be resumed from."""
        return self.folder / "checkpoint.pt"

    def run(self) -> None:
        """Trains to the last step, from the checkpoint if there is one. An interrupt leaves a checkpoint behind."""
        if self.checkpoint.exists():
            self.load()
        first = data_parallel.rank() == 0
        writer = SummaryWriter(self.folder / "tensorboard") if first else None
        saved = time.monotonic()
        bar = tqdm(
            total=self.config.steps, initial=self.step, unit="step", desc=self.folder.name, mininterval=2.0,
            disable=not first,
        )  # fmt: skip
        try:
            while self.step < self.config.steps:
                logs = self.train_step()
                bar.update()
                if writer and self.step % self.config.log_every == 0:
                    bar.set_postfix({k: f"{v:.4f}" for k, v in logs.items()})
                    for name, value in logs.items():
                        writer.add_scalar(name, value, self.step)
                if data_parallel.decided(time.monotonic() - saved > 60.0 * self.config.checkpoint_minutes):
                    self.save()
                    saved = time.monotonic()
        except FloatingPointError:
            raise
        except BaseException:
            if data_parallel.processes() == 1:  # several are hardly interrupted in the same step
                self.save()
            raise
        else:
            self.save()
        finally:
            bar.close()
            if writer:
                writer.close()

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns scalars to log."""
        batch = data_parallel.own_rows(self.batches(self.step))
        batch |= {"carry": self.carry, "progress": self.step / self.config.steps}
        # Noise depends on the step alone: a resumed run draws what the uninterrupted one would have drawn.
        torch.manual_seed((self.config.seed << 32) + self.step + (data_parallel.rank() << 48))
        for group in self.optimizer.param_groups:
            group["lr"] = group["pace"] * self.learning_rate(self.step)
        self.module.train()
        with self.accelerator.autocast():
            loss, logs = self.module.loss(batch)
        value = data_parallel.mean(float(loss.detach()))
        if not math.isfinite(value):
            raise FloatingPointError(
                f"loss at step {self.step}: found {value}; the last checkpoint is {self.checkpoint}"
            )
        if loss.requires_grad:  # not so where only the memory learns and there is none yet
            self.accelerator.backward(loss)
        data_parallel.average_gradients(self.module.parameters())
        norm = self._clip_gradients()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.carry = logs.pop("carry", None)
        self._update_average()
        self.step += 1
        self.history.append((self.step, value))
        return {"loss": value, "gradient_norm": norm, "learning_rate": self.learning_rate(self.step - 1)} | {
            name: float(v) for name, v in logs.items()
        }

    def _clip_gradients(self) -> float:
        """Clips the gradients of every part of the module on its own (a judge must not drown what it judges); returns
        the largest norm that was found."""
        parts = [[p for p in part.parameters() if p.requires_grad] for part in self.module.children()]
        clip = self.config.gradient_clip
        return max(float(self.accelerator.clip_grad_norm_(part, clip)) for part in parts if part)

    def learning_rate(self, step: int) -> float:
        """Warm-up, plateau, then linear decay to zero."""
        c = self.config
        rise = min(1.0, (step + 1) / max(c.warm_up, 1))
        fall = min(1.0, (c.steps - step) / max(c.decay * c.steps, 1.0))
        return c.learning_rate * min(rise, fall)

    def _update_average(self) -> None:
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        names, values = zip(
            *((n, p.detach()) for n, p in self.module.named_parameters() if n in self.average), strict=True
        )
        torch._foreach_lerp_([self.average[name] for name in names], list(values), 1.0 - decay)

    def averaged(self) -> dict[str, Tensor]:
        """State of the module with the averaged weights in place of the trained ones."""
        return {name: self.average.get(name, value) for name, value in self.module.state_dict().items()}

    def save(self) -> None:
        """Writes everything a resumed run needs; to a temporary name first. All processes have to come here."""
        carry = data_parallel.gathered(_plain(self.carry))
        if data_parallel.rank() > 0:
            return
        trained = {n: p.detach() for n, p in self.module.named_parameters() if n in self.average}
        state = {
            "step": self.step, "trained": trained, "average": self.average, "carry": carry,
            "optimizer": self.optimizer.state_dict(), "history": self.history,
            "buffers": dict(self.module.named_buffers()),
        }  # fmt: skip
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)
        (self.folder / "history.json").write_text(json.dumps(self.history) + "\n")

    def load(self) -> None:
        """Continues from the checkpoint. Raises ValueError if it belongs to another network."""
        state = torch.load(self.checkpoint, weights_only=True)
        own = dict(self.module.named_parameters())
        for name, value in state["trained"].items():
            if name not in own or own[name].shape != value.shape:
                found = None if name not in own else tuple(own[name].shape)
                raise ValueError(
                    f"{self.checkpoint}: tensor {name!r} has shape {tuple(value.shape)}, the network's is {found}"
                )
        with torch.no_grad():
            for name, value in state["trained"].items():
                own[name].copy_(value)
            for name, buffer in self.module.named_buffers():
                buffer.copy_(state["buffers"][name])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.history = state["step"], state["history"]
        carry = data_parallel.own_rows(state["carry"])
        self.carry = None if carry is None else self.module.restore_carry(carry)


def _groups(module: nn.Module) -> list[dict[str, Any]]:
    """What is trained, by part of the module: `module.paces` names parts that learn so many times faster,
    `module.momenta` parts whose gradients Adam averages over another time (its first beta)."""
    paces: Mapping[str, float] = getattr(module, "paces", {})
    momenta: Mapping[str, float] = getattr(module, "momenta", {})
    parts: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            pace, momentum = (_of_part(name, values, usual) for values, usual in ((paces, 1.0), (momenta, MOMENTUM)))
            parts.setdefault((pace, momentum), []).append(parameter)
    return [
        {"params": parameters, "pace": pace, "betas": (momentum, SPREAD)}
        for (pace, momentum), parameters in parts.items()
    ]


def _of_part(name: str, values: Mapping[str, float], usual: float) -> float:
    """The value for the part of the module that a parameter belongs to."""
    return next((value for part, value in values.items() if name.startswith(part + ".")), usual)


def _plain(carry: Any) -> Mapping[str, Any] | None:
    """A carry as tensors, lists and dicts, which is all that weights-only loading accepts."""
    return None if carry is None else carry.plain()
